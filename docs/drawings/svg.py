"""Shapes and words to SVG: a few functions instead of a library.

A drawing library would hold a tree of objects for what is written once, and decide the bytes: here
they are the same on every machine, which lets a test compare the committed files. Knows neither
models nor what is drawn.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from drawings.look import STEPS, style_sheet

WIDTH = 860
"""Pixels; as wide as a page's text on most Git hosts."""
MARGIN = 26

Point = tuple[float, float]

# Advance widths of the letters from the space to "~" in thousandths of the size, those of
# Helvetica, Arial and Liberation Sans.
_REGULAR = """278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556
556 556 556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556
833 722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556
278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334
584"""
_LETTERS = {chr(32 + place): int(width) for place, width in enumerate(_REGULAR.split())}
_BOLD, _MONO = 1.06, 602
_SIZES = {"h": 17, "b": 13, "t": 13, "s": 12, "m": 12, "n": 12}


class Drawing:
    """An SVG that grows from its top; classes take the place of colours.

    Args:
        title: What it shows, in one line; drawn as its heading, too.
        description: What there is to be seen, for those who can't see it.
        subtitle: One sentence under the heading.
        height: Pixels.
    """

    def __init__(self, title: str, description: str, subtitle: str, height: int) -> None:
        self.title = title
        self.description = description
        self.height = height
        self._items: list[str] = []
        self._used: set[str] = set()
        self.text(MARGIN, 40, title, "h")
        self.text(MARGIN, 60, subtitle, "t", "muted")

    def __str__(self) -> str:
        card = self._classes("f-card l-line")
        names = f'<title id="title">{escape(self.title)}</title>'
        names += f'\n<desc id="desc">{escape(self.description)}</desc>'
        box = f'x="0.5" y="0.5" width="{WIDTH - 1}" height="{self.height - 1}" rx="8"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}" '
            f'viewBox="0 0 {WIDTH} {self.height}" role="img" aria-labelledby="title desc">',
            names,
            f"<style>{style_sheet(self._used)}text{{white-space:pre}}</style>",
            f"<rect {box} {card}/>",
            *self._items,
            "</svg>\n",
        ]
        return "\n".join(lines)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        font: str = "t",
        colour: str = "ink",
        anchor: str = "start",
        turned: bool = False,
    ) -> float:
        """Write a line; `names` between backticks are set as in a source. Returns its width.

        Args:
            x: Where it starts, is centred ("middle") or ends ("end").
            y: Its base line.
            words: What is written.
            font: One of LETTERS.
            colour: A colour of the page, or a whole class such as "diverging-3-t".
            anchor: "start", "middle" or "end".
            turned: From the bottom to the top.
        """
        fill = colour if re.search(r"-\d+-t$", colour) else f"f-{colour}"
        parts = words.split("`")
        code = "n" if font in "bhn" else "m"
        spans = [
            escape(part, quote=False)
            if number % 2 == 0
            else f"<tspan {self._classes(code)}>{escape(part, quote=False)}</tspan>"
            for number, part in enumerate(parts)
            if part
        ]
        place = f'x="{_number(x)}" y="{_number(y)}"'
        if turned:
            place += f' transform="rotate(-90 {_number(x)} {_number(y)})"'
        if anchor != "start":
            place += f' text-anchor="{anchor}"'
        self._items.append(
            f"<text {place} {self._classes(f'{font} {fill}')}>{''.join(spans)}</text>"
        )
        return sum(width(part, code if number % 2 else font) for number, part in enumerate(parts))

    def rectangle(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        classes: str,
        radius: float = 0,
        dashed: bool = False,
    ) -> None:
        """Draw a rectangle of these classes ("f-sunken s-line", "w-query")."""
        more = f' rx="{_number(radius)}"' if radius else ""
        more += ' stroke-dasharray="4 3"' if dashed else ""
        box = f'x="{_number(x)}" y="{_number(y)}" width="{_number(wide)}" height="{_number(high)}"'
        self._items.append(f"<rect {box}{more} {self._classes(classes)}/>")

    def path(self, data: str, classes: str, thick: float = 1.5, dashed: bool = False) -> None:
        """Draw a path; its data as in SVG."""
        more = ' stroke-dasharray="4 3"' if dashed else ""
        stroke = f' stroke-width="{_number(thick)}"' if "s-" in classes else ""
        self._items.append(f'<path d="{data}"{stroke}{more} {self._classes(classes)}/>')

    def line(
        self,
        points: Sequence[Point],
        colour: str = "strong-line",
        thick: float = 1.5,
        dashed: bool = False,
    ) -> None:
        """Draw a line through points, its corners rounded."""
        self.path(_rounded(points), f"s-{colour}", thick, dashed)

    def arrow(
        self,
        points: Sequence[Point],
        colour: str = "strong-line",
        thick: float = 1.5,
        dashed: bool = False,
    ) -> None:
        """Draw a line with a head at its last point, which it reaches along an axis."""
        (x0, y0), (x, y) = points[-2], points[-1]
        length = max(abs(x - x0), abs(y - y0))
        across, down = (x - x0) / length, (y - y0) / length
        size = 5 + thick
        back_x, back_y = x - across * size, y - down * size
        half = size * 0.55
        self.line([*points[:-1], (back_x + across, back_y + down)], colour, thick, dashed)
        corners = [
            (x, y),
            (back_x - down * half, back_y + across * half),
            (back_x + down * half, back_y - across * half),
        ]
        self.path(_straight(corners) + "z", f"f-{colour}")

    def circle(self, x: float, y: float, radius: float, classes: str) -> None:
        """Draw a circle."""
        place = f'cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}"'
        self._items.append(f"<circle {place} {self._classes(classes)}/>")

    def squares(self, places: Iterable[tuple[str, Point]], size: Point) -> None:
        """Draw many rectangles of one size, a path for each class.

        Args:
            places: Class and upper left corner of each.
            size: Width and height.
        """
        run = f"h{_number(size[0])}v{_number(size[1])}h{_number(-size[0])}"
        data: dict[str, str] = {}
        for name, (x, y) in places:
            data[name] = f"{data.get(name, '')}M{_number(x)} {_number(y)}{run}"
        for name, path in data.items():
            self._items.append(f'<path d="{path}" {self._classes(name)}/>')

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(str(self).encode())

    def _classes(self, names: str) -> str:
        self._used |= set(names.split())
        return f'class="{names}"'


