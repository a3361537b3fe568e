"""`check("causal_mask", fn)`: a solution that is at hand, as in a notebook, judged in place.

It runs in the process of whoever asks, so an endless loop has to be interrupted by hand. Does not
know files.
"""

import inspect
import time
from collections.abc import Callable
from typing import Any

from playattention.course import EXERCISES, exercise
from playattention.course.calls import calls_of
from playattention.course.exercise import Exercise, Solution
from playattention.course.judge import Verdict, judge, load
from playattention.course.messages import prediction_text
from playattention.course.wording import foretold, told
from playattention.errors import UserError, unknown


def check(name: str, *things: Callable[..., Any], **named: Callable[..., Any]) -> Verdict:
    """Judge a solution of an exercise, print what is told of it, and return the verdict.

    Args:
        name: Of the exercise.
        things: What it asks for: the one function or class, or several by their own names.
        named: The same by the names that the exercise gives them: `encode=my_encode`.

    Raises:
        UserError: If there is no such exercise, or something that it asks for is missing.
    """
    if name not in EXERCISES:
        raise unknown("exercise", name, EXERCISES)
    found = exercise(name)
    wanted = [one.__name__ for one in found.reference]
    solution = _solution(found, wanted, things, named)
    began = time.perf_counter()
    try:
        verdict = judge(found, solution)
    except SystemExit:
        raise UserError(f"{name}: the solution ends the program; allowed: to return") from None
    seconds = time.perf_counter() - began
    took = f"{seconds:.1f} s, in this process: an endless loop is yours to interrupt"
    if verdict.passed:
        print(f"{name}: right; all {verdict.held} properties hold ({took})")  # noqa: T201
        for one in found.predictions(solution) if found.predictions else []:
            print(f"\n{prediction_text(foretold(one))}")  # noqa: T201
        return verdict
    assert verdict.probe is not None
    own = calls_of(verdict.probe, solution, verdict.seed, wanted)
    right = calls_of(verdict.probe, load(found.solution, "reference"), verdict.seed, wanted)
    print(f"{name}: not yet ({took})\n\n{told(found, verdict, own, right).text}")  # noqa: T201
    return verdict


def _solution(
    found: Exercise,
    wanted: list[str],
    things: tuple[Callable[..., Any], ...],
    named: dict[str, Callable[..., Any]],
) -> Solution:
    """Return what was handed over as a module, as a file would be."""
    given = dict(named)
    for one in things:
        alone = len(things) == 1 and len(wanted) == 1
        given[wanted[0] if alone else getattr(one, "__name__", "?")] = one
    for name, one in given.items():
        if name not in wanted:
            raise unknown(f"part of {found.name}", name, wanted)
        if not callable(one):
            raise UserError(f"{name} = {one!r}: must be a function or a class")
    missing = [name for name in wanted if name not in given]
    if missing:
        raise UserError(
            f"{found.name}: also asks for {', '.join(missing)}; allowed: check({found.name!r}, "
            f"{', '.join(f'{name}=...' for name in wanted)})"
        )
    solution = Solution("own")
    solution.__file__ = _file_of(next(iter(given.values())))
    vars(solution).update(given)
    return solution


def _file_of(one: Callable[..., Any]) -> str:
    """Return where something was written, so that an error's line can be told."""
    if inspect.isclass(one):
        functions = (member for member in vars(one).values() if inspect.isfunction(member))
        one = next(functions, one)
    code = getattr(inspect.unwrap(one), "__code__", None)
    return code.co_filename if code else ""
