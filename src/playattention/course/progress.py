"""What a learner has done, in a text file that may be edited by hand: `exercises/progress.txt`.

    causal_mask: passed 3f2a9c1d, hints 2
    embedding: started
    last: embedding

Commas part what is known of an exercise; a line or part that is not understood is kept as it is. A
pass belongs to what the file held then (the letters are its hash): changed since, it is told so. A
pass without letters, written by hand, is believed. Does not know what an exercise is.
"""

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from playattention.errors import UserError

HEAD = """\
# What you have done. You may edit this: a line for each exercise, commas between what is known.
# passed and some letters: the file was right when it held what has these letters for its hash.
"""


@dataclass(frozen=True)
class Done:
    """What is known of one exercise.

    Args:
        started: Whether its file was put there.
        passed: Hash of the content that passed; "" if a hand wrote it; None: it has not.
        hints: How many were asked for.
        shown: Whether the solution was shown before a pass.
        rest: Parts of the line that are not understood.
    """

    started: bool = False
    passed: str | None = None
    hints: int = 0
    shown: bool = False
    rest: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """As it is written to the file."""
        parts = [
            "" if self.passed is None else f"passed {self.passed}".strip(),
            "started" if self.started and self.passed is None else "",
            f"hints {self.hints}" if self.hints else "",
            "solution shown" if self.shown else "",
            *self.rest,
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Progress:
    """All that is known.

    Args:
        done: By the exercise's name.
        last: Name of the exercise that was started last, or None.
        other: Lines that are no exercise's.
    """

    done: dict[str, Done] = field(default_factory=dict)
    last: str | None = None
    other: tuple[str, ...] = ()

    def of(self, name: str) -> Done:
        """Return what is known of an exercise; of one that is not in the file, nothing."""
        return self.done.get(name, Done())

    def with_(self, name: str, done: Done) -> "Progress":
        """Return a copy in which this is known of an exercise."""
        return replace(self, done={**self.done, name: done})


def fingerprint(source: bytes) -> str:
    """Return eight letters that stand for a file's content; line ends do not count."""
    return hashlib.sha256(source.replace(b"\r\n", b"\n")).hexdigest()[:8]


def read(path: Path, names: list[str]) -> Progress:
    """Return what a file says; of one that is not there, nothing.

    Args:
        path: Of progress.txt.
        names: Of the exercises.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Progress()
    done: dict[str, Done] = {}
    last, other = None, []
    for line in text.splitlines():
        name, colon, parts = line.partition(":")
        name = name.strip().lower()
        if colon and name in names:
            done[name] = _understood(parts)
        elif colon and name == "last" and parts.strip() in names:
            last = parts.strip()
        elif line.strip() and f"{line}\n" not in HEAD:
            other.append(line)
    return Progress(done, last, tuple(other))


def write(path: Path, progress: Progress, names: list[str]) -> None:
    """Write a file that `read` understands, in the order of the exercises, by one rename.

    Raises:
        UserError: If it can't be written.
    """
    lines = [f"{name}: {progress.done[name].line}" for name in names if name in progress.done]
    last = [f"last: {progress.last}"] if progress.last else []
    partial = path.with_name(f".{path.name}.partial")
    try:
        text = HEAD + "\n".join([*lines, *last, *progress.other]) + "\n"
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def _understood(parts: str) -> Done:
    done, rest = Done(started=True), []
    for part in (one.strip() for one in parts.split(",")):
        word = part.lower()
        if found := re.fullmatch(r"passed(?: +([0-9a-f]*))?", word):
            done = replace(done, passed=found[1] or "")
        elif found := re.fullmatch(r"hints? +(\d{1,6})", word):
            done = replace(done, hints=int(found[1]))
        elif word == "solution shown":
            done = replace(done, shown=True)
        elif part and word != "started":
            rest.append(part)
    return replace(done, rest=tuple(rest))
