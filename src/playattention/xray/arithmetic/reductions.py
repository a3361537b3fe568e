"""What takes a whole row of numbers into one: sums, means, softmax and the norms.

Each is a step whose operands are the row's cells. Does not know modules (`layers.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from playattention.xray.arithmetic.cells import (
    Computed,
    Index,
    Input,
    Node,
    Step,
    UnknownError,
    broadcast,
    spread,
)
from playattention.xray.arithmetic.operations import (
    OPERATIONS,
    Handler,
    axis,
    elementwise,
    operation,
)

Dims = int | Sequence[int] | None


def _own(cells: torch.Tensor) -> torch.Tensor:
    return cells


def row_of(node: Node, dims: Sequence[int]) -> Input:
    """Return all cells along these dimensions as an operand."""
    return Input("row", node, lambda cells: spread(cells, node.shape, dims))


def _reduced(node: Node, dim: Dims, keepdim: bool) -> tuple[list[int], Index]:
    """Return which dimensions go, from the front, and the shape that is left."""
    if dim is None:
        dims = list(range(len(node.shape)))
    else:
        dims = [axis(node, one) for one in ([dim] if isinstance(dim, int) else dim)]
    kept = [1 if place in dims else size for place, size in enumerate(node.shape)]
    if not keepdim:
        kept = [size for place, size in enumerate(node.shape) if place not in dims]
    return dims, tuple(kept)


def reduction(
    words: str,
    formula: str,
    node: Node,
    combine: Callable[[torch.Tensor], torch.Tensor],
    *,
    dim: Dims,
    keepdim: bool,
    facts: Callable[..., dict[str, Any]] | None = None,
) -> Computed:
    """Return what a function of a row makes of each row.

    Args:
        words: What it does.
        formula: How it is written; {0} stands for the row.
        node: The tensor.
        combine: The function; takes (..., terms).
        dim: Along which dimensions; None: all.
        keepdim: Whether they stay, with size 1.
        facts: As in `Step`.
    """
    dims, shape = _reduced(node, dim, keepdim)
    kept = [place for place in range(len(node.shape)) if place not in dims]

    def pick(cells: torch.Tensor) -> torch.Tensor:
        full = torch.zeros(*cells.shape[:-1], len(node.shape), dtype=torch.long)
        if not keepdim:
            full[..., kept] = cells
        else:
            full[...] = cells
        return spread(full, node.shape, dims)

    inputs = (Input("row", node, pick),)
    return Computed(Step(words, formula.format(node.text), shape, inputs, combine, facts))


ROWS: dict[str, tuple[str, str, Callable[[torch.Tensor], torch.Tensor]]] = {
    "sum": ("sum", "Σ {0}", lambda row: row.sum(-1)),
    "mean": ("mean", "mean of {0}", lambda row: row.mean(-1)),
    "prod": ("product", "Π {0}", lambda row: row.prod(-1)),
    "amax": ("maximum", "max {0}", lambda row: row.amax(-1)),
    "amin": ("minimum", "min {0}", lambda row: row.amin(-1)),
    "logsumexp": ("log of summed exponentials", "ln Σ exp({0})", lambda row: row.logsumexp(-1)),
}


def _reduction(name: str) -> Handler:
    words, formula, combine = ROWS[name]

    def handler(input: Node, dim: Dims = None, keepdim: bool = False) -> Node:
        return reduction(words, formula, input, combine, dim=dim, keepdim=keepdim)

    return handler


OPERATIONS.update({name: _reduction(name) for name in ROWS})


@operation("var")
def var(
    input: Node, dim: Dims = None, unbiased: bool = True, keepdim: bool = False, correction: int = 1
) -> Node:
    """Mean squared distance from the mean; divided by one less than the count, unless told."""
    less = correction if unbiased else 0

    def compute(row: torch.Tensor) -> torch.Tensor:
        return row.var(-1, correction=less)

    def facts(row: torch.Tensor) -> dict[str, Any]:
        return {"mean": row.mean(-1)}

    return reduction(
        "variance", "variance of {0}", input, compute, dim=dim, keepdim=keepdim, facts=facts
    )


def std(*given: Any, **named: Any) -> Node:
    """Square root of the variance."""
    return elementwise(
        "standard deviation", "sqrt({0})", torch.sqrt, [("variance", var(*given, **named))]
    )


OPERATIONS["std"] = std


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
