"""The same training on one process and on two: the losses of each step.

Needs the runs `one` and `two`, made by the commands of page 13.
"""

from typing import Any

from playattention.training.folder import read_json
from playattention.training.report import read_log
from playattention.training.run import find_run
from recording.opened import Opened


def record(opened: Opened) -> dict[str, Any]:
    """Return the losses and gradient norms of both, step by step."""
    del opened  # two runs of their own
    runs = {name: [row for row in read_log(find_run(name)) if row.step] for name in ("one", "two")}
    pairs = list(zip(*runs.values(), strict=True))
    return {
        "processes": {name: read_json(find_run(name) / "machine.json")["ranks"] for name in runs},
        "steps": len(pairs),
        "losses": [[one.step, one.train_loss, two.train_loss] for one, two in pairs],
        "norms": [[one.gradient_norm, two.gradient_norm] for one, two in pairs],
        "validation": [rows[-1].eval_val_loss for rows in runs.values()],
        "largest_difference": max(abs(one.train_loss - two.train_loss) for one, two in pairs),
    }
