"""Time to a loss: from the start of the command until an evaluation shows it, for each recipe."""

import statistics
from collections.abc import Iterator
from pathlib import Path

from playattention.bench.parts import Setting, laptop_recipe
from playattention.bench.parts.processes import training
from playattention.bench.parts.training import needs
from playattention.bench.results import Figure, Found, Missing
from playattention.data import playhouse, tinyshakespeare
from playattention.training import RECIPES
from playattention.training.run import read_config

PART = "loss"
EVAL_TOKENS = 20_000
"""Enough for a loss that is good to about 0.01: more would cost a recipe time that it needs."""
PLAYS = 1_000_000
"""Characters of the plays, where there is no Tiny Shakespeare."""


def measure(setting: Setting) -> Iterator[Found | str]:
    """Train each recipe with each seed until the validation loss is at the goal."""
    name, text = _text(setting.folder)
    goal = setting.scale.goals[name]
    for recipe_name in RECIPES:
        yield from _recipe(recipe_name, text, goal, name, setting)


def _text(folder: Path) -> tuple[str, Path]:
    """Return the data set's name and its text: Tiny Shakespeare, if it was once downloaded."""
    if tinyshakespeare.HOME.is_file():
        return "tinyshakespeare", tinyshakespeare.HOME.resolve()
    path = folder / "plays.txt"
    path.write_text(playhouse.write(PLAYS, seed=1), encoding="utf-8")
    return "playhouse", path


def _recipe(
    name: str, text: Path, goal: float, data: str, setting: Setting
) -> Iterator[Found | str]:
    scale = setting.scale
    times: list[float] = []
    steps: list[int] = []
    for seed in range(1, scale.seeds + 1):
        yield f"{name} to {goal:g} on {data}, seed {seed} of {scale.seeds}"
        config = laptop_recipe(name, scale).updated(
            data={"dataset": str(text), "eval_tokens": EVAL_TOKENS},
            train={"eval_every": scale.eval_every, "sample_tokens": 0, "seed": seed},
        )
        folder = setting.folder / f"{name}-seed-{seed}"
        for seconds, row in training(config, folder):
            if row.eval_val_loss is not None and row.eval_val_loss <= goal:
                times.append(seconds)
                steps.append(row.step)
                break
    missed = scale.seeds - len(times)
    note = f"{missed} of {scale.seeds} seeds did not get there" if missed else ""
    if not times:
        yield Missing(f"{name} to {goal:g} on {data}", "no seed got there in the recipe's steps")
        return
    decided = read_config(folder / "run")
    operations = {
        limit: amount * decided.tokens_per_step * statistics.median(steps)
        for limit, amount in needs(decided).items()
    }
    yield Figure(PART, f"{name} to {goal:g} on {data}", "s", times, operations, note=note)
