"""What is put in the place of a model's own values is what all that follows is computed from."""

import pytest
import torch
from torch import nn

from playattention.xray.patching import patch, patch_head, replace_attention
from playattention.xray.watch import watch
from playattention.xray.whatif import swap_tokens
from tests.xray.changes import (
    HEAD_SIZE,
    Change,
    check_refused,
    joined_by,
    later_changes,
    logits,
    mixed_by,
    noise,
)


def test_a_replaced_row_is_what_the_head_mixes_by(model: nn.Module, idx: torch.Tensor):
    """Only that row of that head: its mix is the same average of the values, in float64."""
    clean = watch(model, idx)
    row = torch.tensor([0.2, 0.0, 0.5, 0.3])
    with replace_attention(model, 1, 2, 3, row):
        trace = watch(model, idx)
    if trace.find("blocks.1.attention", "mixed")[-1].name == "mixed":
        dropped, values = (
            trace.one("blocks.1.attention", name).tensor[:, 2] for name in ("dropped", "values")
        )
    else:
        dropped, values = (
            trace.one("blocks.1.attention.heads.2", name).tensor for name in ("dropped", "values")
        )
    full = torch.tensor([0.2, 0.0, 0.5, 0.3, 0.0])
    assert torch.equal(dropped[:, 3], full.expand(2, 5))
    expected = mixed_by(clean, 1, 2).double().clone()
    expected[:, 3] = torch.einsum("s,bsd->bd", full.double(), values.double())
    torch.testing.assert_close(mixed_by(trace, 1, 2).double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(joined_by(trace, 1, 2), mixed_by(trace, 1, 2))
    assert torch.equal(mixed_by(trace, 1, 1), mixed_by(clean, 1, 1))


def test_weights_that_a_row_does_not_name_are_zero(model: nn.Module, idx: torch.Tensor):
    """From the last position, which would look at all; the same as the row with its zeros."""
    found = []
    for row in ([0.5, 0.5], [0.5, 0.5, 0.0, 0.0, 0.0], [0.5, 0.5] + 5 * [0.0]):
        with replace_attention(model, 0, 0, 4, row):
            found.append(watch(model, idx))
    for trace in found:
        dropped = trace.find("blocks.0.attention*", "dropped")[0].tensor
        first = dropped[:, 0] if dropped.dim() == 4 else dropped
        assert first[:, 4].tolist() == [[0.5, 0.5, 0.0, 0.0, 0.0]] * 2
        assert torch.equal(trace.one("", "logits").tensor, found[0].one("", "logits").tensor)


def test_a_replaced_row_may_look_at_later_tokens(model: nn.Module, idx: torch.Tensor):
    with replace_attention(model, 0, 0, 1, [0.0, 0.0, 0.0, 0.0, 1.0]):
        assert later_changes(model, idx) == [1, 2, 3, 4]


def test_patching_every_position_of_a_block_gives_the_other_runs_logits(
    model: nn.Module, idx: torch.Tensor
):
    other = watch(model, swap_tokens(idx, 0, 2))
    with patch(model, other.one("blocks.0", "return")):
        assert torch.equal(logits(model, idx), other.one("", "logits").tensor)


@pytest.mark.parametrize("name", ["attended", "computed", "attention_input"])
def test_a_value_that_a_module_returned_can_be_patched_as_the_trace_gives_it(
    model: nn.Module, idx: torch.Tensor, name: str
):
    clean, other = watch(model, idx), watch(model, swap_tokens(idx, 1, 4))
    with patch(model, other.one("blocks.1", name), positions=[2, 4]):
        found = watch(model, idx).one("blocks.1", name).tensor
    expected = clean.one("blocks.1", name).tensor.clone()
    expected[:, [2, 4]] = other.one("blocks.1", name).tensor[:, [2, 4]]
    assert torch.equal(found, expected)


def test_a_patched_head_reaches_the_projection_alone(model: nn.Module, idx: torch.Tensor):
    clean = watch(model, idx)
    other = watch(model, swap_tokens(idx, 0, 3))
    tensor = joined_by(other, 1, 1)
    with patch_head(model, 1, 1, tensor, [3, 4]):
        found = watch(model, idx).one("blocks.1", "attended").tensor.double()
    joined = clean.one("blocks.1.attention", "joined").tensor.double().clone()
    joined[:, [3, 4], HEAD_SIZE : 2 * HEAD_SIZE] = tensor[:, [3, 4]].double()
    weights = {name: weight.double() for name, weight in model.state_dict().items()}
    expected = joined @ weights["blocks.1.attention.projection.weight"].T
    expected = expected + weights.get("blocks.1.attention.projection.bias", 0.0)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_patching_a_models_own_values_changes_nothing(model: nn.Module, idx: torch.Tensor):
    clean = watch(model, idx)
    with (
        patch(model, clean.one("blocks.0", "attended")),
        patch_head(model, 1, 2, joined_by(clean, 1, 2)),
    ):
        assert torch.equal(logits(model, idx), clean.one("", "logits").tensor)


MISTAKES: dict[str, tuple[Change, str]] = {
    "row": (lambda model, _: replace_attention(model, 0, 0, 0, [[1.0]]), "row = shape (1, 1): "),
    "position of a row": (
        lambda model, _: replace_attention(model, 0, 0, 5, [1.0]),
        "position = 5: the model is given 5 tokens; allowed: 0 to 4",
    ),
    "module": (
        lambda model, _: patch(model, "blocks.7", noise(1, 5, 12)),
        "unknown module 'blocks.7'",
    ),
    "no tensor": (lambda model, _: patch(model, "blocks.0"), "tensor = None: must be given "),
    "shape": (
        lambda model, _: patch(model, "blocks.0", noise(1, 5, 11)),
        "tensor = shape (1, 5, 11): must be (2, 5, 12), ",
    ),
    "flat": (lambda model, _: patch(model, "blocks.0", noise(12)), "tensor = shape (12,): "),
    "positions": (
        lambda model, _: patch(model, "blocks.0", noise(1, 4, 12), [4]),
        "position = 4: must be a whole number from 0 to 3",
    ),
    "too many positions": (
        lambda model, _: patch(model, "blocks.0", noise(1, 6, 12)),
        "position = 5: the model is given 5 tokens; allowed: 0 to 4",
    ),
    "tuple": (
        lambda model, _: patch(model, "", noise(1, 5, 12)),
        "Model: returns a tuple; allowed: a module that returns one tensor",
    ),
    "no output": (
        lambda model, idx: patch(model, watch(model, idx).one("blocks.0", "x_attended")),
        "value blocks.0:x_attended: no module's output ('x_attended = x + attended'); allowed: ",
    ),
}


@pytest.mark.parametrize(("change", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_line(
    model: nn.Module, idx: torch.Tensor, change: Change, told: str
):
    check_refused(model, idx, change, told)
