"""Arguments of a call that are no tensors, as the caller's source wrote them.

Looks for the calls in the caller's function that may be this one; where several were, with
arguments that differ, it does not guess. Does not know how an expression is read.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from playattention.xray.arithmetic.cells import UnknownError
from playattention.xray.arithmetic.names import Module, Scope
from playattention.xray.arithmetic.syntax import own_expressions, statements

if TYPE_CHECKING:
    from playattention.xray.arithmetic.expressions import Reader


@dataclass(frozen=True)
class Passed:
    """Looks up arguments for a reader."""

    reader: "Reader"

    def argument(self, name: str) -> Any:
        """Return what a parameter was: as the caller wrote it, or as it is by default.

        Raises:
            UnknownError: If the source does not tell.
        """
        scope = self.reader.scope
        assert scope.function is not None
        found: list[Any] = []
        if scope.ran.caller is not None:
            outer = replace(scope, call=scope.ran.caller, before=scope.begin, line=0)
            for line, call in self._sites(outer):
                reader = replace(self.reader, scope=replace(outer, line=line), known={})
                found.append(self._passed(reader, call, name))
        if not found:
            found = [self._default(name)]
        if any(other is not found[0] and other != found[0] for other in found[1:]):
            raise UnknownError(f"which {name} was passed")
        return found[0]

    def _sites(self, outer: Scope) -> Iterator[tuple[int, ast.Call]]:
        """Yield the calls in the caller's source that may be this one, with their lines."""
        if outer.function is None:
            return
        for statement in statements(outer.function.body):
            for node in own_expressions(statement):
                if isinstance(node, ast.Call) and self._calls(outer, statement.lineno, node):
                    yield statement.lineno, node

    def _calls(self, outer: Scope, line: int, node: ast.Call) -> bool:
        ran = self.reader.scope.ran
        if ran.function != "forward":
            last = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            return last == ran.function or (isinstance(last, ast.Name) and last.id == ran.function)
        reader = replace(self.reader, scope=replace(outer, line=line), known={})
        try:
            found = reader.read(node.func)
        except UnknownError:
            return False
        return isinstance(found, Module) and found.path == ran.module

    def _passed(self, reader: "Reader", call: ast.Call, name: str) -> Any:
        for keyword in call.keywords:
            if keyword.arg == name:
                return reader.read(keyword.value)
        parameters = self.reader.scope.parameters
        place = parameters.index(name) - (parameters[:1] == ["self"])
        return reader.read(call.args[place]) if place < len(call.args) else self._default(name)

    def _default(self, name: str) -> Any:
        assert self.reader.scope.function is not None
        given = self.reader.scope.function.args
        positional = [one.arg for one in (*given.posonlyargs, *given.args)]
        defaults = dict(zip(reversed(positional), reversed(given.defaults), strict=False))
        defaults.update(
            {
                one.arg: default
                for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
                if default is not None
            }
        )
        if name not in defaults:
            raise UnknownError(f"which {name} was passed")
        return self.reader.read(defaults[name])
