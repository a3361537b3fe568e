"""Which runs there are, what they know, and what to ask them first."""

from pathlib import Path
from typing import Annotated

from fastapi import Query

from playattention.bench.sizes import weights
from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.playground.answers import Examples, RunEntry, Vocabulary
from playattention.playground.opened import Shelf, config_of
from playattention.playground.requests import ExamplesQuery, VocabularyQuery
from playattention.playground.routes import Asked, group
from playattention.playground.routes.looking import sizes_of
from playattention.playground.texts import examples
from playattention.training.checkpoint import read_progress
from playattention.training.report import read_log
from playattention.training.run import NO_TEXT, read_facts

router = group("shelf")


@router.get("/runs")
def runs(asked: Asked) -> list[RunEntry]:
    """Return all runs, the first of which the page begins with."""
    return [_entry(asked.shelf, name) for name in asked.shelf.names()]


@router.get("/examples")
def examples_of(asked: Asked, query: Annotated[ExamplesQuery, Query()]) -> Examples:
    """Return texts to begin with."""
    opened = asked.open(query.run)
    return Examples(texts=examples(opened))


@router.get("/vocabulary")
def vocabulary(asked: Asked, query: Annotated[VocabularyQuery, Query()]) -> Vocabulary:
    """Return tokens by their numbers."""
    tokenizer = asked.open(query.run).tokenizer
    end = min(query.start + query.count, tokenizer.vocab_size)
    return Vocabulary(
        size=tokenizer.vocab_size,
        start=query.start,
        tokens=[tokenizer.decode([id_]) for id_ in range(query.start, end)],
    )


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
