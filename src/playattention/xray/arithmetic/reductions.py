"""What takes a whole row of numbers into one: sums, means, extremes, cumulated sums.

Each is a step whose operands are the row's cells. Does not know norms (`norms.py`).
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
    at,
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
    "any": ("any", "any of {0}", lambda row: (row != 0).any(-1).double()),
    "all": ("all", "all of {0}", lambda row: (row != 0).all(-1).double()),
    "argmax": ("place of the maximum", "argmax {0}", lambda row: row.argmax(-1).double()),
    "argmin": ("place of the minimum", "argmin {0}", lambda row: row.argmin(-1).double()),
    "prod": ("product", "Π {0}", lambda row: row.prod(-1)),
    "amax": ("maximum", "max {0}", lambda row: row.amax(-1)),
    "amin": ("minimum", "min {0}", lambda row: row.amin(-1)),
    "logsumexp": ("log of summed exponentials", "ln Σ exp({0})", lambda row: row.logsumexp(-1)),
}


def _reduction(name: str) -> Handler:
    words, formula, combine = ROWS[name]

    def handler(input: Node, dim: Dims = None, keepdim: bool = False) -> Node:
        made = reduction(words, formula, input, combine, dim=dim, keepdim=keepdim)
        made.dtype = _WHOLE.get(name, made.dtype)
        return made

    handler.__name__ = name
    return handler


_WHOLE = {"any": torch.bool, "all": torch.bool, "argmax": torch.long, "argmin": torch.long}
OPERATIONS.update({name: _reduction(name) for name in ROWS})


def _extreme(name: str) -> Callable[..., Any]:
    """Return what `max` or `min` gives: of all, of two tensors, or values and places in rows."""

    def handler(input: Node, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, Node):
            return OPERATIONS[f"{name}imum"](input, dim)
        if dim is None:
            return OPERATIONS[f"a{name}"](input)
        return tuple(OPERATIONS[f"{kind}{name}"](input, dim, keepdim) for kind in ("a", "arg"))

    handler.__name__ = name
    return handler


OPERATIONS.update({name: _extreme(name) for name in ("max", "min")})


class _Cumulated(Computed):
    """A row worked up from its start: one cell reads all before it; many, the whole tensor."""

    def numbers(self, cells: torch.Tensor) -> torch.Tensor:
        """Return what is in these cells; see `Node`."""
        return super().numbers(cells) if cells.dim() == 1 else at(self.whole(), cells)


def _cumulated(name: str) -> Handler:
    def handler(input: Node, dim: int) -> Node:
        along = axis(input, dim)

        def pick(cells: torch.Tensor) -> torch.Tensor:
            return spread(cells, input.shape, [along])[: int(cells[along]) + 1]

        def whole() -> torch.Tensor:
            made: torch.Tensor = getattr(torch, name)(input.whole().double(), along)
            return made

        words, formula, combine = ROWS[name.removeprefix("cum")]
        formula = f"{formula.format(input.text)} up to here"
        row = (Input("row", input, pick),)
        return _Cumulated(Step(f"{words} so far", formula, input.shape, row, combine, None, whole))

    handler.__name__ = name
    return handler


OPERATIONS.update({name: _cumulated(name) for name in ("cumsum", "cumprod")})


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
