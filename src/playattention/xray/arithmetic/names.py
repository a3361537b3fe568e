"""What the names in a statement stand for, in the call that ran it.

Tensors are those that the trace kept: values bound earlier in the call, its arguments, what the
functions returned that it called. Does not know how an expression is computed.
"""

import ast
import re
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch

from playattention.xray.arithmetic.cells import Index, Leaf
from playattention.xray.arithmetic.syntax import FunctionNode, functions, parsed
from playattention.xray.trace import Trace
from playattention.xray.values import Call, Value

Place = tuple[str, ...]
"""Where an element is in nested lists and dictionaries: ("0",), ("'key'",)."""


@dataclass(frozen=True)
class Module:
    """A module of the model, as a statement sees it."""

    trace: Trace
    path: str
    text: str
    """How the source writes it: `self.query`."""

    @property
    def told(self) -> str:
        """What it is called in a message."""
        return f"the module {self.text}"

    @property
    def kind(self) -> str:
        """Its class, with the Python module that defines it."""
        return self.trace.parts[self.path].kind

    def below(self, name: str) -> str:
        """Return the path of something that belongs to it."""
        return f"{self.path}.{name}" if self.path else name

    def weight(self, name: str) -> Leaf | None:
        """Return a parameter or buffer, None if there is none of the name."""
        path = self.below(name)
        found = self.trace.weights.get(path)
        return None if found is None else Leaf(f"{self.text}.{name}", found, "weight", path)

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a number, text or None that it was made with."""
        return self.trace.parts[self.path].settings.get(name, default)

    def child(self, name: str) -> "Module | None":
        """Return the module of this name in it, None if there is none."""
        path = self.below(name)
        return Module(self.trace, path, f"{self.text}.{name}") if path in self.trace.parts else None

    @property
    def children(self) -> list["Module"]:
        """The modules directly in it, in their order."""
        start = f"{self.path}." if self.path else ""
        names = [path.removeprefix(start) for path in self.trace.parts if path.startswith(start)]
        return [
            Module(self.trace, start + name, f"{self.text}[{name}]")
            for name in names
            if name and "." not in name
        ]


@dataclass(frozen=True)
class Own:
    """A function of the model's own source; what it gave back is in the trace."""

    name: str
    """Empty: not known."""

    @property
    def told(self) -> str:
        """What it is called in a message."""
        return f"the function {self.name}"


@dataclass(frozen=True)
class Lambda:
    """A function in an expression, and what the names in it stood for."""

    node: ast.Lambda
    known: dict[str, Any]
    told = "a lambda"


