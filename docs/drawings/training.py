"""The training loop, and what it did in the recorded run."""

import math

from drawings.facts import recorded
from drawings.parts import box, notes
from drawings.svg import Drawing
from playattention.config import TrainConfig
from playattention.training.optimizer import learning_rate

LEFT, WIDE = 84.0, 600.0


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "The training loop, and a run of it",
        "A ring of boxes: take a micro-batch, forward, backward; after grad_accum of them set the "
        "learning rate, clip, step, and set the gradients to zero. Now and then evaluate, write a "
        "sample and save. Below, the losses of a recorded run over its steps, and the learning "
        "rate of each.",
        "Names as in `training/loop.py`. One turn of the large ring is one optimizer step.",
        830,
    )
    _ring(drawing)
    _losses(drawing)
    _rate(drawing)
    losses = recorded()["losses"]
    notes(
        drawing,
        808,
        [
            "The run whose numbers the other drawings show: loss "
            f"{losses['train_loss'][0][1]:.2f} at step 1, {losses['eval_val_loss'][-1][1]:.2f} "
            "on the validation split at the end."
        ],
    )
    return drawing


def _ring(drawing: Drawing) -> None:
    drawing.rectangle(54, 84, 496, 154, "f-sunken l-line", 8)
    drawing.text(68, 104, "grad_accum times: their gradients add up", "s", "muted")
    inner = [
        ("windows.batch", "idx, targets"),
        ("model", "logits, loss"),
        ("backward", "gradients"),
    ]
    for number, (name, said) in enumerate(inner):
        box(drawing, (68 + 162 * number, 122, 142, 46), name, said, "accent")
        if number < 2:
            drawing.arrow([(210 + 162 * number, 145), (230 + 162 * number, 145)])
    drawing.arrow([(463, 168), (463, 206), (139, 206), (139, 168)])
    drawing.text(301, 226, "loss / grad_accum, so that they average", "s", "muted", "middle")
    drawing.arrow([(534, 145), (592, 145)])
    outer = [
        (592, 122, "clip_grad_norm_", "whole length at most 1.0"),
        (592, 206, "optimizer.step", "AdamW, rate of this step"),
        (592, 290, "zero_grad", "else the next step adds to it"),
    ]
    for x, y, name, said in outer:
        box(drawing, (x, y, 220, 46), name, said, "query")
    drawing.arrow([(702, 168), (702, 206)])
    drawing.arrow([(702, 252), (702, 290)])
    drawing.arrow([(592, 313), (30, 313), (30, 145), (68, 145)], "query", 2)
    drawing.text(286, 305, "the next step", "s", "query", "middle")
    box(drawing, (180, 332, 320, 40), "evaluate, sample, save", "every eval_every steps", "key")
    drawing.arrow([(560, 313), (560, 352), (500, 352)], "key")


def _axis(drawing: Drawing, y: float, steps: int) -> None:
    for step in range(0, steps + 1, 500):
        x = LEFT + step / steps * WIDE
        drawing.text(x, y, f"{step:,}", "s", "muted", "middle")
    drawing.text(LEFT + WIDE + 42, y, "steps", "s", "muted")


def _losses(drawing: Drawing) -> None:
    losses = recorded()["losses"]
    steps, base, high = recorded()["step"], 612.0, 180.0
    drawing.text(26, 408, "Loss, nats per character", "b")

    def place(step: float, loss: float) -> str:
        level = base - math.log(loss / 0.1) / math.log(45) * high
        return f"{LEFT + step / steps * WIDE:.1f} {level:.1f}"

    for tick in (0.1, 0.2, 0.5, 1.0, 2.0, 4.0):
        level = float(place(0, tick).split()[1])
        drawing.path(f"M{LEFT:.0f} {level:.1f}h{WIDE:.0f}", "s-line", 1)
        drawing.text(LEFT - 10, level + 4, f"{tick:g}", "s", "muted", "end")
    for name, colour in (("train_loss", "accent"), ("eval_val_loss", "key")):
        points = "L".join(place(*pair) for pair in losses[name])
        drawing.path(f"M{points}", f"s-{colour}", 1.3 if name == "train_loss" else 2.2)
    drawing.path(f"M{place(0, recorded()['floor'])}h{WIDE:.0f}", "s-value", 1.5, dashed=True)
    x = LEFT + WIDE + 14
    _, level = map(float, place(0, losses["eval_val_loss"][-1][1]).split())
    drawing.text(x, level - 12, "val", "n", "key")
    drawing.text(x, level + 6, "train, every 25th", "s", "accent")
    _, level = map(float, place(0, recorded()["floor"]).split())
    drawing.text(x, level + 4, f"floor {recorded()['floor']:.3f}", "s", "value")
    size = len(recorded()["characters"])
    drawing.text(
        LEFT + 12,
        float(place(0, 4).split()[1]) - 6,
        f"ln({size}) = {math.log(size):.2f}: all equally likely",
        "s",
        "muted",
    )
    _axis(drawing, base + 18, steps)


def _rate(drawing: Drawing) -> None:
    """Draw the schedule, as the optimizer's own function gives it."""
    settings = TrainConfig(learning_rate=3e-3)  # the recorded command's
    steps, base, high = recorded()["step"], 760.0, 84.0
    drawing.text(26, 664, "Learning rate: warm-up, then a cosine", "b")
    points = "L".join(
        f"{LEFT + step / steps * WIDE:.1f} "
        f"{base - learning_rate(step, steps, settings) / settings.learning_rate * high:.1f}"
        for step in (*range(0, 200, 20), *range(200, steps, 100), steps - 1)
    )
    drawing.path(f"M{LEFT:.0f} {base:.0f}h{WIDE:.0f}", "s-line", 1)
    drawing.path(f"M{points}", "s-query", 2)
    drawing.text(LEFT - 10, base - high + 4, "0.003", "s", "muted", "end")
    drawing.text(LEFT - 10, base + 4, "0", "s", "muted", "end")
    drawing.text(LEFT + WIDE + 14, base - 2, f"{settings.min_learning_rate:g}", "s", "query")
    drawing.text(LEFT + 24, base - 34, f"{settings.warmup_steps} steps up", "s", "query")
    _axis(drawing, base + 18, steps)
