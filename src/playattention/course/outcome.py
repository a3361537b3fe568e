"""What comes of a check, read from the notes that its process left, however it ended.

Does not know processes, nor torch.
"""

import json
import re
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from playattention.course.messages import Message, crashed, source_line, too_large, too_slow


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Args:
        passed: Whether the file is right.
        message: What is told if it is not.
        held: Properties that hold, before the first that does not.
        of: How many there are; 0: it was not asked about any.
        probe: The first that does not.
        mistake: Name of the known mistake, of several with a semicolon between, or None.
        got: What the file gave where it is wrong, small: see `wording.picture`; None: nothing.
        wanted: What is right there.
        place: Index of the first element that differs.
        printed: What the file printed while the property that failed was looked at.
        predictions: Of an exercise that asks for guesses: each beside its outcome, as
            `wording.foretold` gives them.
        seconds: How long it took.
    """

    passed: bool
    message: Message | None = None
    held: int = 0
    of: int = 0
    probe: str | None = None
    mistake: str | None = None
    got: dict[str, Any] | None = None
    wanted: dict[str, Any] | None = None
    place: list[int] = field(default_factory=list)
    printed: str = ""
    predictions: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def state(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Args:
        why: "late", "printed" or "memory" where it was ended for that; "": it ended by itself.
        code: Its exit code, or minus the signal.
        seconds: That it had.
    """

    why: str
    code: int | None
    seconds: float


def read_outcome(notes: Path, ended: Ended, file: str, source: bytes) -> Outcome:
    """Return what came of a check.

    Args:
        notes: The folder with `result.jsonl`, `crash.txt` and `late.txt`: see `child.Job`.
        ended: How the process ended.
        file: Name of the learner's file.
        source: What is in it.
    """
    written = last(notes / "result.jsonl")
    if written is not None:
        told = written.pop("message")
        return Outcome(**written, message=told and Message.from_state(told))
    text = source.decode(errors="replace")
    late, crash = (_place(notes / name, file) for name in ("late.txt", "crash.txt"))
    if ended.why == "late":
        message = too_slow(file, ended.seconds, late, source_line(text, late))
    elif ended.why == "memory":
        message = too_large(file, late, source_line(text, late))
    elif ended.why == "printed":
        message = Message(f"{file} prints without end, and was stopped.")
    else:
        message = crashed(file, _how(ended.code), crash, source_line(text, crash))
    return Outcome(False, message)


def last(path: Path) -> dict[str, Any] | None:
    """Return the last whole line of JSON in a file; None: there is none."""
    with suppress(OSError):
        for line in reversed(path.read_text(encoding="utf-8").splitlines()):
            with suppress(ValueError):
                found: dict[str, Any] = json.loads(line)
                return found
    return None


def _place(path: Path, file: str) -> int:
    """Return the innermost line of the learner's file that Python's own report names; or 0."""
    with suppress(OSError):
        told = path.read_text(encoding="utf-8", errors="replace")
        # It cuts long paths; the name of the file is at their end, the innermost line first.
        for path_told, line in re.findall(r'File "(.*)", line (\d+)', told):
            if path_told.replace("\\", "/").rpartition("/")[2] == file:
                return int(line)
    return 0


def _how(code: int | None) -> str:
    """Return in words how a process ended that did not end by itself."""
    if code is not None and code < 0:
        with suppress(ValueError):
            name = signal.Signals(-code).name
            told = {
                "SIGSEGV": "it reached for memory that is not there",
                "SIGKILL": "it was ended \
from outside, perhaps for want of memory",
            }
            return told.get(name, name)
    return f"it ended with the code {code}"
