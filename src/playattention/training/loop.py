"""Training: reads like the algorithm; everything beside it has a file of its own.

Does not know command lines, nor which model or data set it is given.
"""

import math
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from playattention.config import RunConfig
from playattention.data.loader import WindowStream
from playattention.evaluation import Evaluation, evaluate
from playattention.generation import generate
from playattention.training import checkpoint
from playattention.training.distributed import start_worker
from playattention.training.optimizer import build_optimizer, learning_rate
from playattention.training.readings import Meter
from playattention.training.report import Report, Row
from playattention.training.run import (
    create_run,
    load_splits,
    new_model,
    read_config,
    read_tokenizer,
)

TRAIN_SHARE = 10
"""The training split is evaluated on one part in ten of eval_tokens: it shows a trend, no more."""


class TrainingDivergedError(RuntimeError):
    """A loss or gradient is not finite; the message is one line with the way back."""


class TrainingStoppedError(Exception):
    """The user stopped a run, which was saved first; the message is one line with the way on."""


def train(config: RunConfig, name: str | None = None, *, quiet: bool = False) -> Path:
    """Start a run, train it to its end, and return its folder.

    Args:
        config: What the run is.
        name: The folder's name below `logs/`, or a path; default: recipe, time and device.
        quiet: Say nothing in the terminal.

    Raises:
        UserError: If the settings do not fit the data or this machine, or the disk is full.
        TrainingDivergedError: If a loss or gradient is not finite.
        TrainingStoppedError: If the user pressed Ctrl-C; the run was saved.
    """
    folder = create_run(config, name)
    resume(folder, quiet=quiet)
    return folder


def resume(folder: Path, *, quiet: bool = False) -> None:
    """Train a run from its last checkpoint, if it has one, to its end.

    On a CPU it goes on bit for bit: the weights are those of a run that never stopped.

    Args, errors: as in `train`, for the folder of a run.
    """
    trainer = Trainer(folder)
    begun = bool(checkpoint.saved_steps(folder))
    step = trainer.step if begun else None
    meter = Meter(trainer.worker.device)
    with (
        checkpoint.saving(folder),
        Report(folder, trainer.steps, step, trainer.floor, quiet=quiet, meter=meter) as report,
        _stoppable(report.say) as stopped,
    ):
        if not begun:
            _look_up(trainer, report, Row(step=0))
        while trainer.step < trainer.steps and not stopped():
            row = trainer.update()
            if trainer.step % trainer.config.train.eval_every == 0 or trainer.step == trainer.steps:
                _look_up(trainer, report, row)
            else:
                report.add(row)
        report.plot(now=True)
        if trainer.step < trainer.steps:
            trainer.save(val_loss=None)
            raise TrainingStoppedError(
                f"stopped at step {trainer.step} of {trainer.steps} and saved; go on with: "
                f"playattention train {trainer.config.model.name} "
                f"--resume {shlex.quote(str(folder))}"
            )


def _look_up(trainer: "Trainer", report: Report, row: Row) -> None:
    """Pause between steps: evaluate, write a sample, save."""
    train_split, val_split = trainer.evaluate()
    row.eval_train_loss = train_split.loss
    row.eval_val_loss, row.eval_val_standard_error, _ = val_split
    report.add(row)
    report.add_sample(trainer.step, trainer.sample())
    trainer.save(val_split.loss)
    report.plot()


