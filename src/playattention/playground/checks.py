"""The learner's files are checked as soon as they are saved, while somebody looks at the page.

One after the other, in processes of their own that let others go first, by a thread that ends soon
after the last look. Does not know what is told of a check.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from playattention.course.folder import Folder
from playattention.course.outcome import Outcome
from playattention.course.outline import Outline, outlines
from playattention.course.progress import fingerprint
from playattention.course.sandbox import PATIENCE, Child
from playattention.course.watching import watch
from playattention.playground.jobs import set_aside

LOOKED = 5.0
"""Seconds after the last question for which somebody still looks, and after a fault, before the
next try."""
NEVER = float("-inf")


class _Niced(Child):
    """A process that lets others go first, and tells what it checks."""

    def __init__(self, checking: list[str]) -> None:
        super().__init__()
        self._checking = checking
        with suppress(psutil.Error):
            set_aside(psutil.Process(self._process.pid))

    def check(
        self,
        exercise: str,
        file: Path,
        source: bytes,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Check a file as `Child` does."""
        self._checking.append(exercise)
        try:
            return super().check(exercise, file, source, cancelled)
        finally:
            self._checking.remove(exercise)


class Checks:
    """Checks what is saved.

    Args:
        folder: The learner's.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._looked = self._failed = NEVER
        self._checking: list[str] = []
        self._due: list[Outline] = []
        self._told: Counter[str] = Counter()
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False
        self.problem: str | None = None
        """Why nothing is checked by itself; None: it is."""

    @property
    def checking(self) -> list[str]:
        """Names of the exercises that are being checked."""
        return sorted({*self._checking})

    def look(self) -> None:
        """Note that somebody looks, and check for a while from now on."""
        with self._news:
            now = self._looked = time.monotonic()
            alive = self._thread is not None and self._thread.is_alive()
            if self._ended or alive or now - self._failed < LOOKED:
                return
            there = [one for one in outlines() if self._folder.file(one).is_file()]
            if not there:
                return
            # What was saved while nobody looked comes first.
            last = self._folder.progress().last
            stale = [one for one in there if not is_current(self._folder, one)]
            self._due += sorted(stale, key=lambda one: one.name != last)
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def check(self, one: Outline) -> None:
        """Check a file that is there, saved anew or not, and wait for the end of it."""
        with self._news:
            before, until = self._told[one.name], time.monotonic() + PATIENCE
            self._failed = NEVER  # who asks for it wants another try
            self._due.append(one)
            while self._told[one.name] == before and time.monotonic() < until:
                gone = not self._folder.file(one).is_file()
                if self._ended or gone or self._failed > NEVER:
                    break
                self.look()
                self._news.wait(0.2)

    def end(self) -> None:
        """Check no more, and end what was started."""
        with self._news:
            self._ended = True
            self._news.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(1)

    def _watch(self) -> None:
        self.problem = None
        try:
            watch(
                self._folder,
                self._tell,
                wanted=self._is_wanted,
                asked=self._asked,
                begun=lambda: _Niced(self._checking),
            )
        except Exception as error:  # whatever it is, the page can say it; the server goes on
            logging.getLogger("playattention").warning("nothing is checked: %s", error)
            self.problem = f"Nothing is checked by itself: {error}"
            with self._news:
                self._failed = time.monotonic()
                self._news.notify_all()

    def _is_wanted(self) -> bool:
        return not self._ended and time.monotonic() - self._looked < LOOKED

    def _asked(self) -> list[Outline]:
        with self._news:
            due, self._due = list(dict.fromkeys(self._due)), []
        return due

    def _tell(self, one: Outline, _: Outcome) -> None:
        with self._news:
            self._told[one.name] += 1
            self._news.notify_all()


def is_current(folder: Folder, one: Outline, kept: dict[str, Any] | None = None) -> bool:
    """Tell whether an exercise's file still holds what was checked last.

    Args:
        folder: The learner's.
        one: The exercise.
        kept: What the last check found, if it was read already.
    """
    found = kept or folder.kept(one)
    with suppress(OSError):
        content = fingerprint(folder.file(one).read_bytes())
        return found is not None and found.get("of_content") == content
    return False
