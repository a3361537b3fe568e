"""What a cache of keys and values saves while text is generated."""

import torch

from drawings.facts import laptop_trace, recorded
from drawings.parts import notes, paragraph
from drawings.svg import Drawing
from playattention.config import GPT2Config, GPTConfig
from playattention.models.kv_cache import KVCache
from playattention.models.model_gpt import GPTModel

PROMPT = 3
"""Tokens of the prompt; the rest of the recorded text is generated."""
CELL, LEFT = 40.0, (90.0, 500.0)
ROWS = 150.0


def draw() -> Drawing:
    """Return the drawing."""
    text = recorded()["text"]
    drawing = Drawing(
        "The KV cache: each token is looked at once",
        "Two tables, without and with a cache. Each row is a generation step, each column a token. "
        "Without a cache, every step computes keys and values of all tokens so far. With it, a "
        "step computes those of the new token alone, and the earlier ones are kept.",
        f"“{text[:PROMPT]}” is the prompt; “{'”, “'.join(text[PROMPT:])}” are written one by one.",
        620,
    )
    for column, kept in enumerate((False, True)):
        _table(drawing, LEFT[column], text, kept)
    _legend(drawing)
    _sizes(drawing)
    return drawing


def _table(drawing: Drawing, x: float, text: str, kept: bool) -> None:
    """Draw which keys and values each step computes."""
    drawing.text(x - 64, 98, "with the cache" if kept else "without", "b")
    work = 0
    for step in range(len(text) - PROMPT):
        y = ROWS + 56 * step
        seen = PROMPT + step
        drawing.text(x - 14, y + 23, f"step {step}", "s", "muted", "end")
        for place, token in enumerate(text[:seen]):
            left = x + place * CELL
            old = kept and step > 0 and place < seen - 1
            drawing.rectangle(
                left, y, CELL - 5, 36, "s-strong-line" if old else "w-key l-key", 4, dashed=old
            )
            colour = "muted" if old else "ink"
            drawing.text(left + 17.5, y + 23, token, "n", colour, "middle")
            work += not old
        drawing.arrow([(x + seen * CELL + 2, y + 18), (x + seen * CELL + 30, y + 18)], "value")
        drawing.text(x + seen * CELL + 38, y + 23, text[seen], "n", "value")
    drawing.text(x - 64, ROWS + 56 * 3 + 14, f"computed for {work} tokens", "n", "key")


def _legend(drawing: Drawing) -> None:
    y = 122.0
    drawing.rectangle(26, y - 11, 18, 14, "w-key l-key", 3)
    drawing.text(
        52, y, "key and value computed in this step, in every head of every block", "s", "muted"
    )
    drawing.rectangle(500, y - 11, 18, 14, "s-strong-line", 3, dashed=True)
    drawing.text(526, y, "kept from an earlier step", "s", "muted")


def _sizes(drawing: Drawing) -> None:
    """Write why it works and what it takes."""
    drawing.path("M26 372H834", "s-line", 1)
    drawing.text(26, 396, "Why it gives the same text", "b")
    y = paragraph(
        drawing,
        (26, 418),
        "A token's key and value depend on it and the tokens before it alone: the mask sees to "
        "that. A token that comes later can't change them. Only the new token asks anew: its "
        "query (T = 1) meets all S keys, and weighs all S values.",
        806,
    )
    drawing.text(26, y + 16, "What it takes", "b")
    y = paragraph(
        drawing,
        (26, y + 38),
        "2 (key and value) × n_layer × seq_size × n_embd numbers for each sequence:",
        806,
    )
    laptop = _measured()
    big = GPT2Config()
    numbers = 2 * big.n_layer * big.seq_size * big.n_embd
    lines = [
        ("GPT, the recipe", f"{laptop:,} bytes in float32, measured: `KVCache.nbytes`"),
        (
            "GPT-2, 124M",
            f"{4 * numbers / 1e6:.1f} MB in float32, {2 * numbers / 1e6:.1f} MB in bf16",
        ),
    ]
    for name, said in lines:
        drawing.text(46, y + 4, name, "t")
        drawing.text(190, y + 4, said, "t")
        y += 22
    notes(
        drawing,
        y + 24,
        [
            "When seq_size tokens are kept, the oldest is dropped and every other moves to another "
            "position:",
            "the cache is cleared and filled anew (`generation.py`), since the learnt positions "
            "are part of what is kept.",
        ],
    )


def _measured() -> int:
    """Return what the cache of a GPT of the recipe's sizes takes for one sequence."""
    settings = laptop_trace().parts[""].settings
    names = ("vocab_size", "seq_size", "n_embd", "n_head", "n_layer")
    config = GPTConfig(**{name: settings[f"config.{name}"] for name in names})
    cache = KVCache(config.seq_size)
    with torch.no_grad():
        GPTModel(config)(torch.zeros(1, PROMPT, dtype=torch.long), cache=cache)
    return cache.nbytes
