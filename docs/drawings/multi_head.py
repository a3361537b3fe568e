"""Four heads side by side, their results joined and projected."""

from drawings.facts import origin, tokens, value
from drawings.parts import grid, labels_above, labels_left, notes, paragraph
from drawings.svg import Drawing

AT = "blocks.0.attention"
COLUMNS = (52.0, 258.0, 464.0, 670.0)
CELL = 33.0
CHANNEL = 19.0
JOINED = 126.0


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Multi-head attention: four heads look at once",
        "The same input goes into four heads. Each has weights of its own and looks elsewhere: "
        "four maps of 5 by 5 weights. Each mixes its values into 8 channels; side by side they "
        "are 32 again, and one matrix over all of them gives what is added to the stream.",
        f"The text “{''.join(tokens())}” in `blocks.0.attention`: C = 32 channels, H = 4 heads, "
        "D = C / H = 8.",
        880,
    )
    _input(drawing)
    for number, x in enumerate(COLUMNS):
        _head(drawing, number, x)
    _joined(drawing)
    _projected(drawing)
    notes(drawing, 858, [origin()])
    return drawing


def _colours(drawing: Drawing, name: str, at: tuple[float, float], high: float) -> None:
    numbers = value(name)
    most = max(abs(number) for row in numbers for number in row)
    labels_left(drawing, at, tokens(), high)
    grid(drawing, at, numbers, (CHANNEL, high), most, digits=None)


def _input(drawing: Drawing) -> None:
    y = 104.0
    drawing.text(JOINED, y - 10, "attention_input", "n")
    drawing.text(JOINED + 120, y - 10, "(T, C): all heads get all channels", "s", "muted")
    _colours(drawing, "blocks.0:attention_input", (JOINED, y), 13)
    for x in COLUMNS:
        middle = x + 2.5 * CELL
        drawing.arrow([(430, 172), (430, 186), (middle, 186), (middle, 204)])


def _head(drawing: Drawing, number: int, x: float) -> None:
    """Draw where a head looks, and what it found."""
    drawing.rectangle(x - 26, 204, 198, 326, "f-sunken l-strong-line", 7)
    drawing.text(x - 16, 224, f"heads.{number}", "n")
    drawing.text(x + 162, 224, "own weights", "s", "muted", "end")
    at = (x, 270.0)
    drawing.text(x, 246, "weights", "n", "weights")
    drawing.text(x + 60, 246, "(T, S)", "m", "muted")
    labels_above(drawing, at, tokens(), CELL, "muted")
    labels_left(drawing, at, tokens(), 24)
    grid(drawing, at, value(f"{AT}.heads.{number}:weights"), (CELL, 24), 1, "weights")
    drawing.arrow([(x + 77, 394), (x + 77, 424)])
    drawing.text(x + 86, 413, "@ values", "m", "muted")
    drawing.text(x, 440, "mixed", "n")
    drawing.text(x + 46, 440, "(T, D)", "m", "muted")
    _colours(drawing, f"{AT}.heads.{number}:mixed", (x, 448), 15)


def _joined(drawing: Drawing) -> None:
    y = 590.0
    _colours(drawing, f"{AT}:joined", (JOINED, y), 15)
    for number, x in enumerate(COLUMNS):
        left = JOINED + 8 * CHANNEL * number
        drawing.rectangle(left - 1, y - 2, 8 * CHANNEL + 1, 79, "s-ink", 2)
        drawing.arrow([(x + 77, 530), (x + 77, 552), (left + 76, 552), (left + 76, y - 4)])
    drawing.text(JOINED - 24, y + 30, "joined", "n", anchor="end")
    drawing.text(JOINED - 24, y + 48, "(T, C)", "m", "muted", "end")


def _projected(drawing: Drawing) -> None:
    y = 744.0
    drawing.arrow([(430, 672), (430, y - 6)])
    drawing.text(442, 700, "`projection`: every output channel is a sum over the channels", "s")
    drawing.text(442, 718, "of all heads, with learnt weights (C, C). Here heads meet.", "s")
    paragraph(
        drawing, (26, 700), "Joining moves numbers only: C = H × D, so nothing is lost.", 380, "s"
    )
    _colours(drawing, f"{AT}:projected", (JOINED, y), 15)
    drawing.text(JOINED - 24, y + 30, "projected", "n", anchor="end")
    drawing.text(JOINED - 24, y + 48, "(T, C)", "m", "muted", "end")
