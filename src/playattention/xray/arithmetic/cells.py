"""Tensors inside an expression, cell by cell: each node tells its numbers from those of others.

One number of a large tensor so costs no more than the cells that it depends on. Cells are given as
an integer tensor (..., n), for a node with n axes. Knows neither source text nor traces.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Index = tuple[int, ...]
Pick = Callable[[torch.Tensor], torch.Tensor]
"""From cells of a result (..., n) to those of an operand: (..., m), or (..., terms, m)."""


LARGE = 200_000
"""Cells of a tensor that are not numbered one by one where strides tell as much."""


class UnknownError(Exception):
    """Something that can't be told from the source and the trace; the message says what."""


class Node:
    """A tensor that an expression names or makes."""

    text: str
    """How the source writes it."""
    shape: Index
    dtype = torch.float32
    """Of the model's own numbers, where it is known."""

    def numbers(self, cells: torch.Tensor) -> torch.Tensor:
        """Return what is in these cells (..., n), in float64 (...)."""
        raise NotImplementedError

    def whole(self) -> torch.Tensor:
        """Return the whole tensor."""
        raise NotImplementedError

    def origins(self, cells: torch.Tensor) -> list[tuple["Node", Index]]:
        """Return for each of the cells (K, n) the node and cell that it was moved from."""
        return [(self, tuple(cell)) for cell in cells.tolist()]


class Leaf(Node):
    """A tensor with a name of its own: a traced value, an argument, a weight, a constant.

    Args:
        text: Its name.
        tensor: What it holds.
        kind: "value", "weight", "input", "setting" or "constant".
        path: Where it is found in the trace: a value's title, a weight's dotted name.
        words: What it means when an expression is this and nothing more.
        place: From an index here to that at `path`, where these differ.
    """

    def __init__(
        self,
        text: str,
        tensor: torch.Tensor,
        kind: str = "constant",
        path: str | None = None,
        *,
        words: str = "unchanged",
        place: Callable[[Index], Index | None] | None = None,
    ) -> None:
        self.text, self.tensor, self.kind, self.path = text, tensor, kind, path
        self.words, self.place = words, place
        self.shape, self.dtype = tuple(tensor.shape), tensor.dtype

    def numbers(self, cells: torch.Tensor) -> torch.Tensor:
        """Return what is in these cells; see `Node`."""
        return at(self.tensor, cells).cpu().double()

    def whole(self) -> torch.Tensor:
        """Return the tensor."""
        return self.tensor


class Moved(Node):
    """Cells of other nodes in another order or shape; nothing is computed.

    Args:
        bases: The nodes that they are from.
        sources: Which cell each is, numbered from 1 through all bases; 0 is the constant 0. On the
            meta device: a view of the one base, whose strides tell.
        again: Makes the whole from the whole bases.
    """

    def __init__(
        self,
        bases: Sequence[Node],
        sources: torch.Tensor,
        again: Callable[[list[torch.Tensor]], torch.Tensor],
    ) -> None:
        self.bases, self.sources, self._again = bases, sources, again
        self.shape, self.dtype = tuple(sources.shape), bases[0].dtype
        self.text = ""

    def _numbered(self, cells: torch.Tensor) -> torch.Tensor:
        if not self.sources.is_meta:
            return at(self.sources, cells)
        strides = torch.tensor(self.sources.stride(), dtype=torch.long)
        start = int(self.sources.storage_offset()) + 1
        return (cells * strides).sum(-1) + start

    def numbers(self, cells: torch.Tensor) -> torch.Tensor:
        """Return what is in these cells; see `Node`."""
        numbered = self._numbered(cells)
        found = torch.zeros(numbered.shape, dtype=torch.float64)
        start = 1
        for base in self.bases:
            size = math.prod(base.shape)
            here = (numbered >= start) & (numbered < start + size)
            if bool(here.any()):
                found[here] = base.numbers(unravel(numbered[here] - start, base.shape))
            start += size
        return found

    def whole(self) -> torch.Tensor:
        """Return the tensor, moved as a whole."""
        return self._again([base.whole() for base in self.bases])

    def origins(self, cells: torch.Tensor) -> list[tuple[Node, Index]]:
        """Return where these cells were moved from, through all movements; see `Node`."""
        numbered = self._numbered(cells)
        found: list[tuple[Node, Index]] = [(ZERO, ())] * len(cells)
        start = 1
        for base in self.bases:
            size = math.prod(base.shape)
            here = ((numbered >= start) & (numbered < start + size)).nonzero().flatten()
            inside = base.origins(unravel(numbered[here] - start, base.shape))
            for place, origin in zip(here.tolist(), inside, strict=True):
                found[place] = origin
            start += size
        return found


@dataclass(frozen=True)
class Input:
    """One operand of a step: which of its cells a cell of the result depends on."""

    role: str
    node: Node
    pick: Pick


