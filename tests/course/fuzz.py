"""Mutants that nobody has listed: a source with one thing in its syntax tree changed.

Knows neither exercises nor how a mutant is judged.
"""

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Mutant:
    """A source with one change.

    Args:
        kind: Of change: "operator", "left out".
        before: The first line of the innermost statement around it, as `ast.unparse` writes it.
        after: The same with the change; "" where the statement is left out.
        source: The whole.
    """

    kind: str
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.before}  ->  {self.after or '(nothing)'}"


def mutants(source: str) -> list[Mutant]:
    """Return all mutants of a source that are different from it and from each other."""
    tree = ast.parse(source)
    plain = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    known = _known(tree)
    for place, statement, node in _places(tree):
        others = [("another variable", ast.Name(name, ast.Load())) for name in known.get(node, ())]
        for kind, new in [*_changes(node), *others]:
            changed = copy.deepcopy(tree)
            old, around = _at(changed, place)
            after = _put(changed, old, new, around)
            text = ast.unparse(ast.fix_missing_locations(changed))
            if text != plain:
                found.setdefault(text, Mutant(kind, _first_line(statement), after, text))
    return list(found.values())


def sample(all_mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """Draw mutants, all kinds in turn, so that the commonest does not crowd out the others."""
    chance = random.Random(seed)
    drawn = chance.sample(all_mutants, len(all_mutants))
    kinds = sorted({one.kind for one in drawn})
    queues = [[one for one in drawn if one.kind == kind] for kind in kinds]
    taken: list[Mutant] = []
    while len(taken) < min(count, len(drawn)):
        taken += [queue.pop() for queue in queues if queue]
    return taken[:count]


def _places(tree: ast.Module) -> Iterator[tuple[int, ast.stmt, ast.AST]]:
    """Yield what can be changed: its place in `ast.walk`, its statement, itself."""
    around = _statements(tree)
    ignored = {
        inner for node in ast.walk(tree) for part in _untouchable(node) for inner in ast.walk(part)
    }
    for place, node in enumerate(ast.walk(tree)):
        if node in around and node not in ignored:
            yield place, around[node], node


def _untouchable(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node that change nothing in what it does: imports, types, words."""
    parts: list[ast.AST | None] = []
    if isinstance(node, ast.Import | ast.ImportFrom):
        parts = [node]
    elif isinstance(node, ast.FunctionDef):
        parts = [node.returns, *(one.annotation for one in node.args.args)]
    elif isinstance(node, ast.AnnAssign):
        parts = [node.annotation]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        parts = [node]
    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        parts = [*node.exc.args]  # how an error is worded
    return [part for part in parts if part is not None]


def _statements(tree: ast.Module) -> dict[ast.AST, ast.stmt]:
    """Return for each node the innermost statement that it is part of."""
    around: dict[ast.AST, ast.stmt] = {}
    for statement in ast.walk(tree):  # outer ones first: inner ones take their parts over
        if isinstance(statement, ast.stmt):
            around |= dict.fromkeys(ast.walk(statement), statement)
    return around


def _known(tree: ast.Module) -> dict[ast.AST, list[str]]:
    """Return for each variable that is read the others that its function knows by then."""
    found: dict[ast.AST, list[str]] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            lines = {one.arg: function.lineno for one in function.args.args if one.arg != "self"}
            names = [one for one in ast.walk(function) if isinstance(one, ast.Name)]
            for one in sorted(names, key=lambda name: name.lineno):
                if isinstance(one.ctx, ast.Store):
                    lines.setdefault(one.id, one.lineno)
            for one in names:
                if one.id in lines and isinstance(one.ctx, ast.Load):
                    found[one] = [name for name, line in lines.items() if line < one.lineno]
    return found


def _at(tree: ast.Module, place: int) -> tuple[ast.AST, ast.stmt]:
    node = list(ast.walk(tree))[place]
    return node, _statements(tree)[node]


def _put(tree: ast.Module, old: ast.AST, new: ast.AST | None, around: ast.stmt) -> str:
    """Put a node in another's place; return the first line of the statement, then."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list) and any(one is old for one in value):
                place = next(n for n, one in enumerate(value) if one is old)
                value[place : place + 1] = [] if new is None else [new]
    if old is not around:
        return _first_line(ast.fix_missing_locations(around))
    return "" if new is None or isinstance(new, ast.Pass) else _first_line(new)


def _first_line(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node)).partition("\n")[0]


def _changes(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.stmt):
        yield from _of_statement(node)
    elif isinstance(node, ast.BinOp):
        yield from _of_arithmetic(node)
    elif isinstance(node, ast.UnaryOp):
        yield "sign or not left out", node.operand
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and for or", ast.BoolOp(other, node.values)
        yield from (("half a condition", value) for value in node.values)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for kind in COMPARISONS.get(type(node.ops[0]), ()):
            yield "comparison", ast.Compare(node.left, [kind()], node.comparators)
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node)
    elif isinstance(node, ast.Slice):
        yield from _of_slice(node)
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        yield from _of_order(node)
    elif isinstance(node, ast.IfExp):
        yield from (("one branch", branch) for branch in (node.body, node.orelse))
    elif isinstance(node, ast.comprehension):
        bare = ast.comprehension(node.target, node.iter, node.ifs[1:], node.is_async)
        yield from [("condition left out", bare)] * bool(node.ifs)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    yield from _of_name(node)


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
    for first in range(len(node.elts) - 1):
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
