"""How well a model trained on playhouse keeps its rules, beside the same model untrained.

    python benchmarks/playhouse.py RUN

Lets the first and the last checkpoint of a run write the same number of characters, from the same
prompt with the same seed, and counts among the first 200 speeches those that keep rules (a), (b)
and (d). An untrained model, which seldom writes a blank line, has fewer. Writes
benchmarks/results/playhouse.json.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from tyro.conf import Positional

from playattention import generate, load_run
from playattention.data.playhouse_rules import RULES, Judged, judge
from playattention.training.checkpoint import saved_steps
from playattention.training.distributed import machine
from playattention.training.report import read_log
from playattention.training.run import Run, find_run, read_facts

RESULT = Path(__file__).parent / "results" / "playhouse.json"


@dataclass(frozen=True)
class Settings:
    """Measure how well a run keeps the rules of playhouse."""

    run: Positional[str]
    """The run: its name below logs/, or a path."""
    speeches: int = 200
    """How many speeches to judge for each checkpoint, at most."""
    texts: int = 16
    """Texts side by side."""
    characters: int = 1800
    """Length of each text."""
    seed: int = 1
    """Of the sampling."""
    output: Annotated[Path, tyro.conf.arg(metavar="FILE")] = RESULT
    """Where the result goes."""


def main(settings: Settings) -> None:
    """Judge the first and the last checkpoint, print the table and write the result."""
    folder = find_run(settings.run)
    steps = saved_steps(folder)
    facts, log = read_facts(folder), read_log(folder)
    shares = {step: measure(load_run(folder, step), settings) for step in (steps[0], steps[-1])}
    losses = {row.step: row.eval_val_loss for row in log if row.eval_val_loss is not None}
    result = {
        "machine": machine(),
        "config": load_run(folder).config.model_dump(),
        "floor": facts.floor,
        "validation_loss": {step: losses[step] for step in shares},
        "standard_error": log[-1].eval_val_standard_error,
        "speeches": shares,
    }
    settings.output.parent.mkdir(parents=True, exist_ok=True)
    settings.output.write_text(json.dumps(result, indent=2) + "\n")
    print(f"floor {facts.floor:.4f} nats per character")
    for step, share in shares.items():
        print(f"\nstep {step}: validation loss {losses[step]:.4f}")
        for rule, (kept, applicable) in share.items():
            print(f"  {rule:<12} {kept:>4} of {applicable:>4}")


def measure(run: Run, settings: Settings) -> dict[str, Any]:
    """Return rule -> (speeches that keep it, speeches it applies to)."""
    judged = written_speeches(run, settings)
    counts = {
        rule: (
            sum(speech.kept[rule] for speech in judged if rule in speech.kept),
            sum(rule in speech.kept for speech in judged),
        )
        for rule in RULES
    }
    well_formed = sum(speech.well_formed for speech in judged)
    obeying = sum(speech.obeys for speech in judged)
    return {"well formed": (well_formed, len(judged)), **counts, "all": (obeying, len(judged))}


def written_speeches(run: Run, settings: Settings) -> list[Judged]:
    """Return the first speeches that a model writes, over several texts side by side."""
    prompt = torch.tensor([run.tokenizer.encode("\n\n")]).repeat(settings.texts, 1)
    generator = torch.Generator().manual_seed(settings.seed)
    ids = generate(run.model, prompt, settings.characters, generator=generator)
    texts = [run.tokenizer.decode(row) for row in ids.tolist()]
    judged = [speech for text in texts for speech in judge(text).speeches]
    return judged[: settings.speeches]


if __name__ == "__main__":
    main(tyro.cli(Settings))
