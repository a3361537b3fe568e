"""The whole decoder: every value of a forward pass, by its name and shape."""

from drawings.facts import laptop_trace, shapes, weight_shape
from drawings.parts import box, notes, plus
from drawings.svg import Drawing

STREAM = 120
"""Where the stream of x runs down."""
LETTERS, NUMBERS = 648, 742
"""Where the two columns of shapes begin."""
PATH = 430
"""Middle of what branches off the stream."""


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "The decoder, from token ids to logits",
        "From top to bottom: idx, token_embedding plus position_embedding, then four blocks. In "
        "each, the stream x branches off through a norm and attention and is added back, then "
        "through a norm and the feed-forward layers and is added back. At the end final_norm, head "
        "and logits, and the loss against the targets. Beside each value stands its shape.",
        "Names as in `model_gpt.py`. Boxes are modules; what stands on a line is a value.",
        1000,
    )
    drawing.text(LETTERS, 92, "shape", "b")
    drawing.text(NUMBERS, 92, "on a laptop", "b")
    _embedding(drawing)
    _block(drawing)
    _head(drawing)
    sizes = laptop_trace().parts[""].settings
    notes(
        drawing,
        962,
        [
            "B batch, T tokens, S tokens seen so far (T here), C channels (n_embd), H heads, "
            "D head size (C / H), V vocabulary.",
            "Shapes: traced on one micro-batch of the GPT recipe: "
            + ", ".join(
                f"{name} {sizes[f'config.{name}']}"
                for name in ("n_layer", "n_head", "n_embd", "seq_size", "vocab_size")
            )
            + ".",
        ],
    )
    return drawing


def _value(drawing: Drawing, y: float, x: float, module: str, name: str, many: str = "") -> None:
    """Write a value beside its line, and its shapes in the columns, a dotted line between."""
    wide = drawing.text(x + 10, y + 4, name, "m")
    letters, numbers = shapes(module, name)
    drawing.path(f"M{x + wide + 18:.0f} {y}H{LETTERS - 10}", "s-line", 1)
    drawing.text(LETTERS, y + 4, many + letters, "m", "muted")
    drawing.text(NUMBERS, y + 4, many.replace("H", "4") + numbers, "m")


def _embedding(drawing: Drawing) -> None:
    drawing.arrow([(STREAM, 96), (STREAM, 132)])
    _value(drawing, 106, STREAM, "", "idx")
    box(drawing, (40, 132, 160, 36), "token_embedding")
    box(drawing, (340, 132, 180, 36), "position_embedding")
    drawing.text(440, 124, "positions 0 … T − 1", "s", "muted")
    drawing.arrow([(430, 113), (430, 132)])
    drawing.arrow([(STREAM, 168), (STREAM, 209)])
    _value(drawing, 184, STREAM, "", "token_embedded")
    drawing.arrow([(430, 168), (430, 220), (STREAM + 11, 220)])
    _value(drawing, 204, 430, "", "position_embedded")
    plus(drawing, STREAM, 220)
    drawing.line([(STREAM, 231), (STREAM, 290)], "accent", 3)
    _value(drawing, 246, STREAM, "", "embedded")


def _block(drawing: Drawing) -> None:
    """Draw block 0 and what stands for the others."""
    drawing.rectangle(84, 268, 548, 498, "s-strong-line", 8, dashed=True)
    drawing.text(600, 287, "blocks.0", "n", anchor="end")
    drawing.line([(STREAM, 290), (STREAM, 800)], "accent", 3)
    drawing.text(
        STREAM - 46, 520, "the stream: x goes straight through", "s", "accent", "middle", True
    )
    at = "blocks.0"
    drawing.arrow([(STREAM, 304), (PATH, 304), (PATH, 316)])
    box(drawing, (PATH - 75, 316, 150, 26), "attention_norm")
    _value(drawing, 356, PATH, at, "attention_input")
    drawing.arrow([(PATH, 342), (PATH, 372)])
    _attention(drawing, f"{at}.attention")
    drawing.arrow([(PATH, 532), (PATH, 556), (STREAM + 11, 556)])
    _value(drawing, 544, PATH, at, "attended")
    plus(drawing, STREAM, 556)
    _value(drawing, 580, STREAM, at, "x_attended")
    drawing.arrow([(STREAM, 598), (PATH, 598), (PATH, 610)])
    box(drawing, (PATH - 80, 610, 160, 26), "feed_forward_norm")
    _value(drawing, 649, PATH, at, "feed_forward_input")
    _feed_forward(drawing, f"{at}.feed_forward")
    drawing.arrow([(PATH, 726), (PATH, 746), (STREAM + 11, 746)])
    _value(drawing, 738, PATH, at, "computed")
    plus(drawing, STREAM, 746)


