"""Softmax and the norms: a number of a row, seen beside all others of the row.

Does not know modules (`layers.py`).
"""

from collections.abc import Sequence
from typing import Any

import torch

from playattention.xray.arithmetic.cells import (
    Computed,
    Input,
    Node,
    Step,
    UnknownError,
    broadcast,
)
from playattention.xray.arithmetic.operations import OPERATIONS, Handler, axis, operation
from playattention.xray.arithmetic.reductions import row_of


def _own(cells: torch.Tensor) -> torch.Tensor:
    return cells


def _softmax(name: str) -> Handler:
    logarithm = name == "log_softmax"
    formula = (
        "{0} - max - ln Σ exp({0} - max)" if logarithm else "exp({0} - max) / Σ exp({0} - max)"
    )

    def handler(input: Node, dim: int, dtype: torch.dtype | None = None) -> Node:
        del dtype  # a rounding

        def compute(own: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
            maximum = row.amax(-1)
            total = (row - maximum.unsqueeze(-1)).exp().sum(-1)
            return own - maximum - total.log() if logarithm else (own - maximum).exp() / total

        def facts(own: torch.Tensor, row: torch.Tensor) -> dict[str, Any]:
            maximum = row.amax(-1)
            exponentials = (row - maximum.unsqueeze(-1)).exp()
            return {
                "maximum": maximum,
                "exponential": (own - maximum).exp(),
                "sum": exponentials.sum(-1),
            }

        inputs = (Input("own", input, _own), row_of(input, [axis(input, dim)]))
        words = name.replace("_", " ")
        shape = input.shape
        return Computed(Step(words, formula.format(input.text), shape, inputs, compute, facts))

    handler.__name__ = name
    return handler


OPERATIONS.update({name: _softmax(name) for name in ("softmax", "log_softmax")})


def _norm_axes(node: Node, shape: Sequence[int] | None) -> list[int]:
    """Return the last dimensions, as many as a norm's shape has."""
    count = len(shape) if shape is not None else 1
    return list(range(len(node.shape) - count, len(node.shape)))


def _affine(weight: Node | None, bias: Node | None) -> list[Input]:
    """Return a norm's weight and bias as operands."""
    named = [("weight", weight), ("bias", bias)]
    return [Input(role, part, broadcast(part.shape)) for role, part in named if part is not None]


def _scaled(normed: torch.Tensor, affine: Sequence[torch.Tensor], has_weight: bool) -> torch.Tensor:
    """Apply a norm's weight and bias, of which either may be missing."""
    waiting = list(affine)
    if has_weight:
        normed = normed * waiting.pop(0)
    return normed + waiting.pop(0) if waiting else normed


@operation("layer_norm")
def layer_norm(
    input: Node,
    normalized_shape: Sequence[int] | None = None,
    weight: Node | None = None,
    bias: Node | None = None,
    eps: float = 1e-5,
) -> Node:
    """Set a row's mean to 0 and its variance to 1, then weigh and shift (Ba et al. 2016)."""

    def parts(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return row.mean(-1), row.var(-1, correction=0)

    def compute(own: torch.Tensor, row: torch.Tensor, *affine: torch.Tensor) -> torch.Tensor:
        mean, variance = parts(row)
        return _scaled((own - mean) / (variance + eps).sqrt(), affine, weight is not None)

    def facts(own: torch.Tensor, row: torch.Tensor, *_: torch.Tensor) -> dict[str, Any]:
        mean, variance = parts(row)
        normed = (own - mean) / (variance + eps).sqrt()
        return {"mean": mean, "variance": variance, "eps": eps, "normalized": normed}

    formula = f"({input.text} - mean) / sqrt(variance + eps)"
    formula += " * weight" * (weight is not None) + " + bias" * (bias is not None)
    row = row_of(input, _norm_axes(input, normalized_shape))
    inputs = (Input("own", input, _own), row, *_affine(weight, bias))
    return Computed(Step("layer norm", formula, input.shape, inputs, compute, facts))


@operation("rms_norm")
def rms_norm(
    input: Node,
    normalized_shape: Sequence[int] | None = None,
    weight: Node | None = None,
    eps: float | None = None,
) -> Node:
    """Divide a row by its root mean square, then weigh (Zhang & Sennrich 2019)."""
    floor = torch.finfo(input.dtype).eps if eps is None else eps

    def compute(own: torch.Tensor, row: torch.Tensor, *affine: torch.Tensor) -> torch.Tensor:
        size = (row.square().mean(-1) + floor).sqrt()
        return _scaled(own / size, affine, weight is not None)

    def facts(_own: torch.Tensor, row: torch.Tensor, *_: torch.Tensor) -> dict[str, Any]:
        return {"mean square": row.square().mean(-1), "eps": floor}

    formula = f"{input.text} / sqrt(mean square + eps)" + " * weight" * (weight is not None)
    row = row_of(input, _norm_axes(input, normalized_shape))
    inputs = (Input("own", input, _own), row, *_affine(weight, None))
    return Computed(Step("rms norm", formula, input.shape, inputs, compute, facts))


@operation("normalize")
def normalize(input: Node, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Node:
    """Divide a row by its length."""
    if p != 2:
        raise UnknownError(f"a norm of order {p}")

    def length(row: torch.Tensor) -> torch.Tensor:
        return row.square().sum(-1).sqrt().clamp_min(eps)

    def facts(_own: torch.Tensor, row: torch.Tensor) -> dict[str, Any]:
        return {"length": length(row)}

    inputs = (Input("own", input, _own), row_of(input, [axis(input, dim)]))
    formula = f"{input.text} / length of the row"
    return Computed(
        Step("unit length", formula, input.shape, inputs, lambda own, row: own / length(row), facts)
    )
