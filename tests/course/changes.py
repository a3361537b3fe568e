"""What may stand in the place of a node of a syntax tree: the edits that make a mutant."""

import ast
from collections.abc import Callable, Iterator
from typing import Any

Change = tuple[str, ast.AST | None]
"""A kind of change, and what stands in the place of a node; None: nothing."""

OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult, ast.Div),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}

COMPARISONS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}

PAIRS = (
    "sum mean|max min|amax amin|argmax argmin|maximum minimum|tril triu|ones zeros|cumsum cumprod"
    "|ones_like zeros_like|log exp|sin cos|sqrt square|rsqrt sqrt|softmax log_softmax|eval train"
    "|add_ sub_|mul_ div_|floor ceil|cat stack|unsqueeze squeeze|any all|append extend|var std"
    "|keys values|startswith endswith|removeprefix removesuffix|gelu relu"
    "|encode decode|lower upper|split rsplit|partition rpartition|randint randperm|topk sort"
    "|masked_fill masked_scatter|ones_ zeros_|view permute|flatten squeeze|n_embd n_head|min sum"
)
SYMMETRIC = ("transpose", "swapaxes", "min", "max", "maximum", "minimum", "isinstance")
"""Swapped arguments change nothing here, or fail."""

NAMES: dict[str, list[str]] = {}
for pair in PAIRS.split("|"):
    for one, other in (pair.split(), pair.split()[::-1]):
        NAMES.setdefault(one, []).append(other)


def is_negative(node: ast.AST) -> bool:
    """Tell a negative number, which is a sign and a number in the tree."""
    return (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Constant)
    )


def changes(node: ast.AST) -> Iterator[Change]:
    """Yield what may stand in the place of a node, each with the kind of change that it is."""
    for kind, alternatives in OF.items():
        if isinstance(node, kind):
            yield from alternatives(node)
    yield from _of_name(node)


def _of_sign(node: ast.UnaryOp) -> Iterator[Change]:
    if is_negative(node):
        yield from _of_constant(ast.Constant(-node.operand.value))
    else:
        yield "sign or not left out", node.operand


def _of_logic(node: ast.BoolOp) -> Iterator[Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield "and for or", ast.BoolOp(other, node.values)
    yield from (("half a condition", value) for value in node.values)


def _of_comparison(node: ast.Compare) -> Iterator[Change]:
    for kind in COMPARISONS.get(type(node.ops[0]), ()):
        yield "comparison", ast.Compare(node.left, [kind(), *node.ops[1:]], node.comparators)


def _of_choice(node: ast.IfExp) -> Iterator[Change]:
    yield from (("one branch", branch) for branch in (node.body, node.orelse))


def _of_filter(node: ast.comprehension) -> Iterator[Change]:
    if node.ifs:
        bare = ast.comprehension(node.target, node.iter, node.ifs[1:], node.is_async)
        yield "condition left out", bare


def _of_statement(node: ast.stmt) -> Iterator[Change]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return
    yield "statement left out", ast.Pass()
    if isinstance(node, ast.If):
        yield "always", ast.If(ast.Constant(True), node.body, node.orelse)
    if isinstance(node, ast.AugAssign):
        load = ast.parse(ast.unparse(node.target), mode="eval").body
        yield "assigned, not added", ast.Assign([node.target], node.value)
        for kind in OPERATORS.get(type(node.op), ()):
            yield "operator", ast.Assign([node.target], ast.BinOp(load, kind(), node.value))


def _of_arithmetic(node: ast.BinOp) -> Iterator[Change]:
    for kind in OPERATORS.get(type(node.op), ()):
        yield "operator", ast.BinOp(node.left, kind(), node.right)
    if not isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
        yield "operands swapped", ast.BinOp(node.right, node.op, node.left)
    yield "operand left out", node.left
    yield "operand left out", node.right


def _of_constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int):
        yield from (("constant", _number(new)) for new in {value + 1, value - 1, 0, -value})
    elif isinstance(value, float):
        yield from (("constant", _number(new)) for new in {value * 2, value + 1, 0.0, -value})
    elif isinstance(value, str | bytes):
        yield "text", ast.Constant(value[:-1])
        yield "text", ast.Constant(value[1:])


def _number(value: float) -> ast.expr:
    positive = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), positive) if value < 0 else positive


def _of_slice(node: ast.Slice) -> Iterator[Change]:
    low, high = node.lower, node.upper
    yield "slice", ast.Slice(None, high, node.step)
    yield "slice", ast.Slice(low, None, node.step)
    for move in (1, -1):
        if high is not None:
            yield "slice", ast.Slice(low, _moved(high, move), node.step)
        if low is not None:
            yield "slice", ast.Slice(_moved(low, move), high, node.step)
    if low is None:
        yield "slice", ast.Slice(ast.Constant(1), high, node.step)
    if high is None:
        yield "slice", ast.Slice(low, _number(-1), node.step)


def _moved(node: ast.expr, move: int) -> ast.expr:
    return ast.BinOp(node, ast.Add() if move > 0 else ast.Sub(), ast.Constant(1))


def _of_order(node: ast.Tuple) -> Iterator[Change]:
    reads = isinstance(node.ctx, ast.Load)
    for first in range(len(node.elts) - 1) if reads else ():
        left, right = node.elts[first : first + 2]
        yield (
            "order",
            ast.Tuple([*node.elts[:first], right, left, *node.elts[first + 2 :]], node.ctx),
        )


def _of_call(node: ast.Call) -> Iterator[Change]:
    given, options = node.args, node.keywords
    for n in range(len(given)):
        yield "argument left out", ast.Call(node.func, given[:n] + given[n + 1 :], options)
    for n in range(len(given) - 1) if _name(node) not in SYMMETRIC else ():
        swapped = [*given[:n], given[n + 1], given[n], *given[n + 2 :]]
        yield "arguments swapped", ast.Call(node.func, swapped, options)
    for n in range(len(options)):
        yield "option left out", ast.Call(node.func, given, options[:n] + options[n + 1 :])
    if isinstance(node.func, ast.Attribute):
        yield "call left out", node.func.value
    if given:
        yield "call left out", given[0]
    if isinstance(node.func, ast.Name) and node.func.id == "range":
        for move in (1, -1):
            yield "range", ast.Call(node.func, [*given[:-1], _moved(given[-1], move)], options)


def _name(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def _of_name(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        for other in NAMES.get(node.attr, ()):
            yield "name", ast.Attribute(node.value, other, node.ctx)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for other in NAMES.get(node.id, ()):
            yield "name", ast.Name(other, node.ctx)


OF: dict[type[ast.AST], Callable[[Any], Iterator[Change]]] = {
    ast.stmt: _of_statement,
    ast.BinOp: _of_arithmetic,
    ast.UnaryOp: _of_sign,
    ast.BoolOp: _of_logic,
    ast.Compare: _of_comparison,
    ast.Constant: _of_constant,
    ast.Slice: _of_slice,
    ast.Tuple: _of_order,
    ast.IfExp: _of_choice,
    ast.comprehension: _of_filter,
    ast.Call: _of_call,
}
