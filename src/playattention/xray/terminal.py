"""How values look in a terminal: tables of numbers with colour, a function's source as it ran.

Returns what `rich` prints; where there is no colour, nothing is told by it alone. Does not know
where the values come from.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from playattention.xray.glossary import meaning
from playattention.xray.listing import Line, Listing
from playattention.xray.trace import Trace
from playattention.xray.values import Value

BESIDE = 130
"""Columns from which on values stand beside their line, not below it."""
GAP = 2


@dataclass(frozen=True)
class Look:
    """How numbers are shown."""

    digits: int = 4
    """Behind the point."""
    width: int = 80
    """Columns of the terminal."""
    rows: int | None = 24
    """Most rows of a table; None: all, and all columns."""
    shades: bool = True
    """Whether the terminal has enough colours to shade cells with."""

    def number(self, value: float | int | bool) -> str:
        """Return a number in words."""
        if isinstance(value, int):  # a bool, too
            return str(value)
        small = value != 0 and abs(value) < 10.0**-self.digits
        if small or 1e6 <= abs(value) < float("inf"):
            return f"{value:.{max(self.digits - 2, 1)}e}"
        return f"{value:.{self.digits}f}"


def table(
    value: Value, index: Sequence[int], axes: Sequence[Sequence[str]], look: Look
) -> RenderableType:
    """Return a value's numbers as a table of at most two dimensions.

    Args:
        value: The value.
        index: Places along its first dimensions, so that at most two are left.
        axes: What each dimension's places are called.
        look: How numbers are shown.
    """
    chosen = value.tensor[tuple(index)].detach().cpu()
    left = [*axes[len(index) :]]
    while chosen.dim() < 2:  # a row, or a single number
        chosen, left = chosen.unsqueeze(0), [[""], *left]
    rows, columns = left
    words = [[look.number(number) for number in row] for row in chosen.tolist()]
    colours = _colours(chosen) if look.shades else [[""] * len(row) for row in words]
    heading = max((len(name) for name in rows), default=0)
    cell = max(len(word) for word in (*(word for row in words for word in row), *columns))
    places = _shown(len(columns), None if look.rows is None else _fitting(look, heading, cell))
    shown_rows = _shown(len(rows), look.rows)
    grid = Table(box=None, padding=(0, GAP, 0, 0), show_edge=False, header_style="dim")
    grid.add_column("", style="dim", no_wrap=True)
    for place in places:
        name = "..." if place is None else columns[place]
        grid.add_column(Text(name), justify="right", no_wrap=True)
    for row in shown_rows:
        if row is None:
            grid.add_row(*["..."] * (len(places) + 1))
            continue
        cells = [
            Text("...") if place is None else Text(words[row][place], style=colours[row][place])
            for place in places
        ]
        grid.add_row(Text(rows[row]), *cells)
    return grid


def source(listing: Listing, look: Look) -> RenderableType:
    """Return a function's source, each line with what it made, beside it or below.

    Args:
        listing: What `trace.lines` returned.
        look: How numbers are shown; where there is room, values stand beside.
    """
    beside = look.width >= BESIDE
    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(style="dim", justify="right", no_wrap=True)
    grid.add_column(ratio=None if beside else 1)
    if beside:
        grid.add_column()
    for line in listing.lines:
        made = [*_arguments(listing)] if line is listing.lines[0] else []
        made += [_told(f"{value.name}", value.tensor, look) for value in line.values]
        code = _code(line)
        if beside:
            grid.add_row(str(line.number), code, Group(*made))
        else:
            grid.add_row(str(line.number), Group(code, *(Text("    ") + told for told in made)))
    return grid


def summary(tensor: torch.Tensor, look: Look, most: int = 4) -> str:
    """Return a tensor's first numbers."""
    flat = tensor.detach().flatten()
    words = [look.number(number) for number in flat[:most].tolist()]
    return " ".join(words) + (" ..." if flat.numel() > most else "")


def _arguments(listing: Listing) -> list[Text]:
    """Return what the function was given, shapes alone: the values are their maker's."""
    given = {
        name: tuple(tensor.shape)
        for call in listing.calls
        for name, tensor in call.arguments.items()
    }
    return [Text(f"{name} {shape}", style="dim") for name, shape in given.items()]


