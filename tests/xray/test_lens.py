"""What a model would say after each block, and what each of its predictions cost."""

import math

import pytest
import torch
from torch import nn

from playattention.errors import UserError
from playattention.evaluation import evaluate
from playattention.models import MODELS
from playattention.tokenizers import CharTokenizer
from playattention.xray.lens import logit_lens, losses
from tests.xray.edited import EVERY, ids, recalling, small

LETTERS = CharTokenizer("\n abcdefgh.")


def by_hand(model: nn.Module, stream: torch.Tensor) -> torch.Tensor:
    """Return the logits of a stream, the norm and the head written out in float64."""
    stream = stream.double()
    norm = {"weight": torch.ones(12), **dict(model.final_norm.named_parameters())}
    if "bias" in norm:
        stream = stream - stream.mean(dim=-1, keepdim=True)
    eps = model.final_norm.eps or torch.finfo(torch.float32).eps
    scaled = stream / (stream.square().mean(dim=-1, keepdim=True) + eps).sqrt()
    normed = scaled * norm["weight"].double() + norm.get("bias", torch.zeros(12)).double()
    head = dict(model.named_modules()).get("head", model.token_embedding)
    logits = normed @ head.weight.double().T
    bias = dict(head.named_parameters()).get("bias")
    return (logits if bias is None else logits + bias.double())[..., :11]


