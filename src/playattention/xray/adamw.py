"""One step of AdamW spelled out: from a weight's gradient to its new value, number by number.

Loshchilov and Hutter 2019 (arXiv 1711.05101, algorithm 2), with decay and learning rate as the
training has them. The new weights are those of `torch.optim.AdamW`, bit for bit (of its fused
form, but for the last bit of some); no weight of the model changes. Where Muon turns the matrices,
the step is that of all other weights.
Does not know where gradients come from.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from playattention.config import RunConfig, TrainConfig
from playattention.errors import UserError, unknown
from playattention.training.checkpoint import load_moments
from playattention.training.optimizer import learning_rate
from playattention.training.run import load_run, read_facts
from playattention.xray.adamw_weights import adamw_groups
from playattention.xray.backward import Backward, backward


@dataclass(frozen=True, eq=False)
class Moments:
    """What AdamW remembers of a weight's gradients."""

    first: torch.Tensor
    """Running mean of the gradients; of the weight's shape."""
    second: torch.Tensor
    """Running mean of their squares."""
    step: int
    """Steps they are of."""


@dataclass(frozen=True, eq=False)
class Update:
    """One weight's way through a step; every tensor has the weight's shape."""

    name: str
    step: int
    """Which step it is for this weight, from 1."""
    decay: float
    """Weight decay; 0 for norms and biases."""
    weight: torch.Tensor
    """Before the step."""
    gradient: torch.Tensor
    """As it was found."""
    first_before: torch.Tensor
    """Running mean of the gradients of earlier steps; 0 before the first."""
    second_before: torch.Tensor
    """Running mean of their squares."""
    clipped: torch.Tensor
    """gradient * factor"""
    first: torch.Tensor
    """beta1 * first_before + (1 - beta1) * clipped"""
    second: torch.Tensor
    """beta2 * second_before + (1 - beta2) * clipped^2"""
    first_corrected: torch.Tensor
    """first / (1 - beta1^step): it began at 0."""
    second_corrected: torch.Tensor
    """second / (1 - beta2^step)"""
    decayed: torch.Tensor
    """weight * (1 - rate * decay)"""
    change: torch.Tensor
    """-rate * first_corrected / (sqrt(second_corrected) + eps)"""
    new: torch.Tensor
    """decayed + change"""

    def __repr__(self) -> str:
        largest = (self.new - self.weight).abs().max().item()
        return f"<Update of {self.name} {tuple(self.weight.shape)}: by at most {largest:.3g}>"


@dataclass(frozen=True, eq=False)
class AdamWStep:
    """A step of all weights that have a gradient."""

    rate: float
    """Learning rate."""
    betas: tuple[float, float]
    """Decay rates of the two moments."""
    eps: float
    """Keeps the division finite."""
    norm: float
    """Length of all gradients together."""
    factor: float
    """What the gradients are multiplied by so that it is grad_clip at most; 1: they are short."""
    updates: dict[str, Update]
    """By the weights' dotted names."""

    def __getitem__(self, name: str) -> Update:
        if name not in self.updates:
            raise unknown("weight with a gradient", name, self.updates)
        return self.updates[name]

    def __repr__(self) -> str:
        return (
            f"<AdamWStep: {len(self.updates)} weights, learning rate {self.rate:.3g}, "
            f"gradient norm {self.norm:.3g} x {self.factor:.3g}>"
        )

    def spelled(self, name: str, *index: int) -> str:
        """Return the arithmetic of one number, a line for each of its steps.

        Args:
            name: Of the weight.
            index: Which number of it.

        Raises:
            UserError: If there is no such weight with a gradient, or no such number.
        """
        update = self[name]
        shape = tuple(update.weight.shape)
        if len(index) != len(shape) or not all(
            0 <= place < size for place, size in zip(index, shape, strict=True)
        ):
            raise UserError(f"index = {index}: must be in {name} of shape {shape}")
        (beta1, beta2), step, rate = self.betas, update.step, self.rate
        at = {
            field: f"{tensor[index].item():.8g}"
            for field, tensor in vars(update).items()
            if isinstance(tensor, torch.Tensor)
        }
        root = f"(sqrt({at['second_corrected']}) + {self.eps:g})"
        return "\n".join(
            f"{field:<16} = {text} = {at[field]}"
            for field, text in (
                ("clipped", f"{at['gradient']} * {self.factor:.8g}"),
                ("first", f"{beta1} * {at['first_before']} + {1 - beta1:.4g} * {at['clipped']}"),
                (
                    "second",
                    f"{beta2} * {at['second_before']} + {1 - beta2:.4g} * ({at['clipped']})^2",
                ),
                ("first_corrected", f"{at['first']} / (1 - {beta1}^{step})"),
                ("second_corrected", f"{at['second']} / (1 - {beta2}^{step})"),
                ("decayed", f"{at['weight']} * (1 - {rate:.4g} * {update.decay:g})"),
                ("change", f"-{rate:.4g} * {at['first_corrected']} / {root}"),
                ("new", f"{at['decayed']} + {at['change']}"),
            )
        )


