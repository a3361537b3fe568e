"""The course on the page: how each exercise stands; a file is put there, checked, a hint given.

What is in a file never comes from the page: it is edited in the learner's own editor. Does not
know HTTP, nor how a check is run.
"""

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from playattention.course import EXERCISES, exercise
from playattention.course.folder import Folder
from playattention.course.outline import Outline, outline, outlines
from playattention.course.progress import Done, Progress, fingerprint
from playattention.errors import unknown
from playattention.playground.answers_exercises import (
    ExerciseDetail,
    ExerciseEntry,
    ExerciseList,
    ExerciseVerdict,
)
from playattention.playground.checks import Checks, is_current
from playattention.playground.opened import MissingError

EMPTY = {"text": "", "shape": [], "index": []}


@dataclass(frozen=True)
class _SharedFolder(Folder):
    """A folder that several threads write to."""

    lock: Any = field(default_factory=threading.RLock)

    def note(self, one: Outline, **known: Any) -> Done:
        """Write down what is known; nobody else's line is lost."""
        with self.lock:
            return super().note(one, **known)

    def start(self, one: Outline) -> bool:
        """Put a file there; nobody else's line is lost."""
        with self.lock:
            return super().start(one)


class Lessons:
    """Answers what the page asks of the course.

    Args:
        folder: The learner's; default: as the command has it.
    """

    def __init__(self, folder: Folder | None = None) -> None:
        self._folder = _SharedFolder((folder or Folder()).path)
        self._checks = Checks(self._folder)

    def all(self) -> ExerciseList:
        """Return all exercises; files are checked for a while from now on."""
        self._checks.look()
        progress = self._folder.progress()
        entries = [ExerciseEntry(**self._entry(one, progress)) for one in outlines()]
        return ExerciseList(
            exercises=entries, checking=self._checks.checking, problem=self._checks.problem
        )

    def one(self, name: str) -> ExerciseDetail:
        """Return all that there is to tell of an exercise.

        Raises:
            MissingError: If there is none of this name.
        """
        one = _named(name)
        self._checks.look()
        progress = self._folder.progress()
        entry, found = self._entry(one, progress), exercise(name)
        known = [other for other in outlines() if progress.of(other.name).passed is None]
        later = [other for other in known if other.number > one.number]
        following = next(iter(later or [other for other in known if other != one]), None)
        return ExerciseDetail(
            **entry,
            goal=found.goal.strip(),
            follows=found.follows,
            stub=found.stub.split('"""', 2)[-1].strip(),
            read=found.read,
            path=str(self._folder.file(one).resolve()),
            hints_told=list(found.hints[: entry["hints"]]),
            hints_there=len(found.hints),
            next=following and following.name,
            verdict=self._verdict(one) if entry["state"] != "not started" else None,
        )

    def start(self, name: str) -> ExerciseDetail:
        """Put an exercise's file there; one that is there stays as it is.

        Raises:
            MissingError: If there is none of this name.
            UserError: If it can't be written.
        """
        self._folder.start(_named(name))
        return self.one(name)

    def hint(self, name: str) -> ExerciseDetail:
        """Give one more hint, if there is one.

        Raises:
            MissingError: If there is no exercise of this name.
            UserError: If it can't be written down.
        """
        one = _named(name)
        with self._folder.lock:
            given = self._folder.progress().of(name).hints
            if given < len(exercise(name).hints):
                self._folder.note(one, hints=given + 1)
        return self.one(name)

    def check(self, name: str) -> ExerciseDetail:
        """Check a file, saved or not, and wait for what comes of it.

        Raises:
            MissingError: If there is no exercise of this name.
            UserError: If its file is not there.
        """
        one = _named(name)
        self._folder.read(one)
        self._checks.check(one)
        return self.one(name)

    def end(self) -> None:
        """Check no more, and end what was started."""
        self._checks.end()

    # What is known.

    def _entry(self, one: Outline, progress: Progress) -> dict[str, Any]:
        done, state = progress.of(one.name), self._folder.state(one, progress)
        stamps = [_stamp(path) for path in (self._folder.file(one), self._folder.checked(one))]
        passed = sum(one.passed is not None for one in progress.done.values())
        known = {"state": state, "hints": done.hints, "shown": done.shown}
        return {
            **known,
            "number": one.number,
            "name": one.name,
            "title": one.title,
            "last": progress.last == one.name,
            "version": fingerprint(repr((stamps, known, passed)).encode()),
        }

    def _verdict(self, one: Outline) -> ExerciseVerdict | None:
        kept = self._folder.kept(one)
        if kept is None:
            return None
        try:
            for part in ("got", "wanted"):
                if kept.get(part):
                    kept[part] = {**EMPTY, **kept[part], "rows": _rows(kept[part])}
            return ExerciseVerdict(**{**kept, "current": is_current(self._folder, one, kept)})
        except (
            ValidationError,
            TypeError,
            AttributeError,
        ):
            return None  # it is of another version, or somebody wrote into it


def _named(name: str) -> Outline:
    if name not in EXERCISES:
        raise MissingError(str(unknown("exercise", name, EXERCISES)))
    return outline(name)


def _stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return 0, 0


def _rows(picture: dict[str, Any]) -> list[Any]:
    """Return a picture's numbers as rows, whatever its dimensions; truth values as 0 and 1."""
    values = picture.get("values", [])
    if not isinstance(values, list):
        return [[_number(values)]]
    rows = values if values and isinstance(values[0], list) else [values]
    return [[_number(one) for one in row] for row in rows]


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value
