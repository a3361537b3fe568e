"""A function's source as it ran: each line with the values that it made.

Knows neither how values are seen nor where the listing is shown.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

from playattention.xray.values import Call, Value


@dataclass(frozen=True, eq=False)
class Line:
    """One line of source."""

    number: int
    """In its file, from 1."""
    text: str
    """Without the indentation that all lines of the function share."""
    values: tuple[Value, ...]
    """What the statement that ends here made; for several runs, one after the other."""


@dataclass(frozen=True, eq=False)
class Listing:
    """A function's source, line by line."""

    file: str
    calls: tuple[Call, ...]
    """The runs it shows; their arguments are what the first line took in."""
    lines: tuple[Line, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, number: int) -> Line:
        return self.lines[number]

    def __repr__(self) -> str:
        width = max(len(line.text) for line in self.lines)
        return "\n".join(
            f"{line.number:>4}  {line.text:<{width}}  {_shapes(line.values)}".rstrip()
            for line in self.lines
        )


def listed(calls: Sequence[Call], text: str, values: Sequence[Value]) -> Listing:
    """Return the source of a function with what its runs made.

    Args:
        calls: Runs of the one function, at least one.
        text: The file it stands in.
        values: What these runs made.
    """
    first = calls[0].line
    block = inspect.getblock(text.splitlines(keepends=True)[first - 1 :])
    indent = min(len(row) - len(row.lstrip()) for row in block if row.strip())
    made: dict[int, list[Value]] = {}
    for value in values:
        end = value.line + value.source.count("\n")
        made.setdefault(end, []).append(value)
    lines = tuple(
        Line(first + place, row[indent:].rstrip(), tuple(made.get(first + place, ())))
        for place, row in enumerate(block)
    )
    return Listing(calls[0].file, tuple(calls), lines)


def _shapes(values: Sequence[Value]) -> str:
    return ", ".join(f"{value.name} {value.shape}" for value in values)
