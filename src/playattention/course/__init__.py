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
    "tokenizer": "playattention.course.exercises.e01_tokenizer:EXERCISE",
    "byte_pairs": "playattention.course.exercises.e02_byte_pairs:EXERCISE",
    "batches": "playattention.course.exercises.e03_batches:EXERCISE",
    "embedding": "playattention.course.exercises.e04_embedding:EXERCISE",
    "one_head": "playattention.course.exercises.e05_one_head:EXERCISE",
    "causal_mask": "playattention.course.exercises.e06_causal_mask:EXERCISE",
    "many_heads": "playattention.course.exercises.e07_many_heads:EXERCISE",
    "layer_norm": "playattention.course.exercises.e08_layer_norm:EXERCISE",
    "feed_forward": "playattention.course.exercises.e09_feed_forward:EXERCISE",
    "block": "playattention.course.exercises.e10_block:EXERCISE",
    "lm_loss": "playattention.course.exercises.e11_lm_loss:EXERCISE",
    "gpt": "playattention.course.exercises.e12_gpt:EXERCISE",
    "train_step": "playattention.course.exercises.e13_train_step:EXERCISE",
    "optimizer": "playattention.course.exercises.e14_optimizer:EXERCISE",
    "next_token": "playattention.course.exercises.e15_next_token:EXERCISE",
    "kv_cache": "playattention.course.exercises.e16_kv_cache:EXERCISE",
    "convert_gpt2": "playattention.course.exercises.e17_convert_gpt2:EXERCISE",
    "break_it": "playattention.course.exercises.e18_break_it:EXERCISE",
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
