"""Checkpoints: what a run needs to go on bit for bit, in files that hold no code.

Each is a folder `checkpoints/step_00000250/` with the weights (`model.safetensors`), the
optimizer's moments and random states (`training.safetensors`) and the rest (`state.json`). It is
written beside its place and appears by one rename, so a reader finds a whole one or none. All of
it is whole tensors, gathered from the ranks that hold shares: any number of ranks can go on.
Does not know the loop, nor what a model is made of.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from playattention.errors import UserError
from playattention.training.distributed import gathered, on_first, rank
from playattention.training.named import named_weights, shapes, tied

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""Tensors as one process would have them, on rank 0 alone."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    step: int
    """Optimizer steps done."""
    position: int
    """Windows taken from the training stream."""
    val_loss: float | None
    """Validation loss at this step in nats per token; None where it was not evaluated."""
    scaler: dict[str, float] = field(default_factory=dict)
    """State of fp16's gradient scaler; empty in other formats."""


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
    """Write a checkpoint; it appears whole or not at all. All ranks call it, and rank 0 writes.

    Raises:
        UserError: If the disk is full or can't be written; earlier checkpoints are untouched.
    """
    if on_first(folder_of(run, progress.step).exists):
        return
    weights: Any = get_model_state_dict(model, options=WHOLE)
    for name in tied(model):
        weights.pop(name, None)
    training = _training_state(model, optimizer)
    if rank() == 0:
        _write(folder_of(run, progress.step), progress, weights, training)


def _write(
    target: Path,
    progress: Progress,
    weights: dict[str, torch.Tensor],
    training: dict[str, torch.Tensor],
) -> None:
    partial = target.with_name(f".{target.name}.partial")
    with saving(target.parents[1]):
        try:
            partial.mkdir(parents=True, exist_ok=True)
            save_file(_contiguous(weights), partial / "model.safetensors")
            save_file(_contiguous(training), partial / "training.safetensors")
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
    weights: Any = _read(path)
    own = shapes(model)
    stored = {name: tuple(weight.shape) for name, weight in weights.items()}
    if own != stored:
        name = next(name for name in {**own, **stored} if own.get(name) != stored.get(name))
        raise UserError(
            f"{path}: of another model than config.json says: {name} is "
            f"{stored.get(name, 'missing')}, the model has {own.get(name, 'none')}"
        )
    # Not strict: a tied weight is stored once, and that the names are right has been seen.
    options = StateDictOptions(full_state_dict=True, strict=not tied(model))
    set_model_state_dict(model, weights, options=options)


def load_moments(run: Path, step: int) -> dict[str, dict[str, torch.Tensor]]:
    """Return the optimizer's state at a checkpoint: name of a weight -> kind -> numbers.

    Returns:
        AdamW's kinds: exp_avg and exp_avg_sq, of the weight's shape, and step (); Muon's for a
        matrix that it turns: momentum. Nothing at step 0.

    Raises:
        UserError: If the file is missing, damaged, or no safetensors.
    """
    return _moments(_read(folder_of(run, step) / "training.safetensors"))


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
        _restore_random_states(stored, progress.step)
    except (KeyError, RuntimeError) as error:
        raise _damaged(path, error) from None
    moments = _moments(stored)
    for name, weight in named_weights(model):
        # The fused update trusts the sizes: with others it reads memory that is not its own.
        shapes = {tuple(moment.shape) for moment in moments.get(name, {}).values() if moment.dim()}
        if shapes != ({tuple(weight.shape)} if progress.step else set()):
            raise UserError(
                f"{path}: of another model than config.json says: {name} is "
                f"{tuple(weight.shape)}, its moments {shapes or 'are missing'}"
            )
    if moments:
        _set_moments(model, optimizer, moments)
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
    state: dict[str, torch.Tensor] = {}
    own = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        own["cuda"] = torch.cuda.get_rng_state()
    for number, random in enumerate(gathered(own)):
        state |= {f"random.{number}.{kind}": numbers for kind, numbers in random.items()}
    if optimizer.state:  # before the first step there is none, and asking would make a step
        moments: Any = get_optimizer_state_dict(model, optimizer, options=WHOLE)
        for name, kinds in moments.get("state", {}).items():  # empty but on rank 0
            state |= {f"optimizer.{name}.{kind}": moment for kind, moment in kinds.items()}
    return state


def _moments(stored: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    moments: dict[str, dict[str, torch.Tensor]] = {}
    for key, moment in stored.items():
        if key.startswith("optimizer."):
            name, kind = key.removeprefix("optimizer.").rsplit(".", 1)
            # Copied: what was read is the file itself, mapped, and that will be deleted.
            moments.setdefault(name, {})[kind] = moment.clone()
    return moments


def _restore_random_states(stored: dict[str, torch.Tensor], step: int) -> None:
    """Put this rank's random generators back; a rank that was not there gets numbers of its own."""
    if f"random.{rank()}.cpu" not in stored:
        first = stored["random.0.cpu"]  # what a run must have
        torch.set_rng_state(first)
        torch.manual_seed(hash((torch.initial_seed(), rank(), step)))
        return
    torch.set_rng_state(stored[f"random.{rank()}.cpu"])
    on_gpu = stored.get(f"random.{rank()}.cuda")
    if on_gpu is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(on_gpu)


def _set_moments(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    moments: dict[str, dict[str, torch.Tensor]],
) -> None:
    """Give the optimizer its moments; its rates and decays stay those of the settings."""
    settings = get_optimizer_state_dict(model, optimizer, options=StateDictOptions())
    state: Any = {"state": moments, "param_groups": settings["param_groups"]}
    set_optimizer_state_dict(
        model, optimizer, state, options=StateDictOptions(full_state_dict=True)
    )


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
