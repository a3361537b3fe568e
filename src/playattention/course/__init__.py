"""The course: pieces of a Transformer for the learner to write, and a checker that names mistakes.

Adding an exercise is one file in `exercises/` and one line here.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Before the function below that has its name: a later import would put the module in its place.
from playattention.course.exercise import Exercise

if TYPE_CHECKING:
    from playattention.course.judge import Verdict

EXERCISES = {
    "causal_mask": "playattention.course.exercises.e06_causal_mask:EXERCISE",
}
"""Name -> "module:attribute", one line an exercise, in the order of the course."""


def exercise(name: str) -> Exercise:
    """Return an exercise by its name in `EXERCISES`."""
    module, attribute = EXERCISES[name].split(":")
    return getattr(import_module(module), attribute)


def check(name: str, *things: Callable[..., Any], **named: Callable[..., Any]) -> "Verdict":
    """Judge a solution of an exercise in this process, as a notebook does: see `notebook.check`."""
    verdict: Verdict = import_module("playattention.course.notebook").check(name, *things, **named)
    return verdict
