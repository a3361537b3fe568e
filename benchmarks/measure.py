"""What the contests against others share: who is compared, one JSON file, two tables.

Turns, statistics and the machine's limits are the package's own, as in `playattention bench`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from playattention.bench.results import dated, facts
from playattention.bench.spread import Spread, paired_ratio

RESULTS = Path(__file__).parent / "results"


def at_least_one(**options: int | None) -> None:
    """Check what the command line gave.

    Args:
        options: Numbers by name; None, where nothing was given, is as good as any.

    Raises:
        SystemExit: If one is below 1; the message is one line.
    """
    for name, number in options.items():
        if number is not None and number < 1:
            raise SystemExit(f"{name.replace('_', ' ')} = {number}: must be 1 or more")


def compare(
    times: Mapping[str, Sequence[float]], pairs: Sequence[tuple[str, str]], shortest: float
) -> dict[str, Any]:
    """Return what the measurements say.

    Args:
        times: Contestant -> how long each repetition took.
        pairs: Which two contestants to divide, (ours, theirs).
        shortest: What it would take if this machine's limit were all that counts, in their unit.
    """
    spreads = {name: Spread.of(raw) for name, raw in times.items()}
    return {
        "times": {name: asdict(spread) for name, spread in spreads.items()},
        "ratios": {
            f"{ours} / {theirs}": asdict(paired_ratio(times[ours], times[theirs]))
            for ours, theirs in pairs
        },
        "share_of_limit": {name: shortest / spread.median for name, spread in spreads.items()},
    }


def write(path: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """Write results as JSON, with the date and the machine on top, and return all that."""
    machine = facts(torch.get_num_threads(), "cpu") | {"transformers": transformers.__version__}
    everything = {"date": dated(), "machine": machine, **results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(everything, indent=1) + "\n")
    return everything


def show(results: Mapping[str, Any]) -> None:
    """Print what `write` wrote as two tables, at most 80 columns wide."""
    machine = results["machine"]
    print(f"{results['what']}\n{machine['processor']}, {machine['threads']} thread(s)", end=", ")
    print(f"torch {machine['torch']}, transformers {machine['transformers']}")
    print(f"\n{results['unit']:<34}{'median':>8}{'quartiles':>17}{'limit':>7}{'n':>4}")
    for name, spread in results["times"].items():
        share = f"{results['share_of_limit'][name]:.0%}"
        print(f"{name:<34}{_figures(spread, 1)}{share:>7}{len(spread['raw']):>4}")
    print(f"\n{'ratio, repetition by repetition':<50}{'median':>8}{'quartiles':>17}")
    for name, spread in results["ratios"].items():
        print(f"{name:<50}{_figures(spread, 3)}")


def _figures(spread: Mapping[str, Any], digits: int) -> str:
    quartiles = f"{spread['lower_quartile']:.{digits}f}-{spread['upper_quartile']:.{digits}f}"
    return f"{spread['median']:>8.{digits}f}{quartiles:>17}"
