"""The parts of the bench: name -> what measures it; and how much each of them measures.

A part yields what it found as soon as it has it, and in between, as text, what it does next: so a
Ctrl-C keeps what was measured. Knows no torch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playattention.bench.results import Found
from playattention.bench.sizes import weights
from playattention.config import AnyModelConfig, GPT2Config, RunConfig, TrainConfig
from playattention.errors import unknown
from playattention.training import RECIPES, recipe

if TYPE_CHECKING:
    import torch

LIMITS = "limits"
"""Measured in every run, as the others are shares of them."""
PARTS = {
    "training": "playattention.bench.parts.training:measure",
    "loss": "playattention.bench.parts.loss:measure",
    "generation": "playattention.bench.parts.generation:measure",
    "ingestion": "playattention.bench.parts.ingestion:measure",
    "loader": "playattention.bench.parts.loader:measure",
    "xray": "playattention.bench.parts.watching:measure",
    "page": "playattention.bench.parts.page:measure",
    "growth": "playattention.bench.parts.growth:measure",
}
MEANINGS = {
    LIMITS: "what this machine can do",
    "training": "training: its start, then its steps",
    "loss": "time to a loss, its start included",
    "generation": "generation",
    "ingestion": "documents to shards of tokens",
    "loader": "batches cut out of the tokens",
    "xray": "a forward pass watched, and not",
    "page": "answers of the playground's server",
    "growth": "how the time grows",
}
MOST_LAPTOP_WEIGHTS = 20_000_000
"""A recipe with more, as GPT-2's, is measured at the GPT recipe's sizes."""


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    repetitions: int
    seeds: int
    laptop: dict[str, int] = field(
        default_factory=lambda: {"n_layer": 4, "n_head": 4, "n_embd": 128, "seq_size": 64}
    )
    """Sizes of the small models."""
    large: GPT2Config | None = field(default_factory=GPT2Config)
    """The model whose weights fit no cache; None: left out."""
    large_tokens: int = 512
    """Of a training step of the large model."""
    steps: int = 60
    """Of a short training, of which the first third is left out."""
    goals: dict[str, float] = field(
        default_factory=lambda: {"tinyshakespeare": 2.2, "playhouse": 0.8}
    )
    """Validation loss to get to, by data set."""
    eval_every: int = 50
    """Steps of a training to the goal, after each of which it is looked at."""
    written: int = 200
    """Tokens that the small model writes in a turn."""
    large_written: int = 40
    """The same of the large one."""
    batch: int = 16
    """Samples at once."""
    ingested: int = 40_000_000
    """Tokens of an ingestion."""
    encoded: int = 4_000_000
    """Tokens of a turn of tiktoken alone."""
    watched: int = 128
    """Tokens of the large model's watched pass."""
    growth: dict[str, int] = field(
        default_factory=lambda: {"T": 128, "width": 256, "layers": 2, "batch": 4}
    )
    """Sizes that all growth starts from."""
    growth_axes: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {
            "T": (64, 128, 256, 512, 1024),
            "width": (64, 128, 256, 512, 1024),
            "layers": (1, 2, 4, 8),
            "batch": (1, 2, 4, 8, 16),
        }
    )
    seconds: dict[str, float] = field(
        default_factory=lambda: {
            "training": 29.0,
            "loss": 113.0,
            "generation": 19.0,
            "ingestion": 10.0,
            "loader": 2.0,
            "xray": 3.0,
            "page": 1.0,
            "growth": 9.0,
        }
    )
    """About what one repetition (of `loss`: one seed) of each part took where a matrix product
    did 180 GFLOP/s, in the run that docs/benchmarks.md shows; of a quick one, estimates."""


FULL = Scale(repetitions=5, seeds=3)
QUICK = Scale(
    repetitions=3,
    seeds=1,
    large=None,
    steps=30,
    goals={"tinyshakespeare": 2.5, "playhouse": 1.5},
    written=100,
    ingested=8_000_000,
    encoded=1_000_000,
    growth_axes={
        "T": (64, 128, 256, 512),
        "width": (64, 128, 256, 512),
        "layers": (1, 2, 4),
        "batch": (1, 2, 4, 8),
    },
    seconds={
        "training": 16.0,
        "loss": 20.0,
        "generation": 7.0,
        "ingestion": 6.0,
        "loader": 1.0,
        "xray": 2.0,
        "page": 1.0,
        "growth": 5.0,
    },
)


@dataclass(frozen=True)
class Setting:
    """Where a part measures, and how much."""

    scale: Scale
    device: "torch.device"
    folder: Path
    """A folder that is deleted afterwards; nobody else writes there."""


Measure = Callable[[Setting], Iterator[Found | str]]


def measure(name: str) -> Measure:
    """Return what measures a part.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in PARTS:
        raise unknown("part", name, [LIMITS, *PARTS])
    module, attribute = PARTS[name].split(":")
    found: Measure = getattr(import_module(module), attribute)
    return found


def laptop_recipe(name: str, scale: Scale) -> RunConfig:
    """Return a recipe over characters, as it is measured.

    A recipe made for a laptop is taken as it is, but for its sizes if the scale has others. A
    larger one lends its model; the training is then the GPT recipe's, as its own schedule would
    still be warming up.
    """
    own = recipe(name)
    changes: dict[str, Any] = {"model": {**scale.laptop, "vocab_size": 65}}
    if sum(weights(own.model).values()) > MOST_LAPTOP_WEIGHTS:
        changes["train"] = TrainConfig().model_dump()
    return own.updated(**changes, data={"tokenizer": "char"})


def laptop_models(scale: Scale) -> dict[str, AnyModelConfig]:
    """Return each registered model at the small sizes, by the name of its recipe."""
    return {name: laptop_recipe(name, scale).model for name in RECIPES}
