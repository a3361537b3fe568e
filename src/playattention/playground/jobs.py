"""Trainings that the page starts: each is `playattention train` in a process of its own.

It goes on when the page or the server ends. What is known of it lies in `logs/.jobs/`: NAME.json,
who trains it, and NAME.log, what it printed; the rest is in the run's own folder. One training at
a time: a lock file lets one start after the other, also of two servers.
Does not know settings: see `settings.py`.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from playattention.config import RunConfig
from playattention.data.fineweb_edu import cores
from playattention.errors import UserError
from playattention.playground.opened import MissingError
from playattention.playground.records import (
    FOLDER,
    Record,
    last_step,
    lines_of,
    log_of,
    names,
    read,
    write,
)
from playattention.playground.settings import config_for, words_for
from playattention.training.checkpoint import saved_steps
from playattention.training.run import LOGS, read_config, read_facts

COMMAND = (sys.executable, "-m", "playattention")
NICENESS = 10
PATIENCE = 10
"""Seconds to wait for another start to be through."""


class BusyError(UserError):
    """Another training is running."""


@dataclass(frozen=True)
class State:
    """How a training stands."""

    name: str
    recipe: str
    state: str
    """starting, running, stopping, stopped, finished or failed"""
    step: int
    planned: int
    started: str
    error: str | None


class Jobs:
    """Starts, lists, stops and resumes trainings."""

    def start(self, recipe: str, name: str | None, settings: dict[str, Any]) -> State:
        """Start a training.

        Args:
            recipe: Its recipe.
            name: Of the run; default: recipe and time.
            settings: Dotted name -> value, where it differs from what the page starts with.

        Raises:
            UserError: If a setting is not usable, or the name is taken.
            BusyError: If another training is running.
        """
        config = config_for(recipe, settings, max(1, cores() - 1))
        chosen = name or f"{recipe}_{datetime.now():%Y%m%d_%H%M%S}"
        with self._starting():
            if (LOGS / chosen).exists():
                raise UserError(f"name = {chosen}: there is such a run; allowed: another name")
            words = ["train", recipe, "--run", chosen, *words_for(config)]
            return self._spawn(chosen, recipe, config.train.steps, words)

    def resume(self, name: str, steps: int | None) -> State:
        """Let a run go on from its last checkpoint.

        Args:
            name: The run.
            steps: How many it shall have done in the end; default: as before.

        Raises:
            MissingError: If there is no such run.
            UserError: If it has done all of its steps.
            BusyError: If another training is running, or this one is.
        """
        folder = _folder(name)
        with self._starting():
            config = read_config(folder)
            planned = steps or _planned(folder, config)
            done = max(saved_steps(folder), default=0)
            if done >= planned:
                raise UserError(
                    f"steps = {planned}: run '{name}' has done {done} already; allowed: more"
                )
            words = ["train", config.model.name, "--resume", str(folder)]
            words += [] if steps is None else ["--train.steps", str(steps)]
            return self._spawn(name, config.model.name, planned, words)

    def stop(self, name: str) -> State:
        """Ask a training to end once its step is done and saved.

        Raises:
            MissingError: If there is no such training.
            UserError: If it does not run.
        """
        record = read(name)
        if record is None:
            raise MissingError(f"training '{name}': was not started from here")
        process = self._process(record)
        if process is None:
            raise UserError(f"training '{name}': does not run")
        if not record.stopping:  # a second signal would not wait for the step
            write(replace(record, stopping=True))
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        return self.state(name)

    def all(self) -> list[State]:
        """Return the trainings that were started from a page, the newest first."""
        records = [record for record in map(read, names()) if record is not None]
        newest = sorted(records, key=_started, reverse=True)
        return [self._state(record) for record in newest]

    def state(self, name: str) -> State:
        """Return how a training stands, or a run that was trained otherwise.

        Raises:
            MissingError: If there is no such run.
        """
        record = read(name)
        return self._of_run(_folder(name)) if record is None else self._state(record)

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Let nobody else start meanwhile, and refuse if a training runs.

        Raises:
            BusyError: If so.
        """
        FOLDER.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(FOLDER / "start.lock", timeout=PATIENCE):
                for record in map(read, names()):
                    if record is not None and self._process(record) is not None:
                        raise BusyError(
                            f"training '{record.name}' runs; stop it first, or wait for its end"
                        )
                yield
        except Timeout:
            raise BusyError("another training is being started; try again") from None

    def _spawn(self, name: str, recipe: str, planned: int, words: list[str]) -> State:
        line = [*COMMAND, *words]
        new_group = 0x200 if os.name == "nt" else 0  # CREATE_NEW_PROCESS_GROUP
        with log_of(name).open("wb") as log:
            child = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,  # Ctrl-C ends the server alone
                creationflags=new_group,
            )
        # Someone has to hear of its end, or it stays in the list of processes.
        threading.Thread(target=child.wait, daemon=True).start()
        created = 0.0
        with suppress(psutil.Error):
            process = psutil.Process(child.pid)
            created = process.create_time()
            set_aside(process)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        record = Record(name, recipe, planned, started, child.pid, created)
        write(record)
        return self._state(record)

    def _process(self, record: Record) -> psutil.Process | None:
        """Return the process of a training; None: it has ended."""
        try:
            process = psutil.Process(record.pid)
            same = abs(process.create_time() - record.created) < 1
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if alive else None

    def _state(self, record: Record) -> State:
        folder = LOGS / record.name
        error = None
        # First whether it runs, then what it left: the other way round, its end is missed.
        runs = self._process(record) is not None
        step = last_step(folder)
        if runs:
            has_begun = bool(saved_steps(folder))
            state = "stopping" if record.stopping else "running" if has_begun else "starting"
        else:
            state, error = _ended(record, folder)
        return State(record.name, record.recipe, state, step, record.planned, record.started, error)

    def _of_run(self, folder: Path) -> State:
        """Return how a run stands that was not started here."""
        config = read_config(folder)
        planned, step = _planned(folder, config), last_step(folder)
        began = datetime.fromtimestamp((folder / "config.json").stat().st_mtime, UTC)
        state = "finished" if max(saved_steps(folder), default=0) >= planned else "stopped"
        started = began.isoformat(timespec="seconds")
        return State(folder.name, config.model.name, state, step, planned, started, None)


def _ended(record: Record, folder: Path) -> tuple[str, str | None]:
    """Return how a training that does not run ended, and what went wrong."""
    if max(saved_steps(folder), default=0) >= record.planned:
        return "finished", None
    last = (lines_of(record.name) or [""])[-1]
    told = last.removeprefix("playattention: ")
    if record.stopping or told.startswith("stopped"):
        return "stopped", None
    if told != last:
        return "failed", told
    return "failed", "the process ended without a word; was it killed, or the machine switched off?"


def set_aside(process: psutil.Process) -> None:
    """Let a process leave the machine to others that want it."""
    process.nice(NICENESS if os.name != "nt" else 0x4000)  # BELOW_NORMAL_PRIORITY_CLASS


def _environment() -> dict[str, str]:
    threads = str(max(1, cores() - 1))  # one is left for the page
    return {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": threads}


def _folder(name: str) -> Path:
    folder = LOGS / name
    if not (folder / "config.json").is_file():
        raise MissingError(f"training '{name}': there is none; allowed: one that /api/jobs lists")
    return folder


def _planned(folder: Path, config: RunConfig) -> int:
    return config.steps(read_facts(folder).train_tokens)


def _started(record: Record) -> str:
    return record.started
