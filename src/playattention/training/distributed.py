"""Where a run computes: its device, its number formats, its threads.

Does not know models or data. Every "auto" is decided here, once, and kept with the run.
"""

import os
import platform
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from playattention.config import TrainConfig
from playattention.errors import UserError
from playattention.training.readings import processor


@dataclass(frozen=True)
class Worker:
    """A device, ready to compute as a run's settings say."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    """Format of the matrix products; None: that of the weights."""

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)


def start_worker(config: TrainConfig) -> Worker:
    """Set this process up as decided settings say.

    Args:
        config: Settings that `decide` returned.

    Raises:
        UserError: If this machine lacks the device.
    """
    device = pick_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision("high" if config.tf32 else "highest")
    return Worker(
        device=device,
        autocast_dtype=torch.bfloat16 if config.autocast == "bf16" else None,
    )


def pick_device(name: str) -> torch.device:
    """Return a device of this machine.

    Args:
        name: "cpu", "cuda" or "mps"; "auto": the fastest there is.

    Raises:
        UserError: If this machine lacks it.
    """
    here = [
        *(["cuda"] if torch.cuda.is_available() else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
        "cpu",
    ]
    if name == "auto":
        return torch.device(here[0])
    if name not in here:
        raise UserError(f"device = '{name}': not on this machine; allowed: auto, {', '.join(here)}")
    return torch.device(name)


def decide(config: TrainConfig) -> dict[str, Any]:
    """Return the settings that a run leaves to its machine, decided for this one."""
    device = pick_device(config.device)
    on_cuda = device.type == "cuda"
    autocast, compiled = config.autocast, config.compile
    if autocast == "auto":
        # In hardware from compute capability 8.0 on; before, PyTorch emulates it slowly.
        has_bf16 = on_cuda and torch.cuda.get_device_capability() >= (8, 0)
        autocast = "bf16" if has_bf16 else "off"
    if compiled == "auto":
        compiled = "on" if on_cuda else "off"
    return {
        "device": device.type,
        "threads": config.threads or torch.get_num_threads(),
        "autocast": autocast,
        "compile": compiled if _has_compiler() else "off",
    }


def machine() -> dict[str, Any]:
    """Return the facts of this machine that may change a run's last bits or its speed."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kernels": torch.backends.cpu.get_cpu_capability(),
    }


def _has_compiler() -> bool:
    """Tell whether torch.compile can build its C++ kernels."""
    names = [os.environ.get("CXX"), "g++", "clang++", "c++", "cl"]
    return any(shutil.which(name) for name in names if name)
