"""The ladder: the speed switches one after another on this machine, each step timed and proven.

Does not know the terminal; it returns what was measured.
"""

import gc
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from playattention.bench.devices import named
from playattention.bench.limits import product_speed
from playattention.bench.memory import peak
from playattention.bench.sizes import flops_per_token
from playattention.bench.step import Step
from playattention.bench.switches import GROUND, RUNGS, climbed, missing, verify, witness
from playattention.bench.trace import trace
from playattention.compiler import failure
from playattention.config import RunConfig

SECONDS_OF_A_RUNG = 20
"""After which a slow one has done enough steps, if it has done three."""


@dataclass(frozen=True)
class Row:
    """What one rung gave."""

    switch: str
    side: bool
    """Measured beside: the next row does not stand on it."""
    milliseconds: list[float]
    """Of each timed step."""
    tokens_per_second: float
    """At the median step."""
    memory: int
    """Bytes at the peak of a step."""
    planned_memory: int
    """What `plan` says of it."""
    mfu: float
    """Model FLOPs utilisation: share of the peak in this row's format."""
    faster: list[float]
    """Times the speed of the row it stands on, steps taken in turns; none for the first."""
    seen: dict[str, Any]
    """What proves that the switches took effect."""

    @property
    def median(self) -> float:
        """Milliseconds of the median step."""
        return statistics.median(self.milliseconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Milliseconds of the first and the third quarter of the steps."""
        times = self.milliseconds if len(self.milliseconds) > 1 else self.milliseconds * 2
        lower, _, upper = statistics.quantiles(times, n=4, method="inclusive")
        return lower, upper


@dataclass(frozen=True)
class Peak:
    """What a device can compute."""

    operations: dict[str, float]
    """Operations a second by format: fp32, tf32, bf16, fp16."""
    source: str
    """A data sheet, or "measured here"."""

    def of(self, config: RunConfig) -> float:
        """Return the operations a second that settings could reach."""
        if config.train.autocast != "off":
            return self.operations[config.train.autocast]
        return self.operations["tf32" if config.train.tf32 else "fp32"]


@dataclass(frozen=True)
class Missing:
    """A switch that was not tried."""

    switch: str
    reason: str


@dataclass(frozen=True)
class _Standing:
    """The row that the next rung stands on, its step still ready to run."""

    row: Row
    step: Step


@dataclass(frozen=True)
class Ladder:
    """Climbs one rung after another.

    Args:
        device: Where.
        peak: Its peak, for the MFU.
        steps: Timed for each rung.
    """

    device: torch.device
    peak: Peak
    steps: int

    def climb(self, config: RunConfig) -> Iterator[Row | Missing]:
        """Measure each rung and yield its row at once, or why there is none.

        Args:
            config: Model, batch and the settings that no rung changes.

        Raises:
            SwitchError: If a switch did not take effect.
        """
        tokens = config.train.batch_size * config.model.seq_size
        settings = climbed(config.updated(train={"tokens_per_step": tokens}), GROUND)
        below: _Standing | None = None
        torch._dynamo.reset()  # it compiles a function for so many sizes and then no more
        for rung in RUNGS:
            if reason := missing(rung, settings, self.device):
                yield Missing(rung.name, reason)
                continue
            higher = climbed(settings, rung)
            # Where bf16 is slower than float32, the rungs above would be slower for its sake.
            side = rung.side or self.peak.of(higher) < self.peak.of(settings)
            try:
                found = self._measure(rung.name, side, higher, below)
            except RuntimeError as error:
                if (reason := failure(error)) is None:
                    raise
                yield Missing(rung.name, reason)
                continue
            yield found.row
            if not side:
                settings, below = higher, found

    def _measure(
        self, switch: str, side: bool, config: RunConfig, below: _Standing | None
    ) -> _Standing:
        """Return a rung's row, and its step for the next one to stand on."""
        gc.collect()
        torch._dynamo.utils.counters.clear()
        on_cuda = self.device.type == "cuda"
        held = torch.cuda.memory_allocated(self.device) if on_cuda else 0
        step = Step(config, self.device)
        for _ in range(2):  # the first makes the optimizer's moments, and compiles
            step()
        seen, memory = _prove(step, config, self.device, below)
        mine, theirs = _take_turns(step, below.step if below else None, self.steps)
        speed = 1000 * config.tokens_per_step / statistics.median(mine)
        row = Row(
            switch=switch,
            side=side,
            milliseconds=mine,
            tokens_per_second=speed,
            memory=memory - held,
            planned_memory=peak(config, gpu=on_cuda).total,
            mfu=speed * flops_per_token(config.model) / self.peak.of(config),
            faster=[other / own for own, other in zip(mine, theirs, strict=False)],
            seen=seen,
        )
        return _Standing(row, step)


def _take_turns(step: Step, other: Step | None, times: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of a step and of another, done in turns: neighbours slow both."""
    mine: list[float] = []
    theirs: list[float] = []
    ends = time.perf_counter() + SECONDS_OF_A_RUNG
    while len(mine) < times and (len(mine) < 3 or time.perf_counter() < ends):
        mine.append(_milliseconds(step))
        if other is not None:
            theirs.append(_milliseconds(other))
    return mine, theirs


def _milliseconds(step: Step) -> float:
    started = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - started)


def _prove(
    step: Step, config: RunConfig, device: torch.device, below: _Standing | None
) -> tuple[dict[str, Any], int]:
    """Return what a step did and the memory it took, once its switches are seen to work."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        step()
        memory = torch.cuda.max_memory_allocated(device)
    traced = trace(step)
    if device.type != "cuda":
        memory = step.held() + traced.peak
    seen = witness(config, traced, device)
    if below is not None:
        seen["products without checkpointing"] = below.row.seen["number of products"]
    verify(config, seen)
    return seen, memory


def measured_peak(device: torch.device) -> Peak:
    """Return what a device can compute: its data sheet's figures, or else a product's speed."""
    if device.type == "cuda" and (known := named(torch.cuda.get_device_name(device))):
        rates = {
            "fp32": known.float32,
            "tf32": known.tf32 or known.float32,
            "bf16": known.half,
            "fp16": known.half,
        }
        return Peak(rates, known.source)
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if device.type == "cuda":
        formats["fp16"] = torch.float16
    rates = {name: product_speed(device, dtype) for name, dtype in formats.items()}
    rates["tf32"] = rates["fp32"]
    if device.type == "cuda":
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        rates["tf32"] = product_speed(device, torch.float32)
        torch.set_float32_matmul_precision(before)
    return Peak(rates, "matrix products measured here")
