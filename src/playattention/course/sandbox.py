"""A learner's file, run where it can do no harm: a fresh process in a scratch copy of its folder.

Whatever the file does (loops for ever, exits, crashes, takes all memory, prints without end), an
`Outcome` comes back in time. What the process may do is held from inside by `guard.py`; here it is
started, waited for and ended. Does not import torch, so that a check does not wait for it twice.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from playattention.course.outcome import Ended, Outcome, last, read_outcome
from playattention.errors import UserError

SECONDS = 9.0
"""From the start of a process to the end of a check that does not end by itself."""
SECONDS_OF_ITS_OWN = (4.0, 6.0)
"""Of these, a file has so many at least, however slowly torch was imported, and at most."""
SECONDS_FOR_PREDICTIONS = 60.0
"""More of them for a file that is right, while it is shown what happens: our own code runs then."""
SECONDS_WHERE_BUSY = 30.0
"""At most, where other programs leave a file no time to compute."""
PATIENCE = 120.0
"""Seconds for torch to be imported: from a cold disk, on a busy machine."""
MEMORY = 2**30
"""Bytes that a file may take beyond what torch takes."""
MOST_OUTPUT = 20_000_000
"""Bytes after which a file that prints past Python's own way is stopped."""
LARGEST_COPIED = 2**20
"""Bytes of a file of the folder that a check gets to see."""
MOST_COPIED = 32 * 2**20
"""Bytes of all of them."""
TICK = 0.02


class CancelledError(Exception):
    """Nobody waits for this check any more."""


