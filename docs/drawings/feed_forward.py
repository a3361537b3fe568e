"""The feed-forward layers, for one token: wider, bent, narrow again."""

import math

from drawings.facts import origin, recorded, shown, tokens, value
from drawings.parts import bars, notes, paragraph
from drawings.svg import Drawing

TOKEN = 4
"""Whose numbers are drawn."""
LEFT, WIDE = 44.0, 776.0
CURVES = (70.0, 596.0)


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Feed-forward: four times as wide, bent, and back",
        "Four rows of bars for one token: 32 input channels, 128 hidden numbers of which many are "
        "below zero, the same with these set to 0 by ReLU, and 32 outputs. Below, the curves of "
        "ReLU and of GELU.",
        f"One token, the “{tokens()[TOKEN]}” of “{''.join(tokens())}”, in `blocks.0.feed_forward`. "
        "The others go the same way, each alone.",
        820,
    )
    _rows(drawing)
    _curves(drawing)
    notes(drawing, 798, [origin()])
    return drawing


def _rows(drawing: Drawing) -> None:
    """Draw the four vectors, and between them what makes one of the other."""
    hidden = value("blocks.0.feed_forward:hidden")[TOKEN]
    off = sum(number <= 0 for number in hidden)
    rows = [
        ("feed_forward_input", value("blocks.0:feed_forward_input")[TOKEN], "C = 32 numbers"),
        ("hidden", hidden, "4C = 128: each a weighted sum of all 32, plus a bias"),
        (
            "activated",
            value("blocks.0.feed_forward:activated")[TOKEN],
            f"ReLU: {off} of 128 were below 0 and now are 0, the rest stays as it was",
        ),
        (
            "contracted",
            value("blocks.0.feed_forward:contracted")[TOKEN],
            "C = 32 again: each a weighted sum of all 128, plus a bias",
        ),
    ]
    between = ("expand", "F.relu", "contract")
    y = 96.0
    for place, (name, numbers, said) in enumerate(rows):
        wide = drawing.text(26, y, name, "n")
        drawing.text(26 + wide + 12, y, said, "s", "muted")
        most = max(abs(number) for number in numbers)
        drawing.text(834, y, f"longest bar: {shown(most)}", "s", "muted", "end")
        alone = place == 2
        bars(drawing, (LEFT, y + 48 + 4 * alone), numbers, WIDE / len(numbers), 34, most)
        if place < 3:
            drawing.arrow([(430, y + 88), (430, y + 112)])
            drawing.text(442, y + 104, between[place], "n")
        y += 124


def _curves(drawing: Drawing) -> None:
    x, y = CURVES
    drawing.path("M26 560H834", "s-line", 1)
    drawing.text(26, 584, "What bends", "b")
    size = 26.0
    curves = {
        "F.relu (GPT): below 0 nothing": (relu, "query"),
        "F.gelu, tanh form (GPT-2): smooth": (gelu, "key"),
    }
    for number, (name, (bend, colour)) in enumerate(curves.items()):
        zero = x + 100 + 262 * number, y + 130
        drawing.path(f"M{zero[0] - 104:.0f} {zero[1]:.0f}h208", "s-strong-line", 1)
        drawing.path(f"M{zero[0]:.0f} {zero[1] + 10:.0f}v-122", "s-strong-line", 1)
        points = [-4 + 0.125 * step for step in range(65)]
        data = "L".join(f"{zero[0] + z * size:.1f} {zero[1] - bend(z) * size:.1f}" for z in points)
        drawing.path(f"M{data}", f"s-{colour}", 2.4)
        drawing.text(zero[0] - 104, zero[1] + 34, name, "s", colour)
        for tick in (-4, 4):
            drawing.text(
                zero[0] + tick * size, zero[1] + 16, shown(tick, 0), "s", "muted", "middle"
            )
    weights = 8 * recorded()["model"]["n_embd"] ** 2
    paragraph(
        drawing,
        (608, y + 12),
        "Without the bend, two matrices one after the other are no more than one matrix. With it, "
        "a hidden number can be on for some inputs and off for others. Most weights of a block "
        f"are here: 2 × 4C² = {weights:,}, against 4C² = {weights // 2:,} in attention.",
        222,
    )


def relu(number: float) -> float:
    """Return ReLU."""
    return max(number, 0.0)


def gelu(number: float) -> float:
    """Return GELU as GPT-2 has it (Hendrycks and Gimpel 2016, section 2, the tanh form)."""
    inner = math.sqrt(2 / math.pi) * (number + 0.044715 * number**3)
    return 0.5 * number * (1 + math.tanh(inner))
