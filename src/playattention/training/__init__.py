"""From settings to a trained model; the recipes: name -> where its settings are."""

from importlib import import_module
from typing import TYPE_CHECKING

from playattention.errors import unknown

if TYPE_CHECKING:
    from playattention.config import RunConfig

RECIPES = {
    "gpt": "playattention.training.train_gpt:RECIPE",
    "gpt2": "playattention.training.train_gpt2:RECIPE",
    "modern": "playattention.training.train_modern:RECIPE",
}


def recipe(name: str) -> "RunConfig":
    """Return a recipe's settings.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    module, attribute = RECIPES[name].split(":")
    found: RunConfig = getattr(import_module(module), attribute)
    return found
