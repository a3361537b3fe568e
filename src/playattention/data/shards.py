"""Token files on disk: written so that each appears whole, and checked when they are opened.

A shard of our own, `fineweb-edu_train_000001.tokens`, is a header that `head -c 4096` shows and
then its tokens, two bytes each, little-endian. Read as they are: `.npy` shards of build-nanogpt,
and `.bin` shards of llm.c and modded-nanogpt. Does not know how many shards make a data set, nor
where their text comes from.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from playattention.data import foreign_shards
from playattention.data.foreign_shards import first_line, read_bytes
from playattention.errors import UserError
from playattention.settings import Settings
from playattention.tokenizers import Tokenizer

SUFFIX = ".tokens"
MAGIC = b"playattention tokens"
VERSION = 1
BLOCK = 4096
"""Bytes; a header takes whole blocks, so that tokens begin at a page of memory."""

NAME = re.compile(r"(?:.*_)?(train|val)(?:_(\d+))?\.(?:tokens|npy|bin)")
"""What shards are called: edufineweb_val_000000.npy, tiny_shakespeare_train.bin."""

SAMPLE = 4096
"""Tokens at each end of a shard without a hash that stand for the whole."""

Ids = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
Split = Literal["train", "val"]


class Position(Settings):
    """A place in the source, from which the next shard goes on."""

    file: str
    """Name of the source's file."""
    group: int
    """Row group of a parquet file, else 0."""
    first: int
    """Row of that group, or byte of the file, where a piece begins."""
    tokens: int
    """Tokens of that piece that are in shards already."""


class Header(Settings):
    """What a shard of ours says about itself."""

    name: str
    """The data set."""
    split: Split
    """What it is for."""
    number: int
    """Its place among the shards, from 0."""
    tokenizer: dict[str, Any]
    """The state of the tokenizer that its ids mean something to."""
    tokens: int
    """How many there are."""
    sha256: str
    """Of the tokens' bytes."""
    documents: int
    """How many begin in it; 0 where the text is not made of documents."""
    utf8_bytes: int
    """Of the tokens' text, which a loss in bits per byte is measured by."""
    position: Position | None = None
    """Where in the source the next shard goes on; None: the source ends here."""
    notes: dict[str, int]
    """How often something had to be mended up to that piece of the source."""


@dataclass(frozen=True)
class Shard:
    """An opened shard: checked, not yet in memory."""

    path: Path
    split: Split
    tokens: int
    offset: int
    """Bytes before the first token."""
    dtype: str
    """Of a token on disk: "<u2" or "<u4"."""
    tokenizer: dict[str, Any]
    """State of the tokenizer."""
    header: Header | None = None
    """What a shard of ours says about itself; None: another format."""

    def map(self) -> Ids:
        """Return the tokens (N) where they lie on disk."""
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, (self.tokens,))
        return np.asarray(mapped)

    def fingerprint(self) -> str:
        """Return the hash of the tokens; where the format has none, of their number and ends."""
        if self.header is not None:
            return self.header.sha256
        ids = self.map()
        ends = ids[:SAMPLE].tobytes() + ids[-SAMPLE:].tobytes()
        return hashlib.sha256(b"%d %b" % (self.tokens, ends)).hexdigest()

    def verify(self) -> None:
        """Read every token of a shard of ours and compare their hash with the header's.

        Raises:
            UserError: If they differ, or the format has no hash.
        """
        if self.header is None:
            raise UserError(f"{self.path}: its format has no hash to compare with")
        if hashlib.sha256(self.map().data).hexdigest() != self.header.sha256:
            raise UserError(
                f"{self.path}: damaged: its tokens are not those of its sha256; delete it and run "
                "the same `playattention data` again"
            )


def shard_name(name: str, split: Split, number: int) -> str:
    """Return what a shard of ours is called."""
    return f"{name}_{split}_{number:06}{SUFFIX}"


def open_shard(path: Path) -> Shard:
    """Return a shard of any of the three formats, its header and size checked.

    Raises:
        UserError: If it is truncated, foreign, or can't be read.
    """
    named = NAME.fullmatch(path.name)
    if named is None:
        raise UserError(
            f"{path}: not named like a shard; allowed: *_val_NNNNNN and *_train_NNNNNN "
            "with .tokens, .npy or .bin"
        )
    split: Split = "val" if named[1] == "val" else "train"
    if path.suffix == SUFFIX:
        shard = _open_own(path, split)
    else:
        tokens, offset, dtype = foreign_shards.read_header(path)
        shard = Shard(path, split, tokens, offset, dtype, foreign_shards.TOKENIZER)
    _check_size(shard)
    if shard.header is None:
        _check_ids(shard)
    return shard


