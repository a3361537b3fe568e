"""A process that judges one mutant after another: `python judging.py NAME`, sources on stdin.

A mutant may loop for ever, end its process or ask for all memory: whoever asks sets a time limit,
and starts another process where this one is gone.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from playattention.course import exercise
from playattention.course.exercise import SEEDS, Exercise
from playattention.course.judge import first_difference, load, observe

try:
    import resource
except ImportError:  # Windows
    resource = None

MEMORY = 16 * 2**30


def expected(asked: Exercise) -> list[Any]:
    """Return what the reference gives in every probe with every seed."""
    reference = load(asked.solution, "reference")
    return [observe(probe, reference, seed) for probe in asked.probes for seed in SEEDS]


def passes(asked: Exercise, source: str, wanted: list[Any]) -> bool:
    """Tell whether a source passes all probes."""
    looks = [(probe, seed) for probe in asked.probes for seed in SEEDS]
    try:
        own = load(source, "own")
        return all(
            first_difference(observe(probe, own, seed), right, probe.tolerance) is None
            for (probe, seed), right in zip(looks, wanted, strict=True)
        )
    except (Exception, SystemExit, KeyboardInterrupt):
        return False
    finally:
        torch.set_grad_enabled(True)


def main() -> None:
    """Answer each source, a JSON text a line, with true or false."""
    if resource:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        asked = exercise(sys.argv[1])
        wanted = expected(asked)
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(passes(asked, json.loads(line), wanted)), file=answers, flush=True)


if __name__ == "__main__":
    main()
