"""The package's own commands as processes: started, watched, ended. Does not know what they do."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.training import recipe
from playattention.training.report import Row, read_log

SECONDS_BETWEEN_LOOKS = 0.01
"""Of a log: what times are good to."""
SECONDS_TO_END = 10
TOLD = "told.txt"

Process = subprocess.Popen[bytes]


@contextmanager
def started(words: list[str], folder: Path) -> Iterator[Process]:
    """Run a command of this package; at the end it is ended, if it still runs.

    Args:
        words: After `playattention`.
        folder: Where it works; what it says goes to a file there, see `said`.
    """
    with (folder / TOLD).open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "playattention", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for us, who then end it
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: Process) -> None:
    """End a process: asked first, so that it ends what it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def said(folder: Path) -> str:
    """Return what the last command in a folder has said so far."""
    return (folder / TOLD).read_text(encoding="utf-8", errors="replace")


def check(process: Process, folder: Path) -> None:
    """Check that a process still runs, or ended well.

    Raises:
        UserError: With the last line that it said.
    """
    if process.poll():
        lines = [line for line in said(folder).splitlines() if line.strip()]
        raise UserError(f"a command failed: {lines[-1] if lines else 'it said nothing'}")


def whole(words: list[str], folder: Path) -> float:
    """Run a command to its end and return the seconds that it took.

    Raises:
        UserError: If it fails.
    """
    began = time.perf_counter()
    with started(words, folder) as process:
        process.wait()
        seconds = time.perf_counter() - began
    check(process, folder)
    return seconds


def training(config: RunConfig, folder: Path) -> Iterator[tuple[float, Row]]:
    """Train as a user does, and yield each row of log.csv with the seconds since the start.

    Where the caller stops asking, the training ends.

    Args:
        config: The run.
        folder: Where it lies, as `run`; made if it is missing.

    Raises:
        UserError: If it fails.
    """
    folder.mkdir(exist_ok=True)
    words = ["train", config.model.name, "--run", str(folder / "run"), *options(config)]
    began = time.perf_counter()
    with started(words, folder) as process:
        seen, ended = 0, False
        while not ended:
            ended = process.poll() is not None  # asked before the log, which is then whole
            rows = read_log(folder / "run")
            seconds = time.perf_counter() - began
            for row in rows[seen:]:
                yield seconds, row
            seen = len(rows)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        check(process, folder)


def options(config: RunConfig) -> list[str]:
    """Return the command line of settings: those that are not the recipe's own."""
    own = recipe(config.model.name)
    words: list[str] = []
    for part in ("model", "data", "train"):
        before = getattr(own, part).model_dump()
        for name, value in getattr(config, part).model_dump().items():
            if value == before[name] or name == "vocab_size":  # a run takes that from its tokenizer
                continue
            long = name if name in ("dataset", "tokenizer") else f"{part}.{name}"
            words += _option(long.replace("_", "-"), value)
    return words


def _option(name: str, value: object) -> list[str]:
    if isinstance(value, bool):
        head, _, last = name.rpartition(".")
        return [f"--{name}"] if value else [f"--{head}.no-{last}"]
    if isinstance(value, tuple):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}", str(value)]
