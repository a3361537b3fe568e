"""The modern model against Hugging Face's NanoChat, which has the same parts, with its weights."""

import math

import pytest
import torch
from torch import nn
from transformers import NanoChatConfig, NanoChatForCausalLM
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from playattention.config import ModernConfig
from playattention.errors import UserError
from playattention.generation import generate
from playattention.models.model_modern import ModernModel, Rotation

SIZES = {"vocab_size": 211, "seq_size": 23, "n_embd": 60, "n_head": 5, "n_layer": 3}
EPS = torch.finfo(torch.float32).eps

THEIR_NAMES = {
    "attention.projection": "self_attn.o_proj",
    "feed_forward.expand": "mlp.fc1",
    "feed_forward.contract": "mlp.fc2",
}


def pair(**sizes: int | bool) -> tuple[ModernModel, NanoChatForCausalLM]:
    """Our model and theirs, of the same sizes and the same random weights, large ones."""
    config = ModernConfig(**sizes)
    torch.manual_seed(0)
    theirs = NanoChatForCausalLM(
        NanoChatConfig(
            vocab_size=config.vocab_size,
            max_position_embeddings=config.seq_size,
            hidden_size=config.n_embd,
            intermediate_size=4 * config.n_embd,
            num_hidden_layers=config.n_layer,
            num_attention_heads=config.n_head,
            rms_norm_eps=EPS,
            final_logit_softcapping=None,
            pad_token_id=None,
        )
    ).eval()
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=0.3)
    ours = ModernModel(config).eval()
    with torch.no_grad():
        for name, mine in ours.named_parameters():
            mine.copy_(in_our_form(theirs, name, {n: w.data for n, w in theirs.named_parameters()}))
    return ours, theirs


