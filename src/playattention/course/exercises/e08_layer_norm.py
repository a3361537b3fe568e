"""Exercise 8: layer norm. Each token's numbers are brought to one size before they are used."""

import torch

from playattention.course.exercise import Exercise, Mistake, Probe, Solution
from playattention.course.filling import (
    dependencies,
    draw,
    is_untouched,
    strided,
    tell_dependencies,
)


def layer_norm(
    x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5
) -> torch.Tensor:
    """Return each token with mean 0 and variance 1 over its own channels, scaled and moved.

    The variance is the mean of the squared distances from the mean (a sum over C, divided by C);
    eps is added to it before the root is taken, so that a token of equal numbers is no 0 / 0.

    Args:
        x: (..., C); maybe a slice of a larger tensor. It stays as it is, as do gain and bias.
        gain: (C), what each channel is multiplied by, after that.
        bias: (C), what is added to each channel, last.
        eps: A small number.

    Returns:
        (..., C).
    """
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    normed = centred / torch.sqrt(variance + eps)
    return normed * gain + bias


def _plain(own: Solution, x: torch.Tensor, eps: float = 0.0) -> torch.Tensor:
    """Return the norm alone: gain 1, bias 0."""
    return own.layer_norm(x, torch.ones(x.shape[-1]), torch.zeros(x.shape[-1]), eps)


def _x(seed: int, *shape: int) -> torch.Tensor:
    """Return tokens of different sizes, away from 0."""
    return draw(seed, *shape) * (1 + draw(seed + 1, *shape[:-1], 1).square()) + 2


def _seen(own: Solution, seed: int) -> list[list[int]]:
    return dependencies(lambda x: _plain(own, x, 1e-5), _x(seed, 2, 4, 6))


def _gradients(own: Solution, seed: int) -> list[torch.Tensor | None]:
    given = [_x(seed, 2, 4, 6), draw(seed + 2, 6), draw(seed + 3, 6)]
    given = [one.requires_grad_() for one in given]
    (own.layer_norm(*given) * draw(seed + 4, 2, 4, 6)).sum().backward()
    return [one.grad for one in given]


def _untouched(own: Solution, seed: int) -> list[bool]:
    x, gain, bias = _x(seed, 2, 4, 6), draw(seed + 2, 6), draw(seed + 3, 6)
    return [
        is_untouched(lambda one: own.layer_norm(one, gain, bias), x),
        is_untouched(lambda one: own.layer_norm(x, one, bias), gain),
        is_untouched(lambda one: own.layer_norm(x, gain, one), bias),
    ]


MEAN = "x.mean(dim=-1, keepdim=True)"
VARIANCE = "variance = centred.square().mean(dim=-1, keepdim=True)"
NORMED = "normed = centred / torch.sqrt(variance + eps)"
OUT = "return normed * gain + bias"
READ = "docs/08-residuals-and-norms.md#layer-norm"

