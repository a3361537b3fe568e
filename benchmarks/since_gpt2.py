"""What each change since GPT-2 brings alone: loss after equal steps, and after equal time.

`python benchmarks/since_gpt2.py --text tinyshakespeare.txt` starts from the GPT-2 form at nanoGPT's
settings for a CPU, makes one change at a time, then all of them, and trains each from the same
seeds on the same batches. It prints a table and writes `benchmarks/results/since_gpt2.json`.

What is trained is the model of `switches.py`, after it has shown that it is GPT-2's form and the
modern one at its two ends.
"""

import math
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import nn

from measure import RESULTS, at_least_one, write
from playattention.bench.spread import Spread
from playattention.config import DataConfig, TrainConfig
from playattention.data import Corpus, Splits, load_corpus, split
from playattention.data.loader import WindowStream
from playattention.evaluation import mean_loss, window_losses
from playattention.tokenizers import CharTokenizer
from playattention.training.optimizer import build_optimizer, learning_rate
from switches import CHANGES, SIZES, Changed, check_same

BATCH_SIZE = 12
ADAMW = TrainConfig(warmup_steps=30)
MUON = TrainConfig(
    optimizer="muon", learning_rate=1e-2, min_learning_rate=2e-4, warmup_steps=30, betas=(0.9, 0.95)
)
LOOKS = (0.5, 0.75, 1.0)
"""Parts of a run after which the validation loss is read: a slower step is not twice as slow."""

BASE, ALL = "GPT-2", "all of them"


@dataclass(frozen=True)
class Options:
    """What is trained, and how often."""

    text: Path
    """Tiny Shakespeare as a file."""
    seeds: int = 5
    """Runs of each change, with the seeds 1, 2, ..."""
    steps: int = 200
    """Optimizer steps of a run; the learning rates fall over as many."""
    threads: int | None = None
    """CPU threads; default: what PyTorch chooses."""
    output: Path = RESULTS / "since_gpt2.json"
    """Where the results go."""


@dataclass(frozen=True)
class Curve:
    """A run: validation losses at moments of its training."""

    seed: int
    steps: list[int]
    seconds: list[float]
    """Of training alone, up to each of the steps."""
    losses: list[float]
    """On the whole validation split, in nats per character."""

    def loss_at(self, seconds: float) -> float:
        """Return the loss at a moment, in a straight line between those that were measured.

        A run that was over by then gives its last loss.
        """
        # Before the first step every character is about as likely.
        moments, losses = [0.0, *self.seconds], [math.log(SIZES.vocab_size), *self.losses]
        known = zip(moments, losses, strict=True)
        for (begin, before), (end, after) in pairwise(known):
            if begin <= seconds <= end:
                return before + (after - before) * (seconds - begin) / (end - begin)
        return self.losses[-1]


def main(options: Options) -> None:
    """Train, write and print."""
    at_least_one(seeds=options.seeds, steps=options.steps, threads=options.threads)
    if not options.text.is_file():
        raise SystemExit(f"text = {options.text}: no such file")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    corpus = load_corpus(str(options.text))
    assert isinstance(corpus, Corpus), "a text file"
    tokenizer = CharTokenizer(corpus.text)
    assert tokenizer.vocab_size == SIZES.vocab_size, "Tiny Shakespeare has 65 characters"
    splits = split(corpus, tokenizer, DataConfig(), SIZES.seq_size)
    torch.manual_seed(0)
    check_same(torch.randint(SIZES.vocab_size, (2, 50)))
    variants = {BASE: frozenset[str](), **{one: frozenset({one}) for one in CHANGES}}
    variants[ALL] = frozenset(CHANGES)
    curves: dict[str, list[Curve]] = {name: [] for name in variants}
    for seed in range(1, options.seeds + 1):
        for name, changes in variants.items():  # in turns: a slower hour slows all of them
            curves[name].append(train(changes, seed, splits, options.steps))
            told = f"{name:<20} seed {seed}: loss {curves[name][-1].losses[-1]:.4f}"
            print(told, file=sys.stderr, flush=True)
    write(options.output, results(curves, options))
    show(curves)


def train(changes: frozenset[str], seed: int, splits: Splits, steps: int) -> Curve:
    """Train one model and look at its validation loss on the way."""
    torch.manual_seed(seed)
    model = Changed(changes)
    settings = MUON if "Muon" in changes else ADAMW
    optimizer = build_optimizer(model, settings)
    windows = WindowStream(splits.train, SIZES.seq_size, seed, "permutation")
    looks = {max(1, round(steps * part)) for part in LOOKS}
    curve = Curve(seed, [], [], [])
    seconds = 0.0
    for step in range(steps):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, settings)
        loss = model(*windows.batch(step * BATCH_SIZE, BATCH_SIZE))[1]
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.grad_clip)
        optimizer.step()
        optimizer.zero_grad()
        seconds += time.perf_counter() - started
        if step + 1 in looks:
            curve.steps.append(step + 1)
            curve.seconds.append(seconds)
            curve.losses.append(validation_loss(model, splits))
            assert math.isfinite(curve.losses[-1])
    return curve


def validation_loss(model: nn.Module, splits: Splits) -> float:
    """Return the loss on the whole validation split."""
    return mean_loss(window_losses(model, splits.val, SIZES.seq_size)).loss


def results(curves: dict[str, list[Curve]], options: Options) -> dict[str, Any]:
    """Return what the runs say."""
    base = curves[BASE]
    return {
        "what": "validation loss on Tiny Shakespeare with each change since GPT-2 alone",
        "unit": "nats per character",
        "settings": {
            "sizes": SIZES.model_dump(),
            "batch_size": BATCH_SIZE,
            "steps": options.steps,
            "seeds": options.seeds,
            "adamw": ADAMW.model_dump(include={"learning_rate", "betas", "warmup_steps"}),
            "muon": MUON.model_dump(include={"learning_rate", "betas", "warmup_steps"}),
        },
        "curves": {name: [asdict(curve) for curve in each] for name, each in curves.items()},
        "equal_steps": spreads({n: [c.losses[-1] for c in each] for n, each in curves.items()}),
        "equal_time": spreads(
            {
                name: [c.loss_at(b.seconds[-1]) for c, b in zip(each, base, strict=True)]
                for name, each in curves.items()
            }
        ),
        "step_time": spreads(
            {
                name: [c.seconds[-1] / b.seconds[-1] for c, b in zip(each, base, strict=True)]
                for name, each in curves.items()
            }
        ),
    }


def spreads(raw: dict[str, list[float]]) -> dict[str, Any]:
    """Return the spread of each list."""
    return {name: asdict(Spread.of(figures)) for name, figures in raw.items()}


def show(curves: dict[str, list[Curve]]) -> None:
    """Print the runs as a table, at most 80 columns wide."""
    base = curves[BASE]
    print(f"{'':<20}{'equal steps':>12}{'range':>16}{'equal time':>12}{'step time':>11}")
    for name, each in curves.items():
        losses = [curve.losses[-1] for curve in each]
        timed = [one.loss_at(other.seconds[-1]) for one, other in zip(each, base, strict=True)]
        pace = [one.seconds[-1] / other.seconds[-1] for one, other in zip(each, base, strict=True)]
        print(
            f"{name:<20}{statistics.median(losses):>12.4f}"
            f"{f'{min(losses):.4f}-{max(losses):.4f}':>16}"
            f"{statistics.median(timed):>12.4f}{statistics.median(pace):>10.2f}x"
        )


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
