"""Explain under a what-if: what was put there from outside is told so, all else as ever."""

import pytest
import torch

from playattention import xray
from playattention.xray.explain import explain, explain_value
from tests.xray.changes import CHANGES, noise
from tests.xray.test_explain import cells

NAMES = {
    "heads zero": "ablate_heads",
    "heads mean": "ablate_heads",
    "feed-forward zero": "ablate_feed_forward",
    "feed-forward mean": "ablate_feed_forward",
    "no mask": None,
    "no scale": None,
    "scale": None,
    "no positions": "no_positions",
    "no residual, attention": "no_residual",
    "no residual, feed-forward": "no_residual",
    "attention row": "replace_attention",
    "patch": "patch",
    "patch all": "patch",
    "patch head": "patch_head",
}
"""Change -> what an explanation calls it; None: settings, which the source reads."""


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_told_with_its_name_and_nothing_else_is(model, idx, change):
    plain = xray.watch(model, idx)
    with CHANGES[change](model, idx):
        trace = xray.watch(model, idx)
    told = set()
    for value in trace:
        own = plain.one(value.module, value.name, value.occurrence).tensor
        differ = (value.tensor != own).nonzero().tolist()
        for cell in [*cells(value)[:1], *differ[:1], *differ[-1:]]:
            found = explain_value(trace, value, cell)
            if found.result is None:
                assert found.operation == "changed from outside", found
                assert "not explained" not in repr(found)
                told.add(found.note.partition(" changed what ")[0])
    turned = change == "no positions" and model.config.name == "modern"  # by other buffers
    assert told == ({NAMES[change]} if NAMES[change] and not turned else set())


def test_the_note_says_where_and_what_the_source_would_give(gpt, idx):
    plain = xray.watch(gpt, idx).one("", "position_embedded").tensor
    with xray.no_positions(gpt):
        trace = xray.watch(gpt, idx)
    found = explain(trace, "", "position_embedded", (1, 2))
    assert found.note == (
        "no_positions changed what position_embedding takes in or gives; of these operands it "
        f"would be {float(plain[1, 2]):g}"
    )
    assert [operand.name for operand in found.operands] == ["positions"]


def test_two_changes_of_one_module_are_both_told_and_gone_afterwards(gpt, idx):
    whole = noise(2, 5, 12)
    with xray.patch(gpt, "blocks.0", whole), xray.no_residual(gpt, 0, "feed_forward"):
        assert xray.watch(gpt, idx).parts["blocks.0"].changed == "patch, no_residual"
    gpt.blocks[0].register_forward_hook(print)
    with xray.patch(gpt, "blocks.0", whole):
        assert xray.watch(gpt, idx).parts["blocks.0"].changed == "patch, a hook"
    assert xray.watch(gpt, idx).parts["blocks.0"].changed == "a hook"
    assert xray.watch(gpt, idx).parts["blocks.1"].changed == ""


def test_a_saved_trace_still_knows(gpt, idx, tmp_path):
    with xray.patch(gpt, "blocks.0", noise(2, 5, 12)):
        xray.watch(gpt, idx).save(tmp_path / "trace")
    found = explain(xray.Trace.load(tmp_path / "trace"), "", "x", (0, 0, 0), 1)
    assert found.note.startswith("patch changed what blocks.0 takes in or gives")


def test_a_hook_that_only_looks_changes_no_explanation(gpt, idx):
    seen: list[torch.Tensor] = []
    gpt.head.register_forward_hook(lambda _module, _given, made: seen.append(made))
    assert explain(xray.watch(gpt, idx), "", "logits", (0, 0, 0)).operation == "dot product"
    assert seen
