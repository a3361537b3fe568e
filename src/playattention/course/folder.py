"""The learner's folder: a file for each exercise, their progress, and what the last check found.

    exercises/
      e06_causal_mask.py          the learner's
      e06_causal_mask.backup1.py  what it held before a reset
      progress.txt                see progress.py
      .checked/causal_mask.json   the last check, for the page

Nothing of the learner's is ever overwritten. Does not know how a file is checked.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from playattention.course import EXERCISES, exercise
from playattention.course import progress as record
from playattention.course.outline import Outline, outlines
from playattention.course.progress import Done, Progress, fingerprint
from playattention.errors import UserError

EXERCISES_FOLDER = Path("exercises")

State = Literal["not started", "started", "passed", "changed since it passed"]


@dataclass(frozen=True)
class Folder:
    """A learner's folder.

    Args:
        path: Where it is; it need not be there yet.
    """

    path: Path = EXERCISES_FOLDER

    def file(self, one: Outline) -> Path:
        """Return where an exercise's file is, or would be."""
        return self.path / one.file

    def read(self, one: Outline) -> bytes:
        """Return what an exercise's file holds.

        Raises:
            UserError: If it was not started, or can't be read.
        """
        path = self.file(one)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise UserError(
                f"{path}: is not there; playattention learn start {one.name} puts it there"
            ) from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None

    def progress(self) -> Progress:
        """Return what the learner has done."""
        return record.read(self.path / "progress.txt", list(EXERCISES))

    def note(self, one: Outline, **known: Any) -> Done:
        """Write down what is now known of an exercise, and return all that is.

        Args:
            one: The exercise.
            known: Fields of `Done`.

        Raises:
            UserError: If it can't be written.
        """
        progress = self.progress()
        done = replace(progress.of(one.name), **known)
        self._write(progress.with_(one.name, done))
        return done

    def start(self, one: Outline) -> bool:
        """Put an exercise's file there, and remember that it is worked on.

        Returns:
            False if it was there: it stays as it is.

        Raises:
            UserError: If it can't be written.
        """
        path = self.file(one)
        stub = exercise(one.name).stub
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            new = not path.exists()
            if new:
                with path.open("x", encoding="utf-8", newline="\n") as file:
                    file.write(stub)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from None
        progress = self.progress()
        done = replace(progress.of(one.name), started=True)
        self._write(replace(progress.with_(one.name, done), last=one.name))
        return new

    def reset(self, one: Outline) -> Path:
        """Put an exercise's file back to how it began; what it held is kept beside it.

        Returns:
            The backup.

        Raises:
            UserError: If it was not started, or can't be written.
        """
        source, path = self.read(one), self.file(one)
        try:
            backup = _unused(path, source)
            partial = path.with_name(f".{path.name}.partial")
            partial.write_text(exercise(one.name).stub, encoding="utf-8", newline="\n")
            partial.replace(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from None
        self.checked(one).unlink(missing_ok=True)
        progress = self.progress().with_(one.name, Done(started=True))
        self._write(replace(progress, last=one.name))
        return backup

    def state(self, one: Outline, progress: Progress | None = None) -> State:
        """Return how an exercise stands.

        Args:
            one: The exercise.
            progress: What `progress` returned, if it was asked already.
        """
        done = (progress or self.progress()).of(one.name)
        try:
            source = self.file(one).read_bytes()
        except OSError:
            return "not started"
        if done.passed is None:
            return "started"
        same = done.passed in ("", fingerprint(source))
        return "passed" if same else "changed since it passed"

    def checked(self, one: Outline) -> Path:
        """Return where an exercise's last check is kept, or would be."""
        return self.path / ".checked" / f"{one.name}.json"

    def keep(self, one: Outline, source: bytes, outcome: dict[str, Any]) -> None:
        """Remember what a check found, for who asks later; nothing depends on it."""
        path = self.checked(one)
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            partial = path.with_suffix(".partial")
            kept = {**outcome, "of_content": fingerprint(source)}
            partial.write_text(json.dumps(kept), encoding="utf-8")
            partial.replace(path)

    def kept(self, one: Outline) -> dict[str, Any] | None:
        """Return what the last check found; None: there was none, or it was of another version."""
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads(self.checked(one).read_bytes())
            return found if isinstance(found, dict) else None
        return None

    def chosen(self) -> Outline | None:
        """Return the exercise that was started last; None: none was."""
        last = self.progress().last
        return next((one for one in outlines() if one.name == last), None)

    def next(self) -> Outline | None:
        """Return the first exercise that has not passed; None: all have."""
        progress = self.progress()
        passed = {name for name, done in progress.done.items() if done.passed is not None}
        return next((one for one in outlines() if one.name not in passed), None)

    def _write(self, progress: Progress) -> None:
        with suppress(OSError):  # writing tells it
            self.path.mkdir(parents=True, exist_ok=True)
        record.write(self.path / "progress.txt", progress, list(EXERCISES))


def _unused(path: Path, source: bytes) -> Path:
    """Write a backup under the first number that is free, and return where."""
    number = 1
    while True:
        backup = path.with_name(f"{path.stem}.backup{number}.py")
        try:
            with backup.open("xb") as file:
                file.write(source)
            return backup
        except FileExistsError:
            number += 1
