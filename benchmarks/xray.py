"""What watching costs: a watched forward pass against the same explicit one, and its memory.

`python benchmarks/xray.py` prints a table and writes `benchmarks/results/xray.json`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import nn

from measure import RESULTS, at_least_one, compare, show, write
from playattention import xray
from playattention.bench.limits import product_speed
from playattention.bench.spread import take_turns
from playattention.bench.trace import trace as traced
from playattention.config import GPT2Config, GPTConfig
from playattention.models import build_model
from playattention.xray.watch import explicit_attention

SIZES: dict[str, tuple[GPTConfig | GPT2Config, int]] = {
    "GPT 6x384, 256 tokens": (
        GPTConfig(vocab_size=65, seq_size=256, n_embd=384, n_head=6, n_layer=6),
        256,
    ),
    "GPT-2 124M, 128 tokens": (GPT2Config(), 128),
}
"""Model and tokens that go in."""
MIB = 2**20


@dataclass(frozen=True)
class Options:
    """What is measured, and how often."""

    repetitions: int = 15
    """Turns of each contestant."""
    threads: int | None = None
    """CPU threads; default: what PyTorch chooses."""
    seed: int = 1337
    """Decides weights and tokens."""
    output: Path = RESULTS / "xray.json"
    """Where the results go."""


def main(options: Options) -> None:
    """Measure, write and print."""
    at_least_one(repetitions=options.repetitions, threads=options.threads)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    sizes: dict[str, Any] = {}
    for name, (config, tokens) in SIZES.items():
        model = build_model(config).eval()
        idx = torch.randint(config.vocab_size, (1, tokens))
        sizes[name] = measured(model, idx, options.repetitions) | {"memory": memory(model, idx)}
    for name, figures in sizes.items():
        results = {
            "what": f"{name}: one forward pass, float32, explicit attention",
            "unit": "milliseconds",
            **figures,
        }
        everything = write(options.output, {"sizes": sizes, **results})
        show(everything)
        kept, peak = figures["memory"]["kept"], figures["memory"]["peak"]
        print(
            f"memory: {kept / MIB:.1f} MiB kept, {peak / MIB:.1f} at the peak, {peak / kept:.3f}\n"
        )
    settings = {"repetitions": options.repetitions, "seed": options.seed, "device": "cpu"}
    write(options.output, {"settings": settings, "sizes": sizes})


def measured(model: nn.Module, idx: torch.Tensor, repetitions: int) -> dict[str, Any]:
    """Return how long a pass takes, watched and not, as share of what its products must take."""

    def plain() -> None:
        with explicit_attention(model), torch.no_grad():
            model(idx)

    contestants: dict[str, Callable[[], object]] = {
        "watched": lambda: xray.watch(model, idx),
        "attention alone": lambda: xray.watch(model, idx, modules="blocks.*.attention*"),
        "not watched": plain,
    }
    take_turns(contestants, 1)  # warm
    times = {
        name: [1000 * seconds for seconds in raw]
        for name, raw in take_turns(contestants, repetitions).items()
    }
    pairs = [("watched", "not watched"), ("attention alone", "not watched")]
    weights = sum(weight.numel() for weight in model.parameters() if weight.dim() == 2)
    limit = product_speed(torch.device("cpu"), torch.float32)
    shortest = 1000 * 2 * weights * idx.numel() / limit
    return compare(times, pairs, shortest=shortest)


def memory(model: nn.Module, idx: torch.Tensor) -> dict[str, int]:
    """Return the bytes that a watch keeps, what it said before, and its peak, in bytes."""
    kept = xray.watch(model, idx)
    told = xray.memory(model, idx)
    peak = traced(lambda: xray.watch(model, idx)).peak
    return {"values": len(kept), "told": told or 0, "kept": kept.nbytes, "peak": peak}


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
