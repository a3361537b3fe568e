"""Which rank learns from which windows."""

from drawings.parts import notes, paragraph
from drawings.svg import Drawing
from playattention.data.loader import share

BATCH, COUNT = 2, 8
"""Windows in a micro-batch, micro-batches in a step."""
CELL, LEFT = 46.0, 72.0
COLOURS = ("query", "key", "value", "weights")


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Ranks: the same step, dealt out to one, two or four",
        "A row of 16 windows, the stream of one optimizer step, in 8 micro-batches of 2. Below, "
        "the same row three times, coloured by the rank that takes each micro-batch: one rank "
        "takes all, two take turns, four take turns. At the end, what goes wrong when every rank "
        "draws windows of its own with the same seed.",
        f"One optimizer step of {COUNT} micro-batches of {BATCH} windows: {COUNT * BATCH} windows, "
        "however many ranks there are.",
        624,
    )
    drawing.text(26, 96, "The stream of windows, in the order of the epoch", "b")
    for place in range(COUNT * BATCH):
        x = LEFT + place * CELL
        drawing.rectangle(x, 108, CELL - 4, 26, "f-sunken l-line", 3)
        drawing.text(x + 21, 126, str(place), "m", anchor="middle")
    for place in range(COUNT):
        x = LEFT + place * 2 * CELL
        drawing.path(f"M{x:.0f} 140v5h{2 * CELL - 6:.0f}v-5", "s-strong-line", 1)
        drawing.text(x + CELL - 3, 160, f"micro-batch {place}", "s", "muted", "middle")
    y = 190.0
    for ranks in (1, 2, 4):
        y = _dealt(drawing, y, ranks)
    _wrong(drawing, y + 6)
    notes(
        drawing,
        602,
        ["Dealt as `data/loader.py` does: `share(position, batch_size, count, rank, ranks)`."],
    )
    return drawing


def _dealt(drawing: Drawing, y: float, ranks: int) -> float:
    """Draw who takes which windows; return where the next begins."""
    each = COUNT // ranks
    said = f"{ranks} rank{'s' if ranks > 1 else ''}: {each} micro-batches each"
    drawing.text(26, y, said, "b")
    if ranks > 1:
        drawing.text(
            834, y, f"1 step = {each} turns, then the gradients are averaged", "s", "muted", "end"
        )
    for rank in range(ranks):
        top = y + 10 + 26 * rank
        colour = COLOURS[rank]
        drawing.text(LEFT - 10, top + 16, f"rank {rank}", "s", colour, "end")
        for position in share(0, BATCH, COUNT, rank, ranks):
            for window in range(position, position + BATCH):
                x = LEFT + window * CELL
                drawing.rectangle(x, top, CELL - 4, 22, f"w-{colour} l-{colour}", 3)
                drawing.text(x + 21, top + 15, str(window), "m", anchor="middle")
    return y + 42 + 26 * ranks


def _wrong(drawing: Drawing, y: float) -> None:
    drawing.path(f"M26 {y - 18:.0f}H834", "s-line", 1)
    drawing.text(
        26, y + 6, "What must not happen: each rank draws for itself, with the same seed", "b"
    )
    for rank in range(2):
        top = y + 18 + 26 * rank
        drawing.text(LEFT - 10, top + 16, f"rank {rank}", "s", "problem", "end")
        for window in range(8):
            x = LEFT + window * CELL
            drawing.rectangle(x, top, CELL - 4, 22, "w-problem l-problem", 3)
            drawing.text(x + 21, top + 15, str(window), "m", anchor="middle")
    paragraph(
        drawing,
        (LEFT + 8 * CELL + 14, y + 32),
        "Both learn from the same windows: twice the work for the same gradient, and nothing "
        "fails.",
        360,
        "s",
    )
