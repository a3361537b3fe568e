"""Byte-pair encoding: the merges of a word, in the order of their ranks."""

from functools import cache
from itertools import pairwise

from drawings.parts import notes, paragraph
from drawings.svg import Drawing, width
from playattention.tokenizers import GPT2Tokenizer, gpt2_file

WORD = " playing"
MORE = (" tokenization", " Edmund", " pumpkin", " 1066", " playattention")
LEFT, PAD = 300.0, 9.0


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "Byte-pair encoding: the best-ranked pair is merged, again and again",
        "The word playing with the blank before it, first as single bytes. Line by line one pair "
        "is merged, always that of the lowest rank, until nothing in the list of merges fits. "
        "Below, a few words with the tokens and ids that they end as.",
        "GPT-2's own list of 50,000 merges, on “ playing”. The blank before a word belongs to it, "
        "shown as ␣.",
        764,
    )
    drawing.text(26, 92, "merge", "b")
    drawing.text(150, 92, "its rank", "b")
    drawing.text(LEFT, 92, "tokens", "b")
    y = 112.0
    for number, (parts, pair) in enumerate(steps(WORD)):
        _step(drawing, y + 44 * number, parts, pair)
    _ends(drawing, y + 44 * len(steps(WORD)) + 26)
    return drawing


@cache
def ranks() -> dict[tuple[str, str], int]:
    """Return GPT-2's merges: pair -> rank, 0 for the first."""
    lines = gpt2_file("vocab.bpe").decode().split("\n")[1:-1]
    pairs = (line.split(" ") for line in lines)
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


def steps(word: str) -> list[tuple[list[str], tuple[str, str] | None]]:
    """Return the tokens of a word before each merge, with the pair merged next; None: no more."""
    parts = list(word.replace(" ", "Ġ"))  # the file writes a blank so
    found: list[tuple[list[str], tuple[str, str] | None]] = []
    while True:
        known = [pair for pair in pairwise(parts) if pair in ranks()]
        pair = min(known, key=ranks().__getitem__, default=None)
        found.append((parts, pair))
        if pair is None:
            return found
        parts = merged(parts, pair)


def merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """Return tokens with every occurrence of a pair made one."""
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair and result[-1] != "".join(pair):
            result[-1] += part
        else:
            result.append(part)
    return result


def _step(drawing: Drawing, y: float, parts: list[str], pair: tuple[str, str] | None) -> None:
    if pair is not None:
        drawing.text(26, y + 19, " + ".join(map(_seen, pair)), "n", "accent")
        drawing.text(150, y + 19, f"{ranks()[pair]:,}", "m")
    x = LEFT
    for place, part in enumerate(parts):
        wide = width(_seen(part), "n") + 2 * PAD
        lit = pair is not None and pair in (
            tuple(parts[place : place + 2]),
            tuple(parts[max(0, place - 1) : place + 1]),
        )
        drawing.rectangle(x, y, wide, 28, "w-accent l-accent" if lit else "f-sunken l-line", 4)
        drawing.text(x + wide / 2, y + 19, _seen(part), "n", anchor="middle")
        x += wide + 6
    if pair is None:
        (id_,) = GPT2Tokenizer().encode(WORD)
        drawing.text(26, y + 19, "no pair left: done", "s", "muted")
        drawing.text(x + 12, y + 19, f"one token, id {id_:,} = 256 + {id_ - 256:,}", "s", "muted")
        drawing.text(x + 12, y + 37, "256 bytes come first, then the merges by rank", "s", "muted")


def _ends(drawing: Drawing, y: float) -> None:
    drawing.path(f"M26 {y - 16:.0f}H834", "s-line", 1)
    drawing.text(26, y + 8, "What other words end as", "b")
    tokenizer = GPT2Tokenizer()
    for row, word in enumerate(MORE):
        top = y + 22 + 34 * row
        drawing.text(26, top + 18, _seen(word), "n")
        x = 170.0
        for id_ in tokenizer.encode(word):
            text = _seen(tokenizer.decode([id_]))
            wide = width(text, "n") + 2 * PAD
            drawing.rectangle(x, top, wide, 26, "f-sunken l-line", 4)
            drawing.text(x + wide / 2, top + 18, text, "n", anchor="middle")
            x += wide + 6
            x += drawing.text(x, top + 18, f"{id_}", "m", "muted") + 18
    y += 34 * len(MORE) + 46
    y = paragraph(
        drawing,
        (26, y),
        "The list was made once, from a large text: start with bytes, count all pairs, merge the "
        "most frequent, and again. Encoding counts nothing: it follows the ranks.",
        806,
    )
    notes(drawing, y + 4, ["Ranks: vocab.bpe as OpenAI released it; ids: GPT2Tokenizer."])


def _seen(text: str) -> str:
    return text.replace("Ġ", "␣").replace(" ", "␣")