@pytest.mark.parametrize("name", EVERY)
def test_the_last_stage_is_the_model_itself(name: str):
    model, idx = small(name), ids(2, 5)
    with torch.no_grad():
        answer = model(idx)
    own = answer if name == "bare" else answer[0]
    lens = logit_lens(model, idx)
    assert lens.logits.shape == (3, 2, 5, 11)
    torch.testing.assert_close(lens.logits[-1], own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_each_stage_is_its_stream_through_the_norm_and_the_head(name: str):
    model, idx = small(name), ids(2, 5)
    with torch.no_grad():
        stream = model.token_embedding(idx)
        if name == "modern":
            stream = stream / stream.square().mean(dim=-1, keepdim=True).sqrt()
        elif name != "bare":
            stream = stream + model.position_embedding.weight[:5]
        expected = [by_hand(model, stream)]
        for block in model.blocks:
            stream = block(stream)
            expected.append(by_hand(model, stream))
    found = logit_lens(model, idx).logits
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_an_edited_model_is_seen_through_its_own_last_lines():
    """It adds to its stream before the norm: what the norm was given is what counts."""
    model = recalling()
    lens = logit_lens(model, ids(1, 5))
    with torch.no_grad():
        own, _ = model(ids(1, 5))
    torch.testing.assert_close(lens.logits[-1], own)


def test_the_likeliest_tokens_are_those_of_the_softmax():
    lens = logit_lens(small("gpt"), ids(2, 5))
    probabilities, found = lens.top(3)
    expected = lens.probabilities.sort(dim=-1, descending=True)
    torch.testing.assert_close(probabilities, expected.values[..., :3])
    assert torch.equal(found, expected.indices[..., :3])
    torch.testing.assert_close(lens.probabilities.sum(dim=-1), torch.ones(3, 2, 5))


def test_a_lens_leaves_the_model_as_it_was():
    model = small("gpt", dropout=0.5).train()
    idx = ids(2, 5)
    first = logit_lens(model, idx)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert torch.equal(first.logits, logit_lens(model, idx).logits)


def test_a_lens_that_fails_leaves_no_hook():
    model = small("gpt")
    model.head.register_forward_hook(fails)
    with pytest.raises(RuntimeError, match="on purpose"):
        logit_lens(model, ids(1, 5))
    assert not any(module._forward_pre_hooks for module in model.modules())


def fails(*_: object) -> None:
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("name", MODELS)
def test_the_mean_of_the_losses_is_the_models_loss(name: str):
    model, idx = small(name), ids(2, 7)
    _, loss = model(idx[:, :-1], idx[:, 1:])
    found = losses(model, idx[:, :-1], idx[:, 1:])
    assert found.mean == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_the_mean_of_the_losses_is_that_of_the_evaluation(name: str):
    """Two windows of six tokens each, the whole of a text."""
    model, text = small(name), ids(1, 13)[0]
    windows = text.unfold(0, 7, 6)
    found = losses(model, windows[:, :-1], windows[:, 1:])
    assert found.mean == pytest.approx(evaluate(model, text.numpy(), 6).loss, rel=1e-6)


def test_a_target_of_minus_100_does_not_count():
    model, idx = small("gpt"), ids(1, 7)
    targets = idx[:, 1:].clone()
    targets[0, 3:] = -100
    found = losses(model, idx[:, :-1], targets)
    short = losses(model, idx[:, :3], idx[:, 1:4])
    assert found.mean == pytest.approx(short.mean, rel=1e-6)
    assert found.loss[0, 3:].isnan().all()
    assert found.probability[0, 3:].isnan().all()
    assert found.rank[0].tolist() == [*short.rank[0].tolist(), 0, 0, 0]


def test_a_loss_is_the_surprise_of_the_token_that_came():
    model, idx = small("gpt2"), ids(2, 6)
    found = losses(model, idx[:, :-1], idx[:, 1:], k=11)
    with torch.no_grad():
        logits, _ = model(idx[:, :-1])
    for b in range(2):
        for t in range(5):
            shares = logits[b, t].double().exp() / logits[b, t].double().exp().sum()
            true = int(idx[b, t + 1])
            order = sorted(range(11), key=lambda token: -shares[token])
            assert found.loss[b, t].item() == pytest.approx(-math.log(shares[true]), rel=1e-5)
            assert found.probability[b, t].item() == pytest.approx(shares[true].item(), rel=1e-5)
            assert found.rank[b, t] == order.index(true) + 1
            assert found.top_ids[b, t].tolist() == order
            assert found.top_probabilities[b, t].sum().item() == pytest.approx(1, rel=1e-5)


def test_equal_scores_share_the_best_rank():
    model = small("gpt")
    nn.init.zeros_(model.head.weight)
    assert losses(model, ids(1, 5), ids(1, 5, seed=2)).rank.unique().tolist() == [1]


@pytest.mark.parametrize("k", [0, 12])
def test_a_number_of_candidates_that_is_not_there_is_refused(k: int):
    with pytest.raises(UserError, match=f"k = {k}: must be 1 to 11"):
        losses(small("gpt"), ids(1, 5), ids(1, 5), k=k)


def test_the_losses_of_a_model_that_takes_no_targets_are_told():
    assert losses(small("bare"), ids(1, 5), ids(1, 5)).loss.isfinite().all()


@pytest.mark.parametrize("wrong", [11, -1])
def test_a_target_that_is_no_token_is_refused(wrong: int):
    targets = torch.tensor([[1, wrong, -100]])
    with pytest.raises(UserError, match=f"targets = {wrong}: must be 0 to 10, or -100"):
        losses(small("gpt"), ids(1, 3), targets)


def test_targets_of_another_shape_are_refused():
    with pytest.raises(UserError, match=r"targets = shape \(1, 4\): must be that of idx"):
        losses(small("gpt"), ids(1, 5), ids(1, 4))


@pytest.mark.parametrize("tokens", [1, 7])
@pytest.mark.parametrize("decode", [None, LETTERS.decode])
def test_what_is_printed_fits_a_terminal(tokens: int, decode):
    model, idx = small("gpt"), ids(2, tokens)
    for found in (
        logit_lens(model, idx, decode=decode),
        losses(model, idx, ids(2, tokens, seed=2), decode=decode),
    ):
        assert max(map(len, repr(found).splitlines())) <= 80


def test_a_lens_prints_the_likeliest_token_after_each_stage():
    model, idx = small("gpt"), ids(1, 2)
    lens = logit_lens(model, idx, decode=LETTERS.decode)
    rows = repr(lens).splitlines()
    assert [row.split("  ")[0] for row in rows] == ["after", "embedding", "block 0", "block 1"]
    share, best = (found[-1, 0, -1, 0] for found in lens.top())
    assert rows[-1].endswith(f"{LETTERS.decode([int(best)])!r} {share:.0%}")


def test_losses_print_the_token_that_came_and_the_mean():
    model, idx = small("gpt"), ids(1, 4)
    found = losses(model, idx, ids(1, 4, seed=2))
    *rows, mean = repr(found).splitlines()
    assert rows[-1].split()[:3] == ["3", str(int(idx[0, 3])), str(int(found.targets[0, 3]))]
    assert mean == f"mean loss {found.mean:.4f} nats"
