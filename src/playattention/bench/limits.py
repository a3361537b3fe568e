"""What this machine can do at most: multiply matrices, read memory. Measured, not looked up.

Knows no models.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F

ROWS, COLUMNS = 32_768, 4_096
"""512 MiB in float32, far beyond any cache."""
TURNS = 8


@dataclass
class Limits:
    """Readings of a device's limits, of which the fastest counts: neighbours only ever slow down.

    Args:
        device: Whose.
    """

    device: torch.device
    readings: dict[str, list[float]] = field(default_factory=dict)
    """By name: "fp32", "bf16" (operations a second), "read", "vector" (bytes a second)."""
    missing: dict[str, str] = field(default_factory=dict)
    """Limits that are not taken, with the reason."""

    def take(self) -> None:
        """Read each limit once more, in about two seconds on two cores."""
        vector = vector_product_speed(self.device)
        found = {
            "fp32": product_speed(self.device, torch.float32),
            "read": max(vector, summing_speed(self.device)),
            "vector": vector,
        }
        if "bf16" not in self.missing:
            if has_fast_bf16(self.device):
                found["bf16"] = product_speed(self.device, torch.bfloat16)
            else:
                self.missing["bf16"] = "slower than fp32 on this processor"
        for name, speed in found.items():
            self.readings.setdefault(name, []).append(speed)

    def least(self, needs: dict[str, float]) -> float:
        """Return the seconds that work takes at least.

        Args:
            needs: Operations or bytes by the limit that they meet; they can go on at once. Where
                bf16 is not taken, that of fp32 stands in.
        """
        return max(
            amount / max(self.readings.get(name) or self.readings["fp32"])
            for name, amount in needs.items()
        )


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def has_fast_bf16(device: torch.device) -> bool:
    """Tell whether bf16 products are faster than float32 ones, by small ones.

    A processor without such instructions emulates them, up to several hundred times slower.
    """
    speeds = {
        dtype: _square(device, dtype, side=256, repetitions=3)
        for dtype in (torch.float32, torch.bfloat16)
    }
    return speeds[torch.bfloat16] > speeds[torch.float32]


def _square(device: torch.device, dtype: torch.dtype, side: int, repetitions: int) -> float:
    matrix = torch.ones(side, side, dtype=dtype, device=device)
    times = [_seconds(partial(torch.matmul, matrix, matrix), device) for _ in range(repetitions)]
    return 2 * side**3 / min(times)


def product_speed(device: torch.device, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """Return the operations a second of the fastest square matrix product.

    Args:
        device: Where.
        dtype: Of its numbers.
        seconds: That one product may take: larger ones are not tried.
    """
    best, side, expected = 0.0, 256, 0.0
    while expected < seconds and side <= 8192:
        left, right = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
        # As in a model's layers: the second matrix transposed. Kernels differ in what they like.
        products = [partial(torch.matmul, left, other) for other in (right, right.T)]
        taken = min(_seconds(product, device) for product in products * 2)
        best = max(best, 2 * side**3 / taken)
        side, expected = 2 * side, 8 * taken
    return best


def summing_speed(device: torch.device) -> float:
    """Return how fast 512 MiB of numbers are read to add them up, in bytes per second."""
    matrix = torch.ones(ROWS, COLUMNS, device=device)
    return matrix.nbytes / _best(matrix.sum, device)


def vector_product_speed(device: torch.device) -> float:
    """Return how fast 512 MiB of a matrix are read to multiply it with a vector, in bytes a second.

    What the weights go through in generation, by the library's own product: it may keep fewer
    reads under way than the memory could serve.
    """
    matrix = torch.ones(ROWS, COLUMNS, device=device)
    vector = torch.ones(1, COLUMNS, device=device)
    return matrix.nbytes / _best(partial(F.linear, vector, matrix), device)


def _best(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the fastest of some turns, the first of which is a warm-up."""
    return min([_seconds(work, device) for _ in range(TURNS)][1:])


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - started
