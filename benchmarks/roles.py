"""Which heads find the rules of the built-in plays, and when in a training they form.

`python benchmarks/roles.py RUN` takes a run on playhouse, best with a checkpoint every 100 steps;
prints the final roles and writes `benchmarks/results/roles.json` and `docs/images/roles.png`.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from tyro.conf import Positional, arg

from measure import RESULTS, at_least_one, write
from playattention import load_run
from playattention.errors import UserError
from playattention.training.checkpoint import saved_steps
from playattention.training.run import Run, load_splits
from playattention.xray import PATTERNS, HeadRoles, Role, head_roles, playhouse_windows
from playattention.xray.attention import head_scores
from playattention.xray.patterns import RULES, Window

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "roles.png"
SHOWN = ("address", "question", "bracket", "couplet")
"""Rules in the picture: three that are found, and one that is not."""
COLOURS = ("#54278f", "#2166ac", "#1b7837", "#999999")


@dataclass(frozen=True)
class Options:
    """What is measured, and where it goes."""

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """A run on playhouse: its name below logs/, or a path."""
    threads: int | None = None
    """CPU threads; default: what PyTorch chooses."""
    output: Path = RESULTS / "roles.json"
    """Where the figures go."""
    picture: Path = PICTURE
    """Where the picture goes."""


def main(options: Options) -> None:
    """Measure, print and write."""
    at_least_one(threads=options.threads)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    run = load_run(options.run)
    if run.config.data.dataset != "playhouse":
        raise SystemExit(
            f"run = {options.run}: must be trained on playhouse, whose rules are known"
        )
    val = load_splits(run.path, run.config, run.tokenizer).val
    text = run.tokenizer.decode(val[np.arange(len(val))].tolist())
    windows = playhouse_windows(text, run.tokenizer, run.config.model.seq_size)
    roles = head_roles(run.model, windows)
    print(roles)
    rows = [at_step(run, step, windows, roles) for step in saved_steps(run.path)]
    for row in rows:
        print(row["step"], *(f"{rule} {row['scores'][rule]:.3f}" for rule in RULES))
    write(
        options.output,
        {
            "what": "mean attention of the best head of each rule on the rule's cue",
            "settings": run.config.model_dump(),
            "windows": len(windows),
            "roles": {name: figures(roles.best(name)) for name in roles.patterns},
            "clear": [figures(role) for role in roles.clear],
            "formed": rows,
        },
    )
    drawn(roles, rows).savefig(options.picture)


def figures(role: Role) -> dict[str, Any]:
    """Return a role's score with what chance would give it."""
    return {**asdict(role), "chance": role.chance, "share": role.share, "clear": role.clear}


def at_step(run: Run, step: int, windows: list[Window], roles: HeadRoles) -> dict[str, Any]:
    """Return, at a checkpoint, the scores of the heads that are best in the end."""
    scores = head_scores(
        load_run(run.path, step).model, windows, {rule: PATTERNS[rule] for rule in RULES}
    )
    found = {}
    for rule, measured in scores.items():
        best = roles.best(rule)
        found[rule] = measured.looked[measured.heads.index((best.layer, best.head))].item()
    return {"step": step, "scores": found}


def drawn(roles: HeadRoles, rows: list[dict[str, Any]]) -> Figure:
    """Return the picture: score over steps, a dotted line where chance ends."""
    figure = Figure(figsize=(7.0, 3.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in rows]
    for rule, colour in zip(SHOWN, COLOURS, strict=True):
        try:
            best = roles.best(rule)
        except UserError:
            continue  # a short text may not have it
        name = f"{rule}: block {best.layer}, head {best.head}"
        axes.plot(steps, [row["scores"][rule] for row in rows], color=colour, label=name)
        axes.axhline(best.chance, color=colour, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1)
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel("attention on the rule's cue")
    axes.legend(frameon=False, fontsize=8, loc="center right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
