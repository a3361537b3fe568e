"""The registered models: name -> where its class is. Torch is imported when one is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

from playattention.errors import unknown

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from playattention.config import AnyModelConfig

MODELS = {
    "gpt": "playattention.models.model_gpt:GPTModel",
    "gpt2": "playattention.models.model_gpt2:GPT2Model",
    "modern": "playattention.models.model_modern:ModernModel",
}


def model_class(name: str) -> "type[nn.Module]":
    """Return a registered model's class.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    module, attribute = MODELS[name].split(":")
    found: type[nn.Module] = getattr(import_module(module), attribute)
    return found


def build_model(config: "AnyModelConfig", code: "Path | None" = None) -> "nn.Module":
    """Return a new model of these sizes, its weights drawn from torch's global generator.

    Args:
        config: The sizes, and which model it is.
        code: A folder with other code to build it from: see `own.py`. It is run.

    Raises:
        UserError: If there is no model of that name, or the other code stops with an error.
    """
    if code is None:
        return model_class(config.name)(config)
    own: nn.Module = import_module("playattention.models.own").own_model(code, config)
    return own
