"""Which expression of the source a value was bound to: its statement, and the place in it.

Does not know how an expression is read.
"""

import ast
from typing import Any

from playattention.xray.arithmetic.cells import UnknownError
from playattention.xray.arithmetic.names import elements
from playattention.xray.arithmetic.syntax import at_lines, parsed
from playattention.xray.trace import Trace
from playattention.xray.values import Value


def began(trace: Trace, position: int) -> tuple[int, int]:
    """Return how many values there were before a statement bound its own, and when it began."""
    value, names = trace.values[position], set[str]()
    before = position
    while before >= 0:
        one = trace.values[before]
        if (one.call, one.line, one.source) != (value.call, value.line, value.source):
            break
        if one.name in names:
            break
        names.add(one.name)
        before -= 1
    before += 1
    earlier = range(before - 1, -1, -1)
    after = next((n + 1 for n in earlier if trace.values[n].call == value.call), 0)
    return before, after


def statement_of(trace: Trace, value: Value) -> ast.stmt:
    """Return the statement in the syntax tree that bound a value.

    Raises:
        UnknownError: If it is of a kind that is not followed.
    """
    there = at_lines(parsed(trace.sources[value.file])).get(value.line, [])
    found = [node for node in there if _binds(node, value)]
    if not found:
        raise UnknownError("its statement is not followed")
    if len(found) == 1:
        return found[0]
    # Of several on one line, the one that reads so.
    return next((node for node in found if ast.unparse(node) == _plain(value.source)), found[0])


def _plain(source: str) -> str:
    try:
        return ast.unparse(ast.parse(source))
    except SyntaxError:  # the head of a loop
        return source


def _binds(node: ast.stmt, value: Value) -> bool:
    if value.variable == "return":
        return isinstance(node, ast.Return) and node.value is not None
    try:
        return item_set(node, value) is not None or bool(expression_of(node, value))
    except UnknownError:
        return isinstance(node, ast.For)


def expression_of(statement: ast.stmt, value: Value) -> tuple[ast.expr, list[Any]]:
    """Return the expression that a value was bound to, and which element of it.

    Raises:
        UnknownError: If the statement is of a kind that is not followed.
    """
    match statement:
        case ast.Return(value=ast.expr() as found):
            return found, elements(value.name)
        case ast.Assign(targets=targets, value=found):
            for target in targets:
                place = place_in(target, value, missing=None)
                if place is not None:
                    return found, place
        case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as found):
            return found, place_in(target, value)
        case ast.AugAssign(target=ast.Name(id=name), op=op, value=added) if name == value.variable:
            return ast.BinOp(ast.Name(name, ast.Load()), op, added), elements(value.name)
        case ast.Expr(value=ast.Call() as call) if _changes(call, value.variable):
            return call, elements(value.name)
    for node in ast.walk(statement):
        if isinstance(node, ast.NamedExpr) and node.target.id == value.variable:
            return node.value, elements(value.name)
    raise UnknownError("a statement of this kind is not followed")


def item_set(statement: ast.stmt, value: Value) -> tuple[ast.Subscript, ast.expr] | None:
    """Return which item of a value a statement set, and to what; None: it set none."""
    match statement:
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name)) as target], value=new):
            found: tuple[ast.Subscript, ast.expr] = target, new
        case ast.AugAssign(
            target=ast.Subscript(value=ast.Name(id=name)) as target, op=op, value=added
        ):
            before = ast.Subscript(target.value, target.slice, ast.Load())
            found = target, ast.BinOp(before, op, added)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Subscript(value=ast.Name(id=name)) as target)
            ) as call
        ):
            found = target, call
        case _:
            return None
    return found if name == value.variable else None


def _changes(call: ast.Call, name: str) -> bool:
    """Tell whether a call changes a variable in place and gives it back: `x.mul_(2)`."""
    match call:
        case ast.Call(func=ast.Attribute(value=owner)) if ast.unparse(owner) == name:
            return True
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Attribute(attr=last)) as inner)):
            return last.endswith("_") and _changes(inner, name)  # x.sub_(1).clamp_(0, 3)
        case ast.Call(func=ast.Attribute(attr=function), args=[first, *_]):
            there = any(one.arg == "inplace" for one in call.keywords)
            return (function.endswith("_") or there) and ast.unparse(first) == name
    return False


def place_in(target: ast.expr, value: Value, missing: Any = ()) -> Any:
    """Return which element a variable is bound to in a target such as `query, key`.

    Args:
        target: Of an assignment or a loop.
        value: What was bound.
        missing: What is returned where it is not there.

    Raises:
        UnknownError: If it is not there, and `missing` is not given.
    """
    if ast.unparse(target) == value.variable and not isinstance(target, ast.Subscript):
        return elements(value.name)
    if isinstance(target, ast.Tuple | ast.List):
        for number, part in enumerate(target.elts):
            rest = isinstance(part, ast.Starred) and part is target.elts[-1]
            named = part.value if isinstance(part, ast.Starred) else part
            inner = place_in(named, value, missing=None)
            if inner is not None:
                return [number + inner[0], *inner[1:]] if rest else [number, *inner]
    if missing is None:
        return None
    raise UnknownError(f"how {ast.unparse(target)} was bound")
