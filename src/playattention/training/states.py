"""A model's weights and its optimizer's moments by name, in one process or dealt out to several.

Names and numbers are the same for any number of ranks. Does not know files.
"""

import torch
from torch import nn

from playattention.training.distributed import ranks, sharded
from playattention.training.named import named_weights, tied

Moments = dict[str, dict[str, torch.Tensor]]
"""Name of a weight -> kind -> numbers."""


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return all that a checkpoint holds of a model, on the CPU; of several ranks, on rank 0."""
    weights = model.state_dict() if ranks() == 1 else sharded().weights_of(model)
    kept = {name: weight.cpu() for name, weight in weights.items()}
    for name in tied(model):
        kept.pop(name, None)
    return kept


def set_weights(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Copy weights into a model; their names and shapes must be right."""
    strict = not tied(model)  # a tied weight is stored once
    if ranks() == 1:
        model.load_state_dict(weights, strict=strict)
    else:
        sharded().set_weights(model, weights, strict)


def moments_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> Moments:
    """Return an optimizer's state by the weights' names; of several ranks, on rank 0."""
    if not optimizer.state:  # before the first step there is none, and asking would make a step
        return {}
    if ranks() > 1:
        return sharded().moments_of(model, optimizer)
    return {
        name: {kind: moment.cpu() for kind, moment in optimizer.state[weight].items()}
        for name, weight in named_weights(model)
        if weight in optimizer.state
    }


def set_moments(model: nn.Module, optimizer: torch.optim.Optimizer, moments: Moments) -> None:
    """Give the optimizer its moments; its rates and decays stay those of the settings."""
    if ranks() > 1:
        sharded().set_moments(model, optimizer, moments)
        return
    names = {id(weight): name for name, weight in named_weights(model)}
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    numbered = [(place, names[id(weight)]) for place, weight in enumerate(weights)]
    state = {place: moments[name] for place, name in numbered if name in moments}
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
