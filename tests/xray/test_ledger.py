"""A logit is the sum of what each part says for the token."""

import pytest
import torch
from torch import nn

from playattention.errors import UserError
from playattention.xray.anatomy import anatomy, passed
from playattention.xray.ledger import Entry, FrozenNorm, Ledger, ledger
from tests.xray.edited import EVERY, ids, recalling, small


class OwnNorm(nn.Module):
    """An RMS norm as people write it, under names of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def gain(model: nn.Module) -> torch.Tensor | float:
    """Return what the final norm multiplies by, where it has weights."""
    weight = model.final_norm.weight
    return 1.0 if weight is None else weight.double()


@pytest.mark.parametrize("name", EVERY)
def test_the_parts_sum_to_the_logit(name: str):
    model, idx = small(name), ids(1, 6)
    with torch.no_grad():
        answer = model(idx)
    own = answer if name == "bare" else answer[0]
    for position in (0, 3, 5):
        for token in range(11):
            found = ledger(model, idx, position, token)
            assert found.logit == own[0, position, token].item()
            assert sum(entry.amount for entry in found.entries) == pytest.approx(
                found.logit, abs=1e-5
            )
            assert found.remainder == pytest.approx(0, abs=1e-5)


def test_scores_as_large_as_those_of_gpt2_are_summed_up_too():
    """They are around -100 there, so that a float32 itself is only good to 1e-5."""
    model, idx = small("gpt2", n_embd=96, n_head=4, n_layer=6), ids(1, 7)
    with torch.no_grad():
        model.final_norm.weight *= 50
        scores = model(idx)[0][0, -1].abs()
    found = ledger(model, idx, -1, int(scores.argmax()))
    assert abs(found.logit) > 50
    assert abs(found.remainder) < 1e-4


@pytest.mark.parametrize("name", EVERY)
def test_every_amount_is_what_its_part_wrote_times_the_tokens_row_in_the_norm(name: str):
    """The norm of the model written out in float64, with the mean and the scale of the stream."""
    model, idx, position, token = small(name), ids(1, 6), 4, 7
    parts = anatomy(model)
    seen = passed(model, idx, parts.paths)
    stream = seen.inputs["final_norm"][0, position].double()
    layer_norm = name in ("gpt", "gpt2")
    eps = model.final_norm.eps or torch.finfo(torch.float32).eps
    spread = (stream.var(unbiased=False) if layer_norm else stream.square().mean()) + eps
    row = parts.unembedding[token].double() * gain(model) / spread.sqrt()

    def amount(vector: torch.Tensor) -> float:
        vector = vector.double()
        return ((vector - vector.mean() if layer_norm else vector) @ row).item()

    token_vector = model.token_embedding.weight[idx[0, 4]].double()
    if name == "modern":
        token_vector = token_vector / token_vector.square().mean().sqrt()
    expected = {("token_embedding", None, None): amount(token_vector)}
    if layer_norm:
        expected["position_embedding", None, None] = amount(model.position_embedding.weight[4])
    for layer, block in enumerate(model.blocks):
        joined = seen.inputs[f"blocks.{layer}.attention.projection"][0, position].double()
        weight = block.attention.projection.weight.double()
        for head in range(3):
            columns = slice(4 * head, 4 * head + 4)
            expected["head", layer, head] = amount(weight[:, columns] @ joined[columns])
        computed = seen.outputs[f"blocks.{layer}.feed_forward"][0, position].double()
        if layer_norm:
            expected["projection_bias", layer, None] = amount(block.attention.projection.bias)
            bias = block.feed_forward.contract.bias
            expected["contract_bias", layer, None] = amount(bias)
            computed = computed - bias.double()
        expected["feed_forward", layer, None] = amount(computed)
    if layer_norm:
        bias = model.final_norm.bias.double()
        said = (bias @ parts.unembedding[token].double()).item()
        expected["final_norm_bias", None, None] = said
    elif name == "bare":
        expected["logit_bias", None, None] = model.head.bias[token].item()
    found = {
        (entry.kind, entry.layer, entry.head): entry.amount
        for entry in ledger(model, idx, position, token).entries
    }
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("head", [0, 2])
def test_without_a_heads_part_the_logit_falls_by_its_amount(name: str, head: int):
    """The stream without it, in float64, through the norm as it was: its mean and scale held."""
    model, idx, position, token = small(name), ids(1, 6), 5, 2
    parts = anatomy(model)
    seen = passed(model, idx, parts.paths)
    stream = seen.inputs["final_norm"][0, position].double()
    joined = seen.inputs["blocks.1.attention.projection"][0, position].double()
    others = joined.clone()
    others[4 * head : 4 * head + 4] = 0
    weight = model.blocks[1].attention.projection.weight.double()
    ablated = stream - weight @ joined + weight @ others
    centre = 1.0 if name in ("gpt", "gpt2") else 0.0
    eps = model.final_norm.eps or torch.finfo(torch.float32).eps
    scale = ((stream - centre * stream.mean()).square().mean() + eps).sqrt()
    row = parts.unembedding[token].double() * gain(model)
    before, after = (row @ ((x - centre * x.mean()) / scale) for x in (stream, ablated))
    (amount,) = (
        entry.amount
        for entry in ledger(model, idx, position, token).entries
        if (entry.layer, entry.head) == (1, head)
    )
    assert amount == pytest.approx((before - after).item(), abs=1e-6)
    assert abs(amount) > 1e-3


def test_what_is_none_of_the_parts_is_told_as_a_remainder():
    """The edited model adds its embedding twice, which the parts do once."""
    found = ledger(recalling(), ids(1, 5), 4, 3)
    token, position = found.entries[:2]
    assert (token.kind, position.kind) == ("token_embedding", "position_embedding")
    assert found.remainder == pytest.approx(token.amount + position.amount, abs=1e-5)
    assert abs(found.remainder) > 0.1


@pytest.mark.parametrize(
    "norm",
    [nn.LayerNorm(9), nn.RMSNorm(9), OwnNorm(9), nn.LayerNorm(9, bias=False), nn.Identity()],
    ids=lambda norm: type(norm).__name__,
)
@pytest.mark.parametrize("size", [1e-2, 1.0, 30.0])
def test_a_frozen_norm_gives_back_what_the_norm_gave(norm: nn.Module, size: float):
    torch.manual_seed(3)
    for weight in norm.parameters():
        nn.init.normal_(weight)
    x = size * torch.randn(9, dtype=torch.float64) + 0.1
    frozen = FrozenNorm(norm, x)
    with torch.no_grad():
        expected = norm.double()(x)
    torch.testing.assert_close(frozen(x) + frozen.offset, expected, rtol=1e-5, atol=1e-7)
    y = torch.randn(9, dtype=torch.float64)
    torch.testing.assert_close(frozen(x) - frozen(y), frozen(x - y))


def test_a_stream_of_zeros_has_a_ledger_of_zeros():
    """A norm with no bias gives zeros there, and no scale can be seen."""
    model = small("bare")
    for path in ("token_embedding", "blocks"):
        for weight in model.get_submodule(path).parameters():
            nn.init.zeros_(weight)
    found = ledger(model, ids(1, 5), 2, 3)
    assert found.total == pytest.approx(model.head.bias[3].item())


def test_the_last_position_may_be_called_minus_1():
    model, idx = small("gpt"), ids(1, 6)
    assert ledger(model, idx, -1, 3) == ledger(model, idx, 5, 3)


@pytest.mark.parametrize(
    ("idx", "position", "token", "message"),
    [
        (ids(2, 5), 0, 0, r"idx = shape \(2, 5\): must be \(1, T\)"),
        (ids(1, 5), 5, 0, "position = 5: must be 0 to 4"),
        (ids(1, 5), -6, 0, "position = -6: must be 0 to 4"),
        (ids(1, 5), 0, 11, "token = 11: must be 0 to 10"),
        (ids(1, 5), 0, -1, "token = -1: must be 0 to 10"),
    ],
)
def test_what_is_out_of_its_range_is_refused(idx, position, token, message):
    """GPT-2's padding rows, 11 to 127 here, are no tokens."""
    with pytest.raises(UserError, match=message):
        ledger(small("gpt2"), idx, position, token)


def test_a_ledger_prints_the_largest_parts_and_the_rest_as_one():
    entries = tuple(Entry("head", 0, head, 0.5**head * (-1) ** head) for head in range(24))
    total = sum(entry.amount for entry in entries)
    rows = repr(Ledger(entries, 5, 3, total + 0.25)).splitlines()
    assert rows[0] == "logit of 3 at position 5"
    assert rows[1].split() == ["block", "0", "head", "0", "+1.0000", "|" + "+" * 15]
    assert rows[2].split() == ["block", "0", "head", "1", "-0.5000", "-" * 8 + "|"]
    assert len(rows) == 1 + 20 + 3
    assert [row.rsplit(maxsplit=1) for row in rows[-3:]] == [
        ["the 4 others", "+0.0000"],
        ["remainder", "+0.2500"],
        ["logit", f"{total + 0.25:+.4f}"],
    ]
    assert max(map(len, rows)) <= 80