def adamw_step(
    model: nn.Module,
    gradients: Backward | Mapping[str, torch.Tensor | None],
    config: TrainConfig | None = None,
    *,
    names: Iterable[str] | None = None,
    place: tuple[int, ...] = (),
    rate: float | None = None,
    moments: Mapping[str, Moments] | None = None,
) -> AdamWStep:
    """Return one AdamW step of a model's weights, which stay as they are.

    Args:
        model: The weights are its parameters.
        gradients: What `backward` found, or gradients by the weights' names; a weight without
            one takes no step.
        config: Betas, weight decay, gradient clipping and learning rate; default: those of
            the GPT recipe.
        names: Weights to spell out, in some twelve tensors of the size of each; default: all that
            AdamW updates. The gradients of all count for the clipping.
        place: Which row of each to spell out, as whole weights may be large; default: all rows.
        rate: Learning rate; default: that of the step in a schedule over `config.steps`.
        moments: What is remembered of earlier gradients, by name; default: none, the first step.

    Raises:
        UserError: If there is no weight of a name, Muon turns it, or the rate is below 0 or not
            finite.
    """
    config, moments = config or TrainConfig(), moments or {}
    found = gradients.gradients if isinstance(gradients, Backward) else gradients
    own = {name: gradient.detach() for name, gradient in found.items() if gradient is not None}
    done = max((before.step for before in moments.values()), default=0)
    rate = learning_rate(done, config.steps, config) if rate is None else _checked(rate)
    norm = nn.utils.get_total_norm([*own.values()])
    factor = ((config.grad_clip or math.inf) / (norm + 1e-6)).clamp(max=1.0)  # as torch clips
    groups = adamw_groups(model, config, names)
    eps = next((group["eps"] for group in groups.values()), 1e-8)
    step = AdamWStep(rate, config.betas, eps, norm.item(), factor.item(), {})
    for name, group in groups.items():
        if name in own:
            row, gradient = model.get_parameter(name).detach()[place], own[name][place]
            before, decay = _row(moments.get(name), place), group["weight_decay"]
            step.updates[name] = _update(step, name, row, gradient, decay=decay, before=before)
    return step


def _checked(rate: float) -> float:
    if not (isinstance(rate, int | float) and 0 <= rate < math.inf):
        raise UserError(f"rate = {rate!r}: must be a learning rate, 0 or more")
    return rate


def next_step(
    run: str | Path,
    idx: torch.Tensor,
    targets: torch.Tensor,
    step: int | None = None,
    *,
    names: Iterable[str] | None = None,
) -> tuple[Backward, AdamWStep]:
    """Return the step that a run would take from a checkpoint on these tokens, without dropout.

    Attention goes step by step. In a run with fused attention, gradients that are 0 but for
    rounding (those of the keys' biases) come out otherwise, and AdamW makes steps of them.

    Args:
        run: The run's folder, or its name below `logs/`.
        idx: Token ids (B, T).
        targets: The tokens that come next (B, T).
        step: Which checkpoint; default: the last.
        names: As in `adamw_step`.

    Returns:
        The gradients, and what AdamW makes of them with the moments of the checkpoint.

    Raises:
        UserError: If the run or the checkpoint is missing or damaged.
    """
    loaded = load_run(run, step)
    rate, moments = due(loaded.path, loaded.config, loaded.step)
    found = backward(loaded.model, idx, targets)
    config = loaded.config.train
    return found, adamw_step(loaded.model, found, config, names=names, rate=rate, moments=moments)


def due(run: Path, config: RunConfig, step: int) -> tuple[float, dict[str, Moments]]:
    """Return what the step after a checkpoint goes by.

    Args:
        run: The run's folder.
        config: Its settings.
        step: Which checkpoint.

    Returns:
        The learning rate, and what AdamW remembers, by the weights' names; nothing at step 0.

    Raises:
        UserError: If the checkpoint is missing or damaged.
    """
    moments = {
        name: Moments(kinds["exp_avg"], kinds["exp_avg_sq"], int(kinds["step"]))
        for name, kinds in load_moments(run, step).items()
        if "exp_avg" in kinds  # Muon remembers one momentum of a matrix
    }
    tokens = 0 if config.train.epochs is None else read_facts(run).train_tokens
    return learning_rate(step, config.steps(tokens), config.train), moments


def _row(moments: Moments | None, place: tuple[int, ...]) -> Moments | None:
    if moments is None:
        return None
    return Moments(moments.first[place], moments.second[place], moments.step)


def _update(
    step: AdamWStep,
    name: str,
    weight: torch.Tensor,
    gradient: torch.Tensor,
    *,
    decay: float,
    before: Moments | None,
) -> Update:
    """Take one weight through a step."""
    if before is None:
        before = Moments(torch.zeros_like(weight), torch.zeros_like(weight), 0)
    (beta1, beta2), number = step.betas, before.step + 1
    # Which operations, and in which order, is torch's own: so not even the rounding differs.
    clipped = gradient * step.factor
    first = before.first.lerp(clipped, 1 - beta1)
    second = (before.second * beta2).addcmul(clipped, clipped, value=1 - beta2)
    correction1, correction2 = 1 - beta1**number, 1 - beta2**number
    first_corrected, second_corrected = first / correction1, second / correction2
    decayed = weight * (1 - step.rate * decay)
    divisor = second.sqrt() / correction2**0.5 + step.eps
    new = decayed.addcdiv(first, divisor, value=-step.rate / correction1)
    return Update(
        name=name,
        step=number,
        decay=decay,
        weight=weight.clone(),
        gradient=gradient,
        first_before=before.first,
        second_before=before.second,
        clipped=clipped,
        first=first,
        second=second,
        first_corrected=first_corrected,
        second_corrected=second_corrected,
        decayed=decayed,
        change=-step.rate * first_corrected / (second_corrected.sqrt() + step.eps),
        new=new,
    )
