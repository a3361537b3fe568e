"""The data sets: a name -> a function that returns its text, and text -> two splits of token ids.

Does not know models, nor how tokens become batches.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt

from playattention.config import DataConfig
from playattention.errors import UserError, unknown
from playattention.tokenizers import Tokenizer

DATASETS = {
    "playhouse": "playattention.data.playhouse:load",
    "tinyshakespeare": "playattention.data.tinyshakespeare:load",
}

Tokens = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Corpus:
    """A text, and what is known about it."""

    name: str
    """A registered name, or the absolute path of a text file."""
    text: str
    entropy: Callable[[int], float] | None = None
    """Position -> nats that the text from there on holds, given all before; None: not known."""

    @property
    def sha256(self) -> str:
        """Hash of the text's UTF-8 bytes."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Splits:
    """A corpus as token ids: what is trained on and what is held back."""

    train: Tokens
    """Ids (N)."""
    val: Tokens
    """Ids (M)."""
    floor: float | None
    """Entropy of the validation text in nats per token: no model stays below; None: not known."""


def load_corpus(dataset: str) -> Corpus:
    """Return a registered data set, or a text file.

    Args:
        dataset: A name in DATASETS, or a path.

    Raises:
        UserError: If it is neither, or the file is no UTF-8 text.
    """
    if dataset in DATASETS:
        module, function = DATASETS[dataset].split(":")
        corpus: Corpus = getattr(import_module(module), function)()
        return corpus
    path = Path(dataset)
    try:
        is_file = path.is_file()
    except OSError as error:  # a folder that may not be entered, a name too long for the system
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not is_file:
        raise unknown("data set", dataset, [*DATASETS, "the path of a text file"])
    return Corpus(name=str(path.resolve()), text=read_text(path))


def read_text(path: Path) -> str:
    """Return a file's text, its line ends as they are.

    Raises:
        UserError: If the file can't be read, is empty, binary or not UTF-8; names the place.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if b"\0" in content:
        raise UserError(
            f"{path}: a binary file (a zero byte at {content.index(0)}); allowed: UTF-8 text"
        )
    try:
        text = content.decode().removeprefix("\ufeff")  # the byte order mark of some editors
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 (byte 0x{content[error.start]:02x} at {error.start}); "
            "allowed: UTF-8 text"
        ) from None
    if not text:
        raise UserError(f"{path}: the file is empty; allowed: UTF-8 text")
    return text


def split(corpus: Corpus, tokenizer: Tokenizer, config: DataConfig, seq_size: int) -> Splits:
    """Return a corpus as token ids, its end held back for validation.

    The text is cut at a character, then each part is tokenized, so no token spans the cut.

    Args:
        corpus: The text.
        tokenizer: Turns it into ids.
        config: Gives the share that is trained on.
        seq_size: Tokens in a window, which each part must have room for.

    Raises:
        UserError: If a part is shorter than one window of seq_size + 1 tokens.
    """
    cut = int(len(corpus.text) * config.train_val_split)
    train = _ids(corpus.text[:cut], tokenizer)
    val = _ids(corpus.text[cut:], tokenizer)
    for part, tokens in (("training", train), ("validation", val)):
        if len(tokens) <= seq_size:
            raise UserError(
                f"seq_size = {seq_size}: the {part} split of {corpus.name} has {len(tokens)} "
                f"tokens, and a window takes seq_size + 1; allowed: up to {len(tokens) - 1}"
                if len(tokens) > 1
                else f"{corpus.name}: its {part} split has {len(tokens)} tokens, too few for any "
                f"window; allowed: a longer text, or another train_val_split than "
                f"{config.train_val_split}"
            )
    floor = corpus.entropy(cut) / len(val) if corpus.entropy else None
    return Splits(train, val, floor)


def _ids(text: str, tokenizer: Tokenizer) -> Tokens:
    ids = tokenizer.encode(text)
    if tokenizer.vocab_size <= 2**16:
        return np.array(ids, dtype=np.uint16)
    return np.array(ids, dtype=np.uint32)
