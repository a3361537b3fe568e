"""The process in which one learner's file is run, once: started by `sandbox.py`, ended by itself.

It says "ready" when torch is there, waits for one line of JSON, checks the file that this names,
writes what came out to a file, line by line (the last one counts), and ends.
"""

import ast
import faulthandler
import importlib.metadata
import inspect
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import torch

from playattention.course import exercise
from playattention.course.calls import Call, calls_of, described
from playattention.course.exercise import Exercise, Solution
from playattention.course.guard import EndedError, Guard, Printed, limit_memory
from playattention.course.judge import (
    Raised,
    Verdict,
    diagnose,
    first_failure,
    load,
    look_ahead,
    place_of,
)
from playattention.course.messages import (
    Message,
    ended,
    missing_module,
    missing_names,
    not_python,
    refused,
    source_line,
    stopped,
    wrong_kind,
)
from playattention.course.wording import foretold, picture, told

LEAVE = os._exit
"""Python's own, before the guard takes its place: torch need not be taken apart at the end."""

SECONDS_TO_LOOK_FOR_CAUSE = 1.5
"""A file that took longer to fail is told at once: its cause takes many more looks."""


@dataclass(frozen=True)
class Job:
    """What is to be checked.

    Args:
        exercise: Its name.
        file: The learner's file, by its name in the scratch folder.
        scratch: The folder that it is run in.
        notes: Where the results go: `result.jsonl`, and where Python was when it crashed or was
            late, `crash.txt` and `late.txt`.
        seconds: After which the place is noted.
        memory: Bytes that it may take.
    """

    exercise: str
    file: str
    scratch: str
    notes: str
    seconds: float
    memory: int


def main() -> None:
    """Wait for a job, and do it."""
    torch.set_num_threads(1)
    print("ready", flush=True)  # noqa: T201 - this is how the parent hears of it
    line = sys.stdin.readline()
    if line:
        check = Check(Job(**json.loads(line)))
        print("begins", flush=True)  # noqa: T201 - the learner's time does, now that ours is over
        check.run()
    LEAVE(0)


