"""From logits to a drawn token: temperature, top-k, top-p."""

import torch

from drawings.facts import origin, recorded, shown
from drawings.parts import notes, paragraph
from drawings.svg import Drawing
from playattention.generation import next_token_distribution

TEMPERATURE, TOP_K, TOP_P = 0.8, 4, 0.95
SHOWN = 8
"""Tokens that get a row, the likeliest first."""
COLUMNS = (104.0, 184.0, 264.0, 404.0, 544.0, 690.0)
ROW, TOP = 27.0, 152.0


def draw() -> Drawing:
    """Return the drawing."""
    text = recorded()["open_end"]
    drawing = Drawing(
        "Sampling: from logits to the next token",
        "A table with a row for each of the eight likeliest characters and a column for each step: "
        "logit, divided by the temperature, probability, what top-k leaves, what top-p leaves, and "
        "the shares that are drawn from. Below, the shares laid end to end for the draw, and the "
        "distribution at three temperatures.",
        f"After “{text}”, with temperature = {TEMPERATURE}, top_k = {TOP_K}, top_p = {TOP_P}.",
        760,
    )
    logits = torch.tensor([recorded()["logits_after_open_end"]], dtype=torch.float64)
    best = logits[0].argsort(descending=True)[:SHOWN].tolist()
    _headings(drawing)
    _table(drawing, logits, best)
    _draw(drawing, logits, best)
    _temperatures(drawing, logits, best)
    notes(drawing, 738, [origin()])
    return drawing


def _sign(id_: int) -> str:
    character: str = recorded()["characters"][id_]
    return {" ": "␣", "\n": "↵"}.get(character, character)


def _headings(drawing: Drawing) -> None:
    said = [
        ("logit", "any number"),
        (f"/ {TEMPERATURE}", "sharper"),
        ("softmax", "probabilities"),
        (f"top-k, {TOP_K}", "the likeliest"),
        (f"top-p, {TOP_P}", "until p is reached"),
        ("drawn from", "again together 1"),
    ]
    for x, (name, below) in zip(COLUMNS, said, strict=True):
        end = "end" if x < 200 else "start"
        at = x + 56 if end == "end" else x
        drawing.text(at, 104, name, "b", anchor=end)
        drawing.text(at, 122, below, "s", "muted", end)


def _table(drawing: Drawing, logits: torch.Tensor, best: list[int]) -> None:
    stages = [
        next_token_distribution(logits, TEMPERATURE)[0],
        next_token_distribution(logits, TEMPERATURE, top_k=TOP_K)[0],
        next_token_distribution(logits, TEMPERATURE, TOP_K, TOP_P)[0],
    ]
    plain = stages[0].tolist()
    for row, id_ in enumerate(best):
        y = TOP + ROW * row
        drawing.rectangle(30, y - 15, 24, 21, "f-sunken l-line", 3)
        drawing.text(42, y, _sign(id_), "n", anchor="middle")
        number = logits[0, id_].item()
        drawing.text(COLUMNS[0] + 56, y, shown(number), "m", anchor="end")
        drawing.text(COLUMNS[1] + 56, y, shown(number / TEMPERATURE), "m", anchor="end")
        kept = [plain[id_], *(plain[id_] if stage[id_] else 0.0 for stage in stages[1:])]
        for x, share in zip(COLUMNS[2:5], kept, strict=True):
            _bar(drawing, x, y, share, "accent")
        _bar(drawing, COLUMNS[5], y, stages[2][id_].item(), "weights")
    y = TOP + ROW * SHOWN
    rest = 1 - sum(plain[id_] for id_ in best)
    drawing.text(30, y, f"and {len(plain) - SHOWN} more,", "s", "muted")
    drawing.text(COLUMNS[2], y, f"together {rest:.4f}", "s", "muted")


def _bar(drawing: Drawing, x: float, y: float, share: float, colour: str) -> None:
    if share == 0:
        drawing.text(x, y, "cut", "s", "muted")
        return
    drawing.rectangle(x, y - 12, max(1.0, 80 * share), 15, f"f-{colour}", 2)
    drawing.text(
        x + max(1.0, 80 * share) + 6, y, f"{share:.3f}" if share > 0.0005 else "< 0.001", "m"
    )


def _draw(drawing: Drawing, logits: torch.Tensor, best: list[int]) -> None:
    y = 424.0
    shares = next_token_distribution(logits, TEMPERATURE, TOP_K, TOP_P)[0]
    drawing.text(26, y, "The draw: a number between 0 and 1 falls on one of them", "b")
    begin, place = 0.0, 0.83
    for number, id_ in enumerate(id_ for id_ in best if shares[id_]):
        wide = 808 * shares[id_].item()
        drawing.rectangle(26 + begin, y + 30, wide - 2, 28, f"weights-{9 - 3 * number}", 2)
        drawing.text(
            26 + begin + wide / 2, y + 48, _sign(id_), "n", f"weights-{9 - 3 * number}-t", "middle"
        )
        begin += wide
    drawing.arrow([(26 + 808 * place, y + 12), (26 + 808 * place, y + 29)], "problem", 2)
    drawing.text(18 + 808 * place, y + 22, f"say {place}", "s", "problem", "end")


def _temperatures(drawing: Drawing, logits: torch.Tensor, best: list[int]) -> None:
    y = 520.0
    drawing.path(f"M26 {y - 18:.0f}H834", "s-line", 1)
    drawing.text(26, y + 6, "Temperature alone", "b")
    for column, temperature in enumerate((0.5, 1.0, 2.0)):
        x = 42 + 272 * column
        shares = next_token_distribution(logits, temperature)[0]
        drawing.text(x, y + 32, f"temperature = {temperature:g}", "n")
        base = y + 140
        for place, id_ in enumerate(best):
            high = 92 * shares[id_].item()
            left = x + 29 * place
            drawing.rectangle(left, base - max(0.6, high), 21, max(0.6, high), "f-accent", 1)
            drawing.text(left + 10.5, base + 16, _sign(id_), "n", "muted", "middle")
        drawing.path(f"M{x - 4} {base:.0f}h236", "s-strong-line", 1)
        most = shares[best[0]].item()
        drawing.text(x, base - 92 * most - 6, f"{most:.3f}", "m")
    paragraph(
        drawing,
        (26, y + 190),
        "Low: the likeliest token nearly always. High: unlikely ones get their chance. 0 takes the "
        "likeliest without any draw.",
        808,
        "s",
    )
