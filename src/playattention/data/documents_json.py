"""Documents in JSON-lines files: one object a line, its "text" a string or null.

A line that is no such object ends the reading, with its number. Bytes that are no UTF-8, and halves
of surrogate pairs in escapes, become U+FFFD and are counted: a night's work does not end at them.
"""

import json
from collections.abc import Iterator

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


def pieces(opener: Opener, file: SourceFile) -> Iterator[Piece]:  # noqa: ARG001 - sizes are enough
    """Yield a file in pieces."""
    for first in range(0, file.size, PIECE_BYTES):
        count = min(PIECE_BYTES, file.size - first)
        yield Piece(file.name, 0, first, count, count)


def text_bytes(opener: Opener, file: SourceFile) -> int:  # noqa: ARG001 - sizes are enough
    """Return about how many bytes of text a file holds."""
    return file.size


def texts(opener: Opener, piece: Piece, note: Note) -> Iterator[str | None]:
    """Yield the documents of a piece; None: its text is null.

    Raises:
        UserError: If a line is no such object, or the file can't be read; names it.
    """
    try:
        with opener.open(piece.file) as file:
            at, end = piece.first, piece.first + piece.extent
            if at:  # a line that began before belongs to the piece before
                file.seek(at - 1)
                at += len(file.readline()) - 1
            while at < end and (line := file.readline()):
                if line.strip():
                    try:
                        yield _text_of(line.removeprefix(b"\xef\xbb\xbf"), note)
                    except UserError as error:
                        number = _line_number(opener, piece.file, at)
                        raise UserError(f"{piece.file}, line {number}: {error}") from None
                at += len(line)
    except OSError as error:
        raise unreadable(piece.file, error) from None


def _text_of(line: bytes, note: Note) -> str | None:
    try:
        decoded, mended = line.decode(), False
    except UnicodeDecodeError:
        decoded, mended = line.decode(errors="replace"), True
    try:
        values = json.loads(decoded.strip())
    except json.JSONDecodeError as error:
        hint = "" if line.endswith(b"\n") else "; half downloaded?"
        raise UserError(f"no JSON ({error.msg}, column {error.colno}){hint}") from None
    if not isinstance(values, dict) or not isinstance(values.get("text", 0), str | None):
        raise UserError('allowed: an object whose "text" is a string or null')
    text: str | None = values["text"]
    if text is not None and not _is_unicode(text):  # an escape such as \ud800 without its other
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        mended = True
    if mended:
        note("mended")
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _line_number(opener: Opener, name: str, at: int) -> int:
    """Return the number, from 1, of the line that begins at a byte."""
    number = 1
    with opener.open(name) as file:
        while at > 0 and (content := file.read(min(at, READ_BYTES))):
            number += content.count(b"\n")
            at -= len(content)
    return number
