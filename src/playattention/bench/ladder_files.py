"""What a ladder leaves on disk: ladder.json with every single step, and ladder.png.

Does not know how it was measured.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from playattention.bench.ladder import Missing, Peak, Row
from playattention.config import RunConfig
from playattention.errors import UserError

MIB = 2**20


@dataclass(frozen=True)
class Result:
    """A climbed ladder."""

    config: RunConfig
    """Model and batch."""
    machine: dict[str, Any]
    """What the figures must be read with; its `device_name` is the plot's."""
    peak: Peak
    """That the MFU is a share of."""
    rows: Sequence[Row]
    missing: Sequence[Missing]


def as_json(result: Result) -> dict[str, Any]:
    """Return all that was measured, every single step included."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": result.machine,
        "what": "one training step: forward, backward, clip, AdamW; each switch on top of the last",
        "model": result.config.model.model_dump(),
        "batch_size": result.config.train.batch_size,
        "peak": asdict(result.peak),
        "rows": [_facts(row) for row in result.rows],
        "missing": [asdict(one) for one in result.missing],
    }


def write(folder: Path, result: Result) -> None:
    """Write ladder.json and ladder.png.

    Args:
        folder: Where; made if it is missing.
        result: What was measured.

    Raises:
        UserError: If the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ladder.json").write_text(json.dumps(as_json(result), indent=1) + "\n")
        draw(folder / "ladder.png", result)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from None


def _facts(row: Row) -> dict[str, Any]:
    lower, upper = row.quartiles
    middle = {"median": row.median, "lower_quartile": lower, "upper_quartile": upper}
    faster = {"median": median(row.faster) if row.faster else None}
    return {
        **asdict(row),
        "milliseconds": {**middle, "raw": row.milliseconds},
        "faster": {**faster, "raw": row.faster},
    }


def draw(path: Path, result: Result) -> None:
    """Draw the rungs as two rows of bars: milliseconds and memory of a step."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second: only who draws waits

    rows = result.rows
    figure = Figure(figsize=(8, 0.7 + 0.5 * len(rows)), layout="constrained")
    times, memory = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    places = range(len(rows))
    colors = ["#9ecae1" if row.side else "#08519c" for row in rows]
    # What was measured beside and is many times slower would leave the others no room.
    longest = 2 * max(row.quartiles[1] for row in rows if not row.side)
    ends = [min(row.median, longest) for row in rows]
    times.barh(places, ends, color=colors)
    gap = 0.02 * max(ends)
    for place, row in enumerate(rows):
        lower, upper = (min(quartile, longest) for quartile in row.quartiles)
        times.plot((lower, upper), (place, place), color="black", linewidth=1)
        cut = "\N{RIGHTWARDS ARROW} " if row.median > longest else ""
        label = f"{cut}{row.median:,.1f}{_ratio(row)}"
        times.text(max(upper, ends[place]) + gap, place, label, va="center", fontsize=8)
    times.set(
        xlabel="milliseconds of a step (median, quartiles)",
        yticks=list(places),
        yticklabels=[row.switch + (" (beside)" if row.side else "") for row in rows],
        xlim=(0, 1.5 * max(ends)),
    )
    times.invert_yaxis()
    bars = memory.barh(places, [row.memory / MIB for row in rows], color=colors)
    memory.bar_label(bars, [f"{row.memory / MIB:,.0f}" for row in rows], padding=4, fontsize=8)
    memory.set_xlim(0, 1.3 * max(row.memory for row in rows) / MIB)
    memory.set(xlabel="memory at its peak, MiB")
    for axes in (times, memory):
        axes.spines[["top", "right"]].set_visible(False)
    model, batch = result.config.model, result.config.train.batch_size
    figure.suptitle(
        f"{model.name}, {model.n_layer} layers, {model.n_embd} wide, {batch} x {model.seq_size} "
        f"tokens; {result.machine['device_name']}",
        fontsize=10,
    )
    figure.savefig(path, dpi=110)


def _ratio(row: Row) -> str:
    return f"  x {median(row.faster):.2f}" if row.faster else ""
