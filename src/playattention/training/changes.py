"""What may change when a run goes on, and what each change means, said before the first step.

Does not know how training goes; it compares settings and machines.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playattention.config import RunConfig
from playattention.data import load_corpus
from playattention.errors import UserError
from playattention.training import checkpoint
from playattention.training.distributed import decide, machine
from playattention.training.folder import read_json
from playattention.training.optimizer import learning_rate
from playattention.training.run import read_config, read_facts, write_settings
from playattention.training.tracker import check_tracker

CHANGEABLE = {"data.eval_tokens"}
FIXED_IN_TRAIN = {"train.seed"}


def apply_changes(folder: Path, wanted: RunConfig) -> list[str]:
    """Take new settings into a run that goes on, and return what to tell the user.

    Args:
        folder: The run.
        wanted: Its settings, with some of train's (but not the seed), or eval_tokens, changed.

    Raises:
        UserError: If a setting was changed that makes another run; names it and both values.
    """
    stored = read_config(folder)
    check_tracker(wanted.train.tracker)
    decided = wanted.updated(train=decide(wanted.train))
    if decided.data.dataset != stored.data.dataset:  # the same text may be named in other ways
        name = load_corpus(decided.data.dataset).name
        decided = decided.updated(data={"dataset": name})
    changes = list(_differences(stored.model_dump(), decided.model_dump()))
    for field, before, after in changes:
        is_free = field.startswith("train.") and field not in FIXED_IN_TRAIN
        if not is_free and field not in CHANGEABLE:
            raise UserError(
                f"{field} = {after}: {folder} has {before}, and it can't change when a run goes "
                "on; allowed: train.* but seed, data.eval_tokens; or start a new run"
            )
    told = [f"{field}: {before} -> {after}" for field, before, after in changes]
    told += [*_schedule(folder, stored, decided), *_machines(folder)]
    asked = {field for field, *_ in _differences(stored.model_dump(), wanted.model_dump())}
    if too_late := [change for change in changes if change[0] in asked]:
        _refuse_where_nothing_is_left(folder, decided, *too_late[0])
    if changes:
        _write_config(folder, decided)
    return told


def _refuse_where_nothing_is_left(
    folder: Path, after: RunConfig, field: str, old: object, new: object
) -> None:
    """Keep the settings that a run was trained with, where no step is left to change."""
    steps = after.steps(read_facts(folder).train_tokens)
    if max(checkpoint.saved_steps(folder), default=0) >= steps:
        raise UserError(
            f"{field} = {new}: {folder} has done all of its {steps:,} steps with {old}; "
            f"allowed: {old}, or --train.steps above {steps} beside it"
        )


def _write_config(folder: Path, config: RunConfig) -> None:
    """Replace a run's settings by one rename.

    Raises:
        UserError: If the disk is full or can't be written; the settings stay as they were.
    """
    path, partial = folder / "config.json", folder / ".config.json.partial"
    try:
        write_settings(partial, config)
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def _differences(
    before: dict[str, Any], after: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name}", old, new


def _schedule(folder: Path, before: RunConfig, after: RunConfig) -> Iterator[str]:
    """Say what another number of steps does to the learning rate."""
    train_tokens = read_facts(folder).train_tokens
    old, new = before.steps(train_tokens), after.steps(train_tokens)
    saved = checkpoint.saved_steps(folder)
    if old == new or not saved:
        return
    step = saved[-1]
    if step >= new:
        raise UserError(f"steps = {new}: {folder} has done {step} already; allowed: more than that")
    if new <= after.train.warmup_steps:
        yield f"all {new} steps are warm-up (warmup_steps = {after.train.warmup_steps})"
        return
    last = learning_rate(max(0, step - 1), old, before.train)
    following = learning_rate(step, new, after.train)
    yield (
        f"the {after.train.schedule} schedule now ends at step {new}: the learning rate goes from "
        f"{last:.2e} at step {step} to {following:.2e} at step {step + 1}, and on from there"
    )


def _machines(folder: Path) -> Iterator[str]:
    """Say where this machine differs from the one that the run began on."""
    here = machine()
    for fact, before in read_json(folder / "machine.json").items():
        if here.get(fact) != before:
            yield f"{fact}: {before} at the start, {here.get(fact)} here: last bits may differ"
