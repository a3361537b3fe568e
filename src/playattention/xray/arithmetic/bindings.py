"""Names that are no tensors of the trace: sizes, modules in loops, functions, the file's imports.

Their assignments are read again, as they stand in the source: `T = idx.size(1)`, `for block in
self.blocks`. Where it hangs on more than the source tells, it is not guessed. Does not know how an
expression is read; it is given the reader.
"""

import ast
import builtins
import importlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playattention.xray.arithmetic.calls import as_items
from playattention.xray.arithmetic.cells import UnknownError
from playattention.xray.arithmetic.names import Own, Scope
from playattention.xray.arithmetic.passed import Passed
from playattention.xray.arithmetic.syntax import (
    FUNCTION,
    appended,
    functions,
    names_bound,
    parsed,
    statements,
)

if TYPE_CHECKING:
    from playattention.xray.arithmetic.expressions import Reader

LIBRARIES = ("torch", "math")
"""Whose functions are known by name."""


@dataclass(frozen=True)
class Names:
    """Looks up names for a reader."""

    reader: "Reader"

    @property
    def scope(self) -> Scope:
        """The reader's scope."""
        return self.reader.scope

    def local(self, name: str) -> Any:
        """Return what a name stands for, from the inside out.

        Raises:
            UnknownError: If the source does not tell.
        """
        function = self.scope.function
        if function is not None:
            found = self._binding(function.body, name)
            if found is not None:
                return self._bound(found, name)
            if name in self.scope.parameters:
                return Passed(self.reader).argument(name)
        return self._global(name, self.scope.tree)

    def _binding(self, body: list[ast.stmt], name: str) -> ast.stmt | None:
        """Return the statement before this one that bound a name last; None if none did."""
        found: ast.stmt | None = None
        for statement in body:
            if statement.lineno > self.scope.line or (
                statement.lineno == self.scope.line and not isinstance(statement, ast.For)
            ):
                break
            holds = self.scope.line <= (statement.end_lineno or 0)
            if not any(name in names_bound(inner) for inner in statements([statement])):
                continue
            if isinstance(statement, ast.If):
                found = self._branch(statement, name, holds) or found
            elif isinstance(statement, ast.For | ast.While | ast.With) and holds:
                found = self._in_loop(statement, name) or found
            else:
                found = statement  # a loop that is over, too: what it left is not told below
        return found

    def _branch(self, statement: ast.If, name: str, holds: bool) -> ast.stmt | None:
        within = [
            body
            for body in (statement.body, statement.orelse)
            if body and body[0].lineno <= self.scope.line <= (body[-1].end_lineno or 0)
        ]
        if holds and within:
            return self._binding(within[0], name)
        earlier = replace(self.reader, scope=replace(self.scope, line=statement.lineno))
        return self._binding(
            statement.body if earlier.truth(statement.test) else statement.orelse, name
        )

    def _in_loop(self, statement: ast.For | ast.While | ast.With, name: str) -> ast.stmt | None:
        """Return what binds a name in a loop around this statement, if each round does the same."""
        inside = [one for one in statements(statement.body) if name in names_bound(one)]
        if isinstance(statement, ast.For) and name in names_bound(statement) and not inside:
            return statement
        found = self._binding(statement.body, name)
        if found is None and [one.lineno for one in inside] == [self.scope.line]:
            return None  # the first round: what a later one found is in the trace
        if not isinstance(statement, ast.With) and (found is None or len(inside) > 1):
            raise UnknownError(f"what {name} was in this round of the loop")
        return found

    def _bound(self, statement: ast.stmt, name: str) -> Any:
        """Return what a statement bound a name to."""
        reader = self._then(statement)
        holds = statement.lineno <= self.scope.line <= (statement.end_lineno or 0)
        if isinstance(statement, ast.For) and holds:
            return matched(statement.target, self.rounds(statement))[name]
        if isinstance(statement, ast.Assign):
            found = reader.read(statement.value)
            if found == () and isinstance(statement.value, ast.List):
                return self._filled(name)
            return matched(statement.targets[0], found)[name]
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            return reader.read(statement.value)
        if isinstance(statement, FUNCTION):
            return Own(name)
        raise UnknownError(f"what {name} was after line {statement.lineno}")

    def _then(self, statement: ast.stmt) -> "Reader":
        """Return a reader that sees what an earlier statement saw."""
        scope, end = self.scope, statement.end_lineno or 0
        body = [] if scope.function is None else scope.function.body
        loops = (node for node in statements(body) if isinstance(node, ast.For | ast.While))
        before = scope.before
        if not any(
            loop.lineno < statement.lineno and end <= (loop.end_lineno or 0) for loop in loops
        ):
            before = next(
                (
                    number
                    for number, value in enumerate(scope.trace.values[:before])
                    if value.call == scope.call and value.line > end
                ),
                before,
            )
        return replace(
            self.reader, scope=replace(scope, line=statement.lineno, before=before), known={}
        )

    def _filled(self, name: str) -> list[Any]:
        """Return what a list holds that began empty."""
        assert self.scope.function is not None
        found: list[Any] = []
        try:
            steps = list(appended(self.scope.function.body, name, self.scope.line))
        except LookupError:
            raise UnknownError(f"what {name} holds") from None
        for statement, added in steps:
            reader = self._then(statement)
            if isinstance(statement, ast.For):
                known = [
                    matched(statement.target, one) for one in as_items(reader.read(statement.iter))
                ]
                found.extend(replace(reader, known=one).read(added) for one in known)
            else:
                found.append(reader.read(added))
        return found

    def rounds(self, loop: ast.For) -> Any:
        """Return what a loop went through in the round in which the statement ran.

        Raises:
            UnknownError: If the trace does not tell which round that was.
        """
        outside = replace(self.reader, scope=replace(self.scope, line=loop.lineno), known={})
        items = as_items(outside.read(loop.iter))
        place = self._round(loop)
        if place >= len(items):
            raise UnknownError(f"which round of the loop over {ast.unparse(loop.iter)}")
        return items[place]

    def _round(self, loop: ast.For) -> int:
        """Return in which round of a loop the statement ran, by how often it had run before."""
        if any(isinstance(one, ast.For | ast.While) for one in statements(loop.body)):
            raise UnknownError("which round of a loop in a loop")
        runs: dict[str, int] = {}
        for value in self.scope.trace.values[: self.scope.before]:
            if value.call == self.scope.call and value.line == self.scope.line:
                runs[value.name] = runs.get(value.name, 0) + 1
        return max(runs.values(), default=0)

    def _global(self, name: str, tree: ast.Module) -> Any:
        """Return what a file binds a name to."""
        for statement in reversed(tree.body):
            match statement:
                case ast.Import(names=aliases):
                    for alias in aliases:
                        if name == (alias.asname or alias.name.partition(".")[0]):
                            return _library(alias.name if alias.asname else name)
                case ast.ImportFrom(module=str() as home, names=aliases):
                    for alias in aliases:
                        if name == (alias.asname or alias.name):
                            return self._imported(home, alias.name)
                case ast.Assign(value=value) if name in names_bound(statement):
                    return matched(statement.targets[0], self._at_top(tree, value))[name]
                case ast.AnnAssign(value=ast.expr() as value) if name in names_bound(statement):
                    return self._at_top(tree, value)
                case ast.FunctionDef() if statement.name == name:
                    return Own(name)
        if name in vars(builtins):
            return getattr(builtins, name)
        raise UnknownError(f"what {name} is")

    def _at_top(self, tree: ast.Module, value: ast.expr) -> Any:
        names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        names -= {node.arg for node in ast.walk(value) if isinstance(node, ast.arg)}
        return replace(self.reader, known={one: self._global(one, tree) for one in names}).read(
            value
        )

    def _imported(self, home: str, name: str) -> Any:
        """Return what a file imports from another."""
        if home.partition(".")[0] in LIBRARIES:
            package = _library(home)
            found = getattr(package, name, None)
            return _library(f"{home}.{name}") if found is None else found
        for file, text in self.scope.trace.sources.items():
            if Path(file).stem == home.rpartition(".")[2]:
                return self._global(name, parsed(text))
        return Own(name)


