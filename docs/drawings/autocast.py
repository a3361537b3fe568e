"""Which number format each operation runs in under autocast."""

from functools import cache

import torch

from drawings.facts import VOCABULARY
from drawings.parts import notes, paragraph
from drawings.svg import Drawing
from playattention import xray
from playattention.config import GPTConfig
from playattention.models.model_gpt import GPTModel

ROWS = (
    ("", "embedded", "embedding, +", "float32", "the weights' own format"),
    ("blocks.0", "attention_input", "layer_norm", "float32", "sums over channels"),
    ("blocks.0.attention.heads.0", "query", "linear", "bfloat16", "matrix product; key, value too"),
    ("blocks.0.attention.heads.0", "scores", "@", "bfloat16", "matrix product"),
    ("blocks.0.attention.heads.0", "scaled", "*", "bfloat16", "as it comes"),
    ("blocks.0.attention.heads.0", "masked", "where", "bfloat16", "as it comes"),
    ("blocks.0.attention.heads.0", "weights", "softmax", "float32", "exponentials and their sum"),
    ("blocks.0.attention.heads.0", "mixed", "@", "bfloat16", "matrix product"),
    ("blocks.0.attention", "joined", "cat", "bfloat16", "as it comes"),
    ("blocks.0.attention", "projected", "linear", "bfloat16", "matrix product"),
    ("blocks.0", "x_attended", "+", "float32", "the wider of the two: the stream"),
    ("blocks.0", "feed_forward_input", "layer_norm", "float32", "sums over channels"),
    ("blocks.0.feed_forward", "hidden", "linear", "bfloat16", "matrix product"),
    ("blocks.0.feed_forward", "activated", "relu", "bfloat16", "as it comes"),
    ("blocks.0.feed_forward", "contracted", "linear", "bfloat16", "matrix product"),
    ("blocks.0", "return", "+", "float32", "the wider of the two: the stream"),
    ("", "normed", "layer_norm", "float32", "sums over channels"),
    ("", "logits", "linear", "bfloat16", "matrix product"),
    ("", "loss", "cross_entropy", "float32", "exponentials, logarithm, sums"),
)
"""Module, value, operation; on CUDA, by PyTorch's list: its format, and why."""
COLUMNS = (26.0, 196.0, 322.0, 452.0, 582.0)
COLOURS = {"float32": "query", "bfloat16": "key"}


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Autocast: matrix products in 16 bits, sums in 32",
        "A table with a row for each value of a forward pass: its operation, its number format as "
        "seen in a run on a CPU, its format on CUDA by PyTorch's documentation, and why. Matrix "
        "products are bfloat16, norms, loss and the stream are float32.",
        "The GPT recipe's model, its weights in float32, inside `torch.autocast` with bfloat16.",
        768,
    )
    for x, name, said in zip(
        COLUMNS,
        ("value", "operation", "on a CPU", "on CUDA", "why on CUDA"),
        ("", "", "seen in a run", "by PyTorch's list", ""),
        strict=True,
    ):
        drawing.text(x, 94, name, "b")
        if said:
            drawing.text(x, 111, said, "s", "muted")
    for row, (module, name, operation, cuda, why) in enumerate(ROWS):
        y = 136 + 27 * row
        drawing.text(COLUMNS[0], y, "x, next" if name == "return" else name, "n")
        drawing.text(COLUMNS[1], y, operation, "m", "muted")
        _chip(drawing, COLUMNS[2], y, measured(module, name))
        _chip(drawing, COLUMNS[3], y, cuda)
        drawing.text(COLUMNS[4], y, why, "s", "muted")
    paragraph(
        drawing,
        (26, 664),
        "Weights stay float32: a product takes rounded copies of them. The two lists differ: on a "
        "CPU, softmax is not among the operations that are brought to float32.",
        806,
    )
    notes(
        drawing,
        714,
        [
            "CPU: `xray.watch` of a forward pass under autocast, made while this was drawn.",
            "CUDA: not run here; follows from the lists in PyTorch's documentation, “Automatic "
            "Mixed Precision package,",
            "CUDA Op-Specific Behavior”. What is on no list runs in the formats it is given.",
        ],
    )
    return drawing


@cache
def _trace() -> xray.Trace:
    """Return a forward pass under autocast on this CPU."""
    torch.manual_seed(0)
    model = GPTModel(GPTConfig(vocab_size=VOCABULARY)).eval()
    idx = torch.randint(VOCABULARY, (2, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return xray.watch(model, idx, idx.roll(-1, 1))


def measured(module: str, name: str) -> str:
    """Return the format that a value had under autocast."""
    return str(_trace().one(module, name).tensor.dtype).removeprefix("torch.")


def _chip(drawing: Drawing, x: float, y: float, name: str) -> None:
    colour = COLOURS[name]
    drawing.rectangle(x - 2, y - 15, 84, 21, f"w-{colour} l-{colour}", 4)
    drawing.text(x + 40, y, name, "n", colour, "middle")
