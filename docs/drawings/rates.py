"""How many operations a second a GPU does, by number format."""

from drawings.parts import notes, paragraph
from drawings.svg import Drawing
from playattention.bench.devices import TERA, device

FP8 = 1979 * TERA
"""H100 SXM, dense: half of the data sheet's 3,958 TFLOP/s with sparsity. Not used here."""
LEFT, SCALE = 196.0, 0.22


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Peak rates: fewer bits, more operations a second",
        "Bars for A100 and H100: float32 without tensor cores is shortest, then TF32, then bf16 "
        "and fp16, which are alike; the H100 also has FP8.",
        "Matrix products, dense, in TFLOP/s: 10¹² multiplications and additions a second.",
        524,
    )
    y = 96.0
    for key, name in (("a100-80gb", "NVIDIA A100 SXM, 2020"), ("h100", "NVIDIA H100 SXM, 2022")):
        y = _device(drawing, y, key, name)
    y = paragraph(
        drawing,
        (26, y + 4),
        "Each halving of the bits doubles the rate of the tensor cores, and halves what has to be "
        "fetched from memory. These are the makers' limits: a real product of large matrices stays "
        "some 10 to 30 % below, a small one far below, and what is no matrix product does not run "
        "on tensor cores. Data sheets print twice as much for matrices of which half is zero.",
        806,
    )
    notes(
        drawing,
        484,
        [
            "Sources: NVIDIA A100 data sheet; NVIDIA H100 data sheet, half of its figures with "
            "sparsity.",
            "The same figures as `playattention plan` reckons with (`bench/devices.py`), but for "
            "FP8.",
        ],
    )
    return drawing


def _device(drawing: Drawing, y: float, key: str, name: str) -> float:
    """Draw one device's bars; return where the next begins."""
    known = device(key)
    assert known.tf32 is not None
    drawing.text(26, y, name, "b")
    rates = [
        ("float32", known.float32, "strong-line", "no tensor cores"),
        ("TF32", known.tf32, "query", "float32, operands rounded"),
        ("bf16, fp16", known.half, "weights", "sums in float32"),
    ]
    if key == "h100":
        rates.append(("FP8", FP8, "line", "not used here"))
    for row, (label, rate, colour, said) in enumerate(rates):
        level = y + 14 + 30 * row
        drawing.text(LEFT - 84, level + 15, label, "n", anchor="end")
        wide = rate / TERA * SCALE
        drawing.rectangle(LEFT - 72, level, wide, 21, f"f-{colour} l-strong-line", 2)
        figure = f"{rate / TERA:,.1f}".removesuffix(".0")
        x = LEFT - 72 + wide + 10
        x += drawing.text(x, level + 15, figure, "n")
        times = rate / known.float32
        more = f"{times:.1f} × float32: {said}".replace(".0 ×", " ×") if times > 1 else said
        drawing.text(x + 10, level + 15, more, "s", "muted")
    return y + 14 + 30 * len(rates) + 30
