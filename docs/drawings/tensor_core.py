"""What a tensor core does: a small matrix product and a sum, in one go."""

import torch

from drawings.facts import origin, shown, tokens, value
from drawings.parts import grid, labels_above, labels_left, notes, paragraph
from drawings.svg import Drawing
from playattention.bench.devices import TERA, device

SIDE = 4
HEAD = "blocks.0.attention.heads.0"
CELL = (42.0, 26.0)
GENERATIONS = (
    ("V100, 2017", "v100-16gb", 64, 80 * 8, 1.53),
    ("A100, 2020", "a100-80gb", 256, 108 * 4, 1.41),
    ("H100 SXM, 2022", "h100", 512, 132 * 4, 1.83),
)
"""Name, device, multiply-adds a clock and core in fp16, tensor cores, boost clock in GHz: NVIDIA's
white papers on Volta (2017), A100 (2020) and H100 (2022)."""


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "A tensor core: a tile of a matrix product in one go",
        "Two steps. In each, a 4 by 4 tile of query in bf16 times a 4 by 4 tile of key, plus what "
        "the step before left, gives a 4 by 4 tile of sums in float32. After the second step, it "
        "is a corner of scores. Below, a table: how many such products each GPU does a second.",
        "D = A × B + C. The tiles are corners of query and key of one head: D becomes a corner of "
        "`scores`.",
        712,
    )
    sums = torch.zeros(SIDE, SIDE)
    for number in range(2):
        sums = _step(drawing, 128 + 184 * number, number, sums)
    _result(drawing, sums)
    _rates(drawing)
    notes(drawing, 690, [f"{origin()} Rates: NVIDIA's white papers."])
    return drawing


def tiles(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a tile of query and one of key, transposed, rounded to bf16; float32 (4, 4)."""
    channels = slice(SIDE * number, SIDE * (number + 1))
    query = torch.tensor(value(f"{HEAD}:query"))[:SIDE, channels]
    key = torch.tensor(value(f"{HEAD}:key"))[:SIDE, channels]
    return query.bfloat16().float(), key.T.bfloat16().float()


def _step(drawing: Drawing, y: float, number: int, before: torch.Tensor) -> torch.Tensor:
    """Draw one multiplication and sum; return its result."""
    left, right = tiles(number)
    result = left @ right + before
    first = SIDE * number
    channels = [str(first + place) for place in range(SIDE)]
    drawing.text(26, y - 34, f"step {number}", "b")
    for place, (matrix, name, said, colour, above, beside) in enumerate(
        [
            (left, "A", "query, bf16", "query", channels, tokens()),
            (right, "B", "keyᵀ, bf16", "key", tokens(), channels),
            (before, "C", "float32", "ink", tokens(), tokens()),
            (result, "D", "float32", "accent", tokens(), tokens()),
        ]
    ):
        x = 50.0 + 206 * place
        at = (x, y)
        drawing.text(x + 60 * (place == 0), y - 34, name, "n", colour)
        drawing.text(x + 16 + 60 * (place == 0), y - 34, said, "s", "muted")
        labels_above(drawing, at, above[:SIDE], CELL[0], "muted")
        labels_left(drawing, at, beside[:SIDE], CELL[1], "muted")
        most = 3.5 if place < 2 else 13.0
        digits = 1 if matrix.abs().max() >= 10 else 2
        grid(drawing, at, matrix.tolist(), CELL, most, digits=digits)
        if place:
            drawing.text(x - 28, y + 57, " ×+="[place], "h", anchor="middle")
        drawing.rectangle(x - 2, y - 2, SIDE * CELL[0] + 3, SIDE * CELL[1] + 3, f"s-{colour}", 3)
    return result


def _result(drawing: Drawing, sums: torch.Tensor) -> None:
    y = 446.0
    exact = value(f"{HEAD}:scores")[0][0]
    drawing.text(
        26,
        y,
        f"D is `scores` now: {shown(sums[0, 0].item())} for the first token and itself. In float32 "
        f"all through it was {shown(exact)}.",
        "t",
    )
    paragraph(
        drawing,
        (26, y + 24),
        "Only the operands are rounded. Products are summed in float32, so that little is lost on "
        "the way, however long the row is. A matrix of 128 × 512 is many such tiles; where its "
        "sizes are no multiples of the tile's, cores work on padding: one more reason to pad a "
        "vocabulary of 50,257 to 50,304.",
        806,
    )


def _rates(drawing: Drawing) -> None:
    y = 562.0
    drawing.path(f"M26 {y - 22:.0f}H834", "s-line", 1)
    heads = ("GPU", "multiply-adds a clock", "tensor cores", "clock", "operations a second")
    places = (26.0, 160.0, 398.0, 510.0, 612.0)
    for x, words in zip(places, heads, strict=True):
        drawing.text(x, y, words, "b")
    for row, (name, key, each, cores, clock) in enumerate(GENERATIONS):
        level = y + 26 + 24 * row
        rate = each * cores * clock * 1e9 * 2
        known = device(key).half
        assert abs(rate / known - 1) < 0.01, name
        tile = {64: "4 × 4 × 4", 256: "8 × 4 × 8", 512: ""}[each]
        for x, words in zip(
            places,
            (
                name,
                f"{each}" + (f" = {tile}" if tile else ""),
                str(cores),
                f"{clock} GHz",
                f"{rate / TERA:.0f} · 10¹² (data sheet: {known / TERA:.0f})",
            ),
            strict=True,
        ):
            drawing.text(x, level, words, "t")
    notes(
        drawing,
        y + 104,
        ["Each core, in fp16 or bf16 (V100: fp16), dense. A multiply-add is two operations."],
    )
