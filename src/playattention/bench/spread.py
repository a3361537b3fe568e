"""Fair turns and honest statistics: what every measurement shares. Knows no torch, no models."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


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


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return p of the power law cost = a x size^p that fits best: least squares of the logarithms.

    Args:
        sizes: Two or more different ones, above 0.
        costs: What each size costs, above 0.
    """
    slope, _ = statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    )
    return slope
