"""AdamW with decay on matrices alone, and the learning rate of each step.

Does not know models beyond the shapes of their weights, nor the loop.
"""

import math

import torch
from torch import nn

from playattention.config import TrainConfig


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019) over a model's weights.

    Matrices and embedding tables decay; norms and biases, which have one dimension, do not.
    The update can be fused into one operation, which PyTorch has for CPU, CUDA and MPS.
    """
    weights = list(model.parameters())
    groups = [
        {
            "params": [weight for weight in weights if weight.dim() >= 2],
            "weight_decay": config.weight_decay,
        },
        {"params": [weight for weight in weights if weight.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, fused=config.fused_adamw
    )


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
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.min_learning_rate + cosine * (config.learning_rate - config.min_learning_rate)
