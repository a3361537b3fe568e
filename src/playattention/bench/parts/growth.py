"""Growth: how a training step, a generated token and a watched pass get dearer with each size.

One model, of which one size grows at a time. What the time should do is arithmetic: operations and
bytes, at the limits of the machine.
"""

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from playattention.bench.limits import synchronize
from playattention.bench.parts import Setting, generation, watching
from playattention.bench.results import Found, Growth
from playattention.bench.sizes import flops_per_token
from playattention.bench.step import Step
from playattention.config import GPT2Config, RunConfig, TrainConfig
from playattention.generation import stream

PART = "growth"
HEAD_SIZE = 32
VOCABULARY = 256
WRITTEN = 8
"""Tokens of a turn."""

Needs = dict[str, float]


@dataclass(frozen=True)
class Point:
    """The sizes of one measurement."""

    T: int
    """Tokens of the context."""
    width: int
    layers: int
    batch: int

    def model(self, seq_size: int) -> GPT2Config:
        """Return the model of these sizes, with room for so many tokens."""
        return GPT2Config(
            seq_size=seq_size,
            n_embd=self.width,
            n_head=self.width // HEAD_SIZE,
            n_layer=self.layers,
            vocab_size=VOCABULARY,
            vocab_multiple=1,
        )


Timed = Callable[[], float]
"""Does it once and returns the seconds that it took."""


def measure(setting: Setting) -> Iterator[Found | str]:
    """Measure each of the three over each size."""
    start = setting.scale.growth
    for what, prepare in WHAT.items():
        for axis, sizes in setting.scale.growth_axes.items():
            yield f"{what} over {axis}"
            raw, needs = [], []
            for size in sizes:
                timed, need = prepare(Point(**{**start, axis: size}), setting.device)
                timed()  # warm
                gc.collect()
                raw.append([1000 * timed() for _ in range(setting.scale.repetitions)])
                needs.append(need)
            yield Growth(what, axis, list(sizes), raw, needs)


def _step(point: Point, device: torch.device) -> tuple[Timed, Needs]:
    """Prepare a training step, plain: compiled code and bf16 would hide the growth."""
    model = point.model(point.T)
    train = TrainConfig(batch_size=point.batch, autocast="off", compile="off", tf32=False)
    step = Step(RunConfig(model=model, train=train), device)
    return _timed(step), {"fp32": float(flops_per_token(model) * point.batch * point.T)}


def _token(point: Point, device: torch.device) -> tuple[Timed, Needs]:
    """Prepare a step of generation behind T tokens, in which each text grows by one."""
    model = generation.ready(point.model(point.T + WRITTEN + 1), device)
    prompt = torch.randint(VOCABULARY, (point.batch, point.T), device=device)

    def timed() -> float:
        steps = stream(model, prompt, WRITTEN + 1, temperature=0.0)
        next(steps)  # reads the prompt
        synchronize(device)
        began = time.perf_counter()
        for _ in steps:
            pass
        synchronize(device)
        return (time.perf_counter() - began) / WRITTEN

    a_token = generation.needs(model, point.batch, cached=point.T)
    return timed, {limit: point.batch * amount for limit, amount in a_token.items()}


def _watch(point: Point, _: torch.device) -> tuple[Timed, Needs]:
    """Prepare a watched pass over full contexts, on the CPU."""
    model, idx = watching.prepared(point.model(point.T), point.batch)
    return _timed(watching.watching(model, idx)), watching.needs(model, idx)


def _timed(work: Callable[[], object]) -> Timed:
    def timed() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return timed


WHAT: dict[str, Callable[[Point, torch.device], tuple[Timed, Needs]]] = {
    "step": _step,
    "token": _token,
    "watch": _watch,
}