class Trainer:
    """A run's model, optimizer and data, at some step of its training.

    Args:
        folder: The run; where it has a checkpoint, training goes on from the last one.
    """

    def __init__(self, folder: Path) -> None:
        checkpoint.sweep(folder)
        self.folder = folder
        self.config = read_config(folder)
        self.tokenizer = read_tokenizer(folder)
        self.splits = load_splits(folder, self.config, self.tokenizer)
        self.floor = self.splits.floor
        self.steps = self.config.steps(len(self.splits.train))
        self.windows = WindowStream(
            self.splits.train,
            self.config.model.seq_size,
            self.config.train.seed,
            self.config.data.sampling,
        )
        self.worker = start_worker(self.config.train)
        self.model = new_model(self.config).to(self.worker.device)
        self.optimizer = build_optimizer(self.model, self.config.train)
        # A compiled twin over the same weights: samples, of any length, take the plain one.
        compiled = self.config.train.compile == "on"
        self.forward: Callable[..., Any] = torch.compile(self.model) if compiled else self.model
        self.step, self.position = 0, 0
        if saved := checkpoint.saved_steps(folder):
            progress = checkpoint.restore(folder, saved[-1], self.model, self.optimizer)
            self.step, self.position = progress.step, progress.position

    def update(self) -> Row:
        """Do one optimizer step, over as many micro-batches as fill it."""
        started = time.perf_counter()
        config = self.config.train
        rate = learning_rate(self.step, self.steps, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

        self.model.train()
        loss = torch.zeros((), device=self.worker.device)
        for _ in range(self.config.grad_accum):
            idx, targets = self.windows.batch(self.position, config.batch_size)
            self.position += config.batch_size
            with self.worker.autocast():
                _, batch_loss = self.forward(
                    idx.to(self.worker.device), targets.to(self.worker.device)
                )
            share = batch_loss / self.config.grad_accum
            share.backward()
            loss += share.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip or math.inf)
        self._check_finite(self.step + 1, rate, loss=loss.item(), gradient_norm=norm.item())
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1

        seconds = time.perf_counter() - started
        return Row(
            step=self.step,
            train_loss=loss.item(),
            learning_rate=rate,
            gradient_norm=norm.item(),
            milliseconds=1000 * seconds,
            tokens_per_second=self.config.tokens_per_step / seconds,
        )

    def evaluate(self) -> tuple[Evaluation, Evaluation]:
        """Return the losses on fixed windows of the training and of the validation split."""
        limit = self.config.data.eval_tokens
        train_split, val_split = (
            evaluate(
                self.model,
                tokens,
                self.config.model.seq_size,
                max_tokens=max_tokens,
                autocast=self.worker.autocast(),
            )
            for tokens, max_tokens in (
                (self.splits.train, max(1, limit // TRAIN_SHARE)),
                (self.splits.val, limit),
            )
        )
        rate = learning_rate(max(0, self.step - 1), self.steps, self.config.train)
        self._check_finite(self.step, rate, validation_loss=val_split.loss)
        return train_split, val_split

    def sample(self) -> str:
        """Return text from the model, its randomness apart from that of training."""
        start = torch.tensor([self.tokenizer.encode(self.tokenizer.start)])
        ids = generate(
            self.model,
            start.to(self.worker.device),
            self.config.train.sample_tokens,
            generator=torch.Generator(self.worker.device).manual_seed(self.config.train.seed),
        )
        return self.tokenizer.decode(ids[0, start.size(1) :].tolist())

    def save(self, val_loss: float | None) -> None:
        """Write a checkpoint, then delete those that are no longer wanted."""
        progress = checkpoint.Progress(self.step, self.position, val_loss)
        checkpoint.save(self.folder, progress, self.model, self.optimizer)
        checkpoint.prune(self.folder, self.config.train.keep_every)

    def _check_finite(self, step: int, rate: float, **figures: float) -> None:
        for name, figure in figures.items():
            if not math.isfinite(figure):
                raise TrainingDivergedError(
                    f"{name.replace('_', ' ')} = {figure} at step {step}, learning rate "
                    f"{rate:.2e}; {checkpoint.last_good(self.folder)}; try a new run with a lower "
                    f"--train.learning-rate than {self.config.train.learning_rate:g}"
                )


@contextmanager
def _stoppable(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C or SIGTERM wait for the end of a step; a second one does not wait.

    Outside the main thread, where Python takes no signals, nothing changes.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: object) -> None:  # noqa: ARG001 - the form that signal wants
        asked.set()
        with suppress(SystemExit):  # of rich, where Ctrl-C has ended the reader of a pipe, too
            say("stopping once this step is done and saved (again: at once)")
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
