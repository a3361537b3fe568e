"""One run's checkpoints side by side, and differences of traces."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.training import report
from playattention.training.loop import train
from playattention.training.run import load_run
from playattention.xray.across import Difference, across, difference
from playattention.xray.trace import Trace
from playattention.xray.watch import memory, watch
from playattention.xray.whatif import ablate_feed_forward, no_causal_mask

IDX = torch.tensor([[5, 3, 8, 1], [2, 2, 7, 0]])


@pytest.fixture
def run(small_run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run of each recipe with checkpoints 0, 2 and 4."""
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)
    threads = torch.get_num_threads()
    often = {"steps": 4, "eval_every": 2, "keep_every": 2, "sample_tokens": 0}
    yield train(small_run.updated(train=often), "a", quiet=True)
    torch.set_num_threads(threads)


def same(one: Trace, other: Trace) -> bool:
    """Tell whether two traces have the same values and weights, bit for bit."""
    return (
        [value.title for value in one] == [value.title for value in other]
        and all(torch.equal(a.tensor, b.tensor) for a, b in zip(one, other, strict=True))
        and one.weights.keys() == other.weights.keys()
        and all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    )


# Over training.


def test_each_trace_is_bitwise_that_of_the_checkpoint_loaded_alone(run: Path):
    formed = across(run, IDX, targets=IDX)
    assert formed.steps == [0, 2, 4]
    for step in formed.steps:
        assert same(formed[step], watch(load_run(run, step).model, IDX, IDX))
    assert not same(formed[0], formed[2])
    assert not same(formed[2], formed[4])


def test_a_run_is_found_by_its_name_and_its_steps_can_be_chosen(run: Path):
    formed = across("a", IDX, steps=[4, 0, 4])
    assert formed.steps == [0, 4]
    assert [trace is formed[step] for step, trace in zip((0, 4), formed, strict=True)] == [True] * 2


def test_a_run_that_is_already_loaded_can_be_given(run: Path):
    assert across(load_run(run), IDX).steps == across(run, IDX).steps


def test_modules_limits_what_is_kept_but_not_the_weights(run: Path):
    formed = across(run, IDX, [2], modules="blocks.1.feed_forward")
    assert formed[2].modules == ["blocks.1.feed_forward"]
    assert formed[2].weights.keys() == watch(load_run(run, 2).model, IDX).weights.keys()


def test_a_value_can_be_followed_through_the_steps(run: Path):
    formed = across(run, IDX)
    logits = formed.one("", "logits")
    assert [*logits] == [0, 2, 4]
    for step, value in logits.items():
        assert value is formed[step].one("", "logits")


def test_tokens_are_shown_as_the_runs_text(run: Path):
    tokenizer = load_run(run).tokenizer
    assert across(run, IDX, [4])[4].labels == [tokenizer.decode([id_]) for id_ in (5, 3, 8, 1)]


def test_it_says_in_one_line_what_it_holds(run: Path):
    assert re.fullmatch(r"<Across a: 3 steps, 0 to 4, 0\.\d MiB>", repr(across(run, IDX)))


def test_a_checkpoint_that_is_not_there_is_refused_before_any_is_watched(run: Path):
    with pytest.raises(UserError) as error:
        across(run, IDX, [0, 3])
    assert str(error.value) == ("steps = [3]: logs/a has no such checkpoint; allowed: [0, 2, 4]")
    with pytest.raises(UserError, match=r"^step = 0: was not watched; allowed: \[2\]$"):
        across(run, IDX, [2])[0]


def test_all_together_may_take_no_more_than_the_limit(run: Path):
    model = load_run(run).model
    weights = sum(weight.nbytes for weight in (*model.parameters(), *model.buffers()))
    one = weights + memory(model, IDX)
    assert len(across(run, IDX, limit=3 * one)) == 3
    with pytest.raises(UserError, match=r"^limit = .* bytes: .*; allowed: fewer tokens"):
        across(run, IDX, limit=3 * one - 1)
    assert len(across(run, IDX, [0, 2], limit=3 * one - 1)) == 2


# Differences.


