"""HellaSwag: contexts with four endings each, of which people find one plausible.

Zellers et al. 2019, "HellaSwag: can a machine really finish your sentence?" (arXiv 1905.07830).
The 10,042 items for validation are fetched once. Does not know models, nor how one is scored.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from playattention.data.download import download, put_in_place, read_copy
from playattention.errors import UserError

URL = "https://raw.githubusercontent.com/rowanz/hellaswag/master/data/hellaswag_val.jsonl"
HOME = Path("data", "hellaswag", "hellaswag_val.jsonl")
ITEMS = 10_042
ENDINGS = 4


class Item(NamedTuple):
    """A context and what may follow it."""

    context: str
    """`ctx` in the file: the beginning of a description or of instructions."""
    endings: list[str]
    """Four of them."""
    label: int
    """Which of them is right, from 0 on."""


def load_items(source: Path | None = None) -> list[Item]:
    """Return the items for validation, from `data/hellaswag/`, put there first if they are not.

    Args:
        source: A file at hand in the same schema, of any number of items; it is only read.

    Raises:
        UserError: If a line does not follow the schema, the known file is not whole, or there is
            neither a copy nor a network.
    """
    if source is not None:
        return _items(read_copy(source), f"--from {source}")
    if not HOME.is_file():
        content = download(URL, HOME, f"--from FILE with a copy of {HOME.name}")
        _whole(content, URL)
        put_in_place(HOME, content)
    return _whole(HOME.read_bytes(), f"{HOME} (delete it to download anew)")


def _whole(content: bytes, origin: str) -> list[Item]:
    items = _items(content, origin)
    if len(items) != ITEMS:
        raise UserError(f"{origin}: {len(items):,} items; allowed: HellaSwag's {ITEMS:,}")
    return items


def _items(content: bytes, origin: str) -> list[Item]:
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{origin}: not UTF-8 (at byte {error.start}); allowed: JSON lines"
        ) from None
    items = [
        _item(line, f"{origin}: line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not items:
        raise UserError(f"{origin}: holds no items; allowed: a line of JSON for each")
    return items


def _item(line: str, origin: str) -> Item:
    """Return a line's item."""
    try:
        found: dict[str, Any] = dict(json.loads(line))
        context, endings, label = found["ctx"], found["endings"], found["label"]
    except (ValueError, TypeError) as error:
        raise UserError(f"{origin}: no JSON object ({error})") from None
    except KeyError as error:
        raise UserError(f"{origin}: lacks {error}; allowed: ctx, endings and label") from None
    if not (isinstance(context, str) and context):
        raise UserError(f"{origin}: ctx = {context!r}; allowed: a text")
    if not (
        isinstance(endings, list)
        and len(endings) == ENDINGS
        and all(isinstance(ending, str) and ending for ending in endings)
    ):
        raise UserError(f"{origin}: endings = {endings!r}; allowed: a list of {ENDINGS} texts")
    if type(label) is not int or not 0 <= label < ENDINGS:
        raise UserError(f"{origin}: label = {label!r}; allowed: 0 to {ENDINGS - 1}")
    return Item(context, endings, label)
