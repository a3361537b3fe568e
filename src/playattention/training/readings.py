"""What the device is doing right now: memory held, utilisation, heat, who holds it.

NVML answers for NVIDIA GPUs, the library behind `nvidia-smi`; psutil for the CPU. Neither is asked
to wait for the GPU, so a reading costs training nothing but its own microseconds. What a machine
does not tell, as a container without permission or a part of a GPU (MIG), is None. Does not know
torch until a training asks which GPU is its own.
"""

import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pynvml

if TYPE_CHECKING:
    import torch

GIB = 2**30
CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where Linux tells a container its limits."""
SECONDS_BETWEEN_READINGS = 1.0
"""Of the progress bar; NVML itself updates its utilisation about as often."""


@dataclass(frozen=True)
class Holder:
    """A process that holds memory of a device."""

    pid: int
    name: str
    memory: int | None
    """Bytes; None: not told."""


@dataclass(frozen=True)
class Reading:
    """A device at one moment; None where the machine does not tell."""

    name: str
    memory_used: int | None
    """Bytes that all processes hold."""
    memory_total: int | None
    utilisation: float | None
    """Share of the time, 0 to 1: of a GPU, with any work at all; of a CPU, of all its cores."""
    temperature: int | None = None
    """In degrees Celsius."""
    watts: float | None = None
    watts_limit: float | None = None
    holders: tuple[Holder, ...] = ()
    """Processes by memory, the largest first."""


def read_gpus() -> list[Reading]:
    """Return a reading of each NVIDIA GPU, or of its parts where it is split (MIG).

    In NVML's order, by place on the bus, and also those that CUDA_VISIBLE_DEVICES hides, as
    `nvidia-smi` does. Empty without a driver or a GPU.
    """
    if not _nvml_starts():
        return []
    count = _asked(pynvml.nvmlDeviceGetCount) or 0
    handles = [_asked(pynvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
    parts = [part for handle in handles if handle is not None for part in _parts(handle)]
    return [_read_gpu(part) for part in parts]


def read_gpu(uuid: str) -> Reading | None:
    """Return a reading of one GPU or part of one.

    Args:
        uuid: As CUDA tells it, with or without its "GPU-" or "MIG-". CUDA's numbers would not do:
            they follow CUDA_VISIBLE_DEVICES and speed, NVML's the place on the bus.
    """
    if not _nvml_starts():
        return None
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    for name in (uuid, f"GPU-{bare}", f"MIG-{bare}"):
        handle = _asked(pynvml.nvmlDeviceGetHandleByUUID, name)
        if handle is not None:
            return _read_gpu(handle)
    return None


def read_cpu(seconds: float = 0.1) -> Reading:
    """Return a reading of the processor and the main memory.

    Args:
        seconds: Over which the utilisation is measured.
    """
    memory = psutil.virtual_memory()
    holders = [
        Holder(process.pid, process.info["name"] or "?", process.info["memory_info"].rss)
        for process in psutil.process_iter(["name", "memory_info"])
        if process.info["memory_info"] is not None
    ]
    return Reading(
        name=processor(),
        memory_used=memory.total - memory.available,
        memory_total=main_memory(),
        utilisation=psutil.cpu_percent(interval=seconds) / 100,
        holders=_largest(holders),
    )


def main_memory() -> int:
    """Return the bytes of main memory that this process may use: a container may have less."""
    total: int = psutil.virtual_memory().total
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # of control groups 2 and 1
        try:
            text = (CONTROL_GROUPS / limit).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            total = min(total, int(text))
    return total


def processor() -> str:
    """Return the processor's name, which Python itself does not tell on Linux."""
    try:
        facts = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    name = re.search(r"^model name\s*: (.*)$", facts, re.MULTILINE)
    return name[1] if name else platform.processor()


class Meter:
    """Tells a training's own device in a few words, read anew once a second at most.

    Args:
        device: Where the training computes.
    """

    def __init__(self, device: "torch.device") -> None:
        self._read = _reader(device)
        self._read_at = time.monotonic()
        self._told = ""

    def told(self) -> str:
        """Return, say, "61.3/79.6 GiB 97%"; empty while nothing is known."""
        now = time.monotonic()
        if now - self._read_at >= SECONDS_BETWEEN_READINGS:
            self._read_at = now
            self._told = _in_words(self._read())
        return self._told


def _reader(device: "torch.device") -> Callable[[], Reading | None]:
    """Return what reads a training's device; elsewhere than on CUDA that is this process."""
    if device.type == "cuda":
        import torch  # noqa: PLC0415 - takes seconds: only a training, which has it, comes here

        uuid = str(torch.cuda.get_device_properties(device).uuid)
        return lambda: read_gpu(uuid)
    process = psutil.Process()
    process.cpu_percent()  # each call measures from the one before
    cores = os.cpu_count() or 1
    return lambda: Reading(
        name="",
        memory_used=process.memory_info().rss,
        memory_total=main_memory(),
        utilisation=process.cpu_percent() / 100 / cores,
    )


def _in_words(reading: Reading | None) -> str:
    if reading is None:
        return ""
    words = []
    if reading.memory_used is not None and reading.memory_total is not None:
        words.append(f"{reading.memory_used / GIB:.1f}/{reading.memory_total / GIB:.1f} GiB")
    if reading.utilisation is not None:
        words.append(f"{reading.utilisation:.0%}")
    return " ".join(words)


def _nvml_starts() -> bool:
    """Tell whether there is a driver to ask; starting it twice does no harm."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


def _asked(question: Callable[..., Any], *about: object) -> Any:
    """Return NVML's answer, or None where it has none or may not tell."""
    try:
        return question(*about)
    except pynvml.NVMLError:
        return None


def _parts(handle: object) -> list[object]:
    """Return the parts of a GPU that is split (MIG), else the GPU itself."""
    mode = _asked(pynvml.nvmlDeviceGetMigMode, handle)
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return [handle]
    most = _asked(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    parts = [
        _asked(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index) for index in range(most)
    ]
    return [part for part in parts if part is not None] or [handle]


def _read_gpu(handle: object) -> Reading:
    memory = _asked(pynvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _asked(pynvml.nvmlDeviceGetUtilizationRates, handle)
    draw = _asked(pynvml.nvmlDeviceGetPowerUsage, handle)
    limit = _asked(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    running = _asked(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
    holders = [Holder(one.pid, _process_name(one.pid), one.usedGpuMemory) for one in running]
    return Reading(
        name=_text(_asked(pynvml.nvmlDeviceGetName, handle)) or "NVIDIA GPU",
        memory_used=None if memory is None else memory.used,
        memory_total=None if memory is None else memory.total,
        utilisation=None if rates is None else rates.gpu / 100,
        temperature=_asked(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        watts=None if draw is None else draw / 1000,
        watts_limit=None if limit is None else limit / 1000,
        holders=_largest(holders),
    )


def _text(name: str | bytes | None) -> str | None:
    """Return a name as text, which older versions of the binding give as bytes."""
    return name.decode() if isinstance(name, bytes) else name


def _process_name(pid: int) -> str:
    try:
        name: str = psutil.Process(pid).name()
    except psutil.Error:  # of another user, or of another container
        return "?"
    return name


def _largest(holders: list[Holder]) -> tuple[Holder, ...]:
    return tuple(sorted(holders, key=lambda holder: -(holder.memory or 0)))
