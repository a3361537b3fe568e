"""Documents in files, cut into pieces that any process can read by itself.

A piece depends on its file alone, never on how many processes read. How each kind of file is read
is in `documents_parquet.py` and `documents_json.py`. Does not know tokens or shards.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from playattention.errors import UserError

PIECE_BYTES = 4 * 2**20
"""Text in a piece: a worker is busy with it for some tenths of a second."""

READ_BYTES = 2**20
"""Of a file, at once."""

NOTES = {
    "null": "documents without a text, left out",
    "empty": "empty documents, kept",
    "mended": "documents with bytes or escapes that are no Unicode, each replaced by U+FFFD",
}
"""What may be found in a document that is not as it should be."""

Note = Callable[[str], None]
"""Counts what was found, one of NOTES."""


class UnreadableError(UserError):
    """A file that can't be read to its end: damaged, or out of reach for a while."""


class SourceFile(NamedTuple):
    """A file of a source."""

    name: str
    """Its path below the source, with forward slashes."""
    size: int
    """Bytes."""


class Opener(Protocol):
    """Where the files of a source are; small, as it goes to every worker with every piece."""

    @property
    def pauses(self) -> tuple[int, ...]:
        """Seconds to wait before each new try where a file is out of reach."""

    def open(self, name: str) -> IO[bytes]:
        """Return a file, open for reading, that can seek."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine."""

    path: Path

    @property
    def pauses(self) -> tuple[int, ...]:
        """None: what can't be read now will not be later."""
        return ()

    def open(self, name: str) -> IO[bytes]:
        """Return a file, open for reading."""
        return (self.path / name).open("rb", buffering=READ_BYTES)


class Piece(NamedTuple):
    """A part of a file: rows of a parquet file's row group, or bytes of a JSON-lines file."""

    file: str
    group: int
    """Row group; 0 in JSON lines."""
    first: int
    """Row, or byte: a line belongs to the piece that its first byte is in."""
    extent: int
    """Rows or bytes."""
    weight: float
    """Bytes of the file that stand for it, to tell how far one is."""


def local_files(folder: Path) -> list[SourceFile]:
    """Return the parquet and JSON-lines files in a folder and below, by name.

    Raises:
        UserError: If there are none, or one looks as if it were not all there.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; allowed: one with .parquet or .jsonl files")
    found = []
    try:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if any(part.startswith(".") for part in name.split("/")) or not path.is_file():
                continue  # a download's own folder, .cache, holds halves of files
            if path.suffix in (".parquet", ".jsonl"):
                found.append(SourceFile(name, path.stat().st_size))
            elif ".parquet" in path.name or ".jsonl" in path.name:
                raise UserError(
                    f"{path}: half downloaded, or packed; allowed: .parquet and .jsonl as they "
                    "are (finish the download, unpack it, or move it away)"
                )
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from None
    if not found:
        raise UserError(f"{folder}: no documents; allowed: .parquet or .jsonl files there or below")
    return found


def unreadable(name: str, error: Exception) -> UnreadableError:
    """Return the error for a file that can't be read to its end."""
    return UnreadableError(
        f"{name}: cannot be read, perhaps half downloaded ({' '.join(str(error).split())})"
    )
