"""Small tables for a terminal: how the results of X-ray are printed.

Knows rows of words, and how a token is written so that a blank can be seen.
"""

from collections.abc import Callable, Sequence

Decode = Callable[[list[int]], str]
"""Token ids -> their text, as a tokenizer's `decode`."""

WIDTH = 80
"""Columns that a table has at most."""


def table(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return rows as lines whose columns stand under each other.

    Args:
        rows: Words, as many in each row; the first row may be a heading.
        left: How many columns, from the first, are flush left; the others are flush right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            word.ljust(width) if place < left else word.rjust(width)
            for place, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def shown(id_: int, decode: Decode | None, width: int = 12) -> str:
    """Return how a token is written: its text in quotes, or its number.

    Args:
        id_: The token.
        decode: A tokenizer's; None: the number.
        width: Most characters; a longer text loses its middle.
    """
    if decode is None:
        return str(id_)
    text = repr(decode([id_]))
    return text if len(text) <= width else f"{text[: width - 3]}..{text[-1]}"