def width(words: str, font: str = "t") -> float:
    """Return about how wide a line is, in pixels; backticks count nothing."""
    size = _SIZES[font]
    if font in "mn":
        return len(words.replace("`", "")) * _MONO * size / 1000
    total = sum(_LETTERS.get(letter, 600) for letter in words.replace("`", ""))
    return total * size / 1000 * (_BOLD if font in "bh" else 1)


def shade(number: float | None, kind: str, most: float) -> str:
    """Return the class of a number on a scale; what is not finite has its own.

    Args:
        number: What is shown; None stands for minus infinity.
        kind: "diverging" (from -most to most), "weights" or "surprise" (from 0 to most).
        most: The number of the last colour.
    """
    if number is None:
        return "f-not-finite"
    share = number / most
    place = (share + 1) / 2 if kind == "diverging" else share
    step = int(max(0.0, min(1.0, place)) * (STEPS[kind] - 1) + 0.5)
    return f"{kind}-{step}"


def _rounded(points: Sequence[Point], radius: float = 7) -> str:
    """Return the data of a line whose corners are arcs."""
    data = f"M{_number(points[0][0])} {_number(points[0][1])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(corner, before, radius), _towards(corner, after, radius)
        data += f"L{_pair(start)}Q{_pair(corner)} {_pair(end)}"
    return f"{data}L{_pair(points[-1])}"


def _towards(corner: Point, other: Point, radius: float) -> Point:
    across, down = other[0] - corner[0], other[1] - corner[1]
    length = (across**2 + down**2) ** 0.5 or 1.0
    step = min(radius, length / 2) / length
    return corner[0] + across * step, corner[1] + down * step


def _straight(points: Sequence[Point]) -> str:
    return "M" + "L".join(_pair(point) for point in points)


def _pair(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    """Return a number with two digits at most: finer than a screen, coarser than a rounding."""
    shown = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown
