"""Texts that fit a run: to begin with, and to measure heads on.

Taken from what the run did not train on, as far as that is at hand; nothing is downloaded. Does
not know what models make of them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from playattention.data import Corpus, load_corpus, playhouse, tinyshakespeare
from playattention.data.shard_folder import ShardFolder
from playattention.errors import UserError
from playattention.playground.answers import Example
from playattention.playground.opened import Opened
from playattention.tokenizers import Tokenizer
from playattention.training.report import read_samples
from playattention.training.run import NO_TEXT
from playattention.xray.patterns import Window, plain_windows, playhouse_windows

UNSEEN = 7
"""Seed of plays that no run has trained on: the data set's own is another."""
ROLE_TOKENS = 8192
"""Tokens that heads are measured on."""
ROLE_WINDOW = 128
"""Longest window of them."""
EXAMPLE_TOKENS = 48
"""Longest example: all of its map can be read at once."""
EXAMPLES = 4

ENGLISH = (
    "When Mary and John went to the store, John gave a drink to",
    "The capital of France is Paris. The capital of Italy is",
    "one, two, three, four, one, two, three,",
    "The keys to the cabinet on the wall",
)
"""For weights that came without a text: each asks for something that attention can find."""


def examples(opened: Opened) -> list[Example]:
    """Return texts to begin with, at least one, each of no more tokens than the model takes."""
    most = min(EXAMPLE_TOKENS, opened.config.model.seq_size)
    texts = dict.fromkeys(_beginnings(opened, most))
    found = [Example(title=_title(text), text=text) for text in texts][:EXAMPLES]
    start = opened.tokenizer.start
    return found or [Example(title="an empty line" if start == "\n" else start, text=start)]


def windows_of(opened: Opened) -> tuple[str, list[Window]]:
    """Return what heads are measured on, and what to call it.

    Raises:
        UserError: If no text is at hand.
    """
    length = min(ROLE_WINDOW, opened.config.model.seq_size)
    if opened.config.data.dataset == "playhouse" and opened.tokenizer.name == "char":
        text = playhouse.write(ROLE_TOKENS, UNSEEN)[:ROLE_TOKENS]
        return "plays of the playhouse, unseen", playhouse_windows(text, opened.tokenizer, length)
    told, ids = _held_back(opened, ROLE_TOKENS)
    if len(ids) < length:
        raise UserError(
            f"run '{opened.name}': no text at hand to measure heads on ({told}); allowed: a run "
            "whose data set is on this machine"
        )
    count = min(len(ids), ROLE_TOKENS) // length
    return told, plain_windows(torch.tensor(ids[: count * length]).view(count, length))


def _beginnings(opened: Opened, most: int) -> Iterator[str]:
    """Yield pieces of text that begin where a line does."""
    tokenizer = opened.tokenizer
    if opened.config.data.dataset == NO_TEXT:
        yield from (text for text in ENGLISH if _fits(tokenizer, text, most))
        return
    _, ids = _held_back(opened, 200 * EXAMPLES)
    text = tokenizer.decode(ids)
    paragraphs = text.split("\n\n")[1:]
    for number in range(0, len(paragraphs), 2):  # two begin alike in a play: a name, a speech
        piece = _cut(tokenizer, "\n\n".join(paragraphs[number:]), most)
        if piece.strip():
            yield piece


def _cut(tokenizer: Tokenizer, text: str, most: int) -> str:
    """Return as much of a text as `most` tokens hold, up to the end of a word."""
    for end in range(min(len(text), most * 8), 0, -1):
        ends_word = not text[end - 1].isspace() and not text[end : end + 1].strip()
        if ends_word and _fits(tokenizer, text[:end], most):
            return text[:end]
    return text[:most] if _fits(tokenizer, text[:most], most) else ""


def _fits(tokenizer: Tokenizer, text: str, most: int) -> bool:
    try:
        return len(tokenizer.encode(text)) <= most
    except UserError:  # a character that the run does not know
        return False


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:37]}..."


def _held_back(opened: Opened, tokens: int) -> tuple[str, list[int]]:
    """Return tokens that the run did not train on, or that it wrote itself, and what they are."""
    dataset, tokenizer = opened.config.data.dataset, opened.tokenizer
    if dataset == "playhouse":
        text = playhouse.write(8 * tokens, UNSEEN)
        return "plays of the playhouse, unseen", _encoded(tokenizer, text)[:tokens]
    corpus = _at_hand(dataset)
    if isinstance(corpus, ShardFolder):
        places = np.arange(min(tokens, len(corpus.val)))
        return f"held back of {Path(corpus.name).name}", corpus.val[places].tolist()
    if corpus is not None:
        cut = int(len(corpus.text) * opened.config.data.train_val_split)
        told = f"held back of {Path(corpus.name).name}"
        return told, _encoded(tokenizer, corpus.text[cut : cut + 8 * tokens])[:tokens]
    samples = {} if opened.path is None else read_samples(opened.path)
    written = "\n\n".join(samples.values())
    return "what the run wrote itself", _encoded(tokenizer, written)[:tokens]


def _at_hand(dataset: str) -> Corpus | ShardFolder | None:
    """Return a data set that is on this machine; None: it is not, or no longer."""
    if dataset == NO_TEXT or (dataset == "tinyshakespeare" and not tinyshakespeare.HOME.is_file()):
        return None  # to load it would be to download it
    try:
        return load_corpus(dataset)
    except UserError:
        return None


def _encoded(tokenizer: Tokenizer, text: str) -> list[int]:
    try:
        return tokenizer.encode(text)
    except UserError:  # the run began from weights with another vocabulary
        return []
