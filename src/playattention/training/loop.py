"""Training: reads like the algorithm; everything beside it has a file of its own.

Does not know command lines, nor which model or data set it is given.
"""

import math
import shlex
import time
from pathlib import Path

import torch
from torch import nn

from playattention.config import RunConfig
from playattention.data.loader import WindowStream, share
from playattention.evaluation import Evaluation, mean_loss, window_losses
from playattention.generation import generate
from playattention.training import checkpoint
from playattention.training.distributed import adding_up, joined, on_first, ranks, start_worker
from playattention.training.folder import read_origin
from playattention.training.optimizer import build_optimizer, learning_rate
from playattention.training.readings import Meter
from playattention.training.report import NoReport, Report, Row
from playattention.training.run import (
    create_run,
    load_splits,
    read_config,
    read_tokenizer,
)
from playattention.training.start import first_model
from playattention.training.stopping import stoppable

TRAIN_SHARE = 10
"""The training split is evaluated on one part in ten of eval_tokens: it shows a trend, no more."""
TRAIN_TOKENS = 8_000
"""But not on fewer than these, if eval_tokens has them: a few windows alone may be hard ones."""
FIRST_TOKENS = 10_000
"""Drawn weights are evaluated on no more: whoever started a run is waiting for its first step."""


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
    with joined(config.train.device):
        config.check_ranks(ranks())
        folder = on_first(lambda: create_run(config, name))
        resume(folder, quiet=quiet)
    return folder


def resume(folder: Path, *, quiet: bool = False) -> None:
    """Train a run from its last checkpoint, if it has one, to its end.

    On a CPU it goes on bit for bit: the weights are those of a run that never stopped.

    Args, errors: as in `train`, for the folder of a run.
    """
    with joined(read_config(folder).train.device):
        _train_to_the_end(Trainer(folder), quiet)


def _train_to_the_end(trainer: "Trainer", quiet: bool) -> None:
    folder = trainer.folder
    with (
        checkpoint.saving(folder),
        _report(trainer, quiet) as report,
        stoppable(report.say, alone=trainer.worker.ranks == 1) as asked,
    ):
        if not trainer.begun:
            _look_up(trainer, report, Row(step=0))
        while trainer.step < trainer.steps and not trainer.worker.any(asked.is_set()):
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


def _report(trainer: "Trainer", quiet: bool) -> Report | NoReport:
    """Return what tells of the training: of several ranks, the first alone tells."""
    if trainer.worker.rank > 0:
        return NoReport()
    step = trainer.step if trainer.begun else None
    return Report(
        trainer.folder,
        trainer.steps,
        step,
        trainer.floor,
        quiet=quiet,
        tracker=trainer.config.train.tracker,
        meter=Meter(trainer.worker.device),
    )


def _look_up(trainer: "Trainer", report: Report | NoReport, row: Row) -> None:
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

    Where torchrun started several processes, each has one, and they take their steps together.

    Args:
        folder: The run; where it has a checkpoint, training goes on from the last one.

    Raises:
        UserError: If the run is damaged, its text has changed, or a step's micro-batches do not
            divide among the processes.
    """

    def __init__(self, folder: Path) -> None:
        on_first(lambda: checkpoint.sweep(folder))
        self.folder = folder
        self.config = read_config(folder)
        self.worker = start_worker(self.config.train)
        self.config.check_ranks(self.worker.ranks)
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
        self.model = first_model(folder, self.config)
        self.drawn = read_origin(folder) is None
        # What computes the loss, over the same weights; samples, of any length, take the model.
        self.forward = self.worker.place(self.model, self.config.train)
        self.optimizer = self.worker.spare(lambda: build_optimizer(self.model, self.config.train))
        self.scaler = self.worker.scaler()
        self.step, self.position = 0, 0
        saved = on_first(lambda: checkpoint.saved_steps(folder))
        self.begun = bool(saved)
        if saved:
            progress = checkpoint.restore(folder, saved[-1], self.model, self.optimizer)
            self.step, self.position = progress.step, progress.position
            self.scaler.load_state_dict(progress.scaler)

    def update(self) -> Row:
        """Do one optimizer step, over as many micro-batches as fill it."""
        started = time.perf_counter()
        config = self.config.train
        rate = learning_rate(self.step, self.steps, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

        self.model.train()
        worker, grad_accum = self.worker, self.config.grad_accum
        loss = torch.zeros((), device=worker.device)
        mine = share(self.position, config.batch_size, grad_accum, worker.rank, worker.ranks)
        for position in mine:
            idx, targets = self.windows.batch(position, config.batch_size)
            with adding_up(self.forward, more=position != mine[-1]):
                with worker.autocast():
                    inputs = idx.to(worker.device), targets.to(worker.device)
                    batch_loss = self.forward(*inputs)[1]  # the logits, unnamed, are freed here
                # Gradients are averaged over the ranks, of which each has len(mine) micro-batches.
                self.scaler.scale(batch_loss / len(mine)).backward()
            loss += batch_loss.detach() / grad_accum
        self.position += grad_accum * config.batch_size
        norm = self._clip()
        train_loss = worker.total(loss).item()
        self._check_finite(self.step + 1, rate, loss=train_loss)
        if not self.scaler.is_enabled() or self.scaler.get_scale() < 1:
            self._check_finite(self.step + 1, rate, gradient_norm=norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.step += 1

        seconds = time.perf_counter() - started
        return Row(
            step=self.step,
            train_loss=train_loss,
            learning_rate=rate,
            gradient_norm=norm if math.isfinite(norm) else None,
            milliseconds=1000 * seconds,
            tokens_per_second=self.config.tokens_per_step / seconds,
        )

    def evaluate(self) -> tuple[Evaluation, Evaluation]:
        """Return the losses on fixed windows of the training and of the validation split."""
        limit = self.config.data.eval_tokens
        train_limit = max(limit // TRAIN_SHARE, min(limit, TRAIN_TOKENS))
        if self.step == 0 and self.drawn:
            limit = min(limit, FIRST_TOKENS)
            train_limit = max(1, limit // TRAIN_SHARE)
        train_split, val_split = (
            mean_loss(
                self.worker.total(
                    window_losses(
                        self.model,
                        tokens,
                        self.config.model.seq_size,
                        max_tokens=max_tokens,
                        autocast=self.worker.autocast(),
                        rank=self.worker.rank,
                        ranks=self.worker.ranks,
                    )
                )
            )
            for tokens, max_tokens in (
                (self.splits.train, train_limit),
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
        scaler = self.scaler.state_dict()
        progress = checkpoint.Progress(self.step, self.position, val_loss, scaler)
        checkpoint.save(self.folder, progress, self.model, self.optimizer)
        if self.worker.rank == 0:
            checkpoint.prune(self.folder, self.config.train.keep_every)

    def _clip(self) -> float:
        """Limit the gradient's norm and return what it was.

        In fp16 it may be infinite: then the scaler was too bold, skips the update and takes less.
        """
        self.scaler.unscale_(self.optimizer)
        limit = self.config.train.grad_clip or math.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        return self.worker.whole(norm).item()

    def _check_finite(self, step: int, rate: float, **figures: float) -> None:
        for name, figure in figures.items():
            if not math.isfinite(figure):
                raise TrainingDivergedError(
                    f"{name.replace('_', ' ')} = {figure} at step {step}, learning rate "
                    f"{rate:.2e}; {checkpoint.last_good(self.folder)}; try a new run with a lower "
                    f"--train.learning-rate than {self.config.train.learning_rate:g}"
                )
