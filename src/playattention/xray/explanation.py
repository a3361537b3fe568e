"""Where one number comes from, as it is shown: an operation, its operands, the result.

Knows neither models nor source; `explain.py` fills it in.
"""

import math
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from playattention.xray.arithmetic.cells import Index
from playattention.xray.values import Value

WIDTH = 80
CHANGED = "changed from outside"
"""The operation of a number that a what-if, or a hook, put in the place of the model's own."""
SHOWN = 3
"""Terms of a long sum that are shown at its start, and at its end."""


class Operand(NamedTuple):
    """One number that another comes from."""

    name: str
    """As the source calls it; for a part of an expression, its text."""
    index: tuple[int | None, ...]  # type: ignore[assignment]  # a tuple has a method of the name
    """Its cell; None stands for all along a dimension."""
    number: float | None
    """None: a whole tensor."""
    role: str
    """What it is to the operation: "left", "weight", "condition"."""
    kind: str
    """"value", "weight", "input" (token ids, targets), "setting", "constant" or "expression"."""
    path: str | None = None
    """Where it is found: the title of a traced value, the dotted name of a weight or a setting."""
    at: tuple[int | None, ...] | None = None
    """Its cell there."""
    term: int | None = None
    """Which term of a sum or a row it belongs to."""
    shape: Index = ()
    """Of the tensor that it is a cell of."""
    further: "Callable[[], Explanation] | None" = None
    """Tells where it comes from, for a part of an expression."""

    @property
    def explanation(self) -> "Explanation | None":
        """Where it comes from, for a part of the expression that has no name of its own."""
        return None if self.further is None else self.further()

    def __str__(self) -> str:
        cell = ", ".join(":" if place is None else str(place) for place in self.index)
        return f"{_short(self.name)}[{cell}]" if self.index else _short(self.name)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; infinite numbers as text."""
        return {
            "name": self.name,
            "index": list(self.index),
            "number": _plain(self.number),
            "role": self.role,
            "kind": self.kind,
            "path": self.path,
            "at": None if self.at is None else list(self.at),
            "term": self.term,
            "shape": list(self.shape),
        }


@dataclass(frozen=True)
class Explanation:
    """Where one number comes from."""

    title: str
    """The value's title; of a part of an expression, its text."""
    index: Index
    number: float
    """The model's; of a part of an expression that the model does not name, the result."""
    operation: str
    """In short: "dot product", "softmax", "unchanged", "changed from outside"; the source itself
    where it is not known."""
    formula: str
    """With the source's names."""
    operands: tuple[Operand, ...]
    facts: dict[str, Any]
    """What helps to understand it: maximum and sum of a softmax, mean and variance of a norm."""
    result: float | None
    """Recomputed from the operands in float64; None: the operation is not known."""
    note: str = ""
    """Why it is not known, or what changed it."""
    value: Value | None = None
    """What the number is a cell of; None: a part of an expression."""

    @property
    def error(self) -> float | None:
        """How far apart result and model are."""
        if self.result is None:
            return None
        return 0.0 if _alike(self.result, self.number) else abs(self.result - self.number)

    @property
    def full(self) -> str:
        """All lines, no term left out."""
        return "\n".join(self._lines(None))

    def __repr__(self) -> str:
        return "\n".join(_cut(line) for line in self._lines(SHOWN))

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; infinite numbers as text."""
        value = self.value
        return {
            "title": self.title,
            "index": list(self.index),
            "number": _plain(self.number),
            "operation": self.operation,
            "formula": self.formula,
            "operands": [operand.as_dict() for operand in self.operands],
            "facts": {name: _plain(fact) for name, fact in self.facts.items()},
            "result": _plain(self.result),
            "error": _plain(self.error),
            "note": self.note,
            "file": None if value is None else value.file,
            "line": None if value is None else value.line,
            "source": None if value is None else value.source,
        }

    def _lines(self, shown: int | None) -> Iterator[str]:
        number = f"[{', '.join(map(str, self.index))}] = {_number(self.number)}"
        yield _middle(self.title.removeprefix(":"), WIDTH - len(number)) + number
        if self.value is not None:
            yield from (f"  {row}" for row in self.value.source.splitlines())
        yield f"  {self.operation}: {self.formula}" if self.formula else f"  {self.operation}"
        yield from _rows(self.operands, shown)
        for name, fact in self.facts.items():
            yield from _fact(name, fact, shown)
        if self.result is None:
            start = "" if self.operation == CHANGED else "not explained: "
            yield from textwrap.wrap(
                start + self.note, WIDTH, initial_indent="  ", subsequent_indent="    "
            )
        elif self.value is None:
            yield f"  = {_number(self.result)}"
        else:
            yield f"  = {_number(self.result)} in float64, {self.error:.1e} from the model's"


def _rows(operands: tuple[Operand, ...], shown: int | None) -> Iterator[str]:
    """Yield operands line by line, a term's side by side; of many, the first and the last."""
    groups: dict[tuple[str, int], list[Operand]] = {}
    for number, operand in enumerate(operands):
        key = ("own", number) if operand.term is None else ("term", operand.term)
        groups.setdefault(key, []).append(operand)
    lines = list(groups.values())
    width = max((len(group[0].role) for group in lines if len(group) == 1), default=0)
    if shown is None or len(lines) <= 3 * shown + 1:
        yield from (_row(group, width) for group in lines)
        return
    yield from (_row(group, width) for group in lines[: 2 * shown])
    yield f"    ... {len(lines) - 3 * shown} more"
    yield from (_row(group, width) for group in lines[-shown:])


def _row(group: list[Operand], width: int) -> str:
    cells = "  ·  ".join(f"{operand!s} {_number(operand.number, operand)}" for operand in group)
    return f"    {group[0].role:<{width}}  {cells}" if len(group) == 1 else f"    {cells}"


def _fact(name: str, fact: Any, shown: int | None) -> Iterator[str]:
    if not isinstance(fact, tuple):
        yield f"    {name} {_number(fact)}"
        return
    told = [_number(one) for one in fact]
    if shown is not None and len(told) > 2 * shown:
        told = [*told[:shown], "...", *told[-shown:]]
    yield f"    {name} " + "  ".join(told)


def _number(number: Any, operand: Operand | None = None) -> str:
    if number is None:
        return f"whole {operand.shape}" if operand is not None else "?"
    if isinstance(number, float):
        return f"{number:.6g}"
    return str(number)


def _short(name: str) -> str:
    return _middle(name, 28)


def _middle(text: str, width: int) -> str:
    """Return a text without its middle, if it is too long."""
    return text if len(text) <= width else f"{text[: width - 14]}...{text[-11:]}"


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _plain(number: Any) -> Any:
    if isinstance(number, float) and not math.isfinite(number):
        return str(number)
    if isinstance(number, tuple):
        return [_plain(one) for one in number]
    return number


def _alike(one: float, other: float) -> bool:
    """Tell whether two numbers are the same, infinite ones and no numbers included."""
    return one == other or (math.isnan(one) and math.isnan(other))
