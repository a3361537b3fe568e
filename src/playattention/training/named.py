"""A model's tensors by name, as a checkpoint holds them: each once, though it may have two names.

Does not know files.
"""

from collections.abc import Iterator

import torch
from torch import nn


def named_weights(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the weights by the names that they have in the model's own file."""
    for name, weight in model.named_parameters():
        yield name.replace("_checkpoint_wrapped_module.", ""), weight


def tied(model: nn.Module) -> list[str]:
    """Return the further names of weights that have several, as where two layers share one."""
    once = {name for name, _ in model.named_parameters()}
    return [name for name, _ in model.named_parameters(remove_duplicate=False) if name not in once]


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of all that a checkpoint holds: weights, and the buffers that are saved."""
    weights = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: kept for name, kept in model.state_dict().items() if name not in weights}
    return {name: tuple(kept.shape) for name, kept in [*named_weights(model), *buffers.items()]}
