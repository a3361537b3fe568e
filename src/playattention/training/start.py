"""Runs that do not begin from drawn weights, but as GPT-2 was released or where another run stands.

Such a run's `origin.json` names the source and the hash of its weights; they are read from there
until the run has a checkpoint of its own. Does not know command lines, nor how training goes.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from playattention.config import AnyModelConfig, DataConfig, RunConfig
from playattention.errors import UserError, unknown
from playattention.models import build_model, pretrained
from playattention.models.model_gpt2 import GPT2Model
from playattention.tokenizers import GPT2Tokenizer, Tokenizer
from playattention.training import checkpoint
from playattention.training.folder import appearing, read_origin
from playattention.training.optimizer import build_optimizer
from playattention.training.run import (
    LOGS,
    NO_TEXT,
    create_run,
    find_run,
    new_folder,
    new_model,
    read_config,
    read_tokenizer,
    write_files,
)

FREE = {"dropout", "flash_attention"}
"""Settings of a model that any weights go with."""


@dataclass(frozen=True)
class Origin:
    """Where weights are."""

    source: str
    """gpt2, gpt2-medium, ..., or the absolute path of a folder."""
    step: int | None
    """Which checkpoint of a run; None: a folder in the Hugging Face layout, or a released model."""
    sha256: str = ""
    """Of the weights, read into a model."""


@dataclass(frozen=True)
class Start:
    """Weights to begin from, not read yet, and what they ask for."""

    origin: Origin
    model: AnyModelConfig
    tokenizer: Tokenizer


def find_start(init: str) -> Start:
    """Return what a new run can begin from.

    Args:
        init: gpt2, gpt2-medium, gpt2-large or gpt2-xl; a run, whose last checkpoint is taken; or a
            folder in the Hugging Face layout.

    Raises:
        UserError: If it is none of these, or has no weights.
    """
    is_run = Path(init).name == init and (LOGS / init / "config.json").is_file()
    if init in pretrained.REPOSITORIES or (pretrained.is_hugging_face(init) and not is_run):
        return _released(init)
    try:
        folder = find_run(init)
    except UserError as error:
        raise UserError(f"{error}; or {', '.join(pretrained.REPOSITORIES)}") from None
    steps = checkpoint.saved_steps(folder)
    if not steps:
        raise UserError(f"{folder}: has no checkpoint to begin from; --resume {folder} trains it")
    origin = Origin(str(folder.resolve()), steps[-1])
    return Start(origin, read_config(folder).model, read_tokenizer(folder))


def create_run_from(start: Start, config: RunConfig, name: str | None = None) -> Path:
    """Lay out the folder of a new run that begins from given weights; it appears whole.

    Args:
        start: What it begins from.
        config: What the user asked for; its model must be that of the weights.
        name: The folder's name below `logs/`, or a path; default: recipe, time and device.

    Raises:
        UserError: If the settings do not fit the weights or the data, or the folder can't be
            written.
    """
    _check_fits(start, config)
    model = _weights(start.origin, config.model)
    origin = Origin(start.origin.source, start.origin.step, _sha256(model))
    return create_run(config, name, start.tokenizer, asdict(origin))


def check_goes_on(folder: Path, init: str) -> None:
    """Make sure that a run that goes on began from what the user names.

    Raises:
        UserError: If it began from elsewhere.
    """
    began = (read_origin(folder) or {}).get("source", "drawn weights")
    # Its place alone: once a run has checkpoints of its own, what it began from may be gone.
    if began not in (init, str(Path(init).resolve()), str((LOGS / init).resolve())):
        raise UserError(
            f"init = {init}: {folder} goes on, and it began from {began}; allowed: leave it out, "
            "or --run with another name"
        )


def first_model(folder: Path, config: RunConfig) -> nn.Module:
    """Return a run's model as it is before its last checkpoint, if there is one, is restored.

    Raises:
        UserError: If the weights that the run begins from are gone or have changed.
    """
    model = new_model(config, folder)
    stored = read_origin(folder)
    if stored is None or checkpoint.saved_steps(folder):
        return model
    try:
        origin = Origin(**stored)
    except TypeError as error:
        raise UserError(f"{folder / 'origin.json'}: missing or damaged ({error})") from None
    try:
        _load(origin, model)
        told = "its weights are others now"
    except UserError as error:
        told = str(error)
    if _sha256(model) != origin.sha256:
        raise UserError(
            f"{folder}: begins from {origin.source}, but {told}; allowed: the weights that it was "
            "laid out with, or a new run"
        )
    return model


def import_run(source: str, name: str | None = None) -> Path:
    """Make a run of GPT-2's weights, without a text to train on.

    Args:
        source: As in `pretrained.from_pretrained`.
        name: The folder's name below `logs/`, or a path; default: the source's own name.

    Raises:
        UserError: If the weights can't be had, do not go with GPT-2's tokenizer, or the folder
            exists.
    """
    start = _released(source)
    model = _weights(start.origin, start.model)
    config = RunConfig(
        model=start.model, data=DataConfig(dataset=NO_TEXT, tokenizer=start.tokenizer.name)
    )
    folder = new_folder(config, name or Path(source).resolve().name)
    if folder.exists():
        raise UserError(f"{folder}: exists already; allowed: --run with another name")
    origin = Origin(start.origin.source, start.origin.step, _sha256(model))
    try:
        with appearing(folder) as partial:
            write_files(partial, config, start.tokenizer, asdict(origin))
            nothing_done = checkpoint.Progress(step=0, position=0, val_loss=None)
            optimizer = build_optimizer(model, config.train)
            checkpoint.save(partial, nothing_done, model, optimizer)
    except (OSError, UserError) as error:  # in a UserError of saving, the disk's own error
        raise UserError(f"{folder}: cannot be created ({error.__context__ or error})") from None
    return folder


def _released(source: str) -> Start:
    model = pretrained.read_config(source)
    tokenizer = GPT2Tokenizer()
    if model.vocab_size != tokenizer.vocab_size:
        raise UserError(
            f"{source}: has {model.vocab_size} tokens; allowed: the {tokenizer.vocab_size} of the "
            "gpt2 tokenizer (from_pretrained reads it in Python)"
        )
    place = source if source in pretrained.REPOSITORIES else str(Path(source).resolve())
    return Start(Origin(place, None), model, tokenizer)


def _check_fits(start: Start, config: RunConfig) -> None:
    source, held = start.origin.source, start.model
    if config.model.name != held.name:
        raise UserError(
            f"train {config.model.name}: {source} holds weights of {held.name}; "
            f"allowed: train {held.name}"
        )
    if config.data.tokenizer != start.tokenizer.name:
        raise UserError(
            f"tokenizer = {config.data.tokenizer}: the weights of {source} know "
            f"{start.tokenizer.name} tokens; allowed: leave it out"
        )
    # Released weights know no padding, those of a run have the padding of their run.
    free = FREE | ({"vocab_multiple"} if start.origin.step is None else set())
    asked = config.model.model_dump()
    for field, size in held.model_dump().items():
        if field not in free and asked[field] != size:
            raise UserError(
                f"model.{field} = {asked[field]}: the weights of {source} have {size}; "
                "allowed: leave it out"
            )


def _weights(origin: Origin, config: AnyModelConfig) -> nn.Module:
    model = build_model(config)
    _load(origin, model)
    return model


def _load(origin: Origin, model: nn.Module) -> None:
    if origin.step is not None:
        checkpoint.load_weights(Path(origin.source), origin.step, model)
    elif isinstance(model, GPT2Model):
        pretrained.load_weights(origin.source, model)
    else:
        raise unknown("model of these weights", type(model).__name__, ["gpt2"])


def _sha256(model: nn.Module) -> str:
    """Return the hash of all weights, whatever files they lay in."""
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.cpu().contiguous().numpy().data)
    return digest.hexdigest()
