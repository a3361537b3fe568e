"""Weights and operations are counted on real models: by hand, and by PyTorch's own counter."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from playattention.bench.sizes import flops_per_token, multiplied_weights, remembered, weights
from playattention.config import GPT2Config, GPTConfig, ModernConfig, TrainConfig
from playattention.models import build_model
from playattention.training.optimizer import build_optimizer

SIZES = {"n_embd": 24, "n_head": 3, "n_layer": 2, "seq_size": 16, "vocab_size": 53}
PLACES = {
    "token embedding": ["token_embedding"],
    "position embedding": ["position_embedding"],
    "attention": ["attention."],
    "feed-forward": ["feed_forward."],
    "norms": ["norm."],
    "output head": ["head.weight"],
}


@pytest.mark.parametrize("kind", [GPTConfig, GPT2Config, ModernConfig])
def test_the_weights_by_part_are_those_of_the_model(kind: Any):
    parts = dict.fromkeys(weights(kind(**SIZES)), 0)
    for name, weight in build_model(kind(**SIZES)).named_parameters():
        (part,) = [
            part for part, places in PLACES.items() if any(place in name for place in places)
        ]
        parts[part] += weight.numel()
    assert parts == weights(kind(**SIZES))


@pytest.mark.parametrize(
    ("preset", "millions"),
    [("gpt2", 124.4), ("gpt2-medium", 354.8), ("gpt2-large", 774.0), ("gpt2-xl", 1557.6)],
)
def test_the_released_sizes_have_the_weights_they_are_known_for(preset: str, millions: float):
    model = GPT2Config.preset(preset, vocab_multiple=1)
    assert sum(weights(model).values()) / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.parametrize("kind", [GPTConfig, GPT2Config, ModernConfig])
def test_the_operations_are_those_that_pytorch_counts(kind: Any):
    """Two for each weight and token forward, four backward, and all T x T scores."""
    explicit = {} if kind is GPTConfig else {"flash_attention": False}
    explicit |= {"vocab_multiple": 1} if kind is GPT2Config else {}
    config = kind(**SIZES, **explicit)
    model = build_model(config)
    idx = torch.zeros((3, config.seq_size), dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        _, loss = model(idx, idx)
        loss.backward()
    assert counter.get_total_flops() == flops_per_token(config) * idx.numel()


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("kind", [GPTConfig, GPT2Config, ModernConfig])
def test_what_the_optimizer_remembers_is_counted(kind: Any, optimizer: str):
    """Two moments of each weight; one of a matrix that Muon turns."""
    config = kind(**SIZES)
    model, train = build_model(config), TrainConfig(optimizer=optimizer)
    built = build_optimizer(model, train)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    built.step()
    kept = [value for state in built.state.values() for value in state.values()]
    assert sum(value.numel() for value in kept if value.dim()) == remembered(config, train)


def test_padding_rows_do_no_useful_work():
    padded, bare = (GPT2Config(**SIZES, vocab_multiple=multiple) for multiple in (64, 1))
    assert multiplied_weights(padded) == multiplied_weights(bare)
    assert weights(padded)["token embedding"] == 64 * 24
