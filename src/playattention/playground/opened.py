"""Models ready to be looked into: a run's checkpoint, or an untrained model of a recipe.

Which runs the page may name is decided here: folders of `logs/`, the one of the command line, and
`untrained:RECIPE`. Does not know what is done with them.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from playattention.config import RunConfig
from playattention.data import playhouse
from playattention.errors import UserError, unknown
from playattention.models import build_model
from playattention.tokenizers import CharTokenizer, Tokenizer
from playattention.training import RECIPES, recipe
from playattention.training.checkpoint import folder_of, saved_steps
from playattention.training.run import LOGS, all_runs, find_run, load_run, read_config

UNTRAINED = "untrained:"
LAPTOP = {"n_layer": 4, "n_head": 4, "n_embd": 128, "seq_size": 64}
"""Sizes of an untrained model: those of the GPT recipe, which answer at once."""
VOCABULARY_CHARS = 100_000
"""Characters of the playhouse after which each of its letters has come."""


class MissingError(UserError):
    """There is nothing of that name: a run, a checkpoint, a value."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A model with what is needed to ask it."""

    name: str
    path: Path | None
    """The run's folder; None: an untrained model."""
    config: RunConfig
    tokenizer: Tokenizer
    model: nn.Module
    """On the CPU, in evaluation mode."""
    step: int

    @property
    def nbytes(self) -> int:
        """Memory of the weights."""
        return sum(weight.nbytes for weight in (*self.model.parameters(), *self.model.buffers()))


@dataclass(frozen=True)
class Known:
    """A run as its folder tells it, before it is opened."""

    name: str
    path: Path | None
    steps: tuple[int, ...]
    """Checkpoints, ascending."""

    def step(self, wanted: int | None) -> int:
        """Return which checkpoint is meant.

        Raises:
            MissingError: If there is no such, or none at all.
        """
        if not self.steps:
            raise MissingError(f"run '{self.name}': has no checkpoint yet; wait for its first")
        if wanted is None:
            return self.steps[-1]
        if wanted not in self.steps:
            allowed = ", ".join(map(str, self.steps))
            raise MissingError(
                f"step = {wanted}: run '{self.name}' has no such checkpoint; allowed: {allowed}"
            )
        return wanted

    def stamp(self, step: int) -> tuple[int, int]:
        """Return what another checkpoint of the same step would have otherwise."""
        if self.path is None:
            return 0, 0
        try:
            found = (folder_of(self.path, step) / "model.safetensors").stat()
        except OSError as error:
            raise MissingError(
                f"run '{self.name}': step {step} can't be read ({error.strerror})"
            ) from None
        return found.st_mtime_ns, found.st_ino


class Shelf:
    """The runs that the page may name.

    Args:
        extra: A run beside those of `logs/`, by its name there or its path; the page's first.

    Raises:
        UserError: If there is no such run.
    """

    def __init__(self, extra: str | None = None) -> None:
        self.extra = None if extra is None else find_run(extra)

    def names(self) -> list[str]:
        """Return all names: the extra run, then the newest first, then untrained models."""
        folders = sorted(all_runs(), key=_changed, reverse=True)
        names = [folder.name for folder in folders]
        first = [] if self.extra is None else [self._name_of(self.extra)]
        return [*dict.fromkeys([*first, *names]), *(UNTRAINED + name for name in RECIPES)]

    def find(self, name: str) -> Known:
        """Return a run.

        Raises:
            MissingError: If there is none of that name.
        """
        if name.startswith(UNTRAINED) and name.removeprefix(UNTRAINED) in RECIPES:
            return Known(name, None, (0,))
        folder: Path | None = LOGS / name
        if self.extra is not None and name == self._name_of(self.extra):
            folder = self.extra
        elif Path(name).name != name or name.startswith("."):
            folder = None  # a page must not open whatever folder it likes
        if folder is None or not _is_run(folder):
            raise MissingError(str(unknown("run", name, self.names())))
        return Known(name, folder, tuple(saved_steps(folder)))

    def _name_of(self, folder: Path) -> str:
        """Return how the page calls the extra run: by its name, or its path if that is taken."""
        taken = LOGS / folder.name
        same = folder.resolve() == taken.resolve()
        return folder.name if same or not taken.exists() else str(folder)


def opened(known: Known, step: int) -> Opened:
    """Return a model with its weights.

    Raises:
        UserError: If the folder is damaged, or of another version.
    """
    if known.path is None:
        return untrained(known.name)
    try:
        run = load_run(known.path, step)
    except OSError as error:  # the folder vanished meanwhile
        raise MissingError(
            f"run '{known.name}': can't be read ({error.strerror or error})"
        ) from None
    return Opened(known.name, known.path, run.config, run.tokenizer, run.model, step)


def untrained(name: str) -> Opened:
    """Return a model of a recipe as it is before the first step.

    Args:
        name: `untrained:` and the recipe's name.
    """
    config = laptop_config(name.removeprefix(UNTRAINED))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        model = build_model(config.model)
    return Opened(name, None, config, playhouse_tokenizer(), model.eval(), 0)


def laptop_config(recipe_name: str) -> RunConfig:
    """Return a recipe's settings at a laptop's size, on the playhouse, letter by letter.

    Raises:
        UserError: If there is no such recipe.
    """
    return recipe(recipe_name).updated(
        model={**LAPTOP, "vocab_size": playhouse_tokenizer().vocab_size},
        data={"dataset": "playhouse", "tokenizer": "char"},
        train={"batch_size": 12, "tokens_per_step": None},
    )


@cache
def playhouse_tokenizer() -> CharTokenizer:
    """Return the tokenizer that a run on the playhouse has."""
    return CharTokenizer(playhouse.write(VOCABULARY_CHARS))


def config_of(known: Known) -> RunConfig:
    """Return a run's settings without its weights.

    Raises:
        UserError: If they are missing or damaged.
    """
    if known.path is None:
        return laptop_config(known.name.removeprefix(UNTRAINED))
    return read_config(known.path)


def _is_run(folder: Path) -> bool:
    try:
        return (folder / "config.json").is_file()
    except (OSError, ValueError):  # a name that is too long for the system, or has a zero in it
        return False


def _changed(folder: Path) -> float:
    """Return when a run last got a checkpoint, or was laid out."""
    places = [path for path in (folder, folder / "checkpoints") if path.exists()]
    try:
        return max(path.stat().st_mtime for path in places)
    except (OSError, ValueError):  # it vanished meanwhile
        return 0.0