@dataclass(frozen=True)
class Scope:
    """What a statement sees that runs in a call, before a place in the trace."""

    trace: Trace
    call: int
    before: int
    """Number of values in the trace that were there when it ran."""
    line: int
    """Its first line."""

    @property
    def ran(self) -> Call:
        """The call."""
        return self.trace.calls[self.call]

    @cached_property
    def tree(self) -> ast.Module:
        """The file's syntax tree."""
        return parsed(self.trace.sources[self.ran.file])

    @cached_property
    def function(self) -> FunctionNode | None:
        """The call's function."""
        return next(
            (
                node
                for node in functions(self.tree)
                if node.name == self.ran.function
                and self.ran.line
                in (node.lineno, *(decorator.lineno for decorator in node.decorator_list))
            ),
            None,
        )

    @property
    def parameters(self) -> list[str]:
        """Names of the function's parameters, in their order."""
        if self.function is None:
            return []
        given = self.function.args
        return [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]

    def bound(self, name: str) -> Any:
        """Return the tensor, or the list of them, that a name was last bound to; None: none."""
        found: dict[Place, Leaf] = {}
        last: Value | None = None
        for value in reversed(self.trace.values[: self.before]):
            if value.call != self.call:
                continue
            if value.variable != name:
                if last is not None:
                    break
                continue
            place = _place(value.name)
            if place in found or (last is not None and value.line != last.line):
                break
            last = value
            found[place] = Leaf(value.name, value.tensor, "value", value.title)
        return nested(found)

    def argument(self, name: str) -> Any:
        """Return the tensor, or the list of them, that the call was given; None: none."""
        return nested(
            {
                _place(full): self._given(full, tensor)
                for full, tensor in self.ran.arguments.items()
                if full.partition("[")[0] == name
            }
        )

    def _given(self, name: str, tensor: torch.Tensor) -> Leaf:
        """Return an argument, with the place in the trace where it came from."""
        inputs = [("idx", self.trace.idx), ("targets", self.trace.targets)]
        for path, ids in inputs:
            if ids is tensor:
                return Leaf(name, tensor, "input", path)
        begin = self.begin
        earlier = [value for value in self.trace.values[:begin] if value.call != self.call]
        for value in reversed(earlier):
            if value.tensor is tensor:
                return Leaf(name, tensor, "value", value.title)
        for path, weight in self.trace.weights.items():
            if same(weight, tensor):
                return Leaf(name, tensor, "weight", path)
        for value in reversed(earlier):
            if covers(value.tensor, tensor):
                place = partial(through, tensor, value.tensor)
                return Leaf(name, tensor, "value", value.title, place=place)
        return Leaf(name, tensor, "argument")

    @property
    def begin(self) -> int:
        """How many values there were when the call began, as far as the trace can tell."""
        inner = {self.call}
        for number, value in enumerate(self.trace.values):
            if value.call in inner:
                return number
            if value.call > self.call and self._inside(value.call):
                return number
        return self.before

    def _inside(self, call: int | None) -> bool:
        """Tell whether a call ran within this one."""
        while call is not None and call > self.call:
            call = self.trace.calls[call].caller
        return call == self.call

    def returns(self, after: int) -> dict[int, Any]:
        """Return what the functions gave back that this statement called.

        Args:
            after: How many values there were when the statement began.

        Returns:
            Number of the call -> a tensor, or a list of them.
        """
        made: dict[int, dict[Place, Leaf]] = {}
        for value in self.trace.values[after : self.before]:
            call = self.trace.calls[value.call]
            if call.caller == self.call and value.variable == "return":
                who = call.module if call.function == "forward" else call.function
                leaf = Leaf(
                    value.shown, value.tensor, "value", value.title, words=f"what {who} returned"
                )
                made.setdefault(value.call, {})[_place(value.name)] = leaf
        return {call: nested(parts) for call, parts in made.items()}


def nested(parts: dict[Place, Leaf]) -> Any:
    """Return elements by their places as lists and dictionaries; None for none at all."""
    if not parts:
        return None
    if () in parts:
        return parts[()]
    groups: dict[str, dict[Place, Leaf]] = {}
    for place, leaf in parts.items():
        groups.setdefault(place[0], {})[place[1:]] = leaf
    if all(key.isdecimal() for key in groups):
        size = max(int(key) for key in groups) + 1
        return [nested(groups.get(str(number), {})) for number in range(size)]
    return {ast.literal_eval(key): nested(inner) for key, inner in groups.items()}


def elements(name: str) -> list[Any]:
    """Return the place of an element in its name: [0] for `mixed[0]`."""
    return [ast.literal_eval(key) for key in _place(name)]


def _place(name: str) -> Place:
    return tuple(re.findall(r"\[([^\]]*)\]", name))


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether two tensors are the same numbers in the same memory."""
    return one is other or (
        one.shape == other.shape
        and one.dtype == other.dtype
        and one.stride() == other.stride()
        and one.data_ptr() == other.data_ptr()
        and one.numel() > 0
    )


def covers(base: torch.Tensor, view: torch.Tensor) -> bool:
    """Tell whether a tensor is a view of another one's memory, and lies within it."""
    corners = (tuple(0 for _ in view.shape), tuple(size - 1 for size in view.shape))
    return (
        base.untyped_storage().data_ptr() == view.untyped_storage().data_ptr()
        and view.numel() > 0
        and all(through(view, base, corner) is not None for corner in corners)
    )


def through(view: torch.Tensor, base: torch.Tensor, index: Index) -> Index | None:
    """Return the cell of a tensor that a cell of a view of its memory is; None if it has none."""
    rest = int(view.storage_offset()) - int(base.storage_offset())
    rest += sum(place * step for place, step in zip(index, view.stride(), strict=True))
    found, strides = [0] * base.dim(), list(base.stride())
    for axis in sorted(range(base.dim()), key=strides.__getitem__, reverse=True):
        if strides[axis] and base.shape[axis] > 1:
            found[axis], rest = divmod(rest, strides[axis])
        if not 0 <= found[axis] < base.shape[axis]:
            return None
    return None if rest else tuple(found)
