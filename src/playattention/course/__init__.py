"""The course: pieces of a Transformer for the learner to write, and a checker that names mistakes.

Adding an exercise is one file in `exercises/` and one line here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playattention.course.exercise import Exercise

EXERCISES = {
    "tokenizer": "playattention.course.exercises.e01_tokenizer:EXERCISE",
    "byte_pairs": "playattention.course.exercises.e02_byte_pairs:EXERCISE",
    "batches": "playattention.course.exercises.e03_batches:EXERCISE",
    "embedding": "playattention.course.exercises.e04_embedding:EXERCISE",
    "causal_mask": "playattention.course.exercises.e06_causal_mask:EXERCISE",
    "next_token": "playattention.course.exercises.e15_next_token:EXERCISE",
}
"""Name -> "module:attribute", one line an exercise, in the order of the course."""


def exercise(name: str) -> "Exercise":
    """Return an exercise by its name in `EXERCISES`."""
    module, attribute = EXERCISES[name].split(":")
    return getattr(import_module(module), attribute)
