"""What is trained on, and what is held back."""

import math

from drawings.facts import recorded
from drawings.parts import box, notes, paragraph
from drawings.svg import Drawing

LEFT, WIDE = 26.0, 808.0


def draw() -> Drawing:
    """Return the drawing."""
    train, val = recorded()["split"]
    share = train / (train + val)
    drawing = Drawing(
        "The split: nine parts to learn from, one to be asked about",
        "A long bar for the text: its first nine tenths are for training, its last tenth for "
        "validation. Training steps read from the first part alone and change the weights; "
        "evaluations read both parts and change nothing. Below, a row of shards of which the first "
        "is for validation, and the recorded losses of a run on its validation part.",
        f"The built-in plays: {train + val:,} characters. `train_val_split` = 0.9 cuts at "
        f"character {train:,}.",
        690,
    )
    y = 96.0
    cut = LEFT + WIDE * share
    drawing.rectangle(LEFT, y, cut - LEFT - 2, 50, "w-query l-query", 4)
    drawing.rectangle(cut + 2, y, LEFT + WIDE - cut - 2, 50, "w-key l-key", 4)
    drawing.text((LEFT + cut) / 2, y + 22, "train", "n", "query", "middle")
    drawing.text((LEFT + cut) / 2, y + 40, f"{train:,} characters", "s", "muted", "middle")
    middle = (cut + LEFT + WIDE) / 2
    drawing.text(middle, y + 22, "val", "n", "key", "middle")
    drawing.text(middle, y + 40, f"{val:,}", "s", "muted", "middle")
    _readers(drawing, middle)
    _shards(drawing)
    _losses(drawing)
    return drawing


def _readers(drawing: Drawing, val: float) -> None:
    drawing.arrow([(200, 148), (200, 202)], "query", 2)
    box(
        drawing,
        (60, 202, 280, 44),
        "training step",
        "reads windows, changes the weights",
        "query",
        "b",
    )
    drawing.arrow([(480, 148), (480, 202)], "query")
    drawing.arrow([(val, 148), (val, 170), (640, 170), (640, 202)], "key", 2)
    box(drawing, (420, 202, 300, 44), "evaluation", "reads both, changes nothing", "key", "b")
    paragraph(
        drawing,
        (26, 280),
        "The loss on `train` tells how well the model knows what it has read. The loss on `val` "
        "tells how well it knows the language: nothing of that part was ever learnt. A gap that "
        "grows between the two is overfitting: the model learns by heart. The end of the text is "
        "held back, in one piece: with single windows drawn out of the middle, their neighbours "
        "would give them away.",
        806,
    )


def _shards(drawing: Drawing) -> None:
    y = 392.0
    drawing.text(26, y, "A text in shards", "b")
    drawing.text(
        150,
        y,
        "is split when it is written: one file for validation, all others to train on",
        "s",
        "muted",
    )
    for place in range(8):
        x = LEFT + place * 101.5
        colour = "key" if place == 0 else "query"
        drawing.rectangle(x, y + 12, 95, 34, f"w-{colour} l-{colour}", 4)
        name = "…" if place == 7 else "val_000000" if place == 0 else f"train_{place:06}"
        drawing.text(x + 47.5, y + 33, name, "m", colour, "middle")


def _losses(drawing: Drawing) -> None:
    """Draw the recorded validation losses and the floor."""
    y = 484.0
    looks, floor = recorded()["losses"]["eval_val_loss"], recorded()["floor"]
    drawing.text(26, y, "Loss on `val` of the run whose numbers the other drawings show", "b")
    left, base, high, steps = 80.0, 640.0, 128.0, looks[-1][0]

    def place(step: float, loss: float) -> tuple[float, float]:
        return left + step / steps * 560, base - math.log(loss / 0.1) / math.log(50) * high

    for tick in (0.1, 0.3, 1.0, 3.0):
        _, level = place(0, tick)
        drawing.path(f"M{left:.0f} {level:.1f}h560", "s-line", 1)
        drawing.text(left - 10, level + 4, f"{tick:g}", "s", "muted", "end")
    _, level = place(0, floor)
    drawing.path(f"M{left:.0f} {level:.1f}h560", "s-value", 1.5, dashed=True)
    drawing.text(left + 572, level + 5, f"floor {floor:.3f}: no model", "s", "value")
    drawing.text(left + 572, level + 21, "can be below", "s", "value")
    points = [place(step, loss) for step, loss in looks]
    drawing.path("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), "s-key", 2)
    for (x, level), (_, loss) in zip(points, looks, strict=True):
        drawing.circle(x, level, 3.5, "f-key")
        drawing.text(x + 2, level - 9, f"{loss:.2f}", "m", "key", "middle" if x > left else "start")
    for step, _ in looks:
        drawing.text(place(step, 1)[0], base + 18, f"{step:,}", "s", "muted", "middle")
    drawing.text(left + 592, base + 18, "steps", "s", "muted")
    notes(drawing, 0 + base + 38, ["Nats per character, on a logarithmic scale."])
