"""From one long row of ids to a batch: windows, inputs and targets."""

from typing import Literal

import numpy as np

from drawings.facts import recorded
from drawings.parts import notes, paragraph
from drawings.svg import Drawing
from playattention.data import playhouse
from playattention.data.loader import WindowStream
from playattention.tokenizers import CharTokenizer

LENGTH, T, B = 40, 8, 3
CELL, LEFT = 20.0, 30.0
COLOURS = ("query", "key", "value")
"""Of the windows: only here, to find them again below."""
LONG = 320
"""Tokens of the two strips that compare permutation and random."""


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Batches: windows of the text, and the same one token later",
        "A text of 40 characters with its ids, and three windows of 8 marked in it. Below, idx and "
        "targets of this batch: three rows each, targets shifted by one. Then what one row asks: "
        "eight predictions. At the end, two strips: windows as a partition of the text, and "
        "windows that start anywhere, which overlap and leave gaps.",
        f"A text of N = {LENGTH} tokens, B = {B} windows of T = {T}. Real sizes: B = 12, T = 64, N "
        "about a million.",
        764,
    )
    tokenizer = CharTokenizer(recorded()["characters"])
    text = playhouse.write(400, seed=3)
    begin = text.index("]\n\n") + 3
    ids = tokenizer.encode(text[begin : begin + LENGTH])
    stream = WindowStream(np.array(ids), T, seed=4)
    starts = [int(start) for start in stream.starts(0, B)]
    _text(drawing, ids, starts)
    idx, targets = (part.tolist() for part in stream.batch(0, B))
    _batch(drawing, idx, targets)
    _asked(drawing, idx[0], targets[0])
    _strips(drawing)
    return drawing


def _sign(id_: int) -> str:
    character: str = recorded()["characters"][id_]
    return {" ": "␣", "\n": "↵"}.get(character, character)


def _cells(drawing: Drawing, x: float, y: float, ids: list[int], colour: str) -> None:
    """Draw tokens, each with its id below."""
    for place, id_ in enumerate(ids):
        left = x + place * CELL
        drawing.rectangle(left, y, CELL - 1.5, 36, f"w-{colour} l-{colour}", 2)
        drawing.text(left + 9.2, y + 14, _sign(id_), "n", anchor="middle")
        drawing.text(left + 9.2, y + 30, str(id_), "m", "muted", "middle")


def _text(drawing: Drawing, ids: list[int], starts: list[int]) -> None:
    y = 112.0
    drawing.text(26, y - 8, "The training split: characters, and their ids below", "b")
    for place, id_ in enumerate(ids):
        colour = "line"
        for window, start in enumerate(starts):
            if (place - start) % LENGTH < T:
                colour = COLOURS[window]
        x = LEFT + place * CELL
        if colour == "line":
            drawing.rectangle(x, y, CELL - 1.5, 36, "f-sunken l-line", 2)
        else:
            drawing.rectangle(x, y, CELL - 1.5, 36, f"w-{colour} l-{colour}", 2)
        drawing.text(x + 9.2, y + 14, _sign(id_), "n", anchor="middle")
        drawing.text(x + 9.2, y + 30, str(id_), "m", "muted", "middle")
    for window, start in enumerate(starts):
        x = LEFT + start * CELL
        drawing.text(x, y + 54, f"window {window}", "s", COLOURS[window])


def _batch(drawing: Drawing, idx: list[list[int]], targets: list[list[int]]) -> None:
    y = 226.0
    for x, name, said, rows in (
        (100.0, "idx", "(B, T): what the model reads", idx),
        (500.0, "targets", "(B, T): the same, one token later", targets),
    ):
        wide = drawing.text(x, y - 12, name, "n")
        drawing.text(x + wide + 10, y - 12, said, "s", "muted")
        for row, ids in enumerate(rows):
            _cells(drawing, x, y + 42 * row, ids, COLOURS[row])
    for row in range(B):
        drawing.text(88, y + 42 * row + 22, f"window {row}", "s", COLOURS[row], "end")
        drawing.arrow([(270, y + 42 * row + 18), (490, y + 42 * row + 18)])
    drawing.text(380, y + 10, "shifted by one", "s", "muted", "middle")


def _asked(drawing: Drawing, idx: list[int], targets: list[int]) -> None:
    y = 388.0
    drawing.text(
        26, y, "What window 0 asks: T predictions at once, each from all tokens before", "b"
    )
    for place in range(T):
        column, row = divmod(place, 4)
        x, line = 60 + 400 * column, y + 28 + 24 * row
        read = "".join(_sign(id_) for id_ in idx[: place + 1])
        drawing.text(x, line, read, "n")
        drawing.arrow([(x + 90, line - 4), (x + 128, line - 4)])
        drawing.text(x + 140, line, _sign(targets[place]), "n", "accent")


def _strips(drawing: Drawing) -> None:
    """Draw an epoch of windows in both samplings, as the loader gives them."""
    drawing.path("M26 500H834", "s-line", 1)
    drawing.text(26, 524, "How windows are chosen", "b")
    tokens = np.zeros(LONG, dtype=np.uint16)
    many = LONG // T
    samplings: tuple[tuple[Literal["permutation", "random"], float], ...]
    samplings = (("permutation", 550.0), ("random", 646.0))
    for sampling, y in samplings:
        stream = WindowStream(tokens, T, seed=4, sampling=sampling)
        starts = [int(start) for start in stream.starts(0, many)]
        covered = {(start + step) % LONG for start in starts for step in range(T)}
        wide = drawing.text(26, y, f'sampling = "{sampling}"', "n")
        left = LONG - len(covered) or "none"
        said = f": {many} windows of {T} from {LONG} tokens, of which {left} are left out"
        drawing.text(26 + wide, y, said, "s", "muted")
        _windows(drawing, starts, y + 12)
    words = (
        "The partition begins at another place in each epoch and is gone through in a random "
        "order: the more a window stands out, the earlier it comes."
    )
    paragraph(drawing, (26, 592), words, 806, "s", "muted", 17)
    notes(
        drawing,
        722,
        [
            "Random starts are the textbook's way: some tokens come several times, and of a long "
            "text 37 % (1/e) not at all.",
            "Both strips: the loader's own windows, `WindowStream(…).starts(0, 40)`.",
        ],
    )


def _windows(drawing: Drawing, starts: list[int], y: float) -> None:
    """Draw windows in lanes, so that none covers another."""
    step = 808 / LONG
    lanes: list[list[int]] = []
    drawing.rectangle(26, y, 808, 10, "f-sunken l-line")
    for order, start in enumerate(starts):
        free = (lane for lane in lanes if all(abs(start - other) >= T for other in lane))
        lane = next(free, None)
        if lane is None:
            lane = []
            lanes.append(lane)
        lane.append(start)
        shade = f"weights-{12 - order * 10 // len(starts)}"
        top = y + 1 + 11 * next(n for n, other in enumerate(lanes) if other is lane)
        wide = min(T, LONG - start) * step
        drawing.rectangle(26 + start * step, top, wide - 1, 8, shade)
        if start + T > LONG:  # the text is taken as a circle
            drawing.rectangle(26, top, (start + T - LONG) * step - 1, 8, shade)
