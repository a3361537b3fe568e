"""playattention: understand attention and Transformers by reading, training and looking inside.

Every public name loads on first use, so that what needs no torch does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playattention import xray
    from playattention.config import (
        DataConfig,
        GPT2Config,
        GPTConfig,
        RunConfig,
        TrainConfig,
    )
    from playattention.errors import UserError
    from playattention.generation import generate, stream
    from playattention.models.kv_cache import KVCache
    from playattention.models.model_gpt import GPTModel
    from playattention.models.model_gpt2 import GPT2Model
    from playattention.models.pretrained import from_pretrained
    from playattention.tokenizers import CharTokenizer, GPT2Tokenizer
    from playattention.training.run import load_run

__version__ = "0.1.0"

_HOME = {
    "GPTConfig": "config",
    "GPT2Config": "config",
    "DataConfig": "config",
    "TrainConfig": "config",
    "RunConfig": "config",
    "UserError": "errors",
    "CharTokenizer": "tokenizers",
    "GPT2Tokenizer": "tokenizers",
    "GPTModel": "models.model_gpt",
    "GPT2Model": "models.model_gpt2",
    "from_pretrained": "models.pretrained",
    "KVCache": "models.kv_cache",
    "generate": "generation",
    "stream": "generation",
    "load_run": "training.run",
}

__all__ = [
    "CharTokenizer",
    "DataConfig",
    "GPT2Config",
    "GPT2Model",
    "GPT2Tokenizer",
    "GPTConfig",
    "GPTModel",
    "KVCache",
    "RunConfig",
    "TrainConfig",
    "UserError",
    "from_pretrained",
    "generate",
    "load_run",
    "stream",
    "xray",
]


def __getattr__(name: str) -> object:
    if name == "xray":
        return import_module("playattention.xray")
    if name not in _HOME:
        raise AttributeError(f"module 'playattention' has no attribute '{name}'")
    return getattr(import_module(f"playattention.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