def _told(name: str, tensor: torch.Tensor, look: Look) -> Text:
    told = Text(name, style="bold cyan")
    told.append(f" {tuple(tensor.shape)} ", style="cyan")
    told.append(summary(tensor, look), style="not bold default")
    return told


def _code(line: Line) -> Text:
    code = Syntax("", "python", theme="ansi_dark", background_color="default").highlight(line.text)
    code.rstrip()
    code.no_wrap, code.overflow = False, "fold"
    return code


def _colours(chosen: torch.Tensor) -> list[list[str]]:
    """Return a style for each cell: red below zero, blue above, the stronger the larger."""
    numbers = chosen.double()
    finite = numbers[numbers.isfinite()].abs()
    largest = float(finite.max()) if finite.numel() else 0.0
    shares = (numbers / (largest or 1.0)).nan_to_num(0.0, 0.0, 0.0).tolist()
    return [[_style(share) for share in row] for row in shares]


def _style(share: float) -> str:
    """Return black or white on a background between white and a hue (ColorBrewer's RdBu)."""
    hue = (33, 102, 172) if share >= 0 else (178, 24, 43)
    strength = min(abs(share), 1.0)
    if strength < 0.02:
        return ""
    red, green, blue = (round(247 + (part - 247) * strength) for part in hue)
    return f"{'white' if strength > 0.55 else 'black'} on rgb({red},{green},{blue})"


def _fitting(look: Look, heading: int, cell: int) -> int:
    return max(1, (look.width - heading - GAP) // (cell + GAP))


def _shown(count: int, most: int | None) -> list[int | None]:
    """Return which places are shown; None stands for those left out."""
    if most is None or count <= most:
        return [*range(count)]
    last = max(1, most // 3)
    first = max(1, most - last - 1)
    return [*range(first), None, *range(count - last, count)]


def leading(shape: Sequence[int], index: Sequence[int]) -> list[tuple[int, ...]]:
    """Return every index of the dimensions that a table can't show, behind those given."""
    hidden = shape[len(index) : max(len(shape) - 2, len(index))]
    return [(*index, *rest) for rest in product(*(range(size) for size in hidden))]


def axes(value: Value, trace: Trace, decode: Callable[[list[int]], str]) -> list[list[str]]:
    """Return what the places along each dimension are called: tokens by their text, else numbers.

    Args:
        value: The value.
        trace: The trace that it is of.
        decode: Token ids -> their text.
    """
    entry = meaning(value)
    symbols = entry.shape.strip("()").split(", ") if entry and value.shape else value.shape
    named = []
    for symbol, size in zip(symbols, value.shape, strict=True):
        if symbol in ("T", "S"):
            named.append([_seen(token) for token in trace.labels])
        elif symbol == "V":
            named.append([_seen(decode([id_])) for id_ in range(size)])
        else:
            named.append([str(place) for place in range(size)])
    return named


def _seen(token: str) -> str:
    """Return a token so that a line break and a blank can be seen."""
    return repr(token) if token.isspace() and token.isprintable() else repr(token)[1:-1]


def alike(values: Iterable[Value], *, together: bool) -> dict[str, dict[str, list[Value]]]:
    """Return values by module and name.

    A name that is bound again, and one that has a place in a list, stand together if they mean
    the same.

    Args:
        values: Of one or more modules.
        together: Shows modules that differ in a number alone once.
    """
    groups: dict[str, dict[str, list[Value]]] = {}
    for value in values:
        pattern = re.sub(r"\b\d+\b", "*", value.module) if together else value.module
        groups.setdefault(pattern, {}).setdefault(value.module, []).append(value)
    found: dict[str, dict[str, list[Value]]] = {}
    for pattern, modules in groups.items():
        first, values = next(iter(modules.items()))
        named = found.setdefault(pattern if len(modules) > 1 else first, {})
        for value in values:
            told = f"{value.variable} {value.shape} {meaning(value) or value.source}"
            named.setdefault(told, []).append(value)
    return found
