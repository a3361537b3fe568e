"""What is written down about trainings in `logs/.jobs/`, and the ends of their logs.

Does not know processes.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from playattention.training.run import LOGS

FOLDER = LOGS / ".jobs"
SHOWN_LINES = 12
LOG_TAIL = 20_000
"""Bytes of a log that its last lines are looked for in."""


@dataclass(frozen=True)
class Record:
    """What is written down about a training."""

    name: str
    recipe: str
    planned: int
    started: str
    """When, ISO 8601."""
    pid: int
    created: float
    """When the process began, by the system's clock: another may get its number later."""
    stopping: bool = False
    """Whether it was asked to stop."""


def names() -> list[str]:
    """Return the trainings that something is written down about."""
    return [path.stem for path in FOLDER.glob("*.json")]


def log_of(name: str) -> Path:
    """Return where it lies what a training printed."""
    return FOLDER / f"{name}.log"


def read(name: str) -> Record | None:
    """Return what is written down about a training; None: nothing, or it is damaged."""
    try:
        return Record(**json.loads((FOLDER / f"{name}.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write(record: Record) -> None:
    """Write something down about a training, in the place of what was."""
    path = FOLDER / f"{record.name}.json"
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(asdict(record)), encoding="utf-8")
    partial.replace(path)


def last_step(folder: Path) -> int:
    """Return how many steps a run has logged, from the end of its log alone."""
    for line in reversed(_tail(folder / "log.csv")[:-1]):  # what comes after the last line end: cut
        number = line.partition(",")[0]
        if number.isdecimal():
            return int(number)
    return 0


def lines_of(name: str) -> list[str]:
    """Return the last lines that a training printed."""
    return [line for line in _tail(log_of(name)) if line.strip()][-SHOWN_LINES:]


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL))
            return file.read().decode(errors="replace").split("\n")
    except OSError:
        return []
