"""What only several ranks, or blocks that forget their activations, need of PyTorch.

Importing it takes over a second, so `distributed.py` and `checkpoint.py` load it where a run asks
for it: one process on one device does without. Does not know files or data.
"""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    apply_activation_checkpointing,
)
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""Tensors as one process would have them, on rank 0 alone."""


def forget_activations(model: nn.Module) -> None:
    """Make each block forget its activations and compute them again backwards."""
    blocks = set(model.get_submodule("blocks").children())
    apply_activation_checkpointing(model, check_fn=blocks.__contains__)


def shard(model: nn.Module, device: torch.device, ranks: int) -> None:
    """Leave each rank its share of the weights (FSDP, Zhao et al. 2023, arXiv 2304.11277).

    Block by block, and from the CPU: no device ever holds the whole model.
    """
    mesh = init_device_mesh(device.type, (ranks,))
    for block in model.get_submodule("blocks").children():
        fully_shard(block, mesh=mesh)
    # The logits are a view, without the padding; nothing changes them in place.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view")
    fully_shard(model, mesh=mesh)


def replicate(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a model that averages its gradients (DDP, Li et al. 2020, arXiv 2006.15704)."""
    own = [device.index] if device.type == "cuda" else None
    with warnings.catch_warnings():  # PyTorch 2.13 has a new name for it, 2.7 has not
        warnings.simplefilter("ignore", FutureWarning)
        # The only buffers are masks, the same everywhere.
        return DistributedDataParallel(model, device_ids=own, broadcast_buffers=False)


def adding_up(model: nn.Module, more: bool) -> AbstractContextManager[object]:
    """Return the context of a micro-batch: gradients are exchanged after the last one only."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(not more)
    if isinstance(model, DistributedDataParallel) and more:
        return model.no_sync()
    return nullcontext()


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor of which each rank may hold a share as one process would have it."""
    if isinstance(tensor, DTensor):
        return tensor.full_tensor()
    return tensor


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return all weights and buffers by name, gathered on rank 0."""
    gathered: Any = get_model_state_dict(model, options=WHOLE)
    return dict(gathered)


def set_weights(model: nn.Module, weights: dict[str, torch.Tensor], strict: bool) -> None:
    """Deal out to each rank its share of the weights.

    Args:
        model: Takes them.
        weights: Whole, by name.
        strict: Whether each weight must have its own name among them.
    """
    state: Any = weights
    options = StateDictOptions(full_state_dict=True, strict=strict)
    set_model_state_dict(model, state, options=options)


def moments_of(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, dict[str, torch.Tensor]]:
    """Return an optimizer's state, name of a weight -> kind -> numbers, gathered on rank 0."""
    gathered: Any = get_optimizer_state_dict(model, optimizer, options=WHOLE)
    return dict(gathered.get("state", {}))  # empty but on rank 0


def set_moments(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    moments: dict[str, dict[str, torch.Tensor]],
) -> None:
    """Deal out to each rank its share of the moments; the rates stay those of the settings."""
    settings = get_optimizer_state_dict(model, optimizer, options=StateDictOptions())
    state: Any = {"state": moments, "param_groups": settings["param_groups"]}
    set_optimizer_state_dict(
        model, optimizer, state, options=StateDictOptions(full_state_dict=True)
    )
