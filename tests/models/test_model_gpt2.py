"""GPT-2 against Hugging Face's, with the same random weights."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config as TheirConfig
from transformers import GPT2LMHeadModel

from playattention.config import GPT2Config
from playattention.generation import generate
from playattention.models.model_gpt2 import GPT2Model

THEIR_NAMES = {
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.expand": "mlp.c_fc",
    "feed_forward.contract": "mlp.c_proj",
}


def pair(**sizes: int | bool) -> tuple[GPT2Model, GPT2LMHeadModel]:
    """Our model and theirs, of the same sizes and the same random weights, large ones."""
    config = GPT2Config(**sizes)
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(
        TheirConfig(
            vocab_size=config.vocab_size,
            n_positions=config.seq_size,
            n_embd=config.n_embd,
            n_layer=config.n_layer,
            n_head=config.n_head,
        )
    ).eval()
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=0.3)
    ours = GPT2Model(config).eval()
    copy_weights(theirs, ours)
    return ours, theirs


@torch.no_grad()
def copy_weights(theirs: GPT2LMHeadModel, ours: GPT2Model) -> None:
    state = theirs.transformer.state_dict()
    ours.token_embedding.weight[: ours.config.vocab_size].copy_(state["wte.weight"])
    ours.position_embedding.weight.copy_(state["wpe.weight"])
    for part in ("weight", "bias"):
        getattr(ours.final_norm, part).copy_(state[f"ln_f.{part}"])
        for number, block in enumerate(ours.blocks):
            for our_name, their_name in THEIR_NAMES.items():
                value = state[f"h.{number}.{their_name}.{part}"]
                # Their Conv1D keeps its matrices transposed.
                is_matrix = value.dim() == 2
                target = getattr(block.get_submodule(our_name), part)
                target.copy_(value.T if is_matrix else value)


SIZES = {"vocab_size": 211, "seq_size": 24, "n_embd": 60, "n_head": 5, "n_layer": 3}


@pytest.mark.parametrize("flash_attention", [True, False])
@pytest.mark.parametrize("vocab_multiple", [1, 128])
def test_logits_and_loss_equal_hugging_faces(flash_attention: bool, vocab_multiple: int) -> None:
    ours, theirs = pair(**SIZES, flash_attention=flash_attention, vocab_multiple=vocab_multiple)
    idx = torch.randint(0, 211, (3, 24))
    with torch.no_grad():
        logits, loss = ours(idx[:, :-1], idx[:, 1:])
        expected = theirs(idx[:, :-1]).logits
        their_loss = theirs(idx, labels=idx).loss
    assert expected.abs().max() > 0.5  # the weights are no accident of small numbers
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)
    assert loss.item() == pytest.approx(their_loss.item(), abs=1e-4)


def test_gradients_equal_hugging_faces() -> None:
    ours, theirs = pair(**SIZES)
    idx = torch.randint(0, 211, (3, 24))
    ours(idx[:, :-1], idx[:, 1:])[1].backward()
    theirs(idx, labels=idx).loss.backward()
    for number, block in enumerate(ours.blocks):
        for our_name, their_name in THEIR_NAMES.items():
            mine = block.get_submodule(our_name).weight.grad
            other = theirs.transformer.h[number].get_submodule(their_name).weight.grad
            expected = other.T if other.dim() == 2 else other
            torch.testing.assert_close(mine, expected, rtol=1e-3, atol=1e-5)
    mine = ours.token_embedding.weight.grad[:211]
    torch.testing.assert_close(mine, theirs.transformer.wte.weight.grad, rtol=1e-3, atol=1e-5)


def test_fused_and_explicit_attention_agree_with_a_cache_and_in_training() -> None:
    fused, _ = pair(**SIZES, flash_attention=True)
    explicit = GPT2Model(fused.config.model_copy(update={"flash_attention": False}))
    explicit.load_state_dict(fused.state_dict())
    idx = torch.randint(0, 211, (2, 24))
    torch.testing.assert_close(fused(idx)[0], explicit.train()(idx)[0], rtol=0, atol=1e-4)
    for flag, model in ((True, fused), (False, explicit)):
        assert all(block.attention.flash_attention is flag for block in model.blocks)


def low_logit_models() -> tuple[GPT2Model, GPT2Model]:
    """A padded and an unpadded model with the same weights, every real logit below -30."""
    padded, _ = pair(**SIZES, vocab_multiple=128)
    plain = GPT2Model(padded.config.model_copy(update={"vocab_multiple": 1})).eval()
    state = padded.state_dict()
    # A direction that every token's row has, and that the final norm's bias points against.
    state["token_embedding.weight"][:, 0] = 3.0
    state["final_norm.weight"][0] = 0.0
    state["final_norm.bias"][0] = -15.0
    state["token_embedding.weight"][211:] = 0.0
    padded.load_state_dict(state)
    plain.load_state_dict(state | {"token_embedding.weight": state["token_embedding.weight"][:211]})
    return padded, plain


def test_padding_rows_take_no_probability_from_logits_far_below_zero() -> None:
    padded, plain = low_logit_models()
    assert padded.token_embedding.weight.size(0) == 256
    idx = torch.randint(0, 211, (2, 20))
    logits, loss = padded(idx[:, :-1], idx[:, 1:])
    assert logits.max() < -30
    expected_logits, expected_loss = plain(idx[:, :-1], idx[:, 1:])
    torch.testing.assert_close(logits, expected_logits)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-6)


def test_padding_rows_are_never_sampled() -> None:
    padded, plain = low_logit_models()
    prompt = torch.zeros(64, 1, dtype=torch.long)
    drawn = [
        generate(model, prompt, 20, generator=torch.Generator().manual_seed(3))
        for model in (padded, plain)
    ]
    assert torch.equal(*drawn)
    assert drawn[0].max() < 211


def test_first_weights_are_drawn_as_in_gpt2() -> None:
    torch.manual_seed(0)
    model = GPT2Model(GPT2Config(vocab_size=3000, n_layer=3, n_embd=192, n_head=4, seq_size=500))
    block = model.blocks[1]
    residual = 0.02 / 6**0.5
    for weight, std in (
        (model.token_embedding.weight, 0.02),
        (model.position_embedding.weight, 0.01),
        (block.attention.query_key_value.weight, 0.02),
        (block.attention.projection.weight, residual),
        (block.feed_forward.expand.weight, 0.02),
        (block.feed_forward.contract.weight, residual),
    ):
        assert weight.std().item() == pytest.approx(std, rel=0.03)
    assert not block.feed_forward.expand.bias.any()
    assert torch.equal(block.attention_norm.weight, torch.ones(192))


def test_embedding_and_head_are_one_table() -> None:
    model = GPT2Model(GPT2Config(vocab_size=50, n_layer=1, n_embd=8, n_head=2, seq_size=4))
    shapes = [tuple(weight.shape) for weight in model.parameters()]
    assert shapes.count((128, 8)) == 1
    assert not any("head" in name for name in model.state_dict())
