"""The stream that runs through the blocks, and what each adds to it."""

from drawings.facts import origin, shown, tokens, value
from drawings.parts import box, length, notes, paragraph, plus
from drawings.svg import Drawing

STREAM = 118.0
CHANNEL, TOKEN = 0, 4
STEPS = (
    ("x", ":x0", None, ""),
    ("attended", "blocks.0:attended", "attention", "attention_norm"),
    ("x_attended", "blocks.0:x_attended", None, ""),
    ("computed", "blocks.0:computed", "feed_forward", "feed_forward_norm"),
    ("x", ":x1", None, ""),
    ("attended", "blocks.1:attended", "attention", "attention_norm"),
    ("x_attended", "blocks.1:x_attended", None, ""),
    ("computed", "blocks.1:computed", "feed_forward", "feed_forward_norm"),
    ("x", ":x2", None, ""),
)
"""Name, recorded value, and for what is added: the module, and the norm before it."""
BAR, SCALE = 480.0, 90.0


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "The residual stream: blocks add, nothing is replaced",
        "A line runs straight from the embedding to the final norm. In each of two blocks a copy "
        "branches off through a norm and attention, and its result is added back; then through a "
        "norm and feed-forward. Bars show the mean length of each vector as measured.",
        f"Two blocks, the text “{''.join(tokens())}”. Bars: length of the vectors, mean over the "
        "five tokens.",
        726,
    )
    drawing.text(BAR, 92, "mean length", "b")
    drawing.text(834, 92, f"channel {CHANNEL} of “{tokens()[TOKEN]}”", "b", anchor="end")
    drawing.line([(STREAM, 100), (STREAM, 616)], "accent", 3.5)
    for place, step in enumerate(STEPS):
        _step(drawing, 122 + 58 * place, *step)
    for block in range(2):
        top = 142 + 232 * block
        drawing.rectangle(78, top, 372, 196, "s-strong-line", 8, dashed=True)
        drawing.text(70, top + 98, f"blocks.{block}", "n", "muted", "middle", True)
    drawing.arrow([(STREAM, 600), (STREAM, 634)], "accent", 3.5)
    box(drawing, (STREAM - 60, 634, 120, 28), "final_norm")
    paragraph(
        drawing,
        (216, 640),
        "The norms stand on the branches, not on the stream: what a block wrote stays readable "
        "for all later ones, and gradients come back along the line unchanged, times 1.",
        610,
    )
    notes(drawing, 704, [origin()])
    return drawing


def _step(drawing: Drawing, y: float, name: str, title: str, module: str | None, norm: str) -> None:
    """Draw one value: on the stream, or what is added to it."""
    rows = value(title)
    mean = sum(length(row) for row in rows) / len(rows)
    number = shown(rows[TOKEN][CHANNEL])
    if module is None:
        drawing.text(STREAM + 14, y + 4, name, "n", "accent")
    else:
        up = y - 26
        drawing.line([(STREAM, up), (268, up), (268, up + 10)])
        box(drawing, (196, up + 8, 144, 22), norm, font="m")
        drawing.line([(268, up + 30), (268, up + 36)])
        box(drawing, (196, up + 36, 144, 22), module, font="n")
        drawing.arrow([(196, up + 47), (STREAM + 10, up + 47)])
        plus(drawing, STREAM, up + 47, 10)
        drawing.text(350, up + 51, name, "n")
        y += 12
    colour = "f-accent" if module is None else "f-diverging-4"
    drawing.rectangle(BAR, y - 8, mean * SCALE, 16, colour, 2)
    drawing.text(BAR + mean * SCALE + 8, y + 4, f"{mean:.2f}", "m")
    if module is not None:
        number = f"− {number[1:]}" if number.startswith("−") else f"+ {number}"
    drawing.text(834, y + 4, number, "n" if module is None else "m", anchor="end")