def _attention(drawing: Drawing, at: str) -> None:
    """Draw the heads, their joining and the projection."""
    drawing.rectangle(212, 372, 412, 160, "f-sunken l-line", 6)
    drawing.text(222, 390, "attention", "n")
    drawing.text(612, 390, "heads 0 … 3, side by side", "s", "muted", "end")
    lines = [
        (("query", "key", "value"), ("query", "key", "value")),
        (("scores", "scaled", "masked"), ("ink",) * 3),
        (("weights",), ("weights",)),
    ]
    head = f"{at}.heads.0"
    for number, (names, colours) in enumerate(lines):
        y = 410 + 21 * number
        x = 240.0
        for name, colour in zip(names, colours, strict=True):
            x += drawing.text(x, y, name, "n" if colour != "ink" else "m", colour) + 18
        letters, numbers = shapes(head, names[0])
        drawing.text(LETTERS, y, letters, "m", "muted")
        drawing.text(NUMBERS, y, numbers, "m")
    _notes_of_the_head(drawing)
    for number, (name, many) in enumerate([("mixed[0]", "H×"), ("joined", ""), ("projected", "")]):
        y = 473 + 21 * number
        letters, numbers = shapes(at, name)
        drawing.text(LETTERS, y, many + letters, "m", "muted")
        drawing.text(NUMBERS, y, many.replace("H", "4") + numbers, "m")
        drawing.text(240, y, name.removesuffix("[0]"), "m")


def _notes_of_the_head(drawing: Drawing) -> None:
    said = [
        "what is asked, offered, told",
        "how well they fit; no look ahead",
        "softmax: shares of 1",
        "weights × value, in each head",
        "the heads' D side by side again: C",
        "one matrix (C, C) over all heads",
    ]
    for number, words in enumerate(said):
        drawing.text(612, 410 + 21 * number, words, "s", "muted", "end")


def _feed_forward(drawing: Drawing, at: str) -> None:
    drawing.arrow([(PATH, 636), (PATH, 662)])
    drawing.rectangle(212, 662, 412, 64, "f-sunken l-line", 6)
    drawing.text(222, 681, "feed_forward", "n")
    drawing.text(612, 681, "each token by itself", "s", "muted", "end")
    for number, names in enumerate((("hidden", "activated"), ("contracted",))):
        y = 699 + 19 * number
        drawing.text(240, y, " ".join(names), "m")
        letters, numbers = shapes(at, names[0])
        drawing.text(LETTERS, y, letters, "m", "muted")
        drawing.text(NUMBERS, y, numbers, "m")
    drawing.text(612, 699, "expand, then ReLU", "s", "muted", "end")
    drawing.text(612, 718, "contract", "s", "muted", "end")


def _head(drawing: Drawing) -> None:
    box(drawing, (40, 784, 160, 30), "blocks.1 … blocks.3", font="n")
    drawing.text(212, 804, "the same three times more, each with weights of its own", "s", "muted")
    letters, numbers = shapes("", "x")
    drawing.text(LETTERS, 829, letters, "m", "muted")
    drawing.text(NUMBERS, 829, numbers, "m")
    drawing.line([(STREAM, 814), (STREAM, 842)], "accent", 3)
    drawing.text(STREAM + 10, 829, "x", "m")
    box(drawing, (40, 842, 160, 26), "final_norm")
    drawing.arrow([(200, 855), (340, 855)])
    drawing.text(270, 848, "normed", "m", anchor="middle")
    letters, numbers = shapes("", "normed")
    drawing.text(LETTERS, 859, letters, "m", "muted")
    drawing.text(NUMBERS, 859, numbers, "m")
    box(drawing, (340, 838, 90, 34), "head")
    drawing.text(440, 851, "one row for each token", "s", "muted")
    drawing.text(440, 866, f"of the vocabulary: {weight_shape('head.weight')}", "s", "muted")
    drawing.line([(385, 872), (385, 896)])
    _value(drawing, 888, 385, "", "logits")
    drawing.arrow([(385, 896), (385, 908)])
    box(drawing, (310, 908, 150, 28), "F.cross_entropy", font="m")
    drawing.arrow([(200, 922), (310, 922)])
    drawing.text(190, 926, "targets (B, T)", "m", anchor="end")
    drawing.arrow([(460, 922), (500, 922)])
    drawing.text(506, 926, "loss", "m")
    letters, numbers = shapes("", "loss")
    drawing.text(LETTERS, 926, letters, "m", "muted")
    drawing.text(NUMBERS, 926, numbers, "m")
