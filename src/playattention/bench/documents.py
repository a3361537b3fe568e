"""Documents made on the spot, to measure ingestion with: as varied in length as those of the web.

Does not know files or tokens.
"""

import random
from collections.abc import Iterator

from playattention.data import playhouse


def documents(seed: int, text: str | None = None) -> Iterator[str]:
    """Yield documents without end: some are a line, some are many pages.

    Args:
        seed: Decides them.
        text: Where their sentences are drawn from; default: the built-in plays.
    """
    chance = random.Random(seed)
    text = playhouse.load().text if text is None else text
    sentences = [line for line in text.replace(". ", ".\n").splitlines() if line]
    while True:
        size = int(chance.lognormvariate(5.0, 1.0)) + 1  # sentences, the half of them below 150
        words = " ".join(chance.choices(sentences, k=size)).split(" ")
        for place in chance.sample(range(len(words)), k=len(words) // 30):
            words[place] = rare(chance)
        yield " ".join(words)


def rare(chance: random.Random) -> str:
    """Return a number, or a word that no vocabulary has."""
    if chance.random() < 0.5:
        return str(chance.randrange(100_000))
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(4, 12)))
