"""A model with all kinds of weights, and what a solution of "optimizer" does with it."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from playattention.course.exercise import Solution


class Weighted(nn.Module):
    """Tables, matrices, gains, biases, a weight of three dimensions and one of none; one is tied.

    Args:
        seed: Of the weights.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.embedding, self.norm = nn.Embedding(7, 4), nn.LayerNorm(4)
        self.linear, self.heads = nn.Linear(4, 3), nn.Parameter(torch.zeros(2, 4, 3))
        self.gain, self.temperature = nn.Parameter(torch.ones(4)), nn.Parameter(torch.tensor(1.0))
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        chance = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=chance))


def decays(own: Solution, seed: int) -> dict[str, list[float]]:
    """Return each weight's decay in an optimizer made from the groups; [] if it is in none."""
    model = Weighted(seed)
    groups = torch.optim.AdamW(own.param_groups(model, 0.1 * (seed + 1))).param_groups
    names = {id(weight): name for name, weight in model.named_parameters()}
    found: dict[str, list[float]] = {name: [] for name in names.values()}
    for group in groups:
        for weight in group["params"]:
            found[names[id(weight)]].append(float(group["weight_decay"]))
    return found


def rates(own: Solution, *steps: int, warmup: int = 4) -> list[float]:
    """Return the rates of some steps of a schedule of 15, between 3 and 0.5."""
    return [float(own.lr(step, 15, warmup, 3.0, 0.5)) for step in steps]


def clipped(
    own: Solution,
    seed: int,
    norm: float,
    without: int = 0,
    given: Callable[[Iterable[nn.Parameter]], Any] = iter,
) -> dict[str, Any]:
    """Return what is returned, and left, where gradients of a norm are clipped to 2.

    Args:
        own: The solution.
        seed: Of weights and gradients.
        norm: Of all gradients together.
        without: How many weights, from the first, have no gradient.
        given: What the weights are given as; default: to be gone through once.
    """
    model = Weighted(seed)
    weights = list(model.parameters())
    drawn = [torch.randn_like(weight) for weight in weights[without:]]
    whole = math.sqrt(sum(one.square().sum().item() for one in drawn))
    for weight, one in zip(weights[without:], drawn, strict=True):
        weight.grad = one * (norm / whole)
    returned = float(own.clip(given(model.parameters()), 2.0))
    return {"returned": returned, "gradients": [one.grad for one in weights], "weights": weights}
