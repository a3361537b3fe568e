"""Documents in parquet files: the column "text", read row group by row group as a stream.

Bytes that are no UTF-8 become U+FFFD and are counted. pyarrow is imported when a file is opened.
"""

from collections.abc import Iterator
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
    metadata = _metadata(opener, file.name)
    for group in range(metadata.num_row_groups):
        rows, size = metadata.row_group(group).num_rows, _text_size(metadata, group)
        weight = file.size * rows / max(metadata.num_rows, 1)
        step = rows if size <= 2 * PIECE_BYTES else max(1, rows * PIECE_BYTES // size)
        for first in range(0, rows, max(step, 1)):
            extent = min(step, rows - first)
            yield Piece(file.name, group, first, extent, weight * extent / rows)


def text_bytes(opener: Opener, file: SourceFile) -> int:
    """Return about how many bytes of text a file holds.

    Raises:
        UserError: If it is damaged or has no texts; names it.
    """
    metadata = _metadata(opener, file.name)
    return sum(_text_size(metadata, group) for group in range(metadata.num_row_groups))


def texts(opener: Opener, piece: Piece, note: Note) -> Iterator[str | None]:
    """Yield the documents of a piece; None: its text is null.

    Raises:
        UserError: If the file is damaged; names it.
    """
    rows = _rows(opener, piece)
    try:
        for row in rows.take(piece.first, piece.extent):
            try:
                yield row.as_py()
            except UnicodeDecodeError:
                note("mended")
                yield bytes(row.as_buffer()).decode(errors="replace")
    except Exception as error:  # of pyarrow, of the disk, of the hub's client
        close()
        raise unreadable(f"{piece.file}, row group {piece.group}", error) from None


def close() -> None:
    """Close the file that `texts` left open, for the piece that may come after."""
    while _open:
        _open.pop().close()


class _Rows:
    """A row group's texts, front to back.

    A worker that read one part of a large row group goes on from there to its next part.
    """

    def __init__(self, opener: Opener, name: str) -> None:
        self.key = (opener, name)
        self.file = _open_parquet(opener, name)
        self.begin(0)

    def begin(self, group: int) -> None:
        """Go to the first row of a group."""
        self.group, self.next = group, 0
        batches = self.file.iter_batches(
            ROWS, row_groups=[group], columns=["text"], use_threads=False
        )
        self._rows = (row for batch in batches for row in batch.column(0))

    def take(self, first: int, count: int) -> Iterator[Any]:
        """Yield rows, once those before them have been passed over."""
        for _ in range(self.next, first):
            next(self._rows)
        self.next = first
        for _ in range(count):
            self.next += 1
            yield next(self._rows)

    def close(self) -> None:
        """Close the file."""
        self.file.close(force=True)


_open: list[_Rows] = []
"""The file that this process read from last, or none."""


def _rows(opener: Opener, piece: Piece) -> _Rows:
    """Return a piece's row group, at the piece's first row or before it."""
    if not _open or _open[0].key != (opener, piece.file):
        close()
        _open.append(_Rows(opener, piece.file))
    rows = _open[0]
    if rows.group != piece.group or rows.next > piece.first:
        rows.begin(piece.group)
    return rows


def _metadata(opener: Opener, name: str) -> Any:
    file = _open_parquet(opener, name)
    metadata = file.metadata
    file.close(force=True)
    return metadata


def _open_parquet(opener: Opener, name: str) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional
        import pyarrow.parquet as pq  # noqa: PLC0415 - optional
    except ImportError:
        raise UserError(
            f"{name}: parquet files need pyarrow: pip install 'playattention[fineweb]'"
        ) from None
    handle = None
    try:
        handle = opener.open(name)
        # As a stream: pyarrow would otherwise hold a row group's whole column, however large.
        file = pq.ParquetFile(handle, buffer_size=READ_BYTES, pre_buffer=False)
        schema = file.schema_arrow
    except Exception as error:  # of pyarrow, of the disk, of the hub's client
        if handle is not None:
            handle.close()
        raise unreadable(name, error) from None
    kind = schema.field("text").type if "text" in schema.names else None
    if kind is None or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        handle.close()
        raise UserError(
            f"{name}: has no column 'text'; it has {', '.join(schema.names)}"
            if kind is None
            else f"{name}: its column 'text' is of type {kind}; allowed: string"
        )
    return file


def _text_size(metadata: Any, group: int) -> int:
    columns = (metadata.row_group(group).column(number) for number in range(metadata.num_columns))
    return sum(c.total_uncompressed_size for c in columns if c.path_in_schema == "text")
