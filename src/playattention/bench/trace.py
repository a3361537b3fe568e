"""What a piece of work really did: its operations, their formats, the memory it took.

PyTorch's own profiler tells, also of compiled code. Does not know models or switches. The first
import of torch decides how much the profiler's library says on stderr: set `QUIET` before.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUIET = {"KINETO_LOG_LEVEL": "6"}
"""Environment in which the profiler's library reports nothing."""
FORMATS = {"float": "fp32", "c10::BFloat16": "bf16", "c10::Half": "fp16", "double": "fp64"}
"""Of numbers, as the profiler names them and as everybody does."""
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
"""The operations that every matrix product comes down to."""


@dataclass(frozen=True)
class Operation:
    """One call of an operation of PyTorch's."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    """Of its tensors, in the order of its arguments."""
    formats: frozenset[str]
    """Of the numbers in them."""


@dataclass(frozen=True)
class Trace:
    """All that happened."""

    operations: tuple[Operation, ...]
    kernels: frozenset[str]
    """What ran on the GPU, as the driver names it."""
    peak: int
    """Bytes of main memory at the highest, above those at the start."""

    @property
    def products(self) -> list[Operation]:
        """Return the matrix products."""
        return [operation for operation in self.operations if operation.name in PRODUCTS]

    def names(self, part: str) -> set[str]:
        """Return the names of the operations that have this in their name."""
        return {operation.name for operation in self.operations if part in operation.name}

    def count(self, name: str) -> int:
        """Return how often an operation was called."""
        return sum(operation.name == name for operation in self.operations)


def trace(work: Callable[[], object]) -> Trace:
    """Do some work once and return what happened."""
    import torch  # noqa: PLC0415 - whoever sets QUIET imports this file first
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415 - the same

    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities, profile_memory=True, record_shapes=True) as profiler:
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    handle, name = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    try:
        profiler.export_chrome_trace(name)
        events = json.loads(Path(name).read_bytes())["traceEvents"]
    finally:
        Path(name).unlink()
    return Trace(
        operations=tuple(_operation(event) for event in events if event.get("cat") == "cpu_op"),
        kernels=frozenset(event["name"] for event in events if event.get("cat") == "kernel"),
        peak=_peak([event for event in events if event.get("name") == "[memory]"]),
    )


def _operation(event: dict[str, Any]) -> Operation:
    facts = event.get("args", {})
    shapes = [shape for shape in facts.get("Input Dims", []) if shape and _flat(shape)]
    formats = {FORMATS[kind] for kind in facts.get("Input type", []) if kind in FORMATS}
    return Operation(event["name"], tuple(tuple(shape) for shape in shapes), frozenset(formats))


def _flat(shape: list[Any]) -> bool:
    """Tell whether this is one shape: a list of tensors has a list of shapes."""
    return all(isinstance(size, int) for size in shape)


def _peak(events: list[dict[str, Any]]) -> int:
    """Return the highest sum of what was taken and given back, in order of time."""
    held = highest = 0
    for event in sorted(events, key=lambda event: event["ts"]):
        if event["args"]["Device Type"] == 0:  # the CPU's
            held += event["args"]["Bytes"]
            highest = max(highest, held)
    return highest
