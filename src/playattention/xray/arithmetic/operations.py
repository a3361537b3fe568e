"""What operators and functions compute, one handler each: names -> a step for every cell.

A handler takes what the source passes, as torch names it; arguments that it does not take are
refused, and so never guessed at. A new operation is one function with `@operation`. Does not know
where operands come from; norms, lookups and losses are in `layers.py`.
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
    constant,
    moved,
    told,
)

Handler = Callable[..., Node]
OPERATIONS: dict[str, Handler] = {}
"""Name of a function, method or operator -> what it computes."""

_MOVEMENTS = """T mT H t view reshape flatten unflatten transpose swapaxes permute movedim chunk
    split unbind tensor_split squeeze unsqueeze expand expand_as view_as reshape_as repeat
    repeat_interleave tile narrow select index_select gather take_along_dim flip roll cat concat
    stack hstack vstack tril triu diagonal rot90 pad broadcast_to unfold __getitem__"""
MOVEMENTS = frozenset(_MOVEMENTS.split())
"""What puts cells in another order or shape and computes nothing."""

_SAME = """contiguous clone detach to float double half bfloat16 type type_as cpu cuda
    requires_grad_ alias"""
SAME = frozenset(_SAME.split())
"""What leaves every cell as it is, but for rounding."""


def operation(*names: str) -> Callable[[Handler], Handler]:
    """Return a decorator that registers a handler under these names."""

    def register(handler: Handler) -> Handler:
        OPERATIONS.update(dict.fromkeys(names, handler))
        return handler

    return register


def as_node(value: Any) -> Node:
    """Return an operand as a node.

    Raises:
        UnknownError: If it is no number.
    """
    if isinstance(value, Node):
        return value
    if isinstance(value, bool | int | float):
        return constant(value)
    raise UnknownError(f"{told(value)} is no number")


def axis(node: Node, dim: int) -> int:
    """Return a dimension counted from the front."""
    if not -len(node.shape) <= dim < len(node.shape):
        raise UnknownError(f"no dimension {dim} in {node.shape}")
    return dim % len(node.shape)


def together(*shapes: Index) -> Index:
    """Return the shape that operands of these shapes are stretched to.

    Raises:
        UnknownError: If they do not fit.
    """
    try:
        return tuple(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise UnknownError(str(error)) from None


def elementwise(
    words: str,
    formula: str,
    function: Callable[..., torch.Tensor],
    operands: Sequence[tuple[str, Any]],
    facts: Callable[..., dict[str, Any]] | None = None,
) -> Computed:
    """Return what a function makes of each cell alone.

    Args:
        words: What it does.
        formula: How it is written; {0}, {1} stand for the operands.
        function: Computes it.
        operands: Role and value of each.
        facts: As in `Step`.
    """
    nodes = [(role, as_node(value)) for role, value in operands]
    return Computed(
        Step(
            words,
            formula.format(*(node.text for _, node in nodes)),
            together(*(node.shape for _, node in nodes)),
            tuple(Input(role, node, broadcast(node.shape)) for role, node in nodes),
            function,
            facts,
        )
    )


BINARY: dict[str, tuple[str, str, Callable[..., torch.Tensor]]] = {
    "add": ("sum", "{0} + {1}", torch.add),
    "sub": ("difference", "{0} - {1}", torch.sub),
    "mul": ("product", "{0} * {1}", torch.mul),
    "div": ("quotient", "{0} / {1}", torch.div),
    "pow": ("power", "{0} ** {1}", torch.pow),
    "floor_divide": ("quotient, rounded down", "{0} // {1}", torch.floor_divide),
    "remainder": ("remainder", "{0} % {1}", torch.remainder),
    "maximum": ("the larger", "max({0}, {1})", torch.maximum),
    "minimum": ("the smaller", "min({0}, {1})", torch.minimum),
    "lt": ("comparison", "{0} < {1}", torch.lt),
    "le": ("comparison", "{0} <= {1}", torch.le),
    "gt": ("comparison", "{0} > {1}", torch.gt),
    "ge": ("comparison", "{0} >= {1}", torch.ge),
    "eq": ("comparison", "{0} == {1}", torch.eq),
    "ne": ("comparison", "{0} != {1}", torch.ne),
    "logical_and": ("both", "{0} and {1}", torch.logical_and),
    "logical_or": ("either", "{0} or {1}", torch.logical_or),
}
_TRUTHS = "lt le gt ge eq ne logical_and logical_or logical_not bool"
KINDS = {**dict.fromkeys(_TRUTHS.split(), torch.bool), "long": torch.long, "int": torch.int}
"""What gives no fractions: true or false, or whole numbers."""

UNARY: dict[str, tuple[str, str, Callable[..., torch.Tensor]]] = {
    "neg": ("negative", "-{0}", torch.neg),
    "abs": ("size", "|{0}|", torch.abs),
    "exp": ("exponential", "exp({0})", torch.exp),
    "log": ("logarithm", "ln({0})", torch.log),
    "sqrt": ("square root", "sqrt({0})", torch.sqrt),
    "rsqrt": ("1 / square root", "1 / sqrt({0})", torch.rsqrt),
    "reciprocal": ("1 / number", "1 / {0}", torch.reciprocal),
    "square": ("square", "{0}^2", torch.square),
    "sin": ("sine", "sin({0})", torch.sin),
    "cos": ("cosine", "cos({0})", torch.cos),
    "tanh": ("tanh", "tanh({0})", torch.tanh),
    "sigmoid": ("sigmoid", "1 / (1 + exp(-{0}))", torch.sigmoid),
    "round": ("rounded", "round({0})", torch.round),
    "sign": ("sign", "sign({0})", torch.sign),
    "floor": ("rounded down", "floor({0})", torch.floor),
    "logical_not": ("not", "not {0}", torch.logical_not),
    "bool": ("not zero", "{0} != 0", torch.Tensor.bool),
    "long": ("whole part", "trunc({0})", torch.trunc),
    "int": ("whole part", "trunc({0})", torch.trunc),
}


def _binary(name: str) -> Handler:
    words, formula, function = BINARY[name]

    def handler(x: Any, other: Any) -> Node:
        def compute(*parts: torch.Tensor) -> torch.Tensor:
            return function(*parts).double()

        made = elementwise(words, formula, compute, [("left", x), ("right", other)])
        made.dtype = KINDS.get(name, made.dtype)
        return made

    handler.__name__ = name
    return handler


def _unary(name: str) -> Handler:
    words, formula, function = UNARY[name]

    def handler(input: Any) -> Node:
        def compute(part: torch.Tensor) -> torch.Tensor:
            return function(part).double()

        made = elementwise(words, formula, compute, [("operand", input)])
        made.dtype = KINDS.get(name, made.dtype)
        return made

    handler.__name__ = name
    return handler


OPERATIONS.update({name: _binary(name) for name in BINARY})
OPERATIONS.update({name: _unary(name) for name in UNARY})
OPERATIONS.update(
    {
        other: OPERATIONS[name]
        for other, name in {
            "subtract": "sub",
            "multiply": "mul",
            "divide": "div",
            "true_divide": "div",
            "negative": "neg",
            "absolute": "abs",
        }.items()
    }
)


@operation("clamp", "clip")
def clamp(input: Any, min: float | None = None, max: float | None = None) -> Node:
    """Keep a number within bounds."""

    def compute(part: torch.Tensor) -> torch.Tensor:
        return part.clamp(min, max)

    return elementwise("bounds", f"{{0}} within {min}, {max}", compute, [("operand", input)])


def choice(condition: Any, chosen: Any, other: Any) -> Node:
    """Take one of two operands where a condition holds, the other elsewhere."""

    def compute(holds: torch.Tensor, yes: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
        return torch.where(holds != 0, yes, no)

    operands = [("condition", condition), ("where true", chosen), ("where false", other)]
    return elementwise("choice", "{1} where {0}, else {2}", compute, operands)


@operation("where")
def where(condition: Any, input: Any, other: Any) -> Node:
    """Choose by a condition; the method `x.where(condition, other)` is turned to this order."""
    return choice(condition, input, other)


@operation("masked_fill")
def masked_fill(input: Any, mask: Any, value: Any) -> Node:
    """Replace what is masked."""
    return choice(mask, value, input)


@operation("fill")
def fill(input: Any, value: Any) -> Node:
    """Put one number everywhere."""
    return elementwise("filled", "{1}", _second, [("before", input), ("number", value)])


@operation("zero")
def zero(input: Any) -> Node:
    """Put 0 everywhere."""
    return fill(input, 0)


@operation("copy")
def copy(input: Any, src: Any) -> Node:
    """Put other numbers in the place of all."""
    return elementwise("copied", "{1}", _second, [("before", input), ("copied", src)])


def _second(before: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return torch.where(before == before, new, new)  # noqa: PLR0124 - stretched to the same shape


@operation("lerp")
def lerp(input: Any, end: Any, weight: Any) -> Node:
    """Go part of the way from one number to another."""
    operands = [("start", input), ("end", end), ("part of the way", weight)]
    return elementwise("between", "{0} + {2} * ({1} - {0})", _between, operands)


def _between(start: torch.Tensor, end: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return start + weight * (end - start)


def move_one(apply: Callable[[torch.Tensor], torch.Tensor], node: Node) -> Node:
    """Return what a pure movement of one tensor makes."""
    found = moved(lambda parts: apply(parts[0]), [node])
    assert isinstance(found, Node)
    found.text = node.text
    return found
