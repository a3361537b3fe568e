"""What a call in the source gave: an operation's result, or what the trace has of it.

Does not know how an expression is read; it is given the reader.
"""

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from playattention.xray.arithmetic.calls import Method, called, layer, method
from playattention.xray.arithmetic.cells import Computed, UnknownError
from playattention.xray.arithmetic.names import Lambda, Module, Own
from playattention.xray.arithmetic.returned import Returned

if TYPE_CHECKING:
    from playattention.xray.arithmetic.expressions import Reader


@dataclass(frozen=True)
class Calling:
    """Looks up calls for a reader."""

    reader: "Reader"

    def call(self, node: ast.Call, made: torch.Tensor | None) -> Any:
        """Return what a call gave: an operation's result, or what the trace has of it."""
        try:
            function = self.reader.read(node.func)
        except UnknownError:
            function = Own("")  # whatever it is: if it is the model's, the trace has its result
        if isinstance(function, Module):
            self._note(function)
        own = isinstance(function, Own) or (
            isinstance(function, Module) and not function.kind.startswith("torch.nn.")
        )
        if own and made is not None:
            linked = Returned(self.reader.scope, self.reader.after).this(function, made)
            if linked is not None:
                return linked
        if isinstance(function, Own) and not function.name:
            raise UnknownError(f"what {ast.unparse(node.func)} is")
        given = self.reader.several(node.args)
        named = {
            one.arg: self.reader.read(one.value) for one in node.keywords if one.arg is not None
        }
        if len(named) < len(node.keywords):
            raise UnknownError("a call with **")
        if isinstance(function, Module | Own):
            return self._of_model(function, given, named, made)
        if isinstance(function, Lambda):
            return self._of_lambda(function, given, named)
        if isinstance(function, Method):
            return method(function, given, named, made)
        return called(function, given, named, made)

    def _note(self, module: Module) -> None:
        """Note that a module was called, if it is changed from outside."""
        by = self.reader.scope.trace.parts[module.path].changed
        if by:
            self.reader.changed[module.path] = by

    def _of_lambda(self, function: Lambda, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        names = [one.arg for one in function.node.args.args]
        taken = {**dict(zip(names, given, strict=False)), **named}
        if taken.keys() != {*names} or len(given) > len(names):
            raise UnknownError("a lambda with other arguments than those that it names")
        known = {**self.reader.known, **function.known, **taken}
        return replace(self.reader, known=known).read(function.node.body)

    def _of_model(
        self, function: Module | Own, given: tuple[Any, ...], named: dict[str, Any], made: Any
    ) -> Any:
        """Return what a module, or a function of the model's own source, gave."""
        if isinstance(function, Own) or not function.kind.startswith("torch.nn."):
            return Returned(self.reader.scope, self.reader.after).one(function, given, named)
        if not function.kind.endswith(".Sequential"):
            return layer(function, given, named, made)
        [found] = given
        for child in function.children:
            self._note(child)
            found = self._of_model(child, (found,), {}, None)
            if isinstance(found, Computed):
                found.text = f"{child.text}(...)"
        return found
