"""A table of nvidia-smi, its fields numbered and explained."""

from drawings.parts import notes, wrapped
from drawings.svg import Drawing

LEFT, WIDE = 40.0, 780.0
FIELDS = (
    (58, 186, "0", "GPU: its number. PyTorch calls this one `cuda:0`."),
    (100, 186, "NVIDIA A100-SXM4-80GB", "Name: which GPU it is."),
    (90, 212, "54C", "Temp: degrees Celsius. Near its limit the GPU lowers its clock."),
    (150, 212, "P0", "Perf: P0 is the fastest state, P8 and beyond are idle."),
    (
        216,
        212,
        "318W / 400W",
        "Pwr: power used, and the most it may use. A GPU at work is near it.",
    ),
    (
        400,
        212,
        "41235MiB / 81920MiB",
        "Memory-Usage: held by all processes, of all there is. "
        "PyTorch keeps what it once took, so it hardly falls. Full: out of memory.",
    ),
    (
        640,
        212,
        "97%",
        "GPU-Util: share of the time in which any work ran at all. Not how much of "
        "the GPU was busy: small kernels, one after another, also give 100 %. Well below: it "
        "waits.",
    ),
    (
        212,
        318,
        "12345",
        "PID: the process that holds the memory. One left over from a crash holds "
        "it until it is ended: `kill 12345`.",
    ),
    (
        400,
        318,
        ".../.venv/bin/python",
        "Process name: what was started; C in Type means computing.",
    ),
    (700, 318, "41226MiB", "GPU Memory: held by this process."),
)
"""x and y of a field, what stands there, and what it means; the numbers follow their order."""


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "nvidia-smi, field by field",
        "A schematic of the table that nvidia-smi prints: driver and CUDA version on top, then one "
        "GPU with its name, temperature, power, memory and utilisation, then a list of processes. "
        "Ten fields carry numbers, which are explained below.",
        "A schematic with example values. `watch -n 0.5 nvidia-smi` shows it anew twice a second.",
        640,
    )
    _frame(drawing)
    for number, (x, y, words, _) in enumerate(FIELDS, start=1):
        wide = drawing.text(x, y, words, "n")
        drawing.circle(x + wide + 13, y - 4.5, 9.5, "f-accent")
        drawing.text(x + wide + 13, y - 0.5, str(number), "s", "card", "middle")
    _legend(drawing)
    notes(drawing, 618, ["`playattention gpu` shows the same readings and explains each."])
    return drawing


def _frame(drawing: Drawing) -> None:
    """Draw the table's lines, headings and the fields that carry no number."""
    drawing.rectangle(LEFT, 84, WIDE, 250, "f-sunken l-strong-line", 4)
    for y in (112, 162, 230, 290):
        thick = 1 if y in (112, 230) else 2
        drawing.path(f"M{LEFT:.0f} {y}h{WIDE:.0f}", "s-strong-line", thick)
    for x in (380, 610):
        drawing.path(f"M{x} 112V230", "s-strong-line", 1)
    muted = [
        (56, 103, "NVIDIA-SMI 550.54.15"),
        (330, 103, "Driver Version: 550.54.15"),
        (640, 103, "CUDA Version: 12.4"),
        (56, 132, "GPU  Name"),
        (262, 132, "Persistence-M"),
        (56, 152, "Fan  Temp   Perf"),
        (216, 152, "Pwr:Usage/Cap"),
        (400, 132, "Bus-Id"),
        (540, 132, "Disp.A"),
        (400, 152, "Memory-Usage"),
        (626, 132, "Volatile Uncorr. ECC"),
        (626, 152, "GPU-Util"),
        (740, 152, "Compute M."),
        (326, 186, "On"),
        (400, 186, "00000000:07:00.0"),
        (560, 186, "Off"),
        (790, 186, "0"),
        (56, 212, "N/A"),
        (740, 212, "Default"),
        (56, 250, "Processes:"),
        (56, 276, "GPU   GI   CI"),
        (212, 276, "PID"),
        (330, 276, "Type"),
        (400, 276, "Process name"),
        (700, 276, "GPU Memory"),
        (64, 318, "0   N/A  N/A"),
        (340, 318, "C"),
    ]
    for x, y, words in muted:
        drawing.text(x, y, words, "m", "muted")


def _legend(drawing: Drawing) -> None:
    columns = [(26.0, FIELDS[:6]), (446.0, FIELDS[6:])]
    number = 1
    for x, fields in columns:
        y = 372.0
        for _, _, _, said in fields:
            drawing.circle(x + 9, y - 4.5, 9.5, "f-accent")
            drawing.text(x + 9, y - 0.5, str(number), "s", "card", "middle")
            for line in wrapped(said, 354):
                drawing.text(x + 28, y, line, "t")
                y += 18
            y += 10
            number += 1
