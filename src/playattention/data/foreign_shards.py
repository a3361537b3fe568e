"""The headers of other projects' token files, read as they are.

`.npy` shards of build-nanogpt, one array as numpy.save writes it, and `.bin` shards of llm.c and
modded-nanogpt. Neither names its tokenizer: both hold GPT-2's ids. Does not read tokens.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from playattention.errors import UserError

TOKENIZER = {"name": "gpt2"}
"""State of the tokenizer that made them."""

LLMC_HEADER = 256
"""int32 numbers on top of a shard of llm.c: magic, version, number of tokens, zeros."""
LLMC_MAGIC, LLMC_VERSION = 20240520, 1


class Layout(NamedTuple):
    """Where the tokens of a file lie."""

    tokens: int
    """How many."""
    offset: int
    """Bytes before the first."""
    dtype: str
    """Of each: "<u2" or "<u4"."""


def read_header(path: Path) -> Layout:
    """Return what the header of an `.npy` or `.bin` shard says.

    Raises:
        UserError: If it is none, or holds anything but tokens.
    """
    return _read_npy(path) if path.suffix == ".npy" else _read_llmc(path)


def read_bytes(path: Path, start: int, count: int) -> bytes:
    """Return some bytes of a file.

    Raises:
        UserError: If it can't be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(count)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read_npy(path: Path) -> Layout:
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            offset = file.tell()
    except ValueError as error:
        raise UserError(f"{path}: not a file of numpy.save ({first_line(error)})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if len(shape) != 1 or dtype.str not in ("<u2", "<u4"):
        raise UserError(
            f"{path}: an array of {dtype.name}, shape {shape}; "
            "allowed: uint16 or uint32, one dimension"
        )
    return Layout(shape[0], offset, dtype.str)


def _read_llmc(path: Path) -> Layout:
    top = read_bytes(path, 0, 12).ljust(12, b"\0")
    magic, version, tokens = (int(number) for number in np.frombuffer(top, dtype="<i4"))
    if magic != LLMC_MAGIC:
        raise UserError(
            f"{path}: not a shard of llm.c: its magic number is {magic}; allowed: {LLMC_MAGIC}"
        )
    if version != LLMC_VERSION or tokens < 0:
        raise UserError(
            f"{path}: version {version} with {tokens} tokens; allowed: version {LLMC_VERSION}"
        )
    return Layout(tokens, 4 * LLMC_HEADER, "<u2")
