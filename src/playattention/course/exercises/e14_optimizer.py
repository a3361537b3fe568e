"""Exercise 14: what decays, how fast to learn, and how far one step may go."""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn

from playattention.course.exercise import Exercise, Probe
from playattention.course.exercises.e14_optimizer_mistakes import MISTAKES
from playattention.course.weighted import clipped, decays, rates


def param_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return a model's weights in groups, as torch.optim.AdamW takes them.

    Weight decay draws numbers towards 0 at every step. Matrices and embedding tables (two or more
    dimensions) decay; biases and the gains of norms (one dimension) do not. Each weight of the
    model is in exactly one group, also one that two modules share.

    Args:
        model: Any model.
        weight_decay: The decay of those that decay.

    Returns:
        Dictionaries {"params": a list of weights, "weight_decay": their decay}.
    """
    weights = list(model.parameters())
    matrices = [weight for weight in weights if weight.dim() >= 2]
    vectors = [weight for weight in weights if weight.dim() < 2]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def lr(step: int, steps: int, warmup_steps: int, highest: float, lowest: float) -> float:
    """Return the learning rate of a step: up in a straight line, then down half a cosine.

    Step 0 has one part in warmup_steps of the highest rate, not 0; step warmup_steps - 1 is the
    first with the highest, step warmup_steps has it again: there the cosine begins. The last step,
    steps - 1, has the lowest, and any step after it, too.

    Args:
        step: From 0.
        steps: How many there are; at least warmup_steps + 2.
        warmup_steps: Steps of the straight line; 0: none.
        highest: The highest learning rate.
        lowest: The lowest one, at the end.
    """
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / (steps - 1 - warmup_steps))
    cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
    return lowest + cosine * (highest - lowest)


def clip(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Shorten the gradients in place, so that all together are no longer than max_norm.

    The norm is that of all gradients laid end to end as one vector: the root of the sum of all
    squares. If it is larger than max_norm, every gradient is multiplied by max_norm / norm, which
    keeps the direction of the step; if not, nothing changes.

    Args:
        parameters: The model's weights; can be gone through once only, as model.parameters().
            Those without a gradient (grad is None) are left out.
        max_norm: The largest norm allowed.

    Returns:
        The norm from before.
    """
    gradients = [one.grad for one in parameters if one.grad is not None]
    norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm


EXERCISE = Exercise(
    number=14,
    name="optimizer",
    title="Decay groups, learning rate, clipping",
    goal="""
AdamW moves the weights; three small functions tell it how. Some weights decay, some do not. The
learning rate rises for a few steps, then falls along a cosine. And where the gradients are
unusually long, they are shortened, all by the same factor, so that one odd batch can't throw the
model off.
""",
    reference=(param_groups, lr, clip),
    imports=(
        "import math",
        "from collections.abc import Iterable",
        "from typing import Any",
        "",
        "from torch import nn",
    ),
    probes=(
        Probe("every weight is in one group: matrices and tables decay, the rest does not", decays),
        Probe("the learning rate rises in a straight line", lambda own, _: rates(own, 0, 1, 2, 3)),
        Probe("it has its highest value at the top", lambda own, _: rates(own, 3, 4)),
        Probe("it has its lowest value at the last step", lambda own, _: rates(own, 14)),
        Probe("it falls along half a cosine", lambda own, _: rates(own, *range(4, 15))),
        Probe("it stays at the lowest after the end", lambda own, _: rates(own, 15, 18, 24)),
        Probe(
            "without a warm-up it starts at the top", lambda own, _: rates(own, 0, 1, 5, warmup=0)
        ),
        Probe("short gradients stay as they are", lambda own, seed: clipped(own, seed, 1.5)),
        Probe(
            "long gradients are shortened to a norm of 2, all by one factor",
            lambda own, seed: clipped(own, seed, 7.0),
            tolerance=1e-5,  # PyTorch's own adds 1e-6 to the norm
        ),
        Probe(
            "weights without gradients are left out",
            lambda own, seed: clipped(own, seed, 7.0, without=2),
            tolerance=1e-5,
        ),
        Probe(
            "a list of weights is taken, too",
            lambda own, seed: clipped(own, seed, 7.0, given=list),
            tolerance=1e-5,
        ),
    ),
    hints=(
        "Write the rates down for steps = 15, warmup_steps = 4 by hand: steps 0 to 3 are 1/4 to 4/4 of the highest, step 4 is the highest, step 14 the lowest.",
        "Groups: by weight.dim(). Rate: progress goes from 0 at step warmup_steps to 1 at step steps - 1. Clip: one norm of all, then one factor for all.",
        "progress = min(1, (step - warmup_steps) / (steps - 1 - warmup_steps)); lowest + 0.5 * (1 + cos(pi * progress)) * (highest - lowest). Clip: gradient.mul_(max_norm / norm) if norm > max_norm.",
    ),
    equivalents=(
        """
import math

import torch


def param_groups(model, weight_decay):
    return [
        {"params": [weight], "weight_decay": 0.0 if weight.ndim in (0, 1) else weight_decay}
        for weight in model.parameters()
    ]


def lr(step, steps, warmup_steps, highest, lowest):
    if step < warmup_steps:
        return (step + 1) / warmup_steps * highest
    if step >= steps:
        return lowest
    angle = math.pi * (step - warmup_steps) / (steps - warmup_steps - 1)
    return (highest + lowest) / 2 + (highest - lowest) / 2 * math.cos(angle)


def clip(parameters, max_norm):
    return torch.nn.utils.clip_grad_norm_(parameters, max_norm)
""",
        """
import math

import torch


def param_groups(model, weight_decay):
    decaying, others = [], []
    for name, weight in model.named_parameters():
        (decaying if len(weight.shape) > 1 else others).append(weight)
    return [{"params": others, "weight_decay": 0}, {"params": decaying, "weight_decay": weight_decay}]


def lr(step, steps, warmup_steps, highest, lowest):
    up = (step + 1) / warmup_steps if step < warmup_steps else 1
    share = max(0, min(step, steps - 1) - warmup_steps) / (steps - 1 - warmup_steps)
    down = lowest + (highest - lowest) * math.cos(share * math.pi / 2) ** 2
    return min(up * highest, down)


def clip(parameters, max_norm):
    parameters = list(parameters)
    norms = torch.stack([p.grad.norm() for p in parameters if p.grad is not None])
    norm = torch.linalg.vector_norm(norms)
    for p in parameters:
        if p.grad is not None:
            p.grad = p.grad * torch.clamp(max_norm / norm, max=1.0)
    return norm.item()
""",
    ),
    mistakes=MISTAKES,
    read="docs/10-training.md#optimizer",
)