class Child:
    """A process that imports torch and then waits for one file to check.

    Used once: `check`, then `end`. It may be kept waiting, as `learn watch` does.
    """

    def __init__(self) -> None:
        self._notes = tempfile.TemporaryDirectory(  # deleted in `end`
            prefix="playattention-", ignore_cleanup_errors=True
        )
        self._process = _start(Path(self._notes.name))
        self._ready, self._begins = threading.Event(), threading.Event()
        self._output = bytearray()
        self._size = 0
        self._drained = threading.Thread(target=self._drain, daemon=True)
        self._drained.start()

    def check(
        self,
        exercise: str,
        file: Path,
        source: bytes,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Check a file.

        Args:
            exercise: Name of the exercise.
            file: Where it is; its folder is copied.
            source: What is in it.
            cancelled: Asked now and then whether the check is still wanted.

        Raises:
            CancelledError: If it is not.
            UserError: If no process can be started, or no copy be made.
        """
        started = time.monotonic()
        try:
            self._wait_for(self._ready, cancelled)
            spent = time.monotonic() - started
            least, most = SECONDS_OF_ITS_OWN
            seconds = min(max(SECONDS - spent, least), most)
            notes = Path(self._notes.name)
            scratch = _scratch(notes, file, source)
            job = {
                "exercise": exercise,
                "file": file.name,
                "scratch": str(scratch),
                "notes": str(notes),
                "seconds": seconds - 0.3,
                "memory": MEMORY,
            }
            self._hand_over(job)
            self._wait_for(self._begins, cancelled)
            how = self._wait_for_end(seconds, cancelled)
            self._stop()  # so that all it wrote is here
            code = self._process.returncode
            found = read_outcome(notes, Ended(how, code, seconds), file.name, source)
            printed = found.printed if found.of else self._output.decode(errors="replace")
            return replace(found, printed=printed, seconds=time.monotonic() - started)
        except OSError as error:  # of the copy: a disk that is full
            raise UserError(f"{file}: can't be checked ({error.strerror or error})") from None
        finally:
            self.end()

    def end(self) -> None:
        """End the process with all that it started, and remove its scratch folder."""
        self._stop()
        self._notes.cleanup()

    def _stop(self) -> None:
        _end(self._process)
        self._drained.join(2)
        if self._process.stdout is not None and not self._drained.is_alive():
            self._process.stdout.close()

    def _wait_for(self, event: threading.Event, cancelled: Callable[[], bool]) -> None:
        """Wait until the process has said something of its own accord."""
        began = time.monotonic()
        while not event.wait(TICK):
            if cancelled():
                raise CancelledError
            if self._process.poll() is not None or time.monotonic() - began > PATIENCE:
                told = self._output.decode(errors="replace").strip().splitlines()
                raise UserError(f"the process that checks did not start: {' '.join(told[-1:])}")

    def _hand_over(self, job: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # a process that is gone is told by who waits for it
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.close()

    def _wait_for_end(self, seconds: float, cancelled: Callable[[], bool]) -> str:
        """Wait; return "" where the process ended, else why it has to be ended."""
        limit, worked = self._memory() + MEMORY, self._worked()
        began = time.monotonic()
        while True:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(TICK)
                return ""
            if cancelled():
                raise CancelledError
            took = time.monotonic() - began
            if took > seconds and not self._may_go_on(took, seconds, self._worked() - worked):
                return "late"
            if self._size > MOST_OUTPUT:
                return "printed"
            if self._memory() > limit:
                return "memory"

    def _may_go_on(self, took: float, seconds: float, worked: float) -> bool:
        """Tell whether a process gets more time than it has: what is not the file's fault."""
        found = last(Path(self._notes.name) / "result.jsonl")
        if found is not None:
            return found["passed"] and took < SECONDS_FOR_PREDICTIONS
        # On a busy machine it waits for its turn; one that sleeps does not.
        with suppress(psutil.Error):
            turns = psutil.Process(self._process.pid).status() == psutil.STATUS_RUNNING
            return turns and worked < seconds / 2 and took < SECONDS_WHERE_BUSY
        return False

    def _worked(self) -> float:
        """Return how many seconds the process has computed."""
        with suppress(psutil.Error):
            times = psutil.Process(self._process.pid).cpu_times()
            return times.user + times.system
        return 0.0

    def _memory(self) -> int:
        """Return the main memory of the process in bytes."""
        try:
            return psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return 0

    def _drain(self) -> None:
        """Take what the process writes, whatever it is: a full pipe would hold it up."""
        stream = self._process.stdout
        assert stream is not None
        for said, event in ((b"ready", self._ready), (b"begins", self._begins)):
            for line in stream:
                if line.strip() == said:
                    break
                self._output += line
            else:
                return
            self._output.clear()
            event.set()
        while chunk := stream.read1(65_536):  # type: ignore[attr-defined]  # it is buffered
            self._size += len(chunk)
            if len(self._output) < 65_536:
                self._output += chunk


def check(exercise: str, file: Path, source: bytes) -> Outcome:
    """Check a file in a process of its own.

    Args:
        exercise: Name of the exercise.
        file: Where it is.
        source: What is in it.
    """
    return Child().check(exercise, file, source)


def _start(notes: Path) -> "subprocess.Popen[bytes]":
    """Start a process that has nothing of the surroundings but the way to the packages."""
    paths = [path for path in sys.path if path and Path(path).resolve() != Path.cwd()]
    code = (
        f"import sys; sys.path[:] = {paths!r}; from playattention.course.child import main; main()"
    )
    new_group = 0x200 if os.name == "nt" else 0  # CREATE_NEW_PROCESS_GROUP
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
    scratch = str(notes)
    return subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=notes,
        env={
            **kept,
            **one_thread,
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch),
            "CUDA_VISIBLE_DEVICES": "",  # all inputs are tiny; a GPU takes seconds to wake up
        },
        start_new_session=True,  # Ctrl-C is the parent's, which ends it
        creationflags=new_group,
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process, what it started, and what these started."""
    found: list[psutil.Process] = []
    with suppress(psutil.Error):
        found = psutil.Process(process.pid).children(recursive=True)
    if os.name != "nt" and process.poll() is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    for one in found:
        with suppress(psutil.Error):
            one.kill()
    with suppress(OSError):
        process.kill()
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _scratch(notes: Path, file: Path, source: bytes) -> Path:
    """Return a new folder with copies of the small files beside a file, and of the file."""
    scratch = notes / "exercises"
    scratch.mkdir()
    left = MOST_COPIED
    for beside in sorted(file.parent.iterdir()):
        with suppress(OSError):  # what can't be read, or vanished meanwhile
            size = beside.stat().st_size
            if beside.is_file() and size <= min(LARGEST_COPIED, left):
                left -= size
                (scratch / beside.name).write_bytes(beside.read_bytes())
    (scratch / file.name).write_bytes(source)
    return scratch.resolve()


@contextmanager
def waiting() -> Iterator[Child]:
    """Yield a process that imports torch meanwhile; it is ended in any case."""
    child = Child()
    try:
        yield child
    finally:
        child.end()