def in_our_form(
    theirs: NanoChatForCausalLM, name: str, tensors: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Return their weight or gradient under our name.

    They turn the other way round, which is ours with the halves of each head's queries and keys
    exchanged: scores are the same.
    """
    if name == "token_embedding.weight":
        return tensors["model.embed_tokens.weight"]
    if name == "head.weight":
        return tensors["lm_head.weight"]
    _, number, place = name.removesuffix(".weight").split(".", 2)
    layer = f"model.layers.{number}"
    if place in THEIR_NAMES:
        return tensors[f"{layer}.{THEIR_NAMES[place]}.weight"]
    assert place == "attention.query_key_value"
    query, key, value = (tensors[f"{layer}.self_attn.{part}_proj.weight"] for part in "qkv")

    def exchanged(part: torch.Tensor) -> torch.Tensor:
        heads = part.unflatten(0, (theirs.config.num_attention_heads, 2, -1))  # (H, 2, D/2, C)
        return heads.flip(1).flatten(0, 2)

    return torch.cat([exchanged(query), exchanged(key), value])


@pytest.mark.parametrize("flash_attention", [True, False])
def test_logits_and_loss_equal_hugging_faces(flash_attention: bool) -> None:
    ours, theirs = pair(**SIZES, flash_attention=flash_attention)
    idx = torch.randint(0, 211, (3, 24))
    with torch.no_grad():
        logits, loss = ours(idx[:, :-1], idx[:, 1:])
        expected = theirs(idx[:, :-1]).logits
        their_loss = nn.functional.cross_entropy(expected.flatten(0, 1), idx[:, 1:].flatten())
    largest = expected.abs().max().item()
    assert largest > 0.5  # the weights are no accident of small numbers
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5 * largest)
    assert loss.item() == pytest.approx(their_loss.item(), rel=1e-5)


@pytest.mark.parametrize("flash_attention", [True, False])
def test_gradients_equal_hugging_faces(flash_attention: bool) -> None:
    ours, theirs = pair(**SIZES, flash_attention=flash_attention)
    idx = torch.randint(0, 211, (3, 24))
    ours(idx[:, :-1], idx[:, 1:])[1].backward()
    logits = theirs(idx[:, :-1]).logits
    nn.functional.cross_entropy(logits.flatten(0, 1), idx[:, 1:].flatten()).backward()
    gradients = {name: weight.grad for name, weight in theirs.named_parameters()}
    for name, weight in ours.named_parameters():
        expected = in_our_form(theirs, name, gradients)
        largest = expected.abs().max().item()
        assert largest > 0
        torch.testing.assert_close(weight.grad, expected, rtol=0, atol=1e-5 * largest, msg=name)


@pytest.mark.parametrize("start", [0, 6])
def test_a_rotation_is_that_of_llama(start: int) -> None:
    rotation = Rotation(ModernConfig(**SIZES))
    x = torch.randn(2, 5, 9, 12)
    angles = (start + torch.arange(9.0))[:, None] / 10_000 ** (torch.arange(0, 12, 2) / 12)
    both = torch.cat([angles, angles], dim=-1)[None]
    expected, again = apply_rotary_pos_emb(x, x, both.cos(), both.sin())
    assert torch.equal(expected, again)
    torch.testing.assert_close(rotation(x, start), expected, rtol=1e-5, atol=1e-6)


def test_a_turned_score_depends_on_the_distance_alone() -> None:
    rotation = Rotation(ModernConfig(**SIZES)).double()
    query, key = torch.randn(2, 1, 1, 1, 12, dtype=torch.float64)
    scores = [
        (rotation(query, start + 4) * rotation(key, start)).sum().item() for start in (0, 3, 17)
    ]
    assert scores == pytest.approx([scores[0]] * 3, rel=1e-5)
    further = (rotation(query, 9) * rotation(key, 0)).sum().item()
    assert further != pytest.approx(scores[0], rel=1e-2)


def test_the_norms_are_root_mean_squares_without_weights() -> None:
    model = ModernModel(ModernConfig(**SIZES))
    norms = [module for name, module in model.named_modules() if name.endswith("_norm")]
    assert len(norms) == 2 + 4 * 3
    assert not any([*norm.parameters()] for norm in norms)
    for norm in norms:
        x = 7 * torch.randn(3, *norm.normalized_shape) + 2
        expected = x.double() / (x.double().square().mean(-1, keepdim=True) + EPS).sqrt()
        torch.testing.assert_close(norm(x).double(), expected, rtol=1e-5, atol=1e-6)


def test_fused_and_explicit_attention_agree_in_training() -> None:
    fused, _ = pair(**SIZES, flash_attention=True)
    explicit = ModernModel(fused.config.model_copy(update={"flash_attention": False}))
    explicit.load_state_dict(fused.state_dict())
    idx = torch.randint(0, 211, (2, 23))
    expected = explicit.train()(idx)[0]
    atol = 1e-5 * expected.abs().max().item()
    torch.testing.assert_close(fused(idx)[0], expected, rtol=0, atol=atol)
    for flag, model in ((True, fused), (False, explicit)):
        assert all(block.attention.flash_attention is flag for block in model.blocks)


def test_a_text_longer_than_the_context_goes_on_the_same_with_and_without_a_cache() -> None:
    model, _ = pair(**SIZES)
    prompt = torch.randint(0, 211, (2, 4))
    cached, whole = (
        generate(model, prompt, 30, use_cache=use_cache, generator=torch.Generator().manual_seed(2))
        for use_cache in (True, False)
    )
    assert cached.size(1) >= 30
    assert torch.equal(cached, whole)


def test_its_first_loss_is_that_of_guessing_to_the_last_digits() -> None:
    """The head begins at zero: every token is as likely."""
    torch.manual_seed(0)
    model = ModernModel(ModernConfig(**SIZES))
    idx = torch.randint(0, 211, (3, 24))
    logits, loss = model(idx[:, :-1], idx[:, 1:])
    assert not logits.any()
    assert loss.item() == pytest.approx(math.log(211), rel=1e-6)


def test_its_blocks_begin_as_the_identity() -> None:
    model = ModernModel(ModernConfig(**SIZES))
    x = torch.randn(2, 9, 60)
    for block in model.blocks:
        assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        (
            {"n_embd": 15, "n_head": 3},
            "n_embd = 15: must be an even multiple of n_head = 3, as positions turn pairs of "
            "channels; nearest: 12 or 18",
        ),
        (
            {"n_embd": 4, "n_head": 4},
            "n_embd = 4: must be an even multiple of n_head = 4, as positions turn pairs of "
            "channels; nearest: 8",
        ),
    ],
)
def test_a_head_of_an_odd_size_can_not_be_turned(sizes: dict[str, int], told: str) -> None:
    with pytest.raises(UserError) as error:
        ModernConfig(**sizes)
    assert str(error.value) == told