def test_a_difference_is_one_trace_less_the_other_value_by_value(
    model: nn.Module, idx: torch.Tensor
):
    clean = watch(model, idx)
    with ablate_feed_forward(model, [0]):
        changed = watch(model, idx)
    less = difference(changed, clean)
    assert len(less.trace) == len(clean) == len(less)
    for value, one, other in zip(less.trace, changed, clean, strict=True):
        assert value.title == one.title
        finite = one.tensor.isfinite()
        assert torch.equal(value.tensor[finite], (one.tensor - other.tensor)[finite])
        assert not value.tensor[~finite].any()
    assert (less.only_first, less.only_second, less.reshaped) == ((), (), ())


def test_the_largest_differences_come_first_each_as_a_share_of_the_longer(
    model: nn.Module, idx: torch.Tensor
):
    clean = watch(model, idx)
    with ablate_feed_forward(model, [1]):
        changed = watch(model, idx)
    less = difference(changed, clean)
    assert [*less] == sorted(less, key=lambda value: -less.shares[value])
    assert next(iter(less)).title == "blocks.1:computed"
    assert less.shares[less.one("blocks.1", "computed")] == 1.0
    assert less.shares[less.one("blocks.1", "x_attended")] == 0.0
    one, other = (trace.one("", "logits").tensor.double() for trace in (changed, clean))
    expected = (one - other).norm() / max(one.norm(), other.norm())
    assert less.shares[less.one("", "logits")] == pytest.approx(expected.item(), rel=1e-5)


def test_a_trace_less_itself_is_zero_everywhere(model: nn.Module, idx: torch.Tensor):
    less = difference(watch(model, idx), watch(model, idx))
    assert not any(value.tensor.any() for value in less)
    assert set(less.shares.values()) == {0.0}


def test_where_only_one_is_infinite_the_difference_is(model: nn.Module, idx: torch.Tensor):
    clean = watch(model, idx)
    with no_causal_mask(model, [0]):
        changed = watch(model, idx)
    less = difference(changed, clean)
    value = less.trace.find("blocks.0.attention*", "masked")[0]
    later = torch.ones(5, 5).triu(1).bool().expand(value.shape)
    assert torch.equal(value.tensor.isposinf(), later)
    assert 0.0 <= less.shares[value] < 1.0


def test_what_only_one_has_and_what_has_another_shape_is_listed(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor
):
    longer, shorter = watch(model, idx, targets), watch(model, idx[:, :3])
    less = difference(longer, shorter)
    assert less.only_first == (":loss", ":return[1]")
    assert less.only_second == ()
    assert ":logits" in less.reshaped
    assert len(less) == 0
    assert difference(shorter, longer).only_second == (":loss", ":return[1]")


def test_the_lines_of_a_function_show_differences(model: nn.Module, idx: torch.Tensor):
    less = difference(watch(model, idx), watch(model, idx))
    shown = [value.name for line in less.trace.lines("blocks.0") for value in line.values]
    assert shown[:2] == ["attention_input", "attended"]


def shortened(model: nn.Module, idx: torch.Tensor) -> Difference:
    return difference(watch(model, idx, idx), watch(model, idx[:, :4]))


def swapped(model: nn.Module, idx: torch.Tensor) -> Difference:
    return difference(watch(model, idx), watch(model, idx.flip(1)))


@pytest.mark.parametrize("differing", [shortened, swapped])
def test_a_difference_is_shown_in_lines_of_80_columns(
    model: nn.Module, idx: torch.Tensor, differing: Callable[..., Difference]
):
    less = differing(model, idx)
    lines = repr(less).splitlines()
    assert lines[0] == f"<Difference of {len(less)} values, the largest first>"
    assert max(map(len, lines)) <= 80
    if differing is swapped:
        assert lines[13] == f"     ...  {len(less) - 12} more"
        for line, value in zip(lines[1:13], less, strict=False):
            assert line.split() == [
                f"{less.shares[value]:.1%}",
                value.shown,
                *str(value.shape).split(),
            ]
    else:
        assert lines[1] == "only in the first: 2 values, such as loss"
