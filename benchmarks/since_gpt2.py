"""What each change since GPT-2 brings alone: loss after equal steps, and after equal time.

`python benchmarks/since_gpt2.py --text tinyshakespeare.txt` starts from the GPT-2 form at nanoGPT's
settings for a CPU, makes one change at a time, then all of them, and trains each from the same
seeds on the same batches. It prints a table and writes `benchmarks/results/since_gpt2.json`.

The registered models have no switches, so the one here stands in for both: before anything is
trained it must compute what `GPT2Model` does with all changes off, and what `ModernModel` does with
all of them on.
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
import torch.nn.functional as F
import tyro
from torch import nn

from measure import RESULTS, at_least_one, write
from playattention.bench.spread import Spread
from playattention.config import DataConfig, GPT2Config, ModernConfig, TrainConfig
from playattention.data import Corpus, Splits, load_corpus, split
from playattention.data.loader import WindowStream
from playattention.evaluation import mean_loss, window_losses
from playattention.models.model_gpt2 import GPT2Model
from playattention.models.model_modern import ModernModel, Rotation
from playattention.tokenizers import CharTokenizer
from playattention.training.optimizer import build_optimizer, learning_rate

SIZES = ModernConfig(n_layer=4, n_head=4, n_embd=128, seq_size=64)
BATCH_SIZE = 12
ADAMW = TrainConfig(warmup_steps=30)
MUON = TrainConfig(
    optimizer="muon", learning_rate=1e-2, min_learning_rate=2e-4, warmup_steps=30, betas=(0.9, 0.95)
)
LOOKS = (0.5, 0.75, 1.0)
"""Parts of a run after which the validation loss is read: a slower step is not twice as slow."""

BASE, ALL = "GPT-2", "all of them"
CHANGES = (
    "rotary positions",
    "RMS norm",
    "QK-norm",
    "ReLU squared",
    "no biases",
    "untied head",
    "zero init",
    "Muon",
)


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


class Block(nn.Module):
    """A Transformer block in which each change can be made.

    Args:
        changes: Those that are made.
    """

    def __init__(self, changes: frozenset[str]) -> None:
        super().__init__()
        width, bias = SIZES.n_embd, "no biases" not in changes
        self.changes = changes
        self.attention_norm, self.feed_forward_norm = norm(changes), norm(changes)
        self.query_key_value = nn.Linear(width, 3 * width, bias)
        self.projection = nn.Linear(width, width, bias)
        self.expand = nn.Linear(width, 4 * width, bias)
        self.contract = nn.Linear(4 * width, width, bias)
        self.rotation = Rotation(SIZES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stream with this block's two additions: (B, T, C) -> (B, T, C)."""
        parts = self.query_key_value(self.attention_norm(x)).chunk(3, dim=-1)
        heads = (part.unflatten(2, (SIZES.n_head, -1)).transpose(1, 2) for part in parts)
        query, key, value = heads  # (B, H, T, D)
        if "QK-norm" in self.changes:
            query, key = (F.rms_norm(each, each.shape[-1:]) for each in (query, key))
        if "rotary positions" in self.changes:
            query, key = self.rotation(query, 0), self.rotation(key, 0)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).flatten(2))
        hidden = self.expand(self.feed_forward_norm(x))
        if "ReLU squared" in self.changes:
            rectified = F.relu(hidden)
            activated = rectified * rectified
        else:
            activated = F.gelu(hidden, approximate="tanh")
        return x + self.contract(activated)


class Changed(nn.Module):
    """GPT-2 with some of the changes.

    Args:
        changes: Those that are made.
    """

    def __init__(self, changes: frozenset[str]) -> None:
        super().__init__()
        self.config, self.changes = SIZES, changes
        self.token_embedding = nn.Embedding(SIZES.vocab_size, SIZES.n_embd)
        if "rotary positions" not in changes:
            self.position_embedding = nn.Embedding(SIZES.seq_size, SIZES.n_embd)
        self.blocks = nn.ModuleList(Block(changes) for _ in range(SIZES.n_layer))
        self.final_norm = norm(changes)
        self.head = nn.Linear(SIZES.n_embd, SIZES.vocab_size, bias=False)
        self._init_weights()
        if "untied head" not in changes:
            self.head.weight = self.token_embedding.weight

    def _init_weights(self) -> None:
        """Draw weights as GPT-2 does, or as the modern model does what a change is about."""
        zero = "zero init" in self.changes
        for name, weight in self.named_parameters():
            if name.endswith(("projection.weight", "contract.weight")):
                nn.init.normal_(weight, std=0.0 if zero else 0.02 * (2 * SIZES.n_layer) ** -0.5)
            elif weight.dim() == 2:
                inside = zero and "blocks" in name
                nn.init.normal_(weight, std=(3 * SIZES.n_embd) ** -0.5 if inside else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        if "untied head" in self.changes and zero:
            nn.init.zeros_(self.head.weight)
        if "rotary positions" not in self.changes:
            nn.init.normal_(self.position_embedding.weight, std=0.01)

    def forward(
        self, idx: torch.Tensor, targets: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits (B, T, V) and the loss, as the registered models do."""
        x = self.token_embedding(idx)
        if "rotary positions" not in self.changes:
            x = x + self.position_embedding.weight[: idx.size(1)]
        if {"RMS norm", "untied head"} <= self.changes:  # the modern model's norm of embeddings
            x = F.rms_norm(x, x.shape[-1:])
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.final_norm(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def norm(changes: frozenset[str]) -> nn.Module:
    """Return a norm of the channels."""
    if "RMS norm" in changes:
        return nn.RMSNorm(SIZES.n_embd, elementwise_affine=False)
    return nn.LayerNorm(SIZES.n_embd)


@torch.no_grad()
def check_same(idx: torch.Tensor) -> None:
    """Make sure that the model here is the registered ones, with all changes off and on.

    Raises:
        AssertionError: If it computes something else from the same weights.
    """
    shared = SIZES.model_dump(exclude={"name", "vocab_size"})
    gpt2 = GPT2Model(GPT2Config(**shared, vocab_size=SIZES.vocab_size, vocab_multiple=1))
    for theirs, changes in ((gpt2, frozenset()), (ModernModel(SIZES), frozenset(CHANGES))):
        mine = Changed(changes)
        for weight in theirs.parameters():
            nn.init.normal_(weight, std=0.1)
        renamed: dict[str, torch.Tensor] = {
            name.replace("attention.", "").replace("feed_forward.", ""): weight
            for name, weight in theirs.named_parameters()
        }
        renamed.setdefault("head.weight", theirs.token_embedding.weight)
        mine.load_state_dict(renamed, strict=False)
        assert {name for name, _ in mine.named_parameters()} <= set(renamed)
        torch.testing.assert_close(mine(idx)[0], theirs(idx)[0])


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
