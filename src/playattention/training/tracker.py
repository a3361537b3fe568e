"""Experiment trackers: what goes to log.csv and the samples, on their pages too.

Does not know what the numbers mean. The run's own files stay complete; a tracker is beside them.
"""

import html
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from playattention.errors import UserError
from playattention.training.folder import read_json, write_json

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}
"""Tracker -> the package that it needs; both are extras of this package by the same names."""


class Tracker(Protocol):
    """Takes numbers and samples, in the order of their steps."""

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Take a step's numbers."""

    def add_sample(self, step: int, text: str) -> None:
        """Take a sample; all before it is safe once this returns, as a checkpoint follows."""

    def close(self) -> None:
        """Write what is left."""


def check_tracker(name: str) -> None:
    """Find out before any work is done whether a tracker can be used.

    Raises:
        UserError: If its package is not installed.
    """
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        raise UserError(
            f"tracker = '{name}': {PACKAGES[name]} is not installed; allowed: none, or after "
            f"pip install 'playattention[{name}]'"
        )


def open_tracker(name: str, folder: Path, step: int, logged: int) -> Tracker:
    """Return a run's tracker, ready for the step after the one that the run goes on from.

    Args:
        name: "none", "tensorboard" or "wandb".
        folder: The run.
        step: The checkpoint that it goes on from; -1: none.
        logged: The last step in log.csv, later than `step` after a kill; -1: none.

    Raises:
        UserError: If the tracker's package is not installed, or it can't be used.
    """
    check_tracker(name)
    if name == "tensorboard":
        return TensorBoardTracker(folder, step)
    if name == "wandb":
        return WandbTracker(folder, logged)
    return NoTracker()


class NoTracker:
    """Takes everything and keeps nothing."""

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Drop a step's numbers."""

    def add_sample(self, step: int, text: str) -> None:
        """Drop a sample."""

    def close(self) -> None:
        """Do nothing."""


class TensorBoardTracker:
    """Event files in the run's folder `tensorboard/`; `tensorboard --logdir logs` shows them.

    Args:
        folder: The run.
        step: What earlier event files tell of later steps is hidden: those are done again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - takes seconds, an extra

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Write a step's numbers, each under its column's name."""
        for name, figure in figures.items():
            self._writer.add_scalar(name, figure, step)

    def add_sample(self, step: int, text: str) -> None:
        """Write a sample; indented, as TensorBoard would take it for Markdown."""
        shown = "".join(f"    {line}" for line in text.splitlines(keepends=True))
        self._writer.add_text("sample", shown, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class WandbTracker:
    """A run of Weights & Biases; its id stays in the run's folder, `wandb.json`.

    Its history only grows: what it was told before a kill is not told again.

    Args:
        folder: The run; its settings are shown on the run's page.
        logged: The last step that an earlier process told.

    Raises:
        UserError: If it can't begin, as without a key or a network.
    """

    def __init__(self, folder: Path, logged: int) -> None:
        import wandb  # noqa: PLC0415 - takes seconds, an extra

        path = folder / "wandb.json"
        known = path.exists()
        id_ = str(read_json(path).get("id")) if known else secrets.token_hex(8)
        try:
            self._run: Any = wandb.init(
                project="playattention",
                name=folder.name,
                id=id_,
                resume="allow",
                dir=folder,
                config=read_json(folder / "config.json"),
                settings=wandb.Settings(console="off", silent=True),
            )
        except wandb.Error as error:
            raise UserError(
                f"tracker = 'wandb': {' '.join(str(error).split())}; allowed: none, or after "
                "`wandb login`, or with WANDB_MODE=offline in the environment"
            ) from None
        write_json(path, {"id": id_})
        self._told = logged if known else -1
        self._html = wandb.Html

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Tell a step's numbers, each under its column's name."""
        if step > self._told:
            self._run.log(figures, step=step)

    def add_sample(self, step: int, text: str) -> None:
        """Tell a sample, as it is written."""
        if step > self._told:
            page = self._html(f"<pre>{html.escape(text)}</pre>", inject=False)
            self._run.log({"sample": page}, step=step)

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()
