"""The judge: by what a solution does, and a mistake is named only as itself."""

from itertools import combinations

import pytest
import torch

from playattention.course import EXERCISES, exercise
from playattention.course.exercise import Exercise, Mistake, Probe, Solution
from playattention.course.judge import (
    Raised,
    first_difference,
    first_failure,
    judge,
    load,
    look_ahead,
    observe,
)
from playattention.course.wording import told

TWICE = '''
def twice(x):
    """Return 2 x."""
    return x * 2
'''
TENSOR = torch.arange(6.0).view(2, 3)


def small() -> Exercise:
    """Return an exercise of one line; two of its mistakes behave alike."""
    reference = load(TWICE, "twice").twice
    mistakes = [("added", "x + 2"), ("cubed", "x * 3"), ("cubed again", "x + x + x")]
    made = Exercise(
        number=1,
        name="twice",
        title="Twice",
        goal="Twice.",
        reference=(reference,),
        probes=(
            Probe("0 stays 0", lambda own, _: own.twice(0.0)),
            Probe("3 becomes 6", lambda own, seed: own.twice(3.0 + seed)),
        ),
        hints=("", "", ""),
        equivalents=(),
        mistakes=tuple(
            Mistake(name, (("x * 2", text),), "", "docs/x.md#y") for name, text in mistakes
        ),
        read="docs/x.md#y",
    )
    vars(made)["solution"] = TWICE  # a source that inspect can't find
    return made


def own(source: str) -> Solution:
    """Return a learner's file, loaded."""
    return load(source, "own")


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_is_told_as_not_written_and_the_solution_passes(name: str):
    found = exercise(name)
    assert judge(found, own(found.solution)).passed
    verdict = judge(found, own(found.stub))
    assert verdict.got.kind == "NotImplementedError"
    assert verdict.got.place.function
    assert (verdict.held, verdict.mistakes) == (0, ())


def test_a_mistake_is_named_only_if_no_other_behaves_so():
    found = small()
    assert judge(found, own(TWICE.replace("x * 2", "2 + x"))).mistakes == found.mistakes[:1]
    assert judge(found, own(TWICE.replace("x * 2", "3 * x"))).mistakes == ()  # two do so
    assert judge(found, own(TWICE.replace("x * 2", "x * 7"))).mistakes == ()


TWO_AT_ONCE = """
import torch


def causal_softmax(scores):
    mask = torch.tril(torch.ones(scores.shape[-2:]), scores.size(-1) - scores.size(-2))
    return scores.softmax(-1) * mask
"""


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (TWO_AT_ONCE, ["zeroed after the softmax", "made on the default device"]),
        (
            TWO_AT_ONCE.replace("(scores.shape[-2:]), scores.size(-1) - scores.size(-2)", "(5, 5)"),
            [],  # of a size that nobody has listed: a part of the cause would not be all of it
        ),
        (
            TWO_AT_ONCE.replace("scores.softmax(-1) * mask", "(scores * mask).softmax(-1)").replace(
                "(scores.shape[-2:]), scores.size(-1) - scores.size(-2)",
                "(scores.size(-1), scores.size(-1))",
            ),
            ["filled with 0", "not cut to the queries", "made on the default device"],
        ),
        (TWO_AT_ONCE.replace("ones", "rand"), []),
    ],
)
def test_mistakes_made_together_are_named_together(source: str, named: list[str]):
    """The first is the one that the property told of shows; the rest are beside it."""
    found = judge(exercise("causal_mask"), own(source))
    assert [one.name for one in found.mistakes] == named


def test_of_two_mistakes_at_once_no_other_is_named():
    """Every pair that can be made together: both, or one that hides the other."""
    found = exercise("causal_mask")
    for pair in combinations(found.mistakes, 2):
        source = found.together(pair)
        if source:
            named = judge(found, own(source)).mistakes
            assert named, [one.name for one in pair]
            assert set(named) <= set(pair)


def test_several_mistakes_are_told_with_each_of_their_causes():
    found = exercise("causal_mask")
    verdict = judge(found, own(TWO_AT_ONCE))
    first, second = verdict.mistakes
    message = told(found, verdict, [], [])
    lines = message.cause.splitlines()
    assert lines == [
        f"Zeroed after the softmax. {first.cause}",
        f"Also: Made on the default device. {second.cause}",
    ]
    assert message.read == first.read


def test_the_search_for_several_mistakes_ends_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("playattention.course.judge.SECONDS_FOR_SEVERAL", 0.0)
    assert judge(exercise("causal_mask"), own(TWO_AT_ONCE)).mistakes == ()


def test_the_first_property_that_fails_is_told_with_the_seed():
    verdict = judge(small(), own("def twice(x):\n    return 6.0 if x == 3 else x and 0.0\n"))
    assert (verdict.held, verdict.probe.says, verdict.seed) == (1, "3 becomes 6", 1)
    assert (verdict.got, verdict.wanted) == (0.0, 8.0)


def test_what_is_right_is_found_before_a_solution_can_change_it():
    found = small()
    look_ahead(found)
    vars(found)["solution"] = TWICE.replace("2", "3")
    assert first_failure(found, own(TWICE)).passed


def test_an_error_has_the_place_in_the_solution_and_not_that_of_the_probe():
    source = "def help(x):\n    return x.nothing\n\n\ndef twice(x):\n    return help(x)\n"
    seen = observe(small().probes[0], own(source), 0)
    assert (seen.kind, seen.place.line, seen.place.function) == ("AttributeError", 2, "help")
    probe = Probe("has a shape", lambda own, _: own.twice(1).shape)
    seen = observe(probe, own(TWICE), 0)
    assert (seen.kind, seen.place) == ("AttributeError", None)


def test_chance_begins_anew_for_each_look_and_is_put_back():
    probe = Probe("", lambda _, __: torch.rand(2))
    before = torch.get_rng_state()
    one, other = observe(probe, own(""), 0), observe(probe, own(""), 0)
    assert torch.equal(one, other)
    assert one.dtype == torch.float64
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("got", "place"),
    [
        (TENSOR, None),
        (TENSOR + 1e-12, None),
        (TENSOR.long(), ""),
        (TENSOR[0], ""),
        (TENSOR.to("meta"), ""),
        (TENSOR.index_fill(1, torch.tensor([2]), float("nan")), "[0, 2]"),
        (TENSOR.tolist(), ""),
        (None, ""),
        (Raised("ValueError", ""), ""),
    ],
)
def test_tensors_differ_by_shape_kind_device_and_numbers(got: object, place: str | None):
    found = first_difference(got, TENSOR, 1e-9)
    assert (found and found.place) == place


def test_places_lead_through_lists_and_dicts():
    found = first_difference([1, {"loss": TENSOR + 1}], [1, {"loss": TENSOR}], 1e-9)
    assert (found.place, found.got, found.wanted) == ("[1]['loss'][0, 0]", 1.0, 0.0)
    assert (found.index, found.many) == ((0, 0), 6)
    assert torch.equal(found.within[1], TENSOR)


def test_a_mistake_that_does_not_fit_its_reference_is_an_error():
    broken = Mistake("m", (("x * 5", "x"),), "", "")
    with pytest.raises(ValueError, match="twice, m: 0 times 'x \\* 5'"):
        small().wrong(broken)
