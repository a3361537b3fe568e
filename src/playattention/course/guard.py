"""What keeps a learner's file from doing harm by a slip while it is checked, from inside.

It may write, rename and remove in its scratch folder alone, start and end no process, use no
network, and take and print so much and no more. This holds off mistakes, not attackers: code that
means harm should not be run at all. Knows neither exercises nor torch.
"""

import contextlib
import errno
import io
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

MOST_PRINTED = 2_000_000
"""Characters after which a file is said to print without end."""
KEPT_PRINTED = 20_000
"""Characters that are shown; the rest is counted."""
MOST_WRITTEN = 64 * 2**20
"""Bytes of one file."""
MOST_SECONDS = 60
"""Of computing: this ends a check whose parent was killed, and could not end it."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PATHS: dict[str, tuple[str, tuple[tuple[int, int | None], ...]]] = {
    "os.remove": ("remove", ((0, 1),)),
    "os.rmdir": ("remove", ((0, 1),)),
    "shutil.rmtree": ("remove", ((0, None),)),
    "os.rename": ("rename", ((0, 2), (1, 3))),
    "os.mkdir": ("make", ((0, 2),)),
    "os.link": ("link", ((0, 2), (1, 3))),
    "os.symlink": ("link", ((1, 2),)),
    "os.truncate": ("cut", ((0, None),)),
    "os.chmod": ("change", ((0, 2),)),
    "os.chown": ("change", ((0, 3),)),
    "os.utime": ("change", ((0, 3),)),
    "os.setxattr": ("change", ((0, None),)),
    "os.removexattr": ("change", ((0, None),)),
    "os.chflags": ("change", ((0, None),)),
}
"""Python's audit events about files -> what is wanted, and where among the event's arguments the
paths are, each with the number of the open folder that it is relative to."""
REFUSED = {
    "subprocess.Popen": "start another program",
    "os.system": "start another program",
    "os.exec": "become another program",
    "os.fork": "start another process",
    "os.forkpty": "start another process",
    "os.posix_spawn": "start another program",
    "os.spawn": "start another program",
    "os.startfile": "start another program",
    "pty.spawn": "start another program",
    "os.kill": "end a process",
    "os.killpg": "end processes",
    "socket.connect": "use the network",
    "socket.getaddrinfo": "use the network",
    "socket.bind": "use the network",
}
"""Events that a check has no use for, in the same words."""


class RefusedError(PermissionError):
    """The learner's file asked for what a check does not do."""


class EndedError(BaseException):
    """The learner's file ended the program, or printed without end; no `except Exception` holds it.

    Args:
        kind: "exit" or "printed".
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass
class Seen:
    """What the guard noticed.

    Args:
        told: What was refused first: "remove /home/me/x"; "" while nothing was.
        file: Of the learner's line that asked for it.
        line: Its number.
    """

    told: str = ""
    file: str = ""
    line: int = 0


class Guard:
    """Refuses, from `close` on and for as long as the process lives.

    Args:
        scratch: The folder that may be written to.
    """

    def __init__(self, scratch: str) -> None:
        self.seen = Seen()
        self._root = os.path.normcase(os.path.realpath(scratch))

    def close(self) -> None:
        """Begin; there is no way back, as with all of Python's audit hooks."""
        os._exit = _leave
        with contextlib.suppress(ImportError):  # Windows has none
            import _posixsubprocess  # noqa: PLC0415 - multiprocessing's way, which no event tells

            _posixsubprocess.fork_exec = self._no_process
        sys.addaudithook(self._hear)

    def place(self) -> tuple[str, int]:
        """Return the innermost line of the learner's that runs now: file and number."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            path = frame.f_code.co_filename
            if os.path.normcase(path).startswith(self._root + os.sep):
                return os.path.basename(path), frame.f_lineno  # noqa: PTH119 - it is text here
            frame = frame.f_back
        return "", 0

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            writes = any(sign in mode for sign in "wax+") if isinstance(mode, str) else False
            if (writes or (flags or 0) & WRITING) and not isinstance(path, int):
                self._check("write to", path)
        elif event in PATHS:
            what, places = PATHS[event]
            for path, folder in places:
                self._check(what, args[path], -1 if folder is None else args[folder])
        elif event in REFUSED:
            self._refuse(REFUSED[event])

    def _check(self, what: str, path: object, folder: int = -1) -> None:
        if isinstance(path, int):  # an open file, which was checked when it was opened
            return
        shown = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
        if folder != -1 and not os.path.isabs(shown):  # noqa: PTH117 - as in all of this method
            shown = os.path.join(_path_of(folder), shown)  # noqa: PTH118
        real = os.path.normcase(os.path.realpath(shown))
        inside = real == self._root or real.startswith(self._root + os.sep)
        if not inside and real not in (os.path.normcase(os.devnull), os.path.realpath(os.devnull)):
            self._refuse(f"{what} {shown}")

    def _no_process(self, *_: object) -> NoReturn:
        self._refuse(REFUSED["os.fork"])

    def _refuse(self, what: str) -> NoReturn:
        if not self.seen.told:
            file, line = self.place()
            self.seen = Seen(what, file, line)
        raise RefusedError(errno.EACCES, f"a check does not {what}")


def _path_of(folder: int) -> str:
    """Return the path of an open folder; one that nobody may write to where it can't be told."""
    try:
        return os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115
    except OSError:
        return os.sep


def _leave(status: int = 0) -> NoReturn:  # noqa: ARG001 - as os._exit is called
    raise EndedError("exit")


class Printed(io.TextIOBase):
    """What a learner's file prints: passed on up to a size, counted beyond it.

    Args:
        passed_on: Takes the first of it.
    """

    def __init__(self, passed_on: Callable[[str], object]) -> None:
        self._passed_on = passed_on
        self._kept: list[str] = []
        self._size = 0
        self._begin = 0

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Take text.

        Raises:
            EndedError: If it never ends.
        """
        self._size += len(text)
        if self._size > MOST_PRINTED:
            raise EndedError("printed")
        if self._size <= self._begin + KEPT_PRINTED:
            self._kept.append(text)
        if self._size <= KEPT_PRINTED:
            self._passed_on(text)
        return len(text)

    def begin(self) -> None:
        """Forget what was printed; what comes next is what is shown."""
        self._kept, self._begin = [], self._size

    @property
    def text(self) -> str:
        """What was printed since `begin`, cut where it is long."""
        return "".join(self._kept)


def limit_memory(extra: int) -> None:
    """Let this process take so much more memory, where the system can hold it to that.

    Args:
        extra: Bytes beyond what is in use now.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows

        import psutil  # noqa: PLC0415
    except ImportError:
        return
    used = psutil.Process().memory_info().vms
    for kind, most in (
        (resource.RLIMIT_AS, used + extra),
        (resource.RLIMIT_FSIZE, MOST_WRITTEN),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, int(time.process_time()) + MOST_SECONDS),
    ):
        hard = resource.getrlimit(kind)[1]
        with contextlib.suppress(ValueError, OSError):  # macOS holds no process to its memory
            resource.setrlimit(kind, (most if hard < 0 else min(most, hard), hard))
