"""Checkpoints: what a run needs to go on bit for bit, in files that hold no code.

Each is a folder `checkpoints/step_00000250/` with the weights (`model.safetensors`), the
optimizer's moments and random states (`training.safetensors`) and the rest (`state.json`). It is
written beside its place and appears by one rename, so a reader finds a whole one or none.
Does not know the loop, nor what a model is made of.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from playattention.errors import UserError


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    step: int
    """Optimizer steps done."""
    position: int
    """Windows taken from the training stream."""
    val_loss: float | None
    """Validation loss at this step in nats per token; None where it was not evaluated."""


def folder_of(run: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return run / "checkpoints" / f"step_{step:08d}"


def saved_steps(run: Path) -> list[int]:
    """Return the steps of a run's checkpoints, ascending."""
    names = (path.name.removeprefix("step_") for path in run.glob("checkpoints/step_*"))
    return sorted(int(name) for name in names if name.isdecimal())  # others: a user's own copies


@contextmanager
def saving(run: Path) -> Iterator[None]:
    """Tell a disk that is full or can't be written in one line, with what is safe.

    Raises:
        UserError: In the place of the disk's own errors.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # the terminal's
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{run}: cannot be saved ({error}); {last_good(run)}; free or name another disk, "
            f"then --resume {run}"
        ) from None


def save(run: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write a checkpoint; it appears whole or not at all.

    Raises:
        UserError: If the disk is full or can't be written; earlier checkpoints are untouched.
    """
    target = folder_of(run, progress.step)
    if target.exists():
        return
    partial = target.with_name(f".{target.name}.partial")
    with saving(run):
        try:
            partial.mkdir(parents=True, exist_ok=True)
            save_file(_contiguous(model.state_dict()), partial / "model.safetensors")
            save_file(_training_state(model, optimizer), partial / "training.safetensors")
            (partial / "state.json").write_text(json.dumps(asdict(progress)))
            for path in (*partial.iterdir(), partial):
                _flush(path)
            partial.rename(target)
            _flush(target.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # there only if something went wrong


def read_progress(run: Path, step: int) -> Progress:
    """Return how far a checkpoint is.

    Raises:
        UserError: If its state.json is missing or damaged.
    """
    path = folder_of(run, step) / "state.json"
    try:
        return Progress(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, error) from None


def load_weights(run: Path, step: int, model: nn.Module) -> None:
    """Copy a checkpoint's weights into a model of the same sizes.

    Raises:
        UserError: If the file is missing, damaged, no safetensors, or of another model.
    """
    path = folder_of(run, step) / "model.safetensors"
    weights = _read(path)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).split("\n\t")[1].strip()
        raise UserError(f"{path}: of another model than config.json says: {first}") from None


def restore(run: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Put a model, its optimizer and the random generators back to where a checkpoint left them.

    Raises:
        UserError: If the checkpoint is missing, damaged or of another model.
    """
    progress = read_progress(run, step)
    load_weights(run, step, model)
    path = folder_of(run, step) / "training.safetensors"
    stored = _read(path)
    try:
        torch.set_rng_state(stored.pop("random.cpu"))
        if "random.cuda" in stored and torch.cuda.is_available():
            torch.cuda.set_rng_state(stored["random.cuda"])
        stored.pop("random.cuda", None)
    except (KeyError, RuntimeError) as error:
        raise _damaged(path, error) from None
    for name, weight in model.named_parameters():
        prefix = f"optimizer.{name}."
        moments = {  # copied: what was read is the file itself, mapped, and that will be deleted
            key.removeprefix(prefix): moment.to(weight.device, copy=True)
            for key, moment in stored.items()
            if key.startswith(prefix)
        }
        # The fused update trusts the sizes: with others it reads memory that is not its own.
        shapes = {tuple(moment.shape) for moment in moments.values() if moment.dim()}
        if shapes != ({tuple(weight.shape)} if progress.step else set()):
            raise UserError(
                f"{path}: of another model than config.json says: {name} is "
                f"{tuple(weight.shape)}, its moments {shapes or 'are missing'}"
            )
        optimizer.state[weight] = moments
    return progress


def prune(run: Path, keep_every: int | None) -> None:
    """Delete all checkpoints but the first, the best, the last and every keep_every-th step's."""
    steps = saved_steps(run)
    losses = {step: read_progress(run, step).val_loss for step in steps}
    evaluated = {step: loss for step, loss in losses.items() if loss is not None}
    best = min(evaluated, key=evaluated.__getitem__, default=steps[-1])
    kept = {steps[0], best, steps[-1]}
    for step in steps:
        if step not in kept and (keep_every is None or step % keep_every):
            # Renamed first: a kill while deleting must not leave half a checkpoint.
            partial = folder_of(run, step).with_name(f".step_{step:08d}.partial")
            folder_of(run, step).rename(partial)
            shutil.rmtree(partial)


def sweep(run: Path) -> None:
    """Delete what a killed process left half written."""
    for partial in run.glob("checkpoints/.step_*.partial"):
        shutil.rmtree(partial, ignore_errors=True)


def last_good(run: Path) -> str:
    """Return in words which checkpoint a run can go on from."""
    steps = saved_steps(run)
    return f"the last good checkpoint is {folder_of(run, steps[-1])}" if steps else "none is saved"


def _training_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    state = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["random.cuda"] = torch.cuda.get_rng_state()
    for name, weight in model.named_parameters():
        for key, moment in optimizer.state[weight].items():
            state[f"optimizer.{name}.{key}"] = moment
    return _contiguous(state)


def _contiguous(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path}: missing or damaged ({' '.join(str(error).split())}); allowed: files that a run "
        f"wrote; delete {path.parent} to go on from the checkpoint before"
    )


def _flush(path: Path) -> None:
    """Make sure that a file or folder is on the disk, where the system can promise it."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
