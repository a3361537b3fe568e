"""Every exercise: what is right passes, and each known mistake is rejected under its own name."""

import re
from collections import Counter
from importlib import import_module
from inspect import getsource

import pytest

from playattention.course import EXERCISES, exercise
from playattention.course.exercise import Exercise
from playattention.course.judge import Raised, judge, load, observe
from tests.docs.course import ANCHORS

KNOWN = {f"docs/{page}.md#{anchor}" for page, line in ANCHORS.items() for anchor in line.split()}

each_exercise = pytest.mark.parametrize("name", EXERCISES)


def all_of(kind: str) -> list[tuple[str, int]]:
    """Return pairs (exercise, place in its list) of all equivalents or mistakes."""
    return [(name, n) for name in EXERCISES for n in range(len(getattr(exercise(name), kind)))]


def failure(one: Exercise, source: str) -> str:
    """Return what a solution of this source fails at; "" if at nothing."""
    verdict = judge(one, load(source, "own"))
    return "" if verdict.passed else f"{verdict.probe.says}: {verdict.difference}"


def diagnosis(one: Exercise, source: str) -> str | None:
    """Return the names that a solution's mistakes are given; None for none, or if it passes."""
    verdict = judge(one, load(source, "own"))
    return "; ".join(mistake.name for mistake in verdict.mistakes) or None


# What is right.


@each_exercise
def test_the_reference_passes(name: str):
    assert failure(exercise(name), exercise(name).solution) == ""


@each_exercise
def test_no_property_fails_to_be_looked_at(name: str):
    """An error in the probe itself would meet every solution alike, and let all pass."""
    reference = load(exercise(name).solution, "reference")
    for probe in exercise(name).probes:
        assert not isinstance(observe(probe, reference, 0), Raised), probe.says


@pytest.mark.parametrize(("name", "number"), all_of("equivalents"))
def test_what_is_written_otherwise_and_just_as_right_passes(name: str, number: int):
    assert failure(exercise(name), exercise(name).equivalents[number]) == ""


@each_exercise
def test_there_are_at_least_two_other_ways(name: str):
    assert len(set(exercise(name).equivalents)) >= 2


# What is wrong.


@each_exercise
def test_the_stub_fails_as_not_yet_written(name: str):
    verdict = judge(exercise(name), load(exercise(name).stub, "own"))
    assert not verdict.passed
    assert verdict.held == 0
    assert verdict.got == Raised("NotImplementedError", "to be written")
    assert verdict.mistakes == ()


@each_exercise
def test_the_stub_keeps_the_signatures_and_the_docstrings(name: str):
    stub = load(exercise(name).stub, "own")
    for one in exercise(name).reference:
        assert vars(stub)[one.__name__].__doc__ == one.__doc__
        assert getsource(one).splitlines()[0] in exercise(name).stub


@each_exercise
def test_each_mistake_is_named_as_itself_and_as_no_other(name: str):
    """Mistakes x names is the identity; `pytest -rP` shows it."""
    one = exercise(name)
    named = [diagnosis(one, one.wrong(mistake)) for mistake in one.mistakes]
    names = [mistake.name for mistake in one.mistakes]
    print(f"{name}: {len(names)} mistakes (rows) and what each is named (columns)")  # noqa: T201
    for number, (mistake, found) in enumerate(zip(names, named, strict=True)):
        row = "".join(" 1" if found == column else " ." for column in names)
        print(f"{number:3} {row}  {mistake}")  # noqa: T201
    assert named == names


@each_exercise
def test_what_raises_everywhere_is_given_no_name(name: str):
    one = exercise(name)
    broken = "".join(
        f"\n\ndef {piece.__name__}(*args, **named):\n    raise RuntimeError\n"
        for piece in one.reference
    )
    assert diagnosis(one, broken) is None


# What is told.

RULES = {  # what a property says: what the learner's file says of it
    "device": "device",
    "left as|stay as they were": r"\bstays?\b|changes nothing|without learning",
    "in memory|parts of a longer|slices": r"\bslice\b",
}


@each_exercise
def test_rules_that_no_formula_tells_stand_in_the_learners_file(name: str):
    one = exercise(name)
    for asked, words in RULES.items():
        for probe in one.probes:
            if re.search(asked, probe.says):
                assert re.search(words, one.stub), probe.says


@each_exercise
def test_goal_hints_and_mistakes_are_told_in_sentences(name: str):
    one = exercise(name)
    sentences = [one.goal, *one.hints, *(mistake.cause for mistake in one.mistakes)]
    assert all(re.search(r"[.!?)]$", sentence.strip()) for sentence in sentences)
    assert len(one.hints) == 3


@each_exercise
def test_mistakes_and_properties_have_names_of_their_own(name: str):
    one = exercise(name)
    told = [mistake.name for mistake in one.mistakes], [probe.says for probe in one.probes]
    assert [words for words, times in Counter([*told[0], *told[1]]).items() if times > 1] == []


@each_exercise
def test_what_to_read_is_a_place_in_the_text(name: str):
    one = exercise(name)
    assert {one.read, *(mistake.read for mistake in one.mistakes)} - KNOWN == set()


# The list of exercises.


def test_exercises_stand_in_the_order_of_the_course():
    numbers = [exercise(name).number for name in EXERCISES]
    assert numbers == sorted(set(numbers))


@each_exercise
def test_an_exercise_is_registered_under_its_name_in_a_file_of_its_number(name: str):
    one = exercise(name)
    assert one.name == name
    module = import_module(EXERCISES[name].partition(":")[0])
    assert module.__name__.rpartition(".")[2] == one.file.removesuffix(".py")