@dataclass(frozen=True)
class Step:
    """One operation, for any cell of its result."""

    words: str
    """What it does, in short."""
    formula: str
    shape: Index
    inputs: tuple[Input, ...]
    combine: Callable[..., torch.Tensor]
    """The inputs' numbers, (...) or (..., terms) -> the result's (...)."""
    facts: Callable[..., dict[str, Any]] | None = None
    """The same inputs, for one cell -> what helps to understand it."""
    together: Callable[[], torch.Tensor] | None = None
    """The whole result at once, where that is faster."""


class Computed(Node):
    """What an operation makes."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.shape = step.shape
        kinds = [part.node.dtype for part in step.inputs if part.node.shape] or [torch.float32]
        self.dtype = next((kind for kind in kinds if kind.is_floating_point), kinds[0])
        self.text = step.formula

    def numbers(self, cells: torch.Tensor) -> torch.Tensor:
        """Return what is in these cells; see `Node`."""
        inputs = self.step.inputs
        return self.step.combine(*(part.node.numbers(part.pick(cells)) for part in inputs))

    def whole(self) -> torch.Tensor:
        """Return the tensor, computed in float64."""
        if self.step.together is not None:
            return self.step.together()
        cells = unravel(torch.arange(math.prod(self.shape)), self.shape)
        parts = [self.numbers(part) for part in torch.split(cells, 4096)]
        return torch.cat(parts).view(self.shape) if parts else torch.zeros(self.shape)


ZERO = Leaf("0", torch.zeros((), dtype=torch.float64))


def told(value: Any) -> str:
    """Return what something in an expression is called in a message."""
    if isinstance(value, Node):
        return "a tensor"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    words: str = getattr(value, "told", "")
    return words or f"a {type(value).__name__}"


def plainly(what: str, error: Exception) -> str:
    """Return an error as a message, without the names of these classes."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if any(name in text for name in ("Leaf", "Moved", "Computed", "Own", "Method", "Module")):
        return f"{what}, with what it is given here, is not followed"
    return f"{what}: {text}"


def constant(number: float, text: str | None = None) -> Leaf:
    """Return a number of the source as a node without axes."""
    shown = f"{number:g}" if text is None else text
    return Leaf(shown, torch.tensor(float(number), dtype=torch.float64))


def at(tensor: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Return the numbers in these cells (..., n) of a tensor of n axes."""
    if tensor.dim() == 0:
        return tensor.expand(cells.shape[:-1])
    return tensor[cells.unbind(-1)]


def unravel(numbers: torch.Tensor, shape: Index) -> torch.Tensor:
    """Return the cells (..., n) that these are when all are counted, row by row, from 0."""
    if not shape:
        return torch.zeros(*numbers.shape, 0, dtype=torch.long)
    return torch.stack(torch.unravel_index(numbers, shape), dim=-1)


def broadcast(shape: Index) -> Pick:
    """Return how an operand of this shape is stretched to a larger result."""
    wide = torch.tensor([size > 1 for size in shape], dtype=torch.long)

    def pick(cells: torch.Tensor) -> torch.Tensor:
        return cells[..., cells.shape[-1] - len(shape) :] * wide

    return pick


def spread(cells: torch.Tensor, shape: Index, axes: Sequence[int]) -> torch.Tensor:
    """Return for each of the cells (..., n) all cells along these axes: (..., terms, n)."""
    sizes = tuple(shape[axis] for axis in axes)
    along = unravel(torch.arange(math.prod(sizes)), sizes)
    all_ = cells.unsqueeze(-2).repeat(*[1] * (cells.dim() - 1), len(along), 1)
    for place, axis in enumerate(axes):
        all_[..., axis] = along[:, place]
    return all_


def moved(apply: Callable[[list[torch.Tensor]], Any], bases: Sequence[Node]) -> "Node | list[Node]":
    """Return what a pure movement makes of nodes, found by moving the numbers of their cells.

    Args:
        apply: Makes a tensor, or several, from one for each of the bases.
        bases: What is moved.
    """

    def node(place: int | None, sources: torch.Tensor) -> Node:
        def again(wholes: list[torch.Tensor]) -> torch.Tensor:
            made = apply(wholes)
            return made if place is None else made[place]

        return Moved(bases, sources, again)

    sources = _as_view(apply, bases)
    if sources is None:
        numbered, start = [], 1
        for base in bases:
            size = math.prod(base.shape)
            numbered.append(torch.arange(start, start + size).view(base.shape))
            start += size
        sources = apply(numbered)
    if isinstance(sources, torch.Tensor):
        return node(None, sources)
    return [node(place, part) for place, part in enumerate(sources)]


def _as_view(apply: Callable[[list[torch.Tensor]], Any], bases: Sequence[Node]) -> Any:
    """Move a tensor without memory; None if the result is no view of it, whose strides tell all."""
    if len(bases) != 1 or math.prod(bases[0].shape) < LARGE:
        return None
    empty = torch.empty(bases[0].shape, device="meta")
    try:
        made = apply([empty])
    except (RuntimeError, NotImplementedError, IndexError):
        return None  # cells chosen by the numbers of a tensor; or wrong, and so once more below
    parts = [made] if isinstance(made, torch.Tensor) else list(made)
    storage = empty.untyped_storage()._cdata
    shared = all(part.untyped_storage()._cdata == storage for part in parts)
    return made if shared else None
