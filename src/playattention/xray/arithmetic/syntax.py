"""Plain questions to a syntax tree: which functions a file has, which names a statement binds.

Does not know traces.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@lru_cache(maxsize=64)
def parsed(text: str) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(text)


@lru_cache(maxsize=64)
def functions(tree: ast.Module) -> list[FunctionNode]:
    """Return all functions of a file."""
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]


@lru_cache(maxsize=64)
def at_lines(tree: ast.Module) -> dict[int, list[ast.stmt]]:
    """Return a file's statements by their first lines, outer ones first."""
    found: dict[int, list[ast.stmt]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            found.setdefault(node.lineno, []).append(node)
    return found


def statements(body: Iterable[ast.AST]) -> Iterable[ast.stmt]:
    """Yield all statements of a body, those inside of others too."""
    for outer in body:
        yield from (node for node in ast.walk(outer) if isinstance(node, ast.stmt))


def names_bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement itself binds, those in its body not included."""
    if isinstance(statement, FUNCTION):
        return {statement.name}
    inner = {
        id(name)
        for node in own_expressions(statement)
        if isinstance(node, ast.comprehension)
        for name in ast.walk(node.target)
    }
    return {
        node.id
        for node in own_expressions(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in inner
    }


def own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield what a statement consists of, but for the statements in its body."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(
            child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)
        )


def appended(body: Iterable[ast.stmt], name: str, line: int) -> Iterator[tuple[ast.stmt, ast.expr]]:
    """Yield what is appended to a list before a line: the statement, or the loop of it, and what.

    Raises:
        LookupError: If the list is changed in another way, or in a way that hangs on more.
    """
    for statement in body:
        if statement.lineno >= line:
            return
        match statement:
            case ast.Expr(value=ast.Call() as call) if _appends(call, name):
                yield statement, call.args[0]
            case ast.For(body=[ast.Expr(value=ast.Call() as call)]) if _appends(call, name):
                yield statement, call.args[0]
            case _:
                calls = (node for node in ast.walk(statement) if isinstance(node, ast.Call))
                if any(_changes(call, name) for call in calls):
                    raise LookupError(name)


def _appends(call: ast.Call, name: str) -> bool:
    return (
        _changes(call, name) and len(call.args) == 1 and ast.unparse(call.func) == f"{name}.append"
    )


def _changes(call: ast.Call, name: str) -> bool:
    """Tell whether a call is one of a method of the list, which may change it."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == name
