"""Where one number comes from: the operation of its line, its operands, and the result once more.

    explain(trace, "blocks.0.attention.heads.1", "scores", (0, 4, 2))

Read off the statement's syntax tree and the trace, so that it holds for any model, edited ones
too. Does not know any model; what it can't tell it calls so.
"""

import ast
import math
import operator
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch

from playattention.errors import UserError
from playattention.xray.arithmetic.bindings import Names
from playattention.xray.arithmetic.bound import (
    began,
    expression_of,
    item_set,
    place_in,
    statement_of,
)
from playattention.xray.arithmetic.calls import Method
from playattention.xray.arithmetic.cells import (
    Computed,
    Index,
    Input,
    Leaf,
    Node,
    UnknownError,
    plainly,
    told,
)
from playattention.xray.arithmetic.expressions import Reader
from playattention.xray.arithmetic.names import Scope, elements
from playattention.xray.explanation import CHANGED, Explanation, Operand
from playattention.xray.trace import Trace
from playattention.xray.values import Value

MOST_TERMS = 100_000
"""Operands with more cells are told as a whole."""


def explain(
    trace: Trace, module: str, name: str, index: Sequence[int] | int, occurrence: int = -1
) -> Explanation:
    """Return where one number of a trace comes from.

    Args:
        trace: What a watch saw.
        module: Dotted path of the module; "" is the model itself.
        name: The variable in its source, or `return`.
        index: The cell: one number for each dimension, from 0, or from the end below 0.
        occurrence: Which of the values of that name, from 0; default: the last.

    Returns:
        The operation, its operands, and the result recomputed from them.

    Raises:
        UserError: If there is no such value or cell, or weights were changed since the watch.
    """
    value = trace.one(module, name, occurrence)
    return explain_value(trace, value, index)


def explain_value(trace: Trace, value: Value, index: Sequence[int] | int) -> Explanation:
    """Return where one number of a value comes from; as `explain`.

    Args:
        trace: What a watch saw.
        value: One of its values.
        index: As in `explain`.

    Raises:
        UserError: If there is no such cell, or weights were changed since the watch.
    """
    trace.check_weights()
    cell = _checked(value, index)
    with torch.no_grad():
        number = float(value.tensor[cell])
        reader = _reader(trace, value)
        try:
            node = _node(reader, trace, value)
            if node.shape != value.shape:
                raise UnknownError(f"it gives {node.shape} where the model has {value.shape}")
            found = _explained(node, cell, value.title, number, value)
            if not _agree(found, value):
                raise _disagreement(reader, found)
        except UnknownError as error:
            return _unknown(trace, value, cell, number, error)
        except Exception as error:  # a learner's file may hold what nobody thought of
            why = UnknownError(plainly("its statement", error))
            return _unknown(trace, value, cell, number, why)
    return found


class _ChangedError(UnknownError):
    """A number that the source does not make: it was put there from outside."""


def _disagreement(reader: Reader, found: Explanation) -> UnknownError:
    """Return what can be said where the source gives another number than the model has."""
    if not reader.changed:
        return UnknownError(
            f"{found.operation} of these operands is {found.result:g}, the model's number "
            f"{found.number:g}"
        )
    names = ", ".join(dict.fromkeys(", ".join(reader.changed.values()).split(", ")))
    return _ChangedError(
        f"{names} changed what {' and '.join(reader.changed)} takes in or gives; of these operands "
        f"it would be {found.result:g}"
    )


def _checked(value: Value, index: Sequence[int] | int) -> Index:
    """Return a cell with all numbers counted from 0."""
    asked = index if isinstance(index, Sequence | torch.Tensor) else (index,)
    try:
        cell = tuple(operator.index(place) for place in asked)
    except TypeError:
        raise UserError(f"index = {index}: must be whole numbers, such as (0, 3, 2)") from None
    fits = len(cell) == len(value.shape) and all(
        -size <= place < size for place, size in zip(cell, value.shape, strict=True)
    )
    if not fits:
        raise UserError(
            f"index = {cell}: {value.shown} has the shape {value.shape}; allowed: "
            f"{len(value.shape)} numbers, each below the size of its dimension"
        )
    return tuple(place % size for place, size in zip(cell, value.shape, strict=True))


def _reader(trace: Trace, value: Value) -> Reader:
    """Return what reads the value's statement."""
    position = next(number for number, one in enumerate(trace.values) if one is value)
    before, after = began(trace, position)
    return Reader(Scope(trace, value.call, before, value.line), after)


def _node(reader: Reader, trace: Trace, value: Value) -> Node:
    """Return what the value's statement says that it is."""
    statement = statement_of(trace, value)
    item = item_set(statement, value)
    if isinstance(statement, ast.For):
        found = Names(reader).rounds(statement)
        for place in place_in(statement.target, value):
            found = found[place]
    elif item is not None:
        found = reader.item_set(*item, elements(value.name), value.tensor)
    else:
        expression, place = expression_of(statement, value)
        if isinstance(statement, ast.Expr):
            _check_changes(reader, expression, value)
        found = reader.element(expression, place, value.tensor)
    if not isinstance(found, Node):
        raise UnknownError(f"{told(found)} is no tensor")
    return found


