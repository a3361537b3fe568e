"""Number formats bit by bit, and what each keeps of a number."""

import struct

import torch

from drawings.parts import notes, paragraph
from drawings.svg import Drawing

NUMBER = 0.1
"""Whose bits are drawn."""
FORMATS = {"float32": (8, 23), "tf32": (8, 10), "float16": (5, 10), "bfloat16": (8, 7)}
"""Bits of the exponent and of the fraction, after one for the sign."""
BYTES = {
    "float32": "4 bytes",
    "tf32": "4 bytes in memory",
    "float16": "2 bytes",
    "bfloat16": "2 bytes",
}
OTHERS = (0.1, 1.001, 70000.0, 1e-8)
"""Numbers of which each format keeps something else."""
LEFT, CELL = 120.0, 18.0


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Number formats: where the bits go",
        "Four rows of bits for 0.1: float32 with 8 exponent and 23 fraction bits, TF32 with 8 and "
        "10, float16 with 5 and 10, bfloat16 with 8 and 7. A table tells the largest and smallest "
        "numbers and the step after 1, another what each format makes of four numbers.",
        f"The number {NUMBER} in each. Exponent bits decide how large and how small, fraction bits "
        "how finely.",
        736,
    )
    for place, (colour, name) in enumerate(
        (("weights", "sign"), ("key", "exponent"), ("query", "fraction"))
    ):
        x = LEFT + 110 * place
        drawing.rectangle(x, 82, 14, 14, f"w-{colour} l-{colour}", 2)
        drawing.text(x + 22, 94, name, "s", colour)
    for row, name in enumerate(FORMATS):
        _bits(drawing, name, 112 + 58 * row)
    _limits(drawing)
    _kept(drawing)
    notes(
        drawing,
        714,
        [
            "float32, float16, bfloat16: computed by PyTorch. TF32: float32, its fraction "
            "rounded to 10 bits."
        ],
    )
    return drawing


def bits(number: float, name: str) -> str:
    """Return the bits of a number: sign, exponent, fraction."""
    if name == "float16":
        return f"{struct.unpack('>H', struct.pack('>e', number))[0]:016b}"
    (whole,) = struct.unpack(">I", struct.pack(">f", stored(number, name)))
    return f"{whole:032b}"[: 1 + sum(FORMATS[name])]


def stored(number: float, name: str) -> float:
    """Return what a format makes of a number; TF32 rounds as tensor cores' conversion does.

    That is to the nearest, ties away from zero (CUDA's PTX ISA, `cvt.rna.tf32.f32`).
    """
    if name != "tf32":
        return torch.tensor(number, dtype=getattr(torch, name)).item()
    (whole,) = struct.unpack(">I", struct.pack(">f", number))
    rounded = (whole + 0x1000) & 0xFFFFE000  # 13 of the 23 bits go
    (kept,) = struct.unpack(">f", struct.pack(">I", rounded))
    return float(kept)


def _bits(drawing: Drawing, name: str, y: float) -> None:
    drawing.text(LEFT - 14, y + 17, name, "n", anchor="end")
    exponent, fraction = FORMATS[name]
    for place, bit in enumerate(bits(NUMBER, name)):
        colour = "weights" if place == 0 else "key" if place <= exponent else "query"
        x = LEFT + place * CELL
        drawing.rectangle(x, y, CELL - 2, 24, f"w-{colour} l-{colour}", 2)
        drawing.text(x + 8, y + 17, bit, "n" if bit == "1" else "m", anchor="middle")
    drawing.text(LEFT, y + 41, f"1 + {exponent} + {fraction} bits", "s", "muted")
    drawing.text(LEFT + 110, y + 41, BYTES[name], "s", "muted")
    drawing.text(LEFT + 250, y + 41, f"{stored(NUMBER, name):.10f}", "m")


def _power(number: float) -> str:
    """Return a number such as 3.40 · 10³⁸."""
    mantissa, exponent = f"{number:.2e}".split("e")
    return f"{mantissa} · 10{_raised(int(exponent))}"


def _raised(number: int) -> str:
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _limits(drawing: Drawing) -> None:
    y = 372.0
    drawing.path(f"M26 {y - 20:.0f}H834", "s-line", 1)
    for x, words in zip(
        (LEFT, LEFT + 190, LEFT + 400),
        ("largest", "smallest with all its digits", "step after 1"),
        strict=True,
    ):
        drawing.text(x, y, words, "b")
    for row, (name, (exponent, fraction)) in enumerate(FORMATS.items()):
        level = y + 24 + 22 * row
        top = 2 ** (exponent - 1) - 1
        largest = (2 - 2.0**-fraction) * 2.0**top
        if name != "tf32":
            limits = torch.finfo(getattr(torch, name))
            assert (limits.max, limits.eps) == (largest, 2.0**-fraction)
        drawing.text(LEFT - 14, level, name, "n", anchor="end")
        drawing.text(LEFT, level, _power(largest))
        drawing.text(LEFT + 190, level, _power(2.0 ** (1 - top)))
        drawing.text(LEFT + 400, level, f"{2.0**-fraction:.7f}".rstrip("0"), "m")
        drawing.text(LEFT + 510, level, f"= 2{_raised(-fraction)}", "t", "muted")


def _kept(drawing: Drawing) -> None:
    y = 506.0
    drawing.text(26, y, "What is kept of", "b")
    drawing.text(
        834, y + 112, "red: too large, too small, or the 0.001 is gone", "s", "problem", "end"
    )
    for column, number in enumerate(OTHERS):
        drawing.text(LEFT + 40 + 176 * column, y, f"{number:,g}".replace("-", "−"), "n")
    for row, name in enumerate(FORMATS):
        level = y + 24 + 22 * row
        drawing.text(LEFT - 14, level, name, "n", anchor="end")
        for column, number in enumerate(OTHERS):
            kept = stored(number, name)
            text = "∞" if kept == float("inf") else f"{kept:.7g}".replace("-", "−")
            lost = kept in (0.0, 1.0, float("inf"))
            colour = "problem" if lost else "ink"
            drawing.text(LEFT + 40 + 176 * column, level, text, "n" if lost else "m", colour)
    paragraph(
        drawing,
        (26, y + 142),
        "float16 counts finely, but ends early: sums overflow, small gradients become 0 unless "
        "they are scaled up. bfloat16 has float32's range and few digits: good enough for the "
        "operands of large products, whose sums are kept in float32.",
        806,
    )