EXERCISE = Exercise(
    number=8,
    name="layer_norm",
    title="Layer norm",
    goal="""
The numbers of a token grow as one block after another adds to them. Before each part uses them,
layer norm brings every token to mean 0 and variance 1, over its own channels alone, and then lets
each channel have a size (gain) and a place (bias) of its own, which are learned.
""",
    reference=(layer_norm,),
    probes=(
        Probe(
            "the shape stays",
            lambda own, seed: list(_plain(own, _x(seed, 2, 4, 6)).shape),
        ),
        Probe(
            "with gain 1 and bias 0, the mean of each token is 0",
            lambda own, seed: _plain(own, _x(seed, 2, 4, 6)).mean(-1).round(decimals=9),
        ),
        Probe(
            "each token of the result has the variance 1, with gain 1 and bias 0",
            lambda own, seed: _plain(own, _x(seed, 2, 4, 6)).var(-1, unbiased=False),
        ),
        Probe("a token depends on itself alone", _seen, evidence=tell_dependencies),
        Probe(
            "each token is normed, without gain and bias",
            lambda own, seed: _plain(own, _x(seed, 2, 4, 6)),
        ),
        Probe(
            "gain multiplies the channels",
            lambda own, seed: own.layer_norm(
                _x(seed, 2, 4, 6), draw(seed + 2, 6), torch.zeros(6), 0.0
            ),
        ),
        Probe(
            "bias is added, last",
            lambda own, seed: own.layer_norm(
                _x(seed, 2, 4, 6), draw(seed + 2, 6), draw(seed + 3, 6), 0.0
            ),
        ),
        Probe(
            "eps is added to the variance, inside the root: seen with an eps of 0.5",
            lambda own, seed: _plain(own, _x(seed, 2, 4, 6), 0.5),
        ),
        Probe(
            "eps is 1e-5 if it is not given",
            lambda own, seed: own.layer_norm(
                _x(seed, 2, 4, 6) * 1e-3, draw(seed + 2, 6), draw(seed + 3, 6)
            ),
        ),
        Probe(
            "a token whose numbers are all the same becomes the bias",
            lambda own, seed: own.layer_norm(
                torch.full((2, 4, 6), 3.0), draw(seed + 2, 6), draw(seed + 3, 6)
            ),
        ),
        Probe(
            "one token alone, without batch, is normed too",
            lambda own, seed: _plain(own, _x(seed, 6)),
        ),
        Probe("x, gain and bias are left as they are", _untouched),
        Probe(
            "it does not matter how the numbers lie in memory",
            lambda own, seed: _plain(own, strided(_x(seed, 2, 4, 6))),
        ),
        Probe("x, gain and bias get their gradients", _gradients),
    ),
    hints=(
        "With gain 1 and bias 0, the mean of x[b, t] over its channels is 0, and the mean of the squares is 1.",
        "Mean and variance over the last axis, with keepdim=True so that they fit x again. Tensor.var divides by C - 1 unless it is told unbiased=False.",
        "centred = x - x.mean(-1, keepdim=True); variance = centred.square().mean(-1, keepdim=True); centred / (variance + eps).sqrt() * gain + bias.",
    ),
    equivalents=(
        """
import torch.nn.functional as F


def layer_norm(x, gain, bias, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], gain, bias, eps)
""",
        """
import torch


def layer_norm(x, gain, bias, eps=1e-5):
    variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
    return torch.addcmul(bias, (x - mean) * torch.rsqrt(variance + eps), gain)
""",
        """
import torch


def layer_norm(x, gain, bias, eps=1e-5):
    rows = []
    for token in x.reshape(-1, x.shape[-1]):
        mean = sum(token) / len(token)
        variance = sum((one - mean) ** 2 for one in token) / len(token)
        rows.append((token - mean) / (variance + eps) ** 0.5 * gain + bias)
    return torch.stack(rows).reshape(x.shape)
""",
    ),
    mistakes=(
        Mistake(
            "unbiased variance",
            ((VARIANCE, "variance = x.var(dim=-1, keepdim=True)"),),
            "Tensor.var and Tensor.std divide by C - 1 unless told otherwise: an estimate for a sample. Here it is the variance of these very numbers: divide by C (unbiased=False).",
            READ,
        ),
        Mistake(
            "over the tokens",
            (
                (MEAN, "x.mean(dim=-2, keepdim=True)"),
                (VARIANCE, "variance = centred.square().mean(dim=-2, keepdim=True)"),
            ),
            "Mean and variance are taken over the tokens of a channel, so each token sees the others, also those to come. Take them over the channels of a token: the last axis.",
            READ,
        ),
        Mistake(
            "over the batch",
            (
                (MEAN, "x.mean(dim=0, keepdim=True)"),
                (VARIANCE, "variance = centred.square().mean(dim=0, keepdim=True)"),
            ),
            "Mean and variance are taken over the texts of a batch, as in batch norm: what a text gives depends on its neighbours. Take them over the channels of a token: the last axis.",
            READ,
        ),
        Mistake(
            "over everything",
            ((MEAN, "x.mean()"), (VARIANCE, "variance = centred.square().mean()")),
            "One mean and one variance for the whole batch: all tokens see each other. Each token has its own: dim=-1, keepdim=True.",
            READ,
        ),
        Mistake(
            "gain and bias dropped",
            ((OUT, "return normed"),),
            "Gain and bias are handed in and not used, so they are never learned.",
            READ,
        ),
        Mistake(
            "gain dropped",
            ((OUT, "return normed + bias"),),
            "The gain is handed in and not used, so it is never learned.",
            READ,
        ),
        Mistake(
            "bias dropped",
            ((OUT, "return normed * gain"),),
            "The bias is handed in and not used, so it is never learned.",
            READ,
        ),
        Mistake(
            "bias before gain",
            ((OUT, "return (normed + bias) * gain"),),
            "The bias is multiplied by the gain, too. First the gain, then the bias.",
            READ,
        ),
        Mistake(
            "mean not taken off",
            ((NORMED, "normed = x / torch.sqrt(variance + eps)"),),
            "The tokens are divided by their spread, but their mean is still in them.",
            READ,
        ),
        Mistake(
            "RMS norm",
            ((f"centred = x - {MEAN}", "centred = x"),),
            "The mean is not taken off, so numbers are divided by the root of their mean square. Later models do this (RMSNorm); GPT and GPT-2 take the mean off first.",
            READ,
        ),
        Mistake(
            "divided by the variance",
            ((NORMED, "normed = centred / (variance + eps)"),),
            "The variance is a square: divided by it, tokens come out of different sizes. Divide by its root.",
            READ,
        ),
        Mistake(
            "eps outside the root",
            ((NORMED, "normed = centred / (torch.sqrt(variance) + eps)"),),
            "eps is added to the root of the variance instead of the variance. Released weights were trained with it inside; and the root has no gradient at 0.",
            READ,
        ),
        Mistake(
            "eps left out",
            ((NORMED, "normed = centred / torch.sqrt(variance)"),),
            "A token whose numbers are all the same has the variance 0, and 0 / 0 is NaN. eps keeps that away.",
            READ,
        ),
        Mistake(
            "not divided",
            ((NORMED, "normed = centred"),),
            "The mean is taken off, but the variance stays as it was. Divide by its root.",
            READ,
        ),
        Mistake(
            "input edited in place",
            ((f"centred = x - {MEAN}", f"centred = x.sub_({MEAN})"),),
            "x -= mean writes into the tensor that was handed in, and the residual still needs that. Make a new one: x - mean.",
            READ,
        ),
    ),
    read=READ,
)
