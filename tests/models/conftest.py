"""Small models of every registered kind, at sizes that all differ."""

import pytest
import torch
from torch import nn

from playattention.config import GPT2Config, GPTConfig, ModernConfig
from playattention.models import MODELS, build_model

SIZES = {"vocab_size": 11, "seq_size": 7, "n_embd": 12, "n_head": 3, "n_layer": 2}
CONFIGS = {"gpt": GPTConfig, "gpt2": GPT2Config, "modern": ModernConfig}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    """A registered model with random weights large enough to matter, in float64."""
    torch.manual_seed(0)
    built = build_model(CONFIGS[request.param](**SIZES)).double().eval()
    for weight in built.parameters():
        nn.init.normal_(weight, std=0.5)
    return built
