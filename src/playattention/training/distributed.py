"""Where a run computes: its devices and ranks, its number formats, its threads.

One process on a CPU or GPU, or several that torchrun started: the same code, and a `Worker` in
each. Does not know data or checkpoints. Every "auto" is decided here, once, and kept with the run.
"""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from playattention.compiler import has_compiler
from playattention.config import TrainConfig
from playattention.errors import UserError
from playattention.training.readings import processor
from playattention.training.uncompiled import uncompiled

Value = TypeVar("Value")

FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Of matrix products, by their names in the settings; any other name: that of the weights."""

PATIENCE = timedelta(minutes=30)
"""How long a rank waits for the others: rank 0 may be reading, tokenizing or saving."""


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the processes that torchrun started, if it did, and leave them at the end.

    Args:
        device: "cpu" or "cuda"; "auto": the fastest there is.

    Raises:
        UserError: If this machine lacks the device, or has fewer of them than processes.
    """
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    own = pick_device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    backend = "cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo"
    store, number, count = next(rendezvous("env://", timeout=PATIENCE))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # On one node torchrun keeps its store over restarts, with the addresses of dead processes.
        store = PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
    dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=PATIENCE)
    yield
    dist.destroy_process_group()  # not after an error, when the others may no longer answer


def rank() -> int:
    """Return this process's number, 0 to ranks() - 1; 0 if it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def ranks() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sharded() -> ModuleType:
    """Return what only several ranks need."""
    return import_module("playattention.training.sharded")  # over a second: only who needs it


def on_first(work: Callable[[], Value]) -> Value:
    """Let rank 0 do something and tell the others what came of it.

    Args:
        work: What returns something small; the other ranks do not call it.

    Raises:
        UserError: On every rank, if it was raised on rank 0.
    """
    if ranks() == 1:
        return work()
    told: list[Any] = [None, None]
    if rank() == 0:
        try:
            told[0] = work()
        except UserError as error:
            told[1] = error
    dist.broadcast_object_list(told)
    if told[1] is not None:
        raise told[1]
    result: Value = told[0]
    return result


def gathered(value: Value) -> list[Value]:
    """Return every rank's value, in the order of the ranks, on every rank."""
    values: list[Any] = [value] * ranks()
    if ranks() > 1:
        dist.all_gather_object(values, value)
    return values


@dataclass(frozen=True)
class Worker:
    """A process and its device, ready to compute as a run's settings say."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    """Format of the matrix products; None: that of the weights."""
    rank: int = 0
    """This process's number among those that train together."""
    ranks: int = 1
    """How many train together."""
    compiles: bool = False
    """Whether models are compiled."""

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """Return what keeps small gradients from vanishing in fp16; in other formats it is off."""
        return torch.amp.GradScaler(self.device.type, enabled=self.autocast_dtype is torch.float16)

    def total(self, figures: torch.Tensor) -> torch.Tensor:
        """Return the sum of the ranks' figures, on every rank."""
        if self.ranks > 1:
            dist.all_reduce(figures)
        return figures

    def spare(self, build: Callable[[], torch.optim.Optimizer]) -> torch.optim.Optimizer:
        """Return an optimizer, without loading the compiler where nothing will be compiled."""
        plain = self.device.type == "cpu" and self.ranks == 1 and not self.compiles
        return uncompiled(build) if plain else build()

    def whole(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor as one process would have it, where each rank may hold a share."""
        if self.ranks == 1:
            return tensor
        gathered: torch.Tensor = sharded().whole(tensor)
        return gathered

    def any(self, flag: bool) -> bool:
        """Tell whether it is so on any rank; the answer is the same on all of them."""
        return self.total(torch.tensor(float(flag), device=self.device)).item() > 0

    def place(self, model: nn.Module, config: TrainConfig) -> nn.Module:
        """Put a model on the device, or its share of it, and return what computes its loss.

        What is returned holds the same weights: compiled, or in PyTorch's wrapper for several
        ranks.
        """
        if config.grad_checkpointing:
            sharded().forget_activations(model)
        if self.ranks > 1 and config.parallel == "fsdp":
            sharded().shard(model, self.device, self.ranks)
        if next(model.parameters()).device != self.device:
            model.to(self.device)
        loss = model
        if config.compile == "on":
            # Batches have one size. After others in the same process, as a ladder has them, the
            # compiler would otherwise make code for sizes that vary.
            loss = torch.compile(model, dynamic=False)  # type: ignore[assignment]
        if self.ranks > 1 and config.parallel == "ddp":
            loss = sharded().replicate(loss, self.device)
        return loss


def adding_up(model: nn.Module, more: bool) -> AbstractContextManager[object]:
    """Return the context of a micro-batch: the ranks exchange gradients after the last one only.

    Args:
        model: What `Worker.place` was given or returned.
        more: Whether another micro-batch follows in this step.
    """
    if ranks() == 1:
        return nullcontext()
    context: AbstractContextManager[object] = sharded().adding_up(model, more)
    return context


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
    compiles = config.compile == "on"
    return Worker(device, FORMATS.get(config.autocast), rank(), ranks(), compiles)


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
        return pick_device(here[0])
    if name not in here:
        raise UserError(f"device = '{name}': not on this machine; allowed: auto, {', '.join(here)}")
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        return _own_gpu(int(os.environ["LOCAL_RANK"]))
    return torch.device(name)


def _own_gpu(number: int) -> torch.device:
    """Return the GPU of one of torchrun's processes on this machine."""
    there = torch.cuda.device_count()
    if number >= there:
        raise UserError(
            f"nproc_per_node = {os.environ['LOCAL_WORLD_SIZE']}: this machine has {there} GPUs; "
            f"allowed: 1 to {there}, or --train.device cpu"
        )
    return torch.device("cuda", number)


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
        "compile": compiled if has_compiler() else "off",
    }


def machine() -> dict[str, Any]:
    """Return the facts of this machine that may change a run's last bits or its speed."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "ranks": ranks(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kernels": torch.backends.cpu.get_cpu_capability(),
    }
