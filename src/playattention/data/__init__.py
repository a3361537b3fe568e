"""The data sets: a name -> a function that returns its text or its shards, and two splits of these.

Does not know models, nor how tokens become batches.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from playattention.config import DataConfig
from playattention.data.shard_folder import ShardFolder, has_shards, open_folder
from playattention.data.shards import Ids
from playattention.errors import UserError, unknown
from playattention.tokenizers import GPT2Tokenizer, Tokenizer, tokenizer_class

DATASETS = {
    "playhouse": "playattention.data.playhouse:load",
    "tinyshakespeare": "playattention.data.tinyshakespeare:load",
    "fineweb-edu": "playattention.data.fineweb_edu:load",
}


class Tokens(Protocol):
    """Token ids, in memory or on disk: how many there are, and those at any places."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, places: npt.NDArray[np.uint64] | npt.NDArray[np.int64], /) -> Ids:
        """Return the ids at places from 0 to N - 1, in the shape of the places."""


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

    @property
    def length(self) -> int:
        """How many characters it has."""
        return len(self.text)

    def tokenizer(self, name: str) -> Tokenizer:
        """Return the tokenizer of this name that a run on the text uses.

        Raises:
            UserError: If there is none of that name.
        """
        return tokenizer_class(name).for_text(self.text)


@dataclass(frozen=True)
class Splits:
    """A corpus as token ids: what is trained on and what is held back."""

    train: Tokens
    """Ids (N)."""
    val: Tokens
    """Ids (M)."""
    floor: float | None
    """Entropy of the validation text in nats per token: no model stays below; None: not known."""


def load_corpus(dataset: str) -> Corpus | ShardFolder:
    """Return a registered data set, a text file, or a folder of shards.

    Args:
        dataset: A name in DATASETS, or a path.

    Raises:
        UserError: If it is none of these, the file is no UTF-8 text, or a shard is damaged.
    """
    if dataset in DATASETS:
        module, function = DATASETS[dataset].split(":")
        corpus: Corpus | ShardFolder = getattr(import_module(module), function)()
        return corpus
    path = Path(dataset)
    try:
        is_file = path.is_file()
        is_folder = dataset != "" and path.is_dir() and has_shards(path)
    except OSError as error:  # a folder that may not be entered, a name too long for the system
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if is_folder:
        return open_folder(path)
    if not is_file:
        allowed = [*DATASETS, "the path of a text file", "or of a folder of shards"]
        if path.suffix or len(path.parts) > 1:  # no name has a suffix or a slash
            what = "has no shards" if path.is_dir() else "no such file"
            raise UserError(f"{dataset}: {what}; allowed: {', '.join(allowed)}")
        raise unknown("data set", dataset, allowed)
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


def split(
    corpus: Corpus | ShardFolder, tokenizer: Tokenizer, config: DataConfig, seq_size: int
) -> Splits:
    """Return a corpus as token ids, a part of it held back for validation.

    A text is cut at a character, then each part is tokenized, so no token spans the cut; shards
    were split when they were written.

    Args:
        corpus: The text, or the shards.
        tokenizer: Turns a text into ids.
        config: Gives the share of a text that is trained on.
        seq_size: Tokens in a window, which each part must have room for.

    Raises:
        UserError: If a part is shorter than one window of seq_size + 1 tokens.
    """
    if isinstance(corpus, ShardFolder):
        splits, remedy = _split_before(corpus, config), "more shards"
    else:
        splits = _cut(corpus, tokenizer, config.train_val_split)
        remedy = f"a longer text, or another train_val_split than {config.train_val_split}"
    for part, tokens in (("training", splits.train), ("validation", splits.val)):
        if len(tokens) <= seq_size:
            raise UserError(
                f"seq_size = {seq_size}: the {part} split of {corpus.name} has {len(tokens)} "
                f"tokens, and a window takes seq_size + 1; allowed: up to {len(tokens) - 1}"
                if len(tokens) > 1
                else f"{corpus.name}: its {part} split has {len(tokens)} tokens, too few for any "
                f"window; allowed: {remedy}"
            )
    return splits


def _cut(corpus: Corpus, tokenizer: Tokenizer, share: float) -> Splits:
    cut = int(len(corpus.text) * share)
    train = _ids(corpus.text[:cut], tokenizer)
    val = _ids(corpus.text[cut:], tokenizer)
    floor = corpus.entropy(cut) / len(val) if corpus.entropy and len(val) else None
    return Splits(train, val, floor)


def _split_before(folder: ShardFolder, config: DataConfig) -> Splits:
    usual = DataConfig.model_fields["train_val_split"].default
    if config.train_val_split != usual:
        raise UserError(
            f"train_val_split = {config.train_val_split}: the shards in {folder.folder} were "
            f"split when they were written; allowed: {usual}, which they pass over"
        )
    return Splits(folder.train, folder.val, floor=None)


def _ids(text: str, tokenizer: Tokenizer) -> Ids:
    if isinstance(tokenizer, GPT2Tokenizer):
        return tokenizer.encode_array(text)
    ids = tokenizer.encode(text)
    if tokenizer.vocab_size <= 2**16:
        return np.array(ids, dtype=np.uint16)
    return np.array(ids, dtype=np.uint32)
