"""Plays from a grammar whose entropy is known exactly: written, and scored to the character.

What decides a choice stands within the 128 characters before it, except for names: who is on stage
is decided where they entered, for four of five speeches further back than that, and who spoke
before a long speech can be too far as well. For a model that sees 128 characters this hides about
0.01 nats per character.

It does not know any model, nor how a text is cut into tokens and windows; playhouse_rules.py
judges texts that the grammar cannot have written.
"""

from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from playattention.data import Corpus
from playattention.data.playhouse_grammar import play
from playattention.data.playhouse_pens import Reader, Writer


def write(n_chars: int = 1_100_000, seed: int = 1337) -> str:
    """Write plays, one after another, the same for the same seed on every machine.

    Args:
        n_chars: length in characters to reach; the play that reaches it is finished.
        seed: of the random number generator.

    Returns:
        The text, plays only, [n_chars or somewhat more].

    Raises:
        ValueError: if n_chars is negative.
    """
    if n_chars < 0:
        raise ValueError(f"n_chars must not be negative, is {n_chars}")
    writer = Writer(seed)
    while writer.position < n_chars:
        play(writer)
    return "".join(writer.parts)


def read(text: str) -> Reader:
    """Follow a text from the start of a play to its end, wherever that cuts the last play.

    Args:
        text: plays of this grammar; the last may break off anywhere.

    Returns:
        The reader, with the text's log_probabilities and spans.

    Raises:
        ValueError: if the grammar cannot have written the text, naming the position.
    """
    reader = Reader(text)
    try:
        while True:
            play(reader)
    except EOFError:
        return reader


def score(text: str) -> NDArray[np.float64]:
    """Exact log-probability of every character given all before it.

    Args:
        text: plays of this grammar; the last may break off anywhere.

    Returns:
        Log-probabilities in nats, [len(text)].

    Raises:
        ValueError: if the grammar cannot have written the text, naming the position.
    """
    return read(text).log_probabilities


def entropy(text: str, start: int) -> float:
    """Total surprise of the end of a text given its beginning, the floor of any model's loss.

    Args:
        text: plays of this grammar; the last may break off anywhere.
        start: position of the first character that counts; those before it are given.

    Returns:
        Nats of text[start:] given text[:start], a sum, not a mean.

    Raises:
        ValueError: if start is outside of the text, or the grammar cannot have written the text.
    """
    if not 0 <= start <= len(text):
        raise ValueError(f"start must be within 0 and {len(text)}, is {start}")
    # Plays are independent, so reading may begin at the last title at or before start.
    begin = text.rfind("\nTHE ", 0, start + len("THE ")) + 1
    return -float(score(text[begin:])[start - begin :].sum())


@cache  # a new run asks twice, when it is laid out and when it begins
def load() -> Corpus:
    """Return the default plays and their entropy."""
    text = write()
    return Corpus("playhouse", text, cache(partial(entropy, text)))
