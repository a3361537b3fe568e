"""Seconds from a command's start to a validation loss on Tiny Shakespeare, on a CPU.

`python benchmarks/time_to_loss.py --text tinyshakespeare.txt` prints a table and writes
`benchmarks/results/time_to_loss.json`. Every run is a process of its own, `playattention train`
as a user would call it, timed from its start to the moment at which its last evaluation, on the
whole validation split, stands in log.csv. The goal is the median of the reference's own final
losses.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from measure import RESULTS, at_least_one, write
from playattention.bench.limits import product_speed
from playattention.bench.spread import Spread

SMALL = ["--model.n-layer", "4", "--model.n-embd", "128", "--model.seq-size", "64"]

REFERENCE = "GPT-2 form, nanoGPT's settings for a CPU"

RECIPES: dict[str, list[str]] = {
    # github.com/karpathy/nanoGPT, README, "I only have a macbook": 2000 steps in fp32.
    REFERENCE: [
        *("gpt2", "--tokenizer", "char", *SMALL, "--model.n-head", "4"),
        *("--model.vocab-multiple", "1", "--train.batch-size", "12"),
        *("--train.tokens-per-step", "768", "--train.learning-rate", "1e-3"),
        *("--train.min-learning-rate", "1e-4", "--train.betas", "0.9", "0.99"),
        *("--train.warmup-steps", "100", "--train.weight-decay", "0.1", "--train.steps", "2000"),
        *("--train.compile", "off", "--train.autocast", "off"),
    ],
    "gpt": ["gpt"],
    "modern": ["modern"],
    "60 seconds": [
        *("modern", "--model.n-layer", "3", "--model.seq-size", "256", "--train.batch-size", "4"),
        *("--train.learning-rate", "8e-3", "--train.min-learning-rate", "1.6e-4"),
        *("--train.steps", "760"),
    ],
    "180 seconds": [
        *("modern", "--model.n-layer", "4", "--model.seq-size", "256", "--train.batch-size", "6"),
        *("--train.learning-rate", "7e-3", "--train.min-learning-rate", "1.4e-4"),
        *("--train.steps", "1350"),
    ],
}
"""What is trained: name -> the words after `playattention train`."""


@dataclass(frozen=True)
class Options:
    """What is trained, and how often."""

    text: Path
    """Tiny Shakespeare as a file (1,115,394 characters)."""
    seeds: int = 5
    """Runs of each recipe, with the seeds 1, 2, ..."""
    threads: int | None = None
    """CPU threads; default: what a run chooses."""
    only: tuple[str, ...] = tuple(RECIPES)
    """Recipes to train."""
    output: Path = RESULTS / "time_to_loss.json"
    """Where the results go."""


@dataclass(frozen=True)
class Taken:
    """One run."""

    seed: int
    seconds: float
    """From the command's start to its last evaluation."""
    first_step: float
    """From the command's start to the end of its first step."""
    whole: float
    """From the command's start to its end, the last checkpoint and plots included."""
    loss: float
    """On the whole validation split, in nats per character."""
    standard_error: float
    milliseconds: float
    """Of a step, the median."""


def main(options: Options) -> None:
    """Train, write and print."""
    at_least_one(seeds=options.seeds, threads=options.threads)
    if not options.text.is_file():
        raise SystemExit(f"text = {options.text}: no such file")
    unknown = set(options.only) - set(RECIPES)
    if unknown:
        raise SystemExit(f"only = {', '.join(unknown)}: allowed: {', '.join(RECIPES)}")
    runs: dict[str, list[Taken]] = {name: [] for name in options.only}
    for seed in range(1, options.seeds + 1):
        for name, each in runs.items():  # in turns: a slower hour slows all of them
            taken = train(name, seed, options)
            each.append(taken)
            told = f"{name:<42} seed {seed}: {taken.seconds:6.1f} s, loss {taken.loss:.4f}"
            print(told, file=sys.stderr, flush=True)
    write(options.output, results(runs, options))
    show(runs)


