"""The loader: what cutting a batch out of the tokens costs, as a share of the step it feeds."""

from collections.abc import Iterator

import numpy as np

from playattention.bench.parts import Setting, laptop_recipe
from playattention.bench.results import Figure, Found
from playattention.bench.spread import take_turns
from playattention.bench.step import Step
from playattention.data.loader import WindowStream
from playattention.training import RECIPES
from playattention.training.distributed import decide

PART = "loader"
TOKENS = 10_000_000
BATCHES = 50
"""In a turn."""


def measure(setting: Setting) -> Iterator[Found | str]:
    """Take turns: batches of each recipe, and the steps that would learn from them."""
    ids = np.random.default_rng(0).integers(65, size=TOKENS, dtype=np.uint16)
    for name in RECIPES:
        yield name
        config = laptop_recipe(name, setting.scale).updated(train={"device": setting.device.type})
        config = config.updated(train=decide(config.train))
        windows = WindowStream(ids, config.model.seq_size, seed=1)
        step, batch_size = Step(config, setting.device), config.train.batch_size

        def batches(windows: WindowStream = windows, size: int = batch_size) -> None:
            for number in range(BATCHES):
                windows.batch(number * size, size)

        step()
        batches()
        seconds = take_turns({"batches": batches, "step": step}, 2 * setting.scale.repetitions)
        ones = [taken / BATCHES for taken in seconds["batches"]]
        yield Figure(
            PART,
            f"{name}: a batch of {batch_size} x {config.model.seq_size}",
            "ms",
            [1000 * one for one in ones],
        )
        shares = [
            100 * config.grad_accum * one / taken
            for one, taken in zip(ones, seconds["step"], strict=True)
        ]
        yield Figure(PART, f"{name}: of its step", "%", shares)