@dataclass(frozen=True)
class Settings:
    """Settings that a module keeps in one object: `self.config`."""

    known: dict[str, Any]
    told = "an object of settings"


def matched(target: ast.expr, found: Any) -> dict[str, Any]:
    """Return names and what they are bound to: (a, b) and (1, 2) -> a: 1, b: 2."""
    if isinstance(target, ast.Name):
        return {target.id: found}
    if isinstance(target, ast.Tuple | ast.List):
        parts = as_items(found)
        last = target.elts[-1]
        if isinstance(last, ast.Starred):
            names = ast.Tuple([*target.elts[:-1], last.value], ast.Store())
            place = len(names.elts) - 1
            return matched(names, [*parts[:place], parts[place:]])
        if len(parts) != len(target.elts):
            raise UnknownError(f"how {ast.unparse(target)} was bound")
        bound: dict[str, Any] = {}
        for inner, part in zip(target.elts, parts, strict=True):
            bound.update(matched(inner, part))
        return bound
    raise UnknownError(f"how {ast.unparse(target)} was bound")


def defined(scope: Scope, name: str) -> bool:
    """Tell whether one of the trace's files defines a function of this name."""
    trees = (parsed(text) for text in scope.trace.sources.values())
    return any(node.name == name for tree in trees for node in functions(tree))


def is_property(scope: Scope, name: str) -> bool:
    """Tell whether one of the trace's files defines a property of this name."""
    trees = (parsed(text) for text in scope.trace.sources.values())
    return any(
        node.name == name and ast.unparse(decorator).endswith("property")
        for tree in trees
        for node in functions(tree)
        for decorator in node.decorator_list
    )


def _library(name: str) -> Any:
    """Return torch, or a part of it, or Python's own mathematics."""
    if name.partition(".")[0] not in LIBRARIES:
        raise UnknownError(f"what {name} is")
    return math if name == "math" else importlib.import_module(name)
