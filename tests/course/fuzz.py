"""Mutants that nobody has listed: a source with one thing in its syntax tree changed.

Knows neither exercises nor how a mutant is judged.
"""

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.course.changes import changes, is_negative


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
        for kind, new in [*changes(node), *others]:
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
        given = [*node.args.args, *node.args.kwonlyargs]
        parts = [node.returns, *(one.annotation for one in given)]
    elif isinstance(node, ast.AnnAssign):
        parts = [node.annotation]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        parts = [node]
    elif is_negative(node):
        parts = [node.operand]  # the number is changed with its sign
    elif isinstance(node, ast.Raise):
        parts = [node.exc]  # how an error is worded
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
