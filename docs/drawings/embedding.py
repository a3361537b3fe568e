"""From characters to vectors: the row of a table for each token, and one for its position."""

from drawings.facts import origin, recorded, tokens, value
from drawings.parts import grid, labels_above, labels_left, notes, paragraph, plus
from drawings.svg import Drawing

ONE_HOT, TABLE, PICKED = (60.0, 132.0), (460.0, 112.0), (672.0, 132.0)
TINY, LOW = 6.0, 14.0
"""Cells of the one-hot rows: width and height."""
SHOWN = 6
"""Channels whose numbers are written."""


def draw() -> Drawing:
    """Return the drawing."""
    text = "".join(tokens())
    drawing = Drawing(
        "Embedding: a row of a table for each token",
        "Five characters become five ids. As one-hot rows, each with a single 1 at its id, they "
        "would pick one row each of the table token_embedding. To these rows, those of "
        "position_embedding are added, number by number.",
        f"The text “{text}”. The table has a row for each of the {len(recorded()['characters'])} "
        "characters, learnt in the training.",
        790,
    )
    ids = [recorded()["characters"].index(token) for token in tokens()]
    _one_hot(drawing, ids)
    _table(drawing, ids)
    _picked(drawing)
    _sum(drawing)
    notes(drawing, 768, [origin()])
    return drawing


def _one_hot(drawing: Drawing, ids: list[int]) -> None:
    x, y = ONE_HOT
    size = len(recorded()["characters"])
    drawing.text(x, y - 28, "one-hot", "n")
    drawing.text(x + 58, y - 28, f"(5, {size}): 0 everywhere, 1 at the id", "s", "muted")
    labels_left(drawing, (x, y), tokens(), LOW)
    drawing.rectangle(x - 1, y - 1, size * TINY + 2, 5 * LOW + 2, "f-sunken l-line")
    spots = (("f-accent", (x + id_ * TINY, y + row * LOW)) for row, id_ in enumerate(ids))
    drawing.squares(spots, (TINY, LOW))
    y = 236
    drawing.text(x - 34, y, f"idx = {ids}", "n")
    y = paragraph(
        drawing,
        (x - 34, y + 26),
        "Multiplied with the table, a one-hot row gives the table's row of that id: all others "
        "are multiplied by 0. `nn.Embedding` does not multiply. It fetches the row, which is the "
        "same and costs no work, however many tokens there are.",
        384,
    )
    paragraph(
        drawing,
        (x - 34, y + 8),
        f"An id is a name, no quantity: {max(ids)} is not more than {min(ids)}. The vector is "
        "where tokens that are used alike can come to lie close together.",
        384,
    )


def _table(drawing: Drawing, ids: list[int]) -> None:
    """Draw all weights of the table, and mark the rows that are fetched."""
    x, y = TABLE
    table = recorded()["token_embedding"]
    drawing.text(x, y - 8, "token_embedding", "n")
    most = max(abs(number) for row in table for number in row)
    grid(drawing, (x, y), table, (5, 5), most, digits=None)
    for token, id_ in zip(tokens(), ids, strict=True):
        row = y + id_ * 5
        drawing.rectangle(x - 1, row - 1, 162, 7, "s-ink")
        at = {"m": -4.0, "n": 4.0}.get(token, 0.0)  # neighbours in the table
        drawing.text(x - 8, row + 7 + at, token, "n", anchor="end")
    drawing.text(x + 80, y + 324, f"({len(table)}, {len(table[0])})", "m", "muted", "middle")
    drawing.text(436, ONE_HOT[1] + 40, "@", "n", "muted", "middle")
    drawing.arrow([(x + 166, PICKED[1] + 35), (PICKED[0] - 22, PICKED[1] + 35)])


def _picked(drawing: Drawing) -> None:
    drawing.text(PICKED[0], PICKED[1] - 28, "token_embedded", "n")
    drawing.text(PICKED[0], PICKED[1] - 10, "(5, 32): (T, C)", "m", "muted")
    labels_left(drawing, PICKED, tokens(), LOW)
    numbers = value(":token_embedded")
    most = max(abs(number) for row in numbers for number in row)
    grid(drawing, PICKED, numbers, (5, LOW), most, digits=None)
    paragraph(
        drawing,
        (PICKED[0] - 14, 236),
        "Each token now is a vector of n_embd = 32 numbers, the same wherever it stands in the "
        "text. Where it stands, a second table tells, with a row for each position.",
        166,
    )


def _sum(drawing: Drawing) -> None:
    y = 560.0
    drawing.path("M26 488H834", "s-line", 1)
    drawing.text(26, 512, f"The sum, channels 0 to {SHOWN - 1} of 32", "b")
    parts = {
        "token_embedded": value(":token_embedded"),
        "position_embedded": recorded()["position_embedding"],
        "embedded": value(":embedded"),
    }
    said = {"token_embedded": tokens(), "position_embedded": list("01234"), "embedded": tokens()}
    most = max(abs(n) for rows in parts.values() for row in rows for n in row[:SHOWN])
    for place, (name, rows) in enumerate(parts.items()):
        at = (52.0 + 278 * place, y + 18)
        drawing.text(at[0], at[1] - 26, name, "n")
        labels_above(drawing, at, [str(n) for n in range(SHOWN)], 38, "muted")
        labels_left(drawing, at, said[name], 25)
        grid(drawing, at, [row[:SHOWN] for row in rows], (38, 25), most)
    plus(drawing, 296, y + 80, 10)
    drawing.path("M566 637h14M566 643h14", "s-ink", 1.8)
    paragraph(
        drawing,
        (26, 726),
        "Without the second table, the n would find the same in block 0 if the E and the d changed "
        "places: a head sees which tokens came before, and not in which order.",
        800,
    )
