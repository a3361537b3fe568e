"""What every benchmark shares: fair turns, honest statistics, this machine's limits, one JSON file.

Knows no models: a contestant is a name and something to call.
"""

import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers

from playattention.training.distributed import machine

RESULTS = Path(__file__).parent / "results"

GIB = 2**30


@dataclass(frozen=True)
class Spread:
    """Where repeated measurements lie."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float
    raw: Sequence[float]
    """Every measurement, in the order of the repetitions."""

    @classmethod
    def of(cls, raw: Sequence[float]) -> "Spread":
        """Return the spread of measurements, of which there is at least one."""
        # `inclusive` never leaves the range of what was measured, also where there is little;
        # it wants two measurements, and where there is one, that one twice says the same.
        several = raw if len(raw) > 1 else [*raw, *raw]
        lower, median, upper = statistics.quantiles(several, n=4, method="inclusive")
        return cls(min(raw), lower, median, upper, max(raw), raw)


def at_least_one(**options: int | None) -> None:
    """Check what the command line gave.

    Args:
        options: Numbers by name; None, where nothing was given, is as good as any.

    Raises:
        SystemExit: If one is below 1; the message is one line.
    """
    for name, number in options.items():
        if number is not None and number < 1:
            raise SystemExit(f"{name.replace('_', ' ')} = {number}: must be 1 or more")


def take_turns(
    contestants: Mapping[str, Callable[[], object]], repetitions: int
) -> dict[str, list[float]]:
    """Time each contestant once per repetition, one after another.

    A machine that slows down half-way slows all of them. Each repetition starts with the next
    contestant, so that a steady drift within a repetition favours none.

    Args:
        contestants: Name -> what to run; whatever warms it up was done before.
        repetitions: How often each has its turn.

    Returns:
        Name -> seconds (repetitions).
    """
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repetition in range(repetitions):
        first = repetition % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()  # or one contestant would be billed for another's garbage
            started = time.perf_counter()
            contestants[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return ours / theirs, repetition by repetition: below 1, ours is the faster.

    Both sides of a ratio were measured within seconds, so a machine's slow drift cancels out.
    Repetitions that only one side has are left out.
    """
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=False)])


def compare(
    times: Mapping[str, Sequence[float]], pairs: Sequence[tuple[str, str]], shortest: float
) -> dict[str, Any]:
    """Return what the measurements say.

    Args:
        times: Contestant -> how long each repetition took.
        pairs: Which two contestants to divide, (ours, theirs).
        shortest: What it would take if this machine's limit were all that counts, in their unit.
    """
    spreads = {name: Spread.of(raw) for name, raw in times.items()}
    return {
        "times": {name: asdict(spread) for name, spread in spreads.items()},
        "ratios": {
            f"{ours} / {theirs}": asdict(paired_ratio(times[ours], times[theirs]))
            for ours, theirs in pairs
        },
        "share_of_limit": {name: shortest / spread.median for name, spread in spreads.items()},
    }


def read_speed() -> float:
    """Return how fast this process reads main memory, in bytes per second.

    A product of one vector with a matrix of 512 MiB, far beyond any cache; the best of ten.
    """
    matrix, vector = torch.ones(32_768, 4_096), torch.ones(1, 4_096)
    return matrix.nbytes / _best_of(10, lambda: F.linear(vector, matrix))


def multiply_speed() -> float:
    """Return how fast this process multiplies float32 matrices, in operations per second.

    Two matrices of 2,048 x 2,048, where a core has work enough to come near its peak; the best of
    ten.
    """
    side = 2_048
    left, right = torch.ones(side, side), torch.ones(side, side)
    return 2 * side**3 / _best_of(10, lambda: left @ right)


def _best_of(repetitions: int, task: Callable[[], object]) -> float:
    return min(take_turns({"task": task}, repetitions)["task"])


def facts() -> dict[str, Any]:
    """Return what a figure must be read with: the machine and the versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        **machine(),
        "memory_gib": round(memory / GIB, 1),
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
    }


def write(path: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """Write results as JSON, with the date and the machine on top, and return all that."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    everything = {"date": date, "machine": facts(), **results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(everything, indent=1) + "\n")
    return everything


def show(results: Mapping[str, Any]) -> None:
    """Print what `write` wrote as two tables, at most 80 columns wide."""
    machine = results["machine"]
    print(f"{results['what']}\n{machine['processor']}, {machine['threads']} thread(s)", end=", ")
    print(f"torch {machine['torch']}, transformers {machine['transformers']}")
    print(f"\n{results['unit']:<34}{'median':>8}{'quartiles':>17}{'limit':>7}{'n':>4}")
    for name, spread in results["times"].items():
        share = f"{results['share_of_limit'][name]:.0%}"
        print(f"{name:<34}{_figures(spread, 1)}{share:>7}{len(spread['raw']):>4}")
    print(f"\n{'ratio, repetition by repetition':<50}{'median':>8}{'quartiles':>17}")
    for name, spread in results["ratios"].items():
        print(f"{name:<50}{_figures(spread, 3)}")


def _figures(spread: Mapping[str, Any], digits: int) -> str:
    quartiles = f"{spread['lower_quartile']:.{digits}f}-{spread['upper_quartile']:.{digits}f}"
    return f"{spread['median']:>8.{digits}f}{quartiles:>17}"
