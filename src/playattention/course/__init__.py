"""The course: pieces of a Transformer for the learner to write, and a checker that names mistakes.

Adding an exercise is one file in `exercises/` and one line here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playattention.course.exercise import Exercise

EXERCISES = {
    "causal_mask": "playattention.course.exercises.e06_causal_mask:EXERCISE",
    "lm_loss": "playattention.course.exercises.e11_lm_loss:EXERCISE",
    "train_step": "playattention.course.exercises.e13_train_step:EXERCISE",
    "optimizer": "playattention.course.exercises.e14_optimizer:EXERCISE",
    "convert_gpt2": "playattention.course.exercises.e17_convert_gpt2:EXERCISE",
}
"""Name -> "module:attribute", one line an exercise, in the order of the course."""


def exercise(name: str) -> "Exercise":
    """Return an exercise by its name in `EXERCISES`."""
    module, attribute = EXERCISES[name].split(":")
    return getattr(import_module(module), attribute)