def train(name: str, seed: int, options: Options) -> Taken:
    """Run the command once, in a folder of its own, and time what it writes."""
    words = ["train", *RECIPES[name], "--dataset", str(options.text.resolve())]
    words += ["--train.seed", str(seed), "--train.device", "cpu", "--train.eval-every", "1000000"]
    if options.threads is not None:
        words += ["--train.threads", str(options.threads)]
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "playattention", *words, "--run", "timed"]
        # What was compiled before must not help.
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(Path(folder, "compiled"))}
        started = time.perf_counter()
        process = subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        first_step = seconds = None
        log = Path(folder, "logs", "timed", "log.csv")
        while process.poll() is None:
            time.sleep(0.02)
            lines = log.read_text().count("\n") if log.is_file() and first_step is None else 0
            if first_step is None and lines >= 3:  # the head, before the first step, the first
                first_step = time.perf_counter() - started
            if first_step is not None and seconds is None and _is_evaluated(log):
                seconds = time.perf_counter() - started
        whole = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"{' '.join(line)}: exit code {process.returncode}")
        rows = list(csv.DictReader(log.open()))
    return Taken(
        seed,
        seconds or whole,
        first_step or whole,
        whole,
        float(rows[-1]["eval_val_loss"]),
        float(rows[-1]["eval_val_standard_error"]),
        statistics.median(float(row["milliseconds"]) for row in rows[1:]),
    )


def _is_evaluated(log: Path) -> bool:
    """Tell whether the last line holds a validation loss, and is not the first one."""
    lines = log.read_text().splitlines()
    column = lines[0].split(",").index("eval_val_loss")
    last = lines[-1].split(",")
    return len(lines) > 2 and len(last) > column and last[column] != ""


def results(runs: dict[str, list[Taken]], options: Options) -> dict[str, Any]:
    """Return what the runs say."""
    everything: dict[str, Any] = {
        "what": "seconds from a command's start to its loss on Tiny Shakespeare's validation split",
        "unit": "seconds",
        "settings": {"seeds": options.seeds, "commands": {name: RECIPES[name] for name in runs}},
        "limit": {"operations_per_second": product_speed(torch.device("cpu"), torch.float32)},
        "runs": {name: [asdict(taken) for taken in each] for name, each in runs.items()},
        "times": _spreads({name: [t.seconds for t in each] for name, each in runs.items()}),
        "losses": _spreads({name: [t.loss for t in each] for name, each in runs.items()}),
    }
    if REFERENCE in runs:
        goal = statistics.median(taken.loss for taken in runs[REFERENCE])
        base = [taken.seconds for taken in runs[REFERENCE]]
        everything["goal"] = goal
        everything["times_as_fast"] = _spreads(
            {
                name: [whole / t.seconds for whole, t in zip(base, each, strict=True)]
                for name, each in runs.items()
            }
        )
        everything["reached"] = {
            name: sum(taken.loss <= goal for taken in each) for name, each in runs.items()
        }
    return everything


def _spreads(raw: dict[str, list[float]]) -> dict[str, Any]:
    return {name: asdict(Spread.of(figures)) for name, figures in raw.items()}


def show(runs: dict[str, list[Taken]]) -> None:
    """Print the runs as a table, at most 80 columns wide."""
    goal = statistics.median(t.loss for t in runs[REFERENCE]) if REFERENCE in runs else None
    if goal is not None:
        print(f"goal: a loss of {goal:.4f}, the median of the reference's")
    print(f"{'':<42}{'seconds':>8}{'range':>13}{'loss':>8}{'reach':>8}")
    for name, each in runs.items():
        seconds = sorted(taken.seconds for taken in each)
        reached = "" if goal is None else f"{sum(t.loss <= goal for t in each)}/{len(each)}"
        print(
            f"{name:<42}{statistics.median(seconds):>8.1f}"
            f"{f'{seconds[0]:.1f}-{seconds[-1]:.1f}':>13}"
            f"{statistics.median(t.loss for t in each):>8.4f}{reached:>8}"
        )


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
