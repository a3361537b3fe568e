"""What an expression of the model's source stands for: nodes, numbers, modules, lists of them.

Reads the syntax tree as Python would, with the names of one call (`names.py`). Numbers of tensors
are not computed here but asked for later, cell by cell. What it can't tell, it says.
"""

import ast
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import torch

from playattention.xray.arithmetic import bindings
from playattention.xray.arithmetic.calling import Calling
from playattention.xray.arithmetic.calls import (
    Method,
    as_items,
    item,
    number_of,
    of_tensor,
    operate,
    put,
)
from playattention.xray.arithmetic.cells import Leaf, Node, UnknownError
from playattention.xray.arithmetic.names import Lambda, Module, Own, Scope
from playattention.xray.arithmetic.operations import as_node
from playattention.xray.arithmetic.returned import Returned

_PAIR = ("values", "indices")
"""What the maximum along a dimension gives: `x.max(-1).values`."""
_KINDS = {
    "Set": "a set",
    "SetComp": "a set in a comprehension",
    "JoinedStr": "an f-string",
    "Compare": "a comparison in a row",
    "Await": "an await",
    "Yield": "a yield",
    "Starred": "a starred expression",
}
"""What is not followed, in words."""


@dataclass(frozen=True)
class Reader:
    """Reads the expressions of one statement.

    Args:
        scope: The names that it sees.
        after: How many values the trace had when the statement began.
        known: Names that the expression itself binds, in a comprehension.
    """

    scope: Scope
    after: int
    known: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    """Modules that were called and are changed from outside: path -> by what."""

    def read(self, node: ast.expr, made: torch.Tensor | None = None) -> Any:
        """Return what an expression stands for.

        Args:
            node: The expression.
            made: The tensor that it gave, where it is known.

        Raises:
            UnknownError: If it can't be told.
        """
        found: Any
        match node:
            case ast.Call():
                found = Calling(self).call(node, made)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                found = self.read(body if self.truth(test) else orelse, made)
            case ast.NamedExpr(value=value):
                found = self.read(value, made)
            case ast.Constant(value=value):
                found = value
            case ast.Name(id=name):
                found = self._name(name)
            case ast.Attribute(value=owner, attr=name):
                found = self._attribute(self.read(owner), name, node)
            case ast.Subscript(value=owner, slice=index):
                found = item(self.read(owner), self.read(index))
            case _:
                found = self._operation(node)
        return self._labelled(found, node)

    def _operation(self, node: ast.expr) -> Any:
        """Return what an operator makes, or a list in the source."""
        found: Any
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                found = self._operator(op, [left, right])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                found = not self.truth(operand)
            case ast.UnaryOp(op=op, operand=operand):
                found = self._operator(op, [operand])
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                found = self._operator(op, [left, right])
            case ast.Lambda():
                found = Lambda(node, self.known)
            case ast.Dict(keys=keys, values=values):
                found = {
                    self._key(key): self.read(value)
                    for key, value in zip(keys, values, strict=True)
                }
            case ast.BoolOp(op=op, values=values):
                found = self._bool(op, values)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                found = self.several(parts)
            case ast.ListComp() | ast.GeneratorExp():
                found = [inner.read(node.elt) for inner in self._runs(node)]
            case ast.DictComp(key=key, value=value):
                found = {inner.read(key): inner.read(value) for inner in self._runs(node)}
            case ast.Slice(lower=lower, upper=upper, step=step):
                found = slice(*(part and self.read(part) for part in (lower, upper, step)))
            case _:
                kind = type(node).__name__
                raise UnknownError(f"{_KINDS.get(kind, kind)} is not followed")
        return found

    def _key(self, key: ast.expr | None) -> Any:
        if key is None:
            raise UnknownError("a dictionary with ** is not followed")
        return self.read(key)

    def element(self, node: ast.expr, place: list[Any], made: torch.Tensor) -> Any:
        """Return what one element of an expression stands for, without reading the others.

        Args:
            node: The expression; a list, a tuple, or what makes one.
            place: Which element; of an element, in turn.
            made: The tensor that it is.
        """
        match node:
            case _ if not place:
                return self.read(node, made)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) if not _starred(parts):
                return self.element(parts[place[0]], place[1:], made)
            case ast.ListComp() | ast.GeneratorExp():
                run = list(self._runs(node))[place[0]]
                return run.element(node.elt, place[1:], made)
            case ast.Dict(keys=keys, values=values):
                number = [self._key(key) for key in keys].index(place[0])
                return self.element(values[number], place[1:], made)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.element(body if self.truth(test) else orelse, place, made)
        found = self.read(node)
        for key in place:
            found = as_items(found)[key] if not isinstance(found, dict) else found[key]
        return found

    def item_set(
        self, target: ast.Subscript, new: ast.expr, place: list[Any], made: torch.Tensor
    ) -> Any:
        """Return what a list, a dictionary or a tensor was after one item of it was set.

        Args:
            target: The item.
            new: What it was set to.
            place: Which element of the list or dictionary; none: it is a tensor.
            made: The tensor that it is.
        """
        index = self.read(target.slice)
        if place and index == place[0]:
            return self.element(new, place[1:], made)
        if place:
            return self.element(target.value, place, made)
        return put(as_node(self.read(target.value)), index, as_node(self.read(new)))

    def truth(self, test: ast.expr) -> bool:
        """Return whether a condition held.

        Raises:
            UnknownError: If that can't be told.
        """
        found = self.read(test)
        if isinstance(found, Node) and math.prod(found.shape) == 1:
            return bool(number_of(found))
        if isinstance(found, Node | Own | Method | Lambda):
            raise UnknownError(f"whether {ast.unparse(test)} held")
        return bool(found)

    def _labelled(self, found: Any, node: ast.expr) -> Any:
        """Give nodes that have no name of their own the source's text."""
        if isinstance(found, Node) and not isinstance(found, Leaf):
            found.text = ast.unparse(node)
        elif isinstance(found, Module):
            return replace(found, text=ast.unparse(node))
        return found

    def several(self, parts: list[ast.expr]) -> tuple[Any, ...]:
        """Return what expressions in a row stand for, those with a star spread out."""
        found: list[Any] = []
        for part in parts:
            if isinstance(part, ast.Starred):
                found.extend(as_items(self.read(part.value)))
            else:
                found.append(self.read(part))
        return tuple(found)

    def _runs(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> Iterable["Reader"]:
        """Yield a reader for each element of a comprehension."""
        [loop] = node.generators if len(node.generators) == 1 else [None]
        if loop is None or loop.ifs:
            raise UnknownError("a comprehension with conditions, or within another")
        for one in as_items(self.read(loop.iter)):
            yield replace(self, known={**self.known, **bindings.matched(loop.target, one)})

    def _name(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        if name == "self" and self.scope.parameters[:1] == ["self"]:
            return Module(self.scope.trace, self.scope.ran.module, "self")
        for found in (self.scope.bound(name), self.scope.argument(name)):
            if found is not None:
                return found
        return bindings.Names(self).local(name)

    def _attribute(self, owner: Any, name: str, node: ast.Attribute) -> Any:
        if isinstance(owner, Node):
            return of_tensor(owner, name)
        if isinstance(owner, Module):
            return self._of_module(owner, name, node)
        if isinstance(owner, ModuleType | torch.finfo | torch.iinfo | type):
            return getattr(owner, name)
        if isinstance(owner, bindings.Settings) and name in owner.known:
            return owner.known[name]
        if isinstance(owner, tuple | list) and len(owner) == 2 and name in _PAIR:
            return owner[_PAIR.index(name)]
        raise UnknownError(f"{ast.unparse(node)} is not in the trace")

    def _of_module(self, owner: Module, name: str, node: ast.Attribute) -> Any:
        """Return an attribute of a module: value, submodule, weight, setting or method."""
        if owner.text == "self":
            bound = self.scope.bound(f"self.{name}")
            if bound is not None:
                return bound
        child, weight = owner.child(name), owner.weight(name)
        if child is not None or weight is not None:
            return child if weight is None else weight
        settings = self.scope.trace.parts[owner.path].settings
        if name in settings:
            return settings[name]
        inner = {
            key.partition(".")[2]: value
            for key, value in settings.items()
            if key.startswith(f"{name}.")
        }
        if inner:
            return bindings.Settings(inner)
        if bindings.is_property(self.scope, name):
            return Returned(self.scope, self.after).one(Own(name), (), {})
        if bindings.defined(self.scope, name):
            return Own(name)
        raise UnknownError(f"{ast.unparse(node)} is not in the trace")

    def _operator(self, op: ast.AST, parts: list[ast.expr]) -> Any:
        values = [self.read(part) for part in parts]
        if any(isinstance(value, Node) for value in values):
            values = [self._number(part, value) for part, value in zip(parts, values, strict=True)]
        return operate(op, values)

    def _number(self, node: ast.expr, value: Any) -> Any:
        """Return a number beside a tensor as a node that says what it is called."""
        if not isinstance(value, bool | int | float) or isinstance(node, ast.Constant):
            return value
        tensor = torch.tensor(float(value), dtype=torch.float64)
        owner = self.read(node.value) if isinstance(node, ast.Attribute) else None
        if isinstance(owner, Module) and isinstance(node, ast.Attribute):
            return Leaf(ast.unparse(node), tensor, "setting", owner.below(node.attr))
        return Leaf(ast.unparse(node), tensor)

    def _bool(self, op: ast.boolop, parts: list[ast.expr]) -> Any:
        found: Any = None
        for part in parts:
            found = self.read(part)
            if self.truth(part) == isinstance(op, ast.Or):
                break
        return found


def _starred(parts: list[ast.expr]) -> bool:
    return any(isinstance(part, ast.Starred) for part in parts)