class Check:
    """One check of one file.

    Args:
        job: What is to be checked.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._path = Path(job.scratch) / job.file
        self._source = self._path.read_bytes()
        self._exercise: Exercise = exercise(job.exercise)
        self._names = [one.__name__ for one in self._exercise.reference]
        look_ahead(self._exercise)
        notes = Path(job.notes)
        self._result: TextIO = (notes / "result.jsonl").open("w", encoding="utf-8")
        self._crash: TextIO = (notes / "crash.txt").open("w", encoding="utf-8")
        self._late: TextIO = (notes / "late.txt").open("w", encoding="utf-8")
        self._printed = Printed(_pass_on)
        self._guard = Guard(job.scratch)

    def run(self) -> None:
        """Check, and write what came out."""
        job = self._job
        os.chdir(job.scratch)
        sys.path.append(job.scratch)  # last: a learner's random.py is not Python's
        sys.dont_write_bytecode = True
        faulthandler.enable(self._crash)
        faulthandler.dump_traceback_later(job.seconds, file=self._late)
        sys.stdin = io.StringIO()  # nobody types here
        sys.stdout = sys.stderr = self._printed
        tempfile.tempdir = job.scratch
        limit_memory(job.memory)
        self._guard.close()
        try:
            self._check()
        except EndedError as error:
            self._problem(ended(error.kind, *self._here(error)))
        except BaseException as error:  # SystemExit, and whatever else is no Exception
            self._problem(ended("exit", *self._here(error)))

    def _check(self) -> None:
        try:
            solution = load(self._source, self._path.stem, str(self._path))
        except SyntaxError as error:
            self._problem(not_python(Path(error.filename or self._job.file).name, error))
            return
        except Exception as error:
            self._problem(self._stopped(error))
            return
        for one in self._exercise.reference:
            thing = vars(solution).get(one.__name__, one)
            if not callable(thing):
                kind = "a class" if inspect.isclass(one) else "a function"
                found = described(thing)
                self._problem(wrong_kind(self._job.file, one.__name__, found, kind))
                return
        at_load = self._printed.text
        began = time.process_time()
        verdict = first_failure(self._exercise, solution)
        if verdict.passed:
            self._write(verdict, None, at_load)
            if self._exercise.predictions is not None:
                guesses = self._exercise.predictions(solution)
                self._write(verdict, None, at_load, [foretold(one) for one in guesses])
            return
        if self._is_missing(solution, verdict):
            return
        self._tell(solution, verdict, at_load)
        if time.process_time() - began < SECONDS_TO_LOOK_FOR_CAUSE:
            assert verdict.probe is not None
            mistakes = diagnose(self._exercise, solution, verdict.probe)
            if mistakes:
                self._tell(solution, replace(verdict, mistakes=mistakes), at_load)

    def _tell(self, solution: Solution, verdict: Verdict, at_load: str) -> None:
        """Write what failed."""
        seen = self._guard.seen
        if seen.told:
            text = self._line(seen.file, seen.line)
            self._problem(refused(seen.told, seen.file, seen.line, text))
            return
        self._printed.begin()
        own = self._calls(solution, verdict)
        printed = at_load + self._printed.text
        right = self._calls(load(self._exercise.solution, "reference"), verdict)
        self._write(verdict, told(self._exercise, verdict, own, right), printed)

    def _calls(self, solution: Solution, verdict: Verdict) -> list[Call]:
        assert verdict.probe is not None
        return calls_of(verdict.probe, solution, verdict.seed, self._names)

    def _is_missing(self, solution: Solution, verdict: Verdict) -> bool:
        """Tell of a name that a look asked for and that is not there, if this was what failed.

        Not all of the reference's names need be there: a solution may do without one of its parts.
        """
        got = verdict.got
        missing = [
            (one.__name__, "class" if inspect.isclass(one) else "function")
            for one in self._exercise.reference
            if one.__name__ not in vars(solution)
        ]
        asked = [
            pair for pair in missing if isinstance(got, Raised) and f"'{pair[0]}'" in got.message
        ]
        if not asked or got.place is not None:
            return False
        others = {
            name: line for name, line in _defined(self._source).items() if name not in self._names
        }
        self._problem(missing_names(self._job.file, asked, others))
        return True

    def _stopped(self, error: Exception) -> Message:
        seen = self._guard.seen
        if seen.told:
            return refused(seen.told, seen.file, seen.line, self._line(seen.file, seen.line))
        file, line, text = self._here(error)
        if isinstance(error, ModuleNotFoundError) and error.name:
            return missing_module(file, line, text, error.name, _known_modules(self._job.scratch))
        return stopped(file, line, text, type(error).__name__, str(error).strip())

    def _here(self, error: BaseException) -> tuple[str, int, str]:
        """Return the learner's line that an error came from: file, number and text."""
        module = Solution(self._path.stem)
        module.__file__ = str(self._path)
        place = place_of(error, module)
        if place is None:
            return self._job.file, 0, ""
        return place.file, place.line, self._line(place.file, place.line)

    def _line(self, file: str, line: int) -> str:
        path = self._path.with_name(file)
        known = path.is_file() and file
        return (
            source_line(path.read_text(encoding="utf-8", errors="replace"), line) if known else ""
        )

    def _problem(self, message: Message) -> None:
        self._write(Verdict(False, 0), message, self._printed.text)

    def _write(
        self,
        verdict: Verdict,
        message: Message | None,
        printed: str,
        predictions: Sequence[dict[str, Any]] = (),
    ) -> None:
        outcome: dict[str, Any] = {
            "passed": verdict.passed,
            "held": verdict.held,
            "of": len(self._exercise.probes),
            "probe": verdict.probe.says if verdict.probe else None,
            "mistake": "; ".join(one.name for one in verdict.mistakes) or None,
            "message": None if message is None else message.state(),
            "printed": printed,
            "predictions": predictions,
            **picture(verdict),
        }
        self._result.write(json.dumps(outcome) + "\n")
        self._result.flush()


def _pass_on(text: str) -> None:
    sys.__stdout__.write(text)  # type: ignore[union-attr]  # a pipe to the parent
    sys.__stdout__.flush()  # type: ignore[union-attr]


def _defined(source: bytes) -> dict[str, int]:
    """Return what a file defines on its first level: name -> line."""
    return {
        node.name: node.lineno
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def _known_modules(scratch: str) -> list[str]:
    """Return what can be imported here, the learner's own files too."""
    installed = importlib.metadata.packages_distributions()
    own = [path.stem for path in Path(scratch).glob("*.py")]
    return [*own, *sys.stdlib_module_names, *installed]
