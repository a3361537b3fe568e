"""Flash attention: the same weights, tile by tile, never written to memory."""

import math

from drawings.facts import origin, shown, tokens, value
from drawings.parts import notes, paragraph
from drawings.svg import Drawing
from playattention.config import GPT2Config

HEAD = "blocks.0.attention.heads.0"
ROW = 4
"""The query whose softmax is worked out in tiles."""
TILES = ((0, 2), (2, 4), (4, 5))
SIDE, COUNT = 34.0, 6
CORNER = (92.0, 150.0)
NOW = (3, 1)
"""Row and column of the tile that is lit."""


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Flash attention: tile by tile, nothing of size T × T is kept",
        "On the left, the square of weights cut into tiles: those above the diagonal are skipped, "
        "one is being worked on, with a block of query beside it and blocks of key and value "
        "above. On the right, what fast memory holds. Below, the softmax of one row computed in "
        "three tiles, with the running maximum and sum, and the same result as in one go.",
        "Dao et al. 2022, arXiv 2205.14135. The numbers below are those of the head in the drawing "
        "of attention.",
        812,
    )
    _tiles(drawing)
    _memory(drawing)
    _worked(drawing)
    notes(drawing, 790, [origin()])
    return drawing


def _tiles(drawing: Drawing) -> None:
    x, y = CORNER
    drawing.text(x, 92, "key, value: block by block", "s", "key")
    for column in range(COUNT):
        lit = column == NOW[1]
        left = x + column * SIDE
        drawing.rectangle(left, 102, SIDE - 3, 14, "f-key" if lit else "w-key l-key", 2)
        drawing.rectangle(left, 120, SIDE - 3, 14, "f-value" if lit else "w-value l-value", 2)
    drawing.text(x - 34, y + 102, "query: block by block", "s", "query", "middle", True)
    for row in range(COUNT):
        lit = row == NOW[0]
        drawing.rectangle(
            x - 22, y + row * SIDE, 14, SIDE - 3, "f-query" if lit else "w-query l-query", 2
        )
        for column in range(COUNT):
            place = x + column * SIDE, y + row * SIDE, SIDE - 3, SIDE - 3
            if (row, column) == NOW:
                drawing.rectangle(*place, "f-weights", 2)
            elif column > row:
                drawing.rectangle(*place, "s-strong-line", 2, dashed=True)
            else:
                drawing.rectangle(*place, "w-weights l-weights", 2)
        drawing.rectangle(
            x + COUNT * SIDE + 8, y + row * SIDE, 14, SIDE - 3, "f-sunken l-strong-line", 2
        )
    drawing.text(x + COUNT * SIDE + 42, y + 102, "mixed", "n", anchor="middle", turned=True)
    bottom = y + COUNT * SIDE
    drawing.text(x, bottom + 18, "dashed: masked anyway, skipped", "s", "muted")
    drawing.text(x, bottom + 36, "lit: in fast memory now", "s", "weights")


def _memory(drawing: Drawing) -> None:
    """Write what goes through memory in either way."""
    big = GPT2Config()
    square = big.n_head * big.seq_size**2 * 2
    line = big.n_head * big.seq_size * big.head_size * 2
    x = 394.0
    drawing.text(x, 96, "step by step", "b")
    y = paragraph(
        drawing,
        (x, 116),
        "Writes `scores`, `scaled`, `masked` and `weights`, each T × T for every head, to the "
        "GPU's memory, and reads each back for the next step. The multiplying is quick, the trips "
        "are not.",
        440,
    )
    drawing.text(x, y + 14, "flash", "b")
    y = paragraph(
        drawing,
        (x, y + 34),
        "Brings a block of query and one of key and value into fast memory, next to the "
        "multipliers. Scores, softmax and mixing of this tile happen there; only `mixed` is "
        "written. The T × T numbers exist tile by tile and are gone.",
        440,
    )
    drawing.text(x, y + 14, "for GPT-2, one sequence, one block, in bf16", "b")
    drawing.text(x, y + 36, f"{square / 1e6:.1f} MB", "n", "weights")
    drawing.text(x + 76, y + 36, "each T × T value: 12 × 1,024 × 1,024 × 2 bytes", "s")
    drawing.text(x, y + 56, f"{line / 1e6:.1f} MB", "n", "accent")
    drawing.text(x + 76, y + 56, "query, key, value or mixed: 12 × 1,024 × 64 × 2 bytes", "s")


def running(scaled: list[float], values: list[float]) -> list[tuple[float, float, float]]:
    """Return maximum, sum and mix after each tile, the online softmax (Dao et al. 2022, 3.1).

    Args:
        scaled: Scores of one query.
        values: One channel of the values.
    """
    largest, total, mix = -math.inf, 0.0, 0.0
    states = []
    for begin, end in TILES:
        new = max(largest, *scaled[begin:end])
        shrink = math.exp(largest - new)
        exponentials = [math.exp(score - new) for score in scaled[begin:end]]
        total = total * shrink + sum(exponentials)
        products = zip(exponentials, values[begin:end], strict=True)
        mix = mix * shrink + sum(share * number for share, number in products)
        largest = new
        states.append((largest, total, mix))
    return states


def _worked(drawing: Drawing) -> None:
    y = 462.0
    drawing.path(f"M26 {y - 26:.0f}H834", "s-line", 1)
    asks = tokens()[ROW]
    drawing.text(
        26, y, f"Softmax without seeing the whole row: what “{asks}” finds, channel 0", "b"
    )
    scaled = value(f"{HEAD}:scaled")[ROW]
    values = [row[0] for row in value(f"{HEAD}:value")]
    states = running(scaled, values)
    for number, ((begin, end), state) in enumerate(zip(TILES, states, strict=True)):
        x = 26 + 274 * number
        drawing.rectangle(x, y + 14, 260, 168, "f-sunken l-line", 6)
        looked = "”, “".join(tokens()[begin:end])
        drawing.text(x + 12, y + 36, f"tile {number}: “{looked}”", "b")
        scores = "  ".join(shown(score) for score in scaled[begin:end])
        told = "  ".join(shown(number) for number in values[begin:end])
        rows = (
            ("scaled", scores, "m"),
            ("value[0]", told, "m"),
            ("maximum so far", shown(state[0]), "n"),
            ("sum of exp(… − maximum)", shown(state[1], 3), "n"),
            ("sum of exp(…) × value", shown(state[2], 3), "n"),
        )
        for row, (name, numbers, font) in enumerate(rows):
            drawing.text(x + 12, y + 62 + 24 * row, name, "s", "muted")
            drawing.text(x + 248, y + 62 + 24 * row, numbers, font, anchor="end")
        if number < 2:
            drawing.arrow([(x + 260, y + 98), (x + 274, y + 98)])
    _, total, mix = states[-1]
    mixed = value(f"{HEAD}:mixed")[ROW][0]
    drawing.text(
        26, y + 208, f"{shown(mix, 3)} / {shown(total, 3)} = {shown(mix / total, 3)}", "n", "accent"
    )
    drawing.text(210, y + 208, f"and in one go: `mixed[{asks}, 0]` = {shown(mixed, 3)}", "t")
    paragraph(
        drawing,
        (26, y + 240),
        "When a tile brings a larger maximum, what was summed before is multiplied by "
        "exp(old − new). Softmax does not change when all scores are moved by the same amount, so "
        "the result is the same but for rounding: flash attention is exact, no approximation.",
        806,
    )
