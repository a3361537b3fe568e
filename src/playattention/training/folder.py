"""A run's folder as a file system sees it: it appears whole, and damage is told in one line.

Does not know settings, weights or text.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playattention.errors import UserError

CODE = "code"


def code_of(run: Path, shelf: Path) -> Path | None:
    """Return the folder of the code that a run's model is built from; None: this package's.

    To build such a model is to run that code, so it is the user's own alone: a run that was made
    here lies on the user's own shelf, and one that came from elsewhere has to be put there.

    Args:
        run: The run's folder.
        shelf: The folder of the user's own runs.

    Raises:
        UserError: If the run has code and lies elsewhere.
    """
    code = run / CODE
    if not code.is_dir():
        return None
    if run.resolve().parent != shelf.resolve():
        raise UserError(
            f"{run}: its model is code of its own, which is run only from {shelf}/; allowed: read "
            f"{code}, and move the run there if you trust it"
        )
    return code


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Yield a folder beside the place of a new one, which then appears there whole, or not."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had the same number
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # there only if something went wrong


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a dictionary for people to read, too."""
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return what `write_json` wrote.

    Raises:
        UserError: If the file is missing or damaged.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged ({error})") from None
    return values


def read_origin(folder: Path) -> dict[str, Any] | None:
    """Return where a run's first weights came from; None: they were drawn.

    Raises:
        UserError: If origin.json is damaged.
    """
    path = folder / "origin.json"
    return read_json(path) if path.exists() else None
