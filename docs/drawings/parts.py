"""What several drawings are put together from: boxes, sums, grids of numbers, notes."""

from collections.abc import Sequence

from drawings.facts import shown
from drawings.svg import MARGIN, Drawing, Point, shade, width

Numbers = Sequence[Sequence[float | None]]


def box(
    drawing: Drawing,
    at: tuple[float, float, float, float],
    words: str,
    below: str = "",
    colour: str = "strong-line",
    font: str = "n",
) -> None:
    """Draw a box with a line of words in its middle, and a smaller line below it.

    Args:
        drawing: Where.
        at: x, y, width, height.
        words: What it is.
        below: More about it.
        colour: Of its outline and wash.
        font: Of the words.
    """
    x, y, wide, high = at
    wash = "f-sunken" if colour in ("strong-line", "line") else f"w-{colour}"
    drawing.rectangle(x, y, wide, high, f"{wash} l-{colour}", 6)
    middle = y + high / 2 + 4.5
    drawing.text(x + wide / 2, middle - (8 if below else 0), words, font, anchor="middle")
    if below:
        drawing.text(x + wide / 2, middle + 9, below, "s", "muted", "middle")


def plus(drawing: Drawing, x: float, y: float, radius: float = 11) -> None:
    """Draw the sign of a sum."""
    drawing.circle(x, y, radius, "f-card l-ink")
    half = radius * 0.5
    drawing.path(f"M{x - half} {y}h{2 * half}M{x} {y - half}v{2 * half}", "s-ink", 1.6)


def grid(
    drawing: Drawing,
    at: Point,
    numbers: Numbers,
    cell: Point,
    most: float,
    kind: str = "diverging",
    digits: int | None = 2,
) -> None:
    """Draw numbers as coloured cells.

    Args:
        drawing: Where.
        at: Upper left corner.
        numbers: Rows; None is minus infinity.
        cell: Width and height of a cell.
        most: The number of the scale's last colour.
        kind: The scale.
        digits: Behind the point; None: colours alone.
    """
    x0, y0 = at
    wide, high = cell
    gap = 1.0 if min(cell) >= 8 else 0.0
    cells = (
        (shade(number, kind, most), (x0 + column * wide, y0 + row * high))
        for row, line in enumerate(numbers)
        for column, number in enumerate(line)
    )
    drawing.squares(cells, (wide - gap, high - gap))
    if digits is None:
        return
    for row, line in enumerate(numbers):
        for column, number in enumerate(line):
            name = shade(number, kind, most)
            colour = "muted" if name == "f-not-finite" else f"{name}-t"
            place = x0 + (column + 0.5) * wide - gap / 2, y0 + (row + 0.5) * high + 4
            drawing.text(*place, shown(number, digits), "m", colour, "middle")


def labels_left(
    drawing: Drawing, at: Point, words: Sequence[str], high: float, colour: str = "ink"
) -> None:
    """Write a label beside each row of a grid whose upper left corner this is."""
    for row, word in enumerate(words):
        drawing.text(at[0] - 8, at[1] + (row + 0.5) * high + 4, word, "n", colour, "end")


def labels_above(
    drawing: Drawing, at: Point, words: Sequence[str], wide: float, colour: str = "ink"
) -> None:
    """Write a label above each column of a grid whose upper left corner this is."""
    for column, word in enumerate(words):
        place = at[0] + (column + 0.5) * wide, at[1] - 6
        drawing.text(*place, word, "n", colour, "middle")


def notes(drawing: Drawing, y: float, lines: Sequence[str], x: float = MARGIN) -> float:
    """Write small lines below each other; return the base line of the next."""
    for line in lines:
        drawing.text(x, y, line, "s", "muted")
        y += 18
    return y


def wrapped(words: str, room: float, font: str = "t") -> list[str]:
    """Return a text in lines that fit, with a sixth to spare for wider letters."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if width(longer, font) * 1.17 > room and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def paragraph(
    drawing: Drawing,
    at: Point,
    words: str,
    room: float,
    font: str = "t",
    colour: str = "ink",
    step: float = 18,
) -> float:
    """Write a text in lines that fit a width; return the base line of the next."""
    y = at[1]
    for line in wrapped(words, room, font):
        drawing.text(at[0], y, line, font, colour)
        y += step
    return y


def bars(
    drawing: Drawing,
    at: Point,
    numbers: Sequence[float],
    step: float,
    high: float,
    most: float,
) -> None:
    """Draw numbers as bars up and down from a line at their zero.

    Args:
        drawing: Where.
        at: Left end of the line.
        numbers: What is drawn.
        step: From bar to bar.
        high: Of a bar for `most`.
        most: The number of the longest bar.
    """
    x, y = at
    data = {"f-diverging-4": "", "f-diverging-0": ""}
    for place, number in enumerate(numbers):
        tall = round(number / most * high, 1)
        if tall:
            name = "f-diverging-4" if tall > 0 else "f-diverging-0"
            data[name] += (
                f"M{x + place * step:.1f} {y}h{step * 0.75:.1f}v{-tall}h{-step * 0.75:.1f}z"
            )
    for name, path in data.items():
        if path:
            drawing.path(path, name)
    drawing.path(f"M{x - 4:.0f} {y}h{len(numbers) * step + 6:.0f}", "s-strong-line", 1)


def length(numbers: Sequence[float]) -> float:
    """Return the length of a vector."""
    return sum(number * number for number in numbers) ** 0.5
