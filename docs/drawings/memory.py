"""The memories of a GPU: the nearer, the smaller and the faster."""

from dataclasses import dataclass

from drawings.parts import notes, paragraph
from drawings.svg import Drawing


@dataclass(frozen=True)
class Level:
    """One kind of memory, in an A100 (SXM, 80 GB) and an H100 (SXM)."""

    name: str
    said: str
    """What lies there while a model trains."""
    sizes: tuple[str, str]
    speeds: tuple[str, str]
    """Bytes a second; "" where the maker does not say."""
    wide: float
    """Of its box."""


# A100: "NVIDIA A100 Tensor Core GPU Architecture", version 1.0 (2020): table 5 (sizes), 108 SMs at
# 1,410 MHz; level 2 reads 5,120 bytes a clock; shared memory 32 banks of 4 bytes a clock and SM
# (CUDA C++ Programming Guide). 80 GB: A100 data sheet. H100: "NVIDIA H100 Tensor Core GPU
# Architecture" (2022), table 4, 132 SMs, and the H100 data sheet.
A100_CLOCK, A100_SMS, H100_SMS = 1.41e9, 108, 132
LEVELS = (
    Level(
        "registers",
        "what is being multiplied now",
        (f"256 KB × {A100_SMS} = {256 * A100_SMS / 1024:.0f} MB", f"256 KB × {H100_SMS} = 33 MB"),
        ("", ""),
        220,
    ),
    Level(
        "shared memory, L1",
        "tiles of matrices; flash attention's blocks",
        (f"192 KB × {A100_SMS} = {192 * A100_SMS / 1024:.0f} MB", f"256 KB × {H100_SMS} = 33 MB"),
        (f"{128 * A100_SMS * A100_CLOCK / 1e12:.1f} TB/s", ""),
        270,
    ),
    Level(
        "L2 cache",
        "what was read or written a moment ago",
        ("40 MB", "50 MB"),
        (f"{5120 * A100_CLOCK / 1e12:.1f} TB/s", ""),
        320,
    ),
    Level(
        "HBM, “the GPU's memory”",
        "weights, gradients, AdamW's moments, activations",
        ("80 GB", "80 GB"),
        ("2.04 TB/s", "3.35 TB/s"),
        370,
    ),
    Level(
        "the computer's memory",
        "the data set; batches on their way",
        ("what you have", "what you have"),
        ("0.064 TB/s", "0.128 TB/s"),
        420,
    ),
)
MIDDLE, A100, H100 = 236.0, 474.0, 664.0


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "The memories of a GPU: the nearer, the faster and smaller",
        "Five boxes below each other, from registers on top, small and fast, over shared memory, "
        "the L2 cache and HBM to the computer's own memory at the bottom. Beside each its size and "
        "speed on an A100 and an H100.",
        "Multiplying happens on top. Whatever is not there has to come up, level by level.",
        638,
    )
    for x, name in ((A100, "A100 SXM, 80 GB"), (H100, "H100 SXM")):
        drawing.text(x, 92, name, "b")
        drawing.text(x, 110, "size, and bytes a second", "s", "muted")
    for row, level in enumerate(LEVELS):
        _level(drawing, 126 + 78 * row, level)
    drawing.path("M26 348H834", "s-strong-line", 1, dashed=True)
    drawing.text(834, 342, "on the chip", "s", "muted", "end")
    y = paragraph(
        drawing,
        (26, 534),
        "An A100 does 312 · 10¹² operations a second in bf16 and fetches 2.04 · 10¹² bytes: to "
        "keep its multipliers busy, each byte fetched must be used in about 150 operations. "
        "Products of large matrices do that. A norm, a softmax, a sum do not: they wait for "
        "memory. Fusing them, as torch.compile and flash attention do, saves the trips.",
        806,
    )
    notes(
        drawing,
        y + 8,
        [
            "NVIDIA A100 and H100 Tensor Core GPU Architecture (white papers, 2020, 2022) and data "
            "sheets; × 108, × 132: the number of SMs.",
            "A100's L1 and L2: bytes a clock × 1.41 GHz. Host: PCIe 4 and 5, both directions "
            "together. –: not told by the maker.",
        ],
    )
    return drawing


def _level(drawing: Drawing, y: float, level: Level) -> None:
    colour = "accent" if level.wide < 330 else "strong-line"
    wash = "w-accent" if level.wide < 330 else "f-sunken"
    drawing.rectangle(MIDDLE - level.wide / 2, y, level.wide, 52, f"{wash} l-{colour}", 6)
    drawing.text(MIDDLE, y + 22, level.name, "b", anchor="middle")
    drawing.text(MIDDLE, y + 41, level.said, "s", "muted", "middle")
    if level is not LEVELS[-1]:
        drawing.arrow([(MIDDLE - 12, y + 77), (MIDDLE - 12, y + 53)])
        drawing.arrow([(MIDDLE + 12, y + 53), (MIDDLE + 12, y + 77)])
    for x, size, speed in zip((A100, H100), level.sizes, level.speeds, strict=True):
        drawing.text(x, y + 22, size, "t")
        drawing.text(x, y + 41, speed or "–", "n", "accent" if speed else "muted")
