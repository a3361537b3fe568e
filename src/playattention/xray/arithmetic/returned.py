"""What the model's own modules and functions gave back to a statement that called them.

Found in the trace: by the very tensor, else by who was called and with what. Does not know
expressions.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from playattention.xray.arithmetic.cells import Leaf, Node, UnknownError
from playattention.xray.arithmetic.names import Module, Own, Scope, same


@dataclass(frozen=True)
class Returned:
    """Looks up results for a statement.

    Args:
        scope: What the statement sees.
        after: How many values the trace had when it began.
    """

    scope: Scope
    after: int

    def this(self, function: Module | Own, made: torch.Tensor) -> Leaf | None:
        """Return the result that is this very tensor; None if there is none.

        Args:
            function: Who was called.
            made: What the statement bound.
        """
        for call, found in reversed(self.scope.returns(self.after).items()):
            if isinstance(found, Leaf) and found.tensor is made and self._calls(call, function):
                return found
        return None

    def one(self, function: Module | Own, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Return the result of the call that was given these arguments.

        Args:
            function: Who was called.
            given: With what.
            named: The same, by name.

        Raises:
            UnknownError: If the trace has none, or several that differ.
        """
        results = [
            found
            for call, found in self.scope.returns(self.after).items()
            if self._calls(call, function) and self._took(call, given, named)
        ]
        if not results:
            what = function.name if isinstance(function, Own) else function.text
            raise UnknownError(f"what {what} returned was not kept")
        if not all(_equal(results[0], other) for other in results[1:]):
            raise UnknownError("which of several calls it was")
        return results[0]

    def _calls(self, number: int, function: Module | Own) -> bool:
        call = self.scope.trace.calls[number]
        if isinstance(function, Module):
            return call.module == function.path and call.function == "forward"
        return function.name in ("", call.function)

    def _took(self, number: int, given: tuple[Any, ...], named: dict[str, Any]) -> bool:
        """Tell whether a call took these tensors."""
        arguments = self.scope.trace.calls[number].arguments
        parameters = replace(self.scope, call=number).parameters
        if parameters[:1] == ["self"]:
            parameters = parameters[1:]
        taken = {**dict(zip(parameters, given, strict=False)), **named}
        return all(
            name in arguments and _is(value, arguments[name])
            for name, value in taken.items()
            if isinstance(value, Node)
        )


def _is(node: Node, tensor: torch.Tensor) -> bool:
    """Tell whether a node is a tensor, by its numbers where it has no memory of its own."""
    if isinstance(node, Leaf) and same(node.tensor, tensor):
        return True
    if node.shape != tuple(tensor.shape):
        return False
    return torch.allclose(
        node.whole().cpu().double(), tensor.cpu().double(), 1e-4, 1e-6, equal_nan=True
    )


def _equal(one: Any, other: Any) -> bool:
    return (
        isinstance(one, Leaf) and isinstance(other, Leaf) and torch.equal(one.tensor, other.tensor)
    )
