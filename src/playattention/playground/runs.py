"""The list of runs: what each is, from its files alone.

Does not know weights.
"""

from pathlib import Path

from playattention.bench.sizes import weights
from playattention.config import AnyModelConfig, RunConfig
from playattention.errors import UserError
from playattention.playground.answers import RunEntry, Sizes
from playattention.playground.opened import Shelf, config_of
from playattention.training.checkpoint import read_progress
from playattention.training.folder import CODE
from playattention.training.report import read_log
from playattention.training.run import NO_TEXT, read_facts


def entries(shelf: Shelf) -> list[RunEntry]:
    """Return all runs; before the others the one of the command line, then what can be opened."""
    found = [_entry(shelf, name) for name in shelf.names()]
    first = 0 if shelf.extra is None else 1
    return found[:first] + sorted(found[first:], key=_order)


def sizes_of(config: AnyModelConfig) -> Sizes:
    """Return a model's sizes."""
    return Sizes(**{name: getattr(config, name) for name in Sizes.model_fields})


def _order(entry: RunEntry) -> tuple[bool, bool]:
    closed = entry.error is not None or entry.step is None
    return entry.kind == "untrained", closed


def _entry(shelf: Shelf, name: str) -> RunEntry:
    """Return what a run's files say, without its weights."""
    entry = RunEntry(name=name, kind="run")
    try:
        known = shelf.find(name)
        config = config_of(known)
        entry.kind = "run" if known.path else "untrained"
        entry.model = config.model.name
        entry.dataset = Path(config.data.dataset).name
        entry.tokenizer = config.data.tokenizer
        entry.steps = [*known.steps]
        entry.step = known.steps[-1] if known.steps else None
        entry.sizes = sizes_of(config.model)
        if known.path is None or not (known.path / CODE).is_dir():
            entry.parameters = sum(weights(config.model).values())
        if known.path is not None and config.data.dataset != NO_TEXT:
            _training(entry, known.path, config)
    except (UserError, OSError) as error:
        entry.error = " ".join(str(error).split())
    return entry


def _training(entry: RunEntry, folder: Path, config: RunConfig) -> None:
    facts = read_facts(folder)
    entry.floor = facts.floor
    entry.planned = config.steps(facts.train_tokens)
    if entry.step is None:
        return
    entry.val_loss = read_progress(folder, entry.step).val_loss
    if entry.val_loss is None:  # it was stopped between two evaluations
        found = [row.eval_val_loss for row in read_log(folder) if row.eval_val_loss is not None]
        entry.val_loss = found[-1] if found else None