def _check_changes(reader: Reader, call: ast.expr, value: Value) -> None:
    """Check that a bare call gives back what it changed: `x.mul_(2)`, and of `y.add_(x)` not x."""
    assert isinstance(call, ast.Call)
    function = call.func
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
    whose = owner == value.variable or owner.startswith(f"{value.variable}.")
    if not whose and isinstance(reader.read(function), Method):
        raise UnknownError("it was changed in place under another name")


def _explained(
    node: Node, cell: Index, title: str, number: float | None, value: Value | None
) -> Explanation:
    """Return where a cell of a node comes from."""
    [(base, inner)] = node.origins(torch.tensor([cell], dtype=torch.long).view(1, len(cell)))
    facts: dict[str, Any] = {}
    if isinstance(base, Computed):
        step, place = base.step, torch.tensor(inner, dtype=torch.long)
        cells = [part.pick(place) for part in step.inputs]
        numbers = [
            part.node.numbers(picked) for part, picked in zip(step.inputs, cells, strict=True)
        ]
        result = float(step.combine(*numbers))
        if step.facts is not None:
            facts = {name: _fact(fact) for name, fact in step.facts(*numbers).items()}
        parts = zip(step.inputs, cells, numbers, strict=True)
        operands = _in_terms([list(_operands(*part)) for part in parts])
        operation = step.words + ", moved" * (base is not node)
        formula = step.formula
    else:
        operation = base.words if base is node and isinstance(base, Leaf) else "moved"
        result = float(base.numbers(torch.tensor(inner, dtype=torch.long)))
        operands = [_operand(base, inner, result, "operand", None)]
        formula = "" if operation.startswith("what ") else node.text
    return Explanation(
        title,
        cell,
        result if number is None else number,
        operation,
        formula,
        tuple(operands),
        facts,
        result,
        value=value,
    )


def _operands(part: Input, cells: torch.Tensor, numbers: torch.Tensor) -> Iterator[Operand]:
    """Yield the operands that an input of a step stands for."""
    if cells.dim() == 1:
        [(base, cell)] = part.node.origins(cells.view(1, -1))
        yield _operand(base, cell, float(numbers), part.role, None)
    elif len(cells) > MOST_TERMS:
        every = (None,) * len(part.node.shape)
        yield Operand(part.node.text, every, None, part.role, "expression", shape=part.node.shape)
    else:
        origins = part.node.origins(cells)
        for term, ((base, cell), number) in enumerate(zip(origins, numbers.tolist(), strict=True)):
            yield _operand(base, cell, number, part.role, term)


def _operand(base: Node, cell: Index, number: float, role: str, term: int | None) -> Operand:
    if isinstance(base, Leaf):
        at = None if base.path is None else cell if base.place is None else base.place(cell)
        return Operand(base.text, cell, number, role, base.kind, base.path, at, term, base.shape)
    further = partial(_explained, base, cell, base.text, None, None)
    return Operand(
        base.text, cell, number, role, "expression", None, None, term, base.shape, further
    )


def _in_terms(groups: list[list[Operand]]) -> list[Operand]:
    """Return operands in the order in which they are read: a sum's term by term."""
    rows = [group for group in groups if group and group[0].term is not None]
    single = [group for group in groups if group and group[0].term is None]
    terms = [operand for row in zip(*rows, strict=True) for operand in row]
    return [*(operand for group in single for operand in group), *terms]


def _fact(fact: Any) -> Any:
    return float(fact) if isinstance(fact, torch.Tensor) else fact


def _agree(found: Explanation, value: Value) -> bool:
    """Tell whether a result is the model's number, but for rounding: its own, or the operands'."""
    error = found.error
    assert error is not None
    if error <= 1e-6 * abs(found.number) or math.isnan(found.number):
        return error == 0 or not math.isnan(error)
    numbers = value.tensor[value.tensor.isfinite()].double().abs()
    kind = value.tensor.dtype
    rounding = 4 * torch.finfo(kind).eps if kind.is_floating_point else 0.0
    largest = float(numbers.max()) if len(numbers) else 0.0
    sizes = [abs(one.number) for one in found.operands if one.number is not None]
    operands = max((size for size in sizes if math.isfinite(size)), default=0.0)
    return error <= max(max(1e-5, rounding) * largest, max(1e-6, rounding) * operands)


def _unknown(
    trace: Trace, value: Value, cell: Index, number: float, why: UnknownError
) -> Explanation:
    """Return what can be said of a number whose operation is not known: the tensors it names."""
    scope = _reader(trace, value).scope
    operands = []
    try:
        tree: ast.AST = statement_of(trace, value)
    except UnknownError:
        tree = ast.Module([], [])
    loaded = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    for name in dict.fromkeys(node.id for node in loaded if isinstance(node.ctx, ast.Load)):
        found = scope.bound(name)
        found = scope.argument(name) if found is None else found
        if isinstance(found, Leaf):
            every = (None,) * len(found.shape)
            at = None if found.path is None else every
            operands.append(
                Operand(name, every, None, "operand", found.kind, found.path, at, None, found.shape)
            )
    operation = CHANGED if isinstance(why, _ChangedError) else " ".join(value.source.split())
    return Explanation(
        value.title, cell, number, operation, "", tuple(operands), {}, None, str(why), value
    )