class ShardWriter:
    """Writes a shard as its tokens come; it gets its name once it is whole.

    Args:
        path: Its place; until it is whole, it lies beside it under a name that starts with a dot.
        tokenizer: What made the tokens.
        lengths: What `byte_lengths` returns of it, once for many shards.
        end_of_text: The id that begins a document; None: the text is not made of documents.
    """

    def __init__(
        self,
        path: Path,
        tokenizer: Tokenizer,
        lengths: npt.NDArray[np.int32],
        end_of_text: int | None,
    ) -> None:
        self.path = path
        self.tokens = self.documents = self.utf8_bytes = 0
        self._state = tokenizer.state()
        self._lengths = lengths
        self._end_of_text = end_of_text
        self._sha256 = hashlib.sha256()
        # The rest of the header, with the names in it, has a block to itself.
        self._offset = -(-len(json.dumps(self._state).encode()) // BLOCK) * BLOCK + BLOCK
        self._partial = path.with_name(f".{path.name}.partial")
        self._file = self._partial.open("wb")
        self._file.seek(self._offset)

    def append(self, ids: Ids) -> None:
        """Add tokens."""
        written = np.ascontiguousarray(ids, dtype="<u2")
        self._file.write(written.data)
        self._sha256.update(written.data)
        self.tokens += len(ids)
        self.utf8_bytes += int(self._lengths[ids].sum(dtype=np.int64))
        if self._end_of_text is not None:
            self.documents += int(np.count_nonzero(ids == self._end_of_text))

    def finish(self, **rest: Any) -> Header:
        """Write the header and give the file its name.

        Args:
            rest: The fields of the header that the writer does not know.
        """
        header = Header(
            tokenizer=self._state,
            tokens=self.tokens,
            sha256=self._sha256.hexdigest(),
            documents=self.documents,
            utf8_bytes=self.utf8_bytes,
            **rest,
        )
        top = f"{MAGIC.decode()} {VERSION} {self._offset}\n{header.model_dump_json()}".encode()
        assert len(top) < self._offset
        self._file.seek(0)
        self._file.write(top.ljust(self._offset - 1) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self.path)
        return header

    def discard(self) -> None:
        """Delete what was written, if it has not been finished."""
        with suppress(OSError):  # a full disk may refuse even to close
            self._file.close()
        self._partial.unlink(missing_ok=True)


def byte_lengths(tokenizer: Tokenizer, end_of_text: int | None) -> npt.NDArray[np.int32]:
    """Return how many UTF-8 bytes of text each id stands for; the end of a text for none."""
    lengths = [len(tokenizer.decode_bytes([id_])) for id_ in range(tokenizer.vocab_size)]
    if end_of_text is not None:
        lengths[end_of_text] = 0
    return np.array(lengths, dtype=np.int32)


def _open_own(path: Path, split: Split) -> Shard:
    top = read_bytes(path, 0, 64)
    words = re.match(rb"%b (\d+) (\d+)\n" % MAGIC, top)
    if words is None:
        raise UserError(
            f"{path}: not a shard of playattention: it begins with {top[:20]!r}; "
            f"allowed: {MAGIC.decode()!r}"
        )
    version, offset = int(words[1]), int(words[2])
    if version != VERSION:
        raise UserError(f"{path}: version {version} of the format; allowed: {VERSION}")
    try:
        header = Header.model_validate_json(read_bytes(path, words.end(), offset - words.end()))
    except ValueError as error:
        raise UserError(f"{path}: its header is damaged ({first_line(error)})") from None
    if header.split != split:
        raise UserError(f"{path}: named as {split}, and its header says {header.split}")
    return Shard(path, split, header.tokens, offset, "<u2", header.tokenizer, header)


def _check_size(shard: Shard) -> None:
    size = shard.path.stat().st_size
    promised = shard.offset + np.dtype(shard.dtype).itemsize * shard.tokens
    if size != promised:
        raise UserError(
            f"{shard.path}: {'truncated' if size < promised else 'too long'}: it has {size:,} "
            f"bytes, and {shard.tokens:,} tokens with their header take {promised:,}"
        )
    if not shard.tokens:
        raise UserError(f"{shard.path}: holds no tokens")


def _check_ids(shard: Shard) -> None:
    """Check, where the format does not say so, that the ids may be GPT-2's."""
    ids = shard.map()
    largest = max(int(ids[:SAMPLE].max()), int(ids[-SAMPLE:].max()))
    if largest > 50_256:
        raise UserError(
            f"{shard.path}: its id {largest} is none of the gpt2 tokenizer; allowed: 0 to 50256"
        )
