"""What changes the weights: AdamW for all of them, or Muon for the matrices; each step's rate.

Does not know models beyond the shapes of their weights and which of them are in blocks.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.adamw import adamw

from playattention.config import TrainConfig

POLYNOMIALS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845749493, 0.4188073119525673),
)
"""Each takes singular values between 0 and 1 nearer to 1 (Amsel et al. 2025, arXiv 2505.16932)."""

ADAMW_SIZE = 0.2
"""Usual root mean square of AdamW's update / learning rate (Liu et al. 2025, 2502.16982, 2.2)."""


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Return what updates a model's weights: `torch.optim.AdamW`, or `Muon`.

    Matrices and embedding tables decay; norms and biases, which have one dimension, do not.
    AdamW (Loshchilov and Hutter 2019) can be fused into one operation, which PyTorch has for CPU,
    CUDA and MPS.
    """
    weights = list(model.parameters())
    turned = _matrices_in_blocks(model) if config.optimizer == "muon" else set()
    tables = [weight for weight in weights if weight.dim() >= 2 and weight not in turned]
    vectors = [weight for weight in weights if weight.dim() < 2]
    groups: list[dict[str, Any]] = [
        {"params": tables, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    rest: dict[str, Any] = {
        "lr": config.learning_rate,
        "betas": config.betas,
        "fused": config.fused_adamw,
    }
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, **rest)
    matrices = [weight for weight in weights if weight in turned]
    groups.insert(0, {"params": matrices, "weight_decay": config.weight_decay, "turned": True})
    groups = [group for group in groups if group["params"]]
    return Muon(groups, momentum=config.momentum, **rest)


def _matrices_in_blocks(model: nn.Module) -> set[nn.Parameter]:
    """Return the weights whose output is a sum over their input: all but tables and the head."""
    inside = model.get_submodule("blocks").parameters()
    return {weight for weight in inside if weight.dim() == 2}


class Muon(torch.optim.Optimizer):
    """Steps of equal size in every direction for matrices, AdamW's for all other weights.

    A matrix's averaged gradient has a few large singular values, and what they stand for is all
    that a plain step would change. Muon replaces it by the nearest orthogonal matrix, in which all
    are 1 (Jordan et al. 2024, kellerjordan.github.io/posts/muon), as large as a step of AdamW: the
    two share one learning rate. PyTorch's own Muon computes in bfloat16 and one matrix at a time,
    which a CPU without that format does hundreds of times slower; this one keeps the weights'
    format and takes matrices of one shape together.

    Args:
        groups: Of weights; those with `turned` are matrices that take orthogonal steps.
        lr: Learning rate.
        betas: AdamW's decay rates of the two moments.
        momentum: Decay rate of a matrix's averaged gradient.
        fused: AdamW's update in one operation.
        eps: AdamW's smallest denominator.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        momentum: float,
        fused: bool,
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "momentum": momentum, "fused": fused, "eps": eps}
        super().__init__(groups, {**defaults, "turned": False, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        assert closure is None, "the loss is computed once a step"
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            (self._turn if group["turned"] else self._adamw)(group, weights)

    def _turn(self, group: dict[str, Any], weights: list[torch.Tensor]) -> None:
        """Take an orthogonal step in all matrices, those of one shape together."""
        for shape in sorted({tuple(weight.shape) for weight in weights}):
            alike = [weight for weight in weights if tuple(weight.shape) == shape]
            ahead = torch.stack([self._averaged(weight, group["momentum"]) for weight in alike])
            # Orthogonal entries have a root mean square of 1 / sqrt(the longer side).
            size = group["lr"] * ADAMW_SIZE * max(shape) ** 0.5
            torch._foreach_mul_(alike, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(alike, orthogonal(ahead).unbind(), alpha=-size)

    def _averaged(self, weight: torch.Tensor, momentum: float) -> torch.Tensor:
        """Return a gradient averaged with those before it, one step ahead (Nesterov 1983)."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(state["momentum"], momentum)

    def _adamw(self, group: dict[str, Any], weights: list[torch.Tensor]) -> None:
        """Take AdamW's step, which PyTorch offers as a function."""
        for weight in weights:
            if not self.state[weight]:
                on = weight.device if group["fused"] else "cpu"
                self.state[weight]["step"] = torch.zeros((), device=on)
                self.state[weight]["exp_avg"] = torch.zeros_like(weight)
                self.state[weight]["exp_avg_sq"] = torch.zeros_like(weight)
        states = [self.state[weight] for weight in weights]
        adamw(
            weights,
            [weight.grad for weight in weights if weight.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=group["fused"],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def orthogonal(matrices: torch.Tensor, times: int = 3) -> torch.Tensor:
    """Return the nearest orthogonal matrices, roughly, by products alone (Newton-Schulz).

    Args:
        matrices: Of one shape (..., rows, columns).
        times: How many polynomials are applied, 1 to 5. In a trial of 250 small steps four left a
            loss 0.015 nats lower than three, and took longer for it.

    Returns:
        Matrices with the same singular vectors. Of random ones of 128 x 512 the singular values are
        0.19 to 1.87 after three, 0.88 to 1.12 after five.
    """
    tall = matrices.size(-2) > matrices.size(-1)
    x = matrices.mT if tall else matrices
    # No singular value is above the square root of the sum of all squares.
    x = x / (1.01 * x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for first, third, fifth in POLYNOMIALS[:times]:
        square = x @ x.mT
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.mT if tall else x


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Return the learning rate of a step.

    Args:
        step: 0 for the first; the warm-up's first rate is one part in warmup_steps, not 0.
        steps: How many steps the schedule spans; its last one has min_learning_rate.
        config: Gives the highest and lowest rate, the warm-up and what follows it.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    falling = max(1, steps - 1 - config.warmup_steps)
    progress = min(1.0, (step - config.warmup_steps) / falling)
    left = 1 - progress if config.schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return config.min_learning_rate + left * (config.learning_rate - config.min_learning_rate)
