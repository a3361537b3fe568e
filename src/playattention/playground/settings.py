"""Which settings the page may train with, and the words by which the command line is told them.

Does not know processes: `jobs.py` starts them.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from playattention.config import RunConfig
from playattention.data import DATASETS
from playattention.errors import unknown
from playattention.playground.answers_training import RecipeEntry, Setting
from playattention.playground.opened import laptop_config
from playattention.tokenizers import TOKENIZERS
from playattention.training import RECIPES, recipe

QUICK = {
    "steps": 1000,
    "learning_rate": 3e-3,
    "min_learning_rate": 3e-4,
    "warmup_steps": 100,
    "eval_every": 50,
    "keep_every": 250,
    "sample_tokens": 200,
}
"""Of a training that shows something within seconds, and ends in minutes."""
EVAL_TOKENS = 8_000
"""So that frequent evaluations take little of the time."""
RATES = ("learning_rate", "min_learning_rate")
"""Of QUICK, where AdamW updates all weights: what suits Muon is left to its recipe."""

EDITABLE = (
    "data.dataset",
    "data.tokenizer",
    "data.eval_tokens",
    "model.n_layer",
    "model.n_head",
    "model.n_embd",
    "model.seq_size",
    "model.dropout",
    "train.steps",
    "train.batch_size",
    "train.optimizer",
    "train.learning_rate",
    "train.min_learning_rate",
    "train.warmup_steps",
    "train.schedule",
    "train.weight_decay",
    "train.grad_clip",
    "train.eval_every",
    "train.keep_every",
    "train.sample_tokens",
    "train.seed",
)
"""What the page may set; no tracker, which would tell other machines."""


def recipes() -> list[RecipeEntry]:
    """Return the recipes, each with the settings that the page starts it with."""
    return [_entry(name) for name in RECIPES]


def config_for(recipe_name: str, settings: dict[str, Any], threads: int) -> RunConfig:
    """Return the settings of a run.

    Args:
        recipe_name: Its recipe.
        settings: Those that differ from the page's: dotted name -> value.
        threads: How many the training may use.

    Raises:
        UserError: If there is no such recipe or setting, or a value is not usable.
    """
    if recipe_name not in RECIPES:
        raise unknown("recipe", recipe_name, RECIPES)
    changed: dict[str, dict[str, Any]] = {"train": {"threads": threads}}
    for key, value in settings.items():
        if key not in EDITABLE:
            raise unknown("setting", key, EDITABLE)
        part, name = key.split(".")
        changed.setdefault(part, {})[name] = value
    base = _quick(recipe_name)
    if "tokenizer" in changed.get("data", {}) or "dataset" in changed.get("data", {}):
        # What a run takes from its tokenizer must not look as if it was asked for.
        untouched = type(base.model).model_fields["vocab_size"].default
        changed["model"] = {**changed.get("model", {}), "vocab_size": untouched}
    config = base.updated(**changed)
    _check_dataset(config.data.dataset)
    if config.data.tokenizer not in TOKENIZERS:
        raise unknown("tokenizer", config.data.tokenizer, TOKENIZERS)
    return config


def words_for(config: RunConfig) -> list[str]:
    """Return what the command line must be told so that `train` trains with these settings."""
    default = recipe(config.model.name).model_dump()
    words = []
    for part, fields in config.model_dump().items():
        for name, value in fields.items():
            if name == "vocab_size" or value == default[part][name]:
                continue
            prefix = "" if name in ("dataset", "tokenizer") else f"{part}."
            words += [f"--{prefix}{name.replace('_', '-')}", str(value)]
    return words


def _quick(recipe_name: str) -> RunConfig:
    base = laptop_config(recipe_name)
    own = RATES if base.train.optimizer == "muon" else ()
    quick = {name: value for name, value in QUICK.items() if name not in own}
    return base.updated(train=quick, data={"eval_tokens": EVAL_TOKENS})


def _check_dataset(dataset: str) -> None:
    """Check that a data set is registered, or lies below the working folder.

    Raises:
        UserError: If it is neither: a page must not read whatever file it likes.
    """
    if dataset in DATASETS:
        return
    here = Path.cwd().resolve()
    try:
        inside = Path(dataset).resolve().is_relative_to(here) and Path(dataset).exists()
    except (OSError, ValueError):
        inside = False
    if not inside:
        allowed = [*DATASETS, "the path of a text file or a folder of shards below this folder"]
        raise unknown("data set", dataset, allowed)


def _entry(name: str) -> RecipeEntry:
    module = sys.modules[import_module(RECIPES[name].split(":")[0]).__name__]
    title = (module.__doc__ or name).strip().splitlines()[0]
    config = _quick(name)
    return RecipeEntry(name=name, title=title, settings=[_setting(config, key) for key in EDITABLE])


def _setting(config: RunConfig, key: str) -> Setting:
    part, name = key.split(".")
    settings = getattr(config, part)
    field = type(settings).model_fields[name]
    choices = _choices(key, field)
    return Setting(
        key=key,
        type="choice" if choices and key != "data.dataset" else _type(field),
        choices=choices,
        default=getattr(settings, name),
        minimum=_minimum(field),
        help=field.description or "",
    )


def _choices(key: str, field: FieldInfo) -> list[str] | None:
    if key == "data.dataset":
        return [*DATASETS]
    if key == "data.tokenizer":
        return [*TOKENIZERS]
    if get_origin(field.annotation) is Literal:
        return [*get_args(field.annotation)]
    return None


def _type(field: FieldInfo) -> str:
    kinds = get_args(field.annotation) or (field.annotation,)
    return next((kind.__name__ for kind in (int, float, str) if kind in kinds), "str")


def _minimum(field: FieldInfo) -> float | None:
    for limit in field.metadata:
        found = getattr(limit, "ge", None)
        found = getattr(limit, "gt", None) if found is None else found
        if found is not None:
            return float(found)
    return None
