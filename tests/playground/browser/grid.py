"""A matrix of the page, read as a person does: by keys and pointer, cell by cell, and its colours."""

import math
from dataclasses import dataclass
from typing import Any

from tests.playground.browser.visitor import Visitor, as_number


@dataclass(frozen=True)
class Grid:
    """One heatmap."""

    visitor: Visitor
    figure: str = "#view .heatmap"
    """Selects it."""

    @property
    def label(self) -> str:
        """What it is called."""
        return self._grid.get_attribute("aria-label") or ""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = (self._grid.get_attribute(f"aria-{name}count") for name in ("row", "col"))
        return int(rows or 0), int(columns or 0)

    @property
    def _grid(self) -> Any:
        return self.visitor.page.locator(f"{self.figure} .heatmap-grid").first

    def reach(self) -> "Grid":
        """Press Tab until the keys move in it."""
        self.visitor.tab_to(f"{self.figure} .heatmap-grid")
        return self

    def to(self, row: int, column: int) -> "Grid":
        """Move the cursor to a cell by keys; the focus is here already."""
        at_row, at_column = self.cell
        down = ["ArrowDown" if row > at_row else "ArrowUp"] * abs(row - at_row)
        right = ["ArrowRight" if column > at_column else "ArrowLeft"] * abs(column - at_column)
        for key in down + right:
            self.visitor.page.keyboard.press(key)
        assert self.cell == (row, column)
        return self

    @property
    def cell(self) -> tuple[int, int]:
        """Where the cursor is, as it is told to who does not see."""
        row = self._grid.locator("[role=row]").get_attribute("aria-rowindex")
        column = self._grid.locator("[role=gridcell]").get_attribute("aria-colindex")
        return int(row or 1) - 1, int(column or 1) - 1

    @property
    def told(self) -> float:
        """The number that is told of the cell."""
        readout = self.visitor.page.locator(f"{self.figure} .readout data").last
        return as_number(readout.get_attribute("value"))

    def point(self) -> "Grid":
        """Bring the pointer to where the cursor is."""
        box = self.visitor.page.locator(f"{self.figure} .mark-cursor").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.visitor.page.mouse.move(x, y)
        return self

    @property
    def colour(self) -> tuple[int, ...]:
        """The colour of the cell at the cursor, as drawn."""
        return tuple(self.visitor.page.locator(self.figure).first.evaluate(PIXEL))

    @property
    def legend(self) -> "Legend":
        """What the colours stand for."""
        return Legend.of(self.visitor, f"{self.figure} .legend")


@dataclass(frozen=True)
class Legend:
    """What colours stand for, as drawn beside a picture."""

    low: float
    high: float
    colours: list[tuple[int, int, int]]
    """From the lowest number to the highest, at even steps."""
    special: tuple[int, int, int] | None
    """Of what is not finite; None: there is no such number."""

    @classmethod
    def of(cls, visitor: Visitor, selector: str) -> "Legend":
        """Read a legend; its ends are the numbers that are written beside it."""
        found = visitor.page.locator(selector).first.evaluate(LEGEND)
        low, high = (as_number(text) for text in found["ends"])
        special = tuple(found["special"]) if found["special"] else None
        return cls(low, high, [tuple(one) for one in found["colours"]], special)  # type: ignore[arg-type]

    def stands_for(self, number: float, colour: tuple[int, ...], within: int = 4) -> bool:
        """Tell whether a colour is that of a number, up to what the steps leave open."""
        if not math.isfinite(number):
            return self.special is not None and near(colour, self.special, self.special, within)
        share = (number - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        place = min(max(share, 0.0), 1.0) * (len(self.colours) - 1)
        before, after = self.colours[math.floor(place)], self.colours[math.ceil(place)]
        return near(colour, before, after, within)


def near(
    colour: tuple[int, ...], one: tuple[int, ...], other: tuple[int, ...], within: int
) -> bool:
    """Tell whether a colour lies between two others, or close to them."""
    ranges = ((min(pair) - within, max(pair) + within) for pair in zip(one, other, strict=True))
    return all(low <= part <= high for part, (low, high) in zip(colour[:3], ranges, strict=True))


PIXEL = """
(figure) => {
  const canvas = figure.querySelector(".heatmap-grid canvas");
  const mark = figure.querySelector(".mark-cursor").getBoundingClientRect();
  const own = canvas.getBoundingClientRect();
  const dots = canvas.width / own.width;
  // Near a corner of the cell: what is written in it stands in its middle.
  const x = (mark.left - own.left + Math.min(2, mark.width / 4)) * dots;
  const y = (mark.top - own.top + Math.min(2, mark.height / 4)) * dots;
  const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, -Math.floor(x), -Math.floor(y));
  return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
"""

LEGEND = """
(legend) => {
  const canvas = legend.querySelector("canvas");
  const copy = new OffscreenCanvas(canvas.width, 1).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, 1);
  const swatch = legend.querySelector(".swatch");
  const special = swatch && getComputedStyle(swatch).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number);
  return {
    ends: [...legend.querySelectorAll("data")].map((one) => one.value),
    colours: Array.from({ length: canvas.width }, (_, at) => [...data.slice(4 * at, 4 * at + 3)]),
    special,
  };
}
"""
