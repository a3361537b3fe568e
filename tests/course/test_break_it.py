"""Predictions beside what happened: the changes of the last exercise are made and measured."""

import inspect

import pytest
import torch

from playattention.course import breaking, exercise
from playattention.course.exercises.e18_break_it import READ, _choices
from playattention.course.judge import judge, load


@pytest.mark.parametrize("question", READ, ids=lambda one: one.__name__)
def test_what_happens_is_what_the_solution_says(question):
    assert vars(breaking)[question.__name__]().answer == question()


@pytest.mark.parametrize("question", READ, ids=lambda one: one.__name__)
def test_the_question_offers_all_choices(question):
    told = " ".join(inspect.getdoc(question).split())
    first, second, third = _choices(question)
    assert told.endswith(f'"{first}", "{second}" or "{third}"')


def test_every_prediction_stands_beside_its_outcome():
    own = load(exercise("break_it").equivalents[0], "own")
    found = exercise("break_it").predictions(own)
    assert [one.name for one in found] == [question.__name__ for question in READ]
    assert {one.predicted for one in found} == {"lower", "even rows"}
    assert [one.name for one in found if one.predicted == one.happened] == [
        "no_mask",
        "zero_queries",
    ]
    assert all(any(digit in one.evidence for digit in "0123456789") for one in found)


def test_the_pictures_show_attention_before_and_after():
    for one in (breaking.zero_queries(), breaking.large_scores()):
        for weights in one.picture:
            torch.testing.assert_close(weights.sum(-1), torch.ones(8))
            assert weights.triu(1).abs().sum() == 0


def test_an_answer_that_was_not_offered_is_told_with_the_choices():
    source = exercise("break_it").solution.replace('"even rows"\n', '"even"\n', 1)
    verdict = judge(exercise("break_it"), load(source, "own"))
    assert not verdict.passed
    assert verdict.probe.evidence(verdict.got, verdict.wanted) == (
        'zero_queries gives \'even\'; allowed: "even rows", "about the same" or "one bright cell '
        'in each row".'
    )


def test_a_run_is_the_same_each_time_and_leaves_the_generator_alone():
    state = torch.get_rng_state()
    first = breaking.too_fast()
    breaking._train.cache_clear()
    assert breaking.too_fast() == first
    assert torch.equal(torch.get_rng_state(), state)
