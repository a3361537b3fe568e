"""What a run leaves for people to read: log.csv, two plots, samples, and lines in the terminal.

Does not know models or optimizers; it is told numbers and text.
"""

import csv
import io
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from playattention.training.readings import Meter
from playattention.training.tracker import open_tracker

SECONDS_BETWEEN_PLOTS = 20
SECONDS_BETWEEN_LINES = 30


@dataclass
class Row:
    """One line of log.csv: what is known once a step is done; None where nothing was measured."""

    step: int
    """Optimizer steps done; 0: before the first."""
    train_loss: float | None = None
    """Loss of the step's own batch, before its update, in nats per token."""
    eval_train_loss: float | None = None
    """Loss on fixed windows of the training split."""
    eval_val_loss: float | None = None
    """Loss on the validation split."""
    eval_val_standard_error: float | None = None
    """Of the validation loss."""
    learning_rate: float | None = None
    """Of the step."""
    gradient_norm: float | None = None
    """Over all weights, before clipping."""
    milliseconds: float | None = None
    """Of the step, evaluation and saving apart."""
    tokens_per_second: float | None = None
    """In the step."""


COLUMNS = [field.name for field in fields(Row)]
"""Of log.csv."""


class Report:
    """Writes a run's files and tells its progress.

    Args:
        folder: The run's folder.
        steps: Optimizer steps of the whole run.
        step: Where it goes on; what an earlier process wrote of later steps is dropped, or all
            of it if None: the run has no checkpoint yet.
        floor: Entropy of the validation text in nats per token; None: not known.
        quiet: Say nothing in the terminal.
        tracker: What else is told: "none", "tensorboard" or "wandb".
        meter: Reads the device for the progress bar; None: it shows the steps alone.
    """

    def __init__(
        self,
        folder: Path,
        steps: int,
        step: int | None,
        floor: float | None,
        *,
        quiet: bool = False,
        tracker: str = "none",
        meter: Meter | None = None,
    ) -> None:
        self.folder = folder
        self.floor = floor
        kept = -1 if step is None else step
        logged = read_log(folder)
        self.rows = [row for row in logged if row.step <= kept]
        self.tracker = open_tracker(tracker, folder, kept, logged[-1].step if logged else -1)
        self.console = Console(quiet=quiet, highlight=False, emoji=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("step {task.completed:,}/{task.total:,}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[told]}"),
            TextColumn("{task.fields[device]}"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            disable=not self.console.is_terminal or quiet,
            transient=True,
        )
        # Read only where the bar is seen.
        self._meter = None if self._progress.disable else meter
        self._task = self._progress.add_task(
            "training", total=steps, completed=step or 0, told="", device=""
        )
        # The first plot would show one point, and loading matplotlib would delay the first step.
        self._plotted_at = self._told_at = time.monotonic()
        self._keep_samples(kept)

    def __enter__(self) -> Self:
        path = self.folder / "log.csv"
        _replace(path, _as_csv(self.rows))
        self._log = path.open("a", buffering=1, newline="", encoding="utf-8")  # line by line
        self._writer = csv.DictWriter(self._log, COLUMNS)
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        self._log.close()
        self.tracker.close()

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        self.console.print(text, markup=False)

    def add(self, row: Row) -> None:
        """Write a step's row and move the progress bar."""
        self.rows.append(row)
        self._writer.writerow(asdict(row))
        known = {name: value for name, value in asdict(row).items() if value is not None}
        self.tracker.add(known.pop("step"), known)
        if row.train_loss is not None:
            told = f"loss {row.train_loss:.3f}  {row.tokens_per_second:,.0f} tokens/s"
            device = self._meter.told() if self._meter else ""
            self._progress.update(self._task, completed=row.step, told=told, device=device)
            self._tell_now_and_then(row.step, told)
        if row.eval_val_loss is not None:
            self._tell(row)

    def add_sample(self, step: int, text: str) -> None:
        """Append a sample to generated_samples.txt."""
        path = self.folder / "generated_samples.txt"
        with path.open("a", newline="", encoding="utf-8") as samples:
            samples.write(_headed(step, text))
        self.tracker.add_sample(step, text)

    def plot(self, now: bool = False) -> None:
        """Draw the plots, unless that was done moments ago.

        Args:
            now: Draw in any case.
        """
        if now or time.monotonic() - self._plotted_at > SECONDS_BETWEEN_PLOTS:
            draw_plots(self.folder, self.rows, self.floor)
            self._plotted_at = time.monotonic()

    def _tell_now_and_then(self, step: int, told: str) -> None:
        """Print a line where there is no terminal for a bar, as in a job's log."""
        if (
            not self.console.is_terminal
            and time.monotonic() - self._told_at > SECONDS_BETWEEN_LINES
        ):
            self.say(f"step {step:>6,}  {told}")
            self._told_at = time.monotonic()

    def _tell(self, row: Row) -> None:
        floor = "" if self.floor is None else f"  (floor {self.floor:.4f})"
        self.say(
            f"step {row.step:>6,}  train {row.eval_train_loss:.4f}  "
            f"val {row.eval_val_loss:.4f} ± {row.eval_val_standard_error:.4f}{floor}"
        )

    def _keep_samples(self, step: int) -> None:
        """Drop the samples of steps that will be done again."""
        kept = {at: text for at, text in read_samples(self.folder).items() if at <= step}
        texts = "".join(_headed(at, text) for at, text in kept.items())
        _replace(self.folder / "generated_samples.txt", texts)


class NoReport:
    """What the other ranks have in the place of a `Report`: the first one tells and writes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def add(self, row: Row) -> None:
        """Do nothing."""

    def add_sample(self, step: int, text: str) -> None:
        """Do nothing."""

    def plot(self, now: bool = False) -> None:
        """Do nothing."""


def read_samples(folder: Path) -> dict[int, str]:
    """Return the texts of a run's generated_samples.txt by their steps."""
    path = folder / "generated_samples.txt"
    if not path.is_file():
        return {}
    # As bytes: a sample's own line ends stay, and one that a kill cut in a character is read.
    parts = _SAMPLE_HEAD.split(path.read_bytes().decode(errors="replace"))[1:]
    return {
        int(step): text.removesuffix("\n\n")
        for step, text in zip(parts[::2], parts[1::2], strict=True)
    }


_SAMPLE_HEAD = re.compile(r"^==== step (\d+) ====\n", re.MULTILINE)


def _headed(step: int, text: str) -> str:
    return f"==== step {step} ====\n{text}\n\n"


def read_log(folder: Path) -> list[Row]:
    """Return the rows of a run's log.csv up to the first that is damaged, as by a kill."""
    path = folder / "log.csv"
    if not path.is_file():
        return []
    rows: list[Row] = []
    *whole, _ = path.read_bytes().decode(errors="replace").split("\n")
    for line in whole[1:]:
        step, *values = line.removesuffix("\r").split(",")
        try:
            numbers = [float(value) if value else None for value in values]
            rows.append(Row(int(step), **dict(zip(COLUMNS[1:], numbers, strict=True))))
        except ValueError:
            break
    return rows


def _as_csv(rows: list[Row]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def _replace(path: Path, text: str) -> None:
    """Write a file anew by one rename: a kill or a full disk leaves the old one whole."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", newline="")
    partial.replace(path)


def draw_plots(folder: Path, rows: list[Row], floor: float | None) -> None:
    """Draw losses.png and training_metrics_summary.png.

    Args:
        folder: Where they go.
        rows: Of log.csv, ascending; few or none give an emptier plot.
        floor: A line on the loss plot; None: none.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second: only who draws waits

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    _curve(axes.plot, rows, "train_loss", label="train, each batch", color="#9ecae1", linewidth=0.8)
    dots = {"marker": "o", "linestyle": ":"}
    _curve(axes.plot, rows, "eval_train_loss", label="train", color="#08519c", **dots)
    _curve(axes.plot, rows, "eval_val_loss", label="validation", color="#d94801", **dots)
    if floor is not None:
        axes.axhline(floor, color="black", linestyle="--", label=f"entropy floor {floor:.3f}")
    axes.set(xlabel="step", ylabel="loss (nats per token)")
    axes.set_title(folder.name, parse_math=False)  # a $ in it is no formula
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(folder / "losses.png", dpi=120)

    figure = Figure(figsize=(10, 6), layout="constrained")
    panels = {
        "learning_rate": "learning rate",
        "gradient_norm": "gradient norm, before clipping",
        "milliseconds": "milliseconds per step",
        "tokens_per_second": "tokens per second",
    }
    for axes, (column, title) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        _curve(axes.plot, rows, column, color="#08519c", linewidth=0.8)
        axes.set(xlabel="step", title=title, ylim=(0, None))
        axes.grid(alpha=0.3)
    figure.savefig(folder / "training_metrics_summary.png", dpi=120)


def _curve(plot: Callable[..., object], rows: list[Row], column: str, **style: object) -> None:
    known = [(row.step, getattr(row, column)) for row in rows if getattr(row, column) is not None]
    plot([step for step, _ in known], [value for _, value in known], **style)
