"""Documents in parquet files: the column "text", read row group by row group as a stream.

Bytes that are no UTF-8 become U+FFFD and are counted. pyarrow is imported when a file is opened.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from playattention.data.documents import (
    PIECE_BYTES,
    READ_BYTES,
    Note,
    Opener,
    Piece,
    SourceFile,
    unreadable,
)
from playattention.errors import UserError

ROWS = 64
"""Decoded at once: a few hundred kilobytes of text."""


def pieces(opener: Opener, file: SourceFile) -> Iterator[Piece]:
    """Yield a file in pieces: its row groups, large ones in parts.

    Raises:
        UserError: If it is damaged or has no texts; names it.
    """
    metadata = _parquet_file(opener, file.name).metadata
    for group in range(metadata.num_row_groups):
        rows, size = metadata.row_group(group).num_rows, _text_size(metadata, group)
        weight = file.size * rows / max(metadata.num_rows, 1)
        step = rows if size <= 2 * PIECE_BYTES else max(1, rows * PIECE_BYTES // size)
        for first in range(0, rows, max(step, 1)):
            count = min(step, rows - first)
            yield Piece(file.name, group, first, count, weight * count / rows)


def text_bytes(opener: Opener, file: SourceFile) -> int:
    """Return about how many bytes of text a file holds.

    Raises:
        UserError: If it is damaged or has no texts; names it.
    """
    metadata = _parquet_file(opener, file.name).metadata
    return sum(_text_size(metadata, group) for group in range(metadata.num_row_groups))


def texts(opener: Opener, piece: Piece, note: Note) -> Iterator[str | None]:
    """Yield the documents of a piece; None: its text is null.

    Raises:
        UserError: If the file is damaged; names it.
    """
    file, group, first, count, _ = piece
    key = (opener, file, group)
    if not _open_rows or _open_rows[0].key != key or _open_rows[0].next > first:
        _open_rows[:] = [_Rows(*key)]
    try:
        for row in _open_rows[0].take(first, count):
            try:
                yield row.as_py()
            except UnicodeDecodeError:
                note("mended")
                yield bytes(row.as_buffer()).decode(errors="replace")
    except UserError:
        raise
    except Exception as error:  # of pyarrow, of the disk, of the hub's client
        _open_rows.clear()
        raise unreadable(f"{file}, row group {group}", error) from None


class _Rows:
    """A row group's texts, front to back.

    A worker that read one part of a large row group goes on from there to its next part.
    """

    def __init__(self, opener: Opener, name: str, group: int) -> None:
        self.key = (opener, name, group)
        self.next = 0
        self._rows = self._read()

    def take(self, first: int, count: int) -> Iterator[Any]:
        """Yield rows, once those before them have been passed over."""
        for _ in range(self.next, first):
            next(self._rows)
        self.next = first
        for _ in range(count):
            self.next += 1
            yield next(self._rows)

    def _read(self) -> Iterator[Any]:
        opener, name, group = self.key
        file = _parquet_file(opener, name)
        batches = file.iter_batches(ROWS, row_groups=[group], columns=["text"], use_threads=False)
        for batch in batches:
            yield from batch.column(0)


_open_rows: list[_Rows] = []
"""The row group that this process read from last, or none."""


@lru_cache(maxsize=1)  # pieces come file by file
def _parquet_file(opener: Opener, name: str) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional
        import pyarrow.parquet as pq  # noqa: PLC0415 - optional
    except ImportError:
        raise UserError(
            f"{name}: parquet files need pyarrow: pip install 'playattention[fineweb]'"
        ) from None
    try:
        # As a stream: pyarrow would otherwise hold a row group's whole column, however large.
        file = pq.ParquetFile(opener.open(name), buffer_size=READ_BYTES, pre_buffer=False)
        schema = file.schema_arrow
    except Exception as error:  # of pyarrow, of the disk, of the hub's client
        raise unreadable(name, error) from None
    if "text" not in schema.names:
        raise UserError(f"{name}: has no column 'text'; it has {', '.join(schema.names)}")
    kind = schema.field("text").type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise UserError(f"{name}: its column 'text' is of type {kind}; allowed: string")
    return file


def _text_size(metadata: Any, group: int) -> int:
    columns = (metadata.row_group(group).column(number) for number in range(metadata.num_columns))
    return sum(c.total_uncompressed_size for c in columns if c.path_in_schema == "text")
