"""Small models of every registered kind, at sizes that all differ, and tokens for them."""

import importlib.util
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from playattention.config import GPT2Config, GPTConfig, ModernConfig
from playattention.models import MODELS, build_model

SIZES = {"vocab_size": 11, "seq_size": 7, "n_embd": 12, "n_head": 3, "n_layer": 2}
CONFIGS = {"gpt": GPTConfig, "gpt2": GPT2Config, "modern": ModernConfig}


def small_model(name: str) -> nn.Module:
    """Return a registered model with random weights large enough to matter, evaluating."""
    torch.manual_seed(0)
    built = build_model(CONFIGS[name](**SIZES)).eval()
    for weight in built.parameters():
        nn.init.normal_(weight, std=0.5)
    return built


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    """A registered model."""
    return small_model(request.param)


@pytest.fixture
def gpt() -> nn.Module:
    """GPT alone, for what does not depend on the model."""
    return small_model("gpt")


@pytest.fixture
def idx() -> torch.Tensor:
    """Token ids (B, T) = (2, 5)."""
    return torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


@pytest.fixture
def targets() -> torch.Tensor:
    """The tokens that come next (2, 5); one does not count."""
    return torch.tensor([[1, 4, 1, 5, -100], [2, 6, 5, 3, 10]])


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Callable[[str, str], ModuleType]]:
    """Write a learner's file and import it, as `import NAME` would."""
    names = []

    def write(name: str, text: str) -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield write
    for name in names:
        del sys.modules[name]
    linecache.clearcache()
