"""One attention head, number by number."""

from drawings.facts import origin, shown, tokens, value
from drawings.parts import grid, labels_above, labels_left, notes, paragraph
from drawings.svg import Drawing

HEAD = "blocks.0.attention.heads.0"
CELL = (38.0, 25.0)
SQUARE = (40.0, 25.0)
LEFT, MIDDLE, RIGHT = 46.0, 398.0, 640.0
ROWS = (140.0, 340.0, 540.0)
ASKING = 3
"""The token whose row is worked out."""


def draw() -> Drawing:
    """Return the drawing."""
    size = len(value(f"{HEAD}:query")[0])
    drawing = Drawing(
        "One attention head, number by number",
        "Grids of numbers for five tokens: query times key gives scores, these are scaled, masked "
        "above the diagonal, turned into weights by softmax row by row, and the weights mix the "
        "rows of value. Below, one score, one weight and one mixed number are worked out.",
        f"The text “{''.join(tokens())}”, a row for each token. Head size D = {size}.",
        836,
    )
    for name, y in zip(("query", "key", "value"), ROWS, strict=True):
        _wide(drawing, name, (LEFT, y), name)
    _square(drawing, "scores", (MIDDLE, ROWS[0]))
    _square(drawing, "scaled", (RIGHT, ROWS[0]))
    _square(drawing, "masked", (MIDDLE, ROWS[1]))
    _square(drawing, "weights", (RIGHT, ROWS[1]))
    _wide(drawing, "mixed", (RIGHT + 200 - 8 * CELL[0], ROWS[2]), "ink")
    _arrows(drawing)
    _worked(drawing)
    return drawing


SAID = {
    "query": "what a token asks",
    "key": "what it offers to be found by",
    "value": "what it tells whoever looks",
    "scores": "query @ keysᵀ",
    "scaled": "scores × 1/√D",
    "masked": "no look ahead",
    "weights": "softmax of each row",
    "mixed": "weights @ values",
}


def _title(drawing: Drawing, name: str, x: float, y: float, colour: str) -> None:
    wide = drawing.text(x, y - 26, name, "n", colour)
    drawing.text(x + wide + 10, y - 26, SAID[name], "s", "muted")


def _wide(drawing: Drawing, name: str, at: tuple[float, float], colour: str) -> None:
    """Draw a grid with a column for each channel of the head."""
    numbers = value(f"{HEAD}:{name}")
    most = max(abs(number) for row in numbers for number in row)
    _title(drawing, name, at[0], at[1], colour)
    labels_above(drawing, at, [str(n) for n in range(len(numbers[0]))], CELL[0], "muted")
    labels_left(drawing, at, tokens(), CELL[1])
    grid(drawing, at, numbers, CELL, most)
    drawing.rectangle(at[0] - 2, at[1] - 2, 8 * CELL[0] + 3, 5 * CELL[1] + 3, f"s-{colour}", 3)


def _square(drawing: Drawing, name: str, at: tuple[float, float]) -> None:
    """Draw a grid with a column for each token that is looked at."""
    numbers = value(f"{HEAD}:{name}")
    most = max(abs(number) for row in numbers for number in row if number is not None)
    kind = "weights" if name == "weights" else "diverging"
    digits = 1 if most >= 10 else 2
    _title(drawing, name, at[0], at[1], "weights" if name == "weights" else "ink")
    labels_above(drawing, at, tokens(), SQUARE[0], "key")
    labels_left(drawing, at, tokens(), SQUARE[1], "query")
    grid(drawing, at, numbers, SQUARE, most, kind, digits)
    y = at[1] + ASKING * SQUARE[1]
    drawing.rectangle(at[0] - 1.5, y - 1.5, 5 * SQUARE[0] + 2, SQUARE[1] + 2, "s-accent", 2)


def _arrows(drawing: Drawing) -> None:
    end = LEFT + 8 * CELL[0] + 2
    middles = [y + 2.5 * CELL[1] for y in ROWS]
    drawing.arrow([(end, middles[0]), (MIDDLE - 22, middles[0])], "query")
    drawing.line([(end, middles[1]), (end + 16, middles[1]), (end + 16, middles[0])], "key")
    drawing.arrow([(MIDDLE + 204, middles[0]), (RIGHT - 22, middles[0])])
    bottom = ROWS[0] + 5 * SQUARE[1] + 4
    drawing.arrow(
        [(RIGHT + 100, bottom), (RIGHT + 100, 286), (MIDDLE + 170, 286), (MIDDLE + 170, 304)]
    )
    drawing.arrow([(MIDDLE + 204, middles[1]), (RIGHT - 22, middles[1])])
    drawing.arrow(
        [(RIGHT + 160, ROWS[1] + 5 * SQUARE[1] + 4), (RIGHT + 160, ROWS[2] - 26)], "weights"
    )
    drawing.arrow([(end, middles[2]), (RIGHT + 174 - 8 * CELL[0], middles[2])], "value")


def _factor(number: float) -> str:
    """Return a number as the second factor of a product."""
    return f"({shown(number)})" if shown(number).startswith("−") else shown(number)


def _worked(drawing: Drawing) -> None:
    """Write one number of each kind out."""
    query, key, values = (value(f"{HEAD}:{name}") for name in ("query", "key", "value"))
    scores, scaled, weights, mixed = (
        value(f"{HEAD}:{name}") for name in ("scores", "scaled", "weights", "mixed")
    )
    row = ASKING
    best = max(range(row + 1), key=lambda column: weights[row][column])
    asks, told = tokens()[row], tokens()[best]
    pairs = zip(query[row], key[best], strict=True)
    products = " + ".join(f"{shown(a)}·{_factor(b)}" for a, b in pairs)
    shares = zip(weights[row][: row + 1], values, strict=False)
    parts = " + ".join(f"{shown(share)}·{_factor(line[0])}" for share, line in shares)
    others = " + ".join(f"exp({shown(number)})" for number in scaled[row][: row + 1])
    lines = [
        (
            f"scores[{asks}, {told}]",
            f"query of {asks} · key of {told} = {products} = {shown(scores[row][best])}",
        ),
        (
            f"scaled[{asks}, {told}]",
            f"{shown(scores[row][best])} / √8 = {shown(scaled[row][best])}",
        ),
        (
            f"weights[{asks}, {told}]",
            f"exp({shown(scaled[row][best])}) / ({others}) = {shown(weights[row][best])}",
        ),
        (f"mixed[{asks}, 0]", f"{parts} = {shown(mixed[row][0])}"),
    ]
    y = 706.0
    for name, words in lines:
        drawing.text(26, y, name, "n", "accent")
        y = paragraph(drawing, (142, y), words, 690, "s")
    notes(drawing, y + 14, [f"{origin()} Shown with two decimals, computed with all."])
