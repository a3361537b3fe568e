"""The update and the learning rate, against the papers' formulas written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from playattention.config import GPT2Config, GPTConfig, TrainConfig
from playattention.models import build_model
from playattention.training.optimizer import build_optimizer, learning_rate

SIZES = {"vocab_size": 5, "seq_size": 4, "n_embd": 4, "n_head": 2, "n_layer": 1}

GPT_DECAYS = [
    "token_embedding.weight",
    "position_embedding.weight",
    "blocks.0.attention.heads.0.query.weight",
    "blocks.0.attention.heads.0.key.weight",
    "blocks.0.attention.heads.0.value.weight",
    "blocks.0.attention.heads.1.query.weight",
    "blocks.0.attention.heads.1.key.weight",
    "blocks.0.attention.heads.1.value.weight",
    "blocks.0.attention.projection.weight",
    "blocks.0.feed_forward.expand.weight",
    "blocks.0.feed_forward.contract.weight",
    "head.weight",
]
GPT_STAYS = [
    "blocks.0.attention_norm.weight",
    "blocks.0.attention_norm.bias",
    "blocks.0.attention.projection.bias",
    "blocks.0.feed_forward_norm.weight",
    "blocks.0.feed_forward_norm.bias",
    "blocks.0.feed_forward.expand.bias",
    "blocks.0.feed_forward.contract.bias",
    "final_norm.weight",
    "final_norm.bias",
]
GPT2_DECAYS = [
    "token_embedding.weight",
    "position_embedding.weight",
    "blocks.0.attention.query_key_value.weight",
    "blocks.0.attention.projection.weight",
    "blocks.0.feed_forward.expand.weight",
    "blocks.0.feed_forward.contract.weight",
]
GPT2_STAYS = [
    "blocks.0.attention_norm.weight",
    "blocks.0.attention_norm.bias",
    "blocks.0.attention.query_key_value.bias",
    "blocks.0.attention.projection.bias",
    "blocks.0.feed_forward_norm.weight",
    "blocks.0.feed_forward_norm.bias",
    "blocks.0.feed_forward.expand.bias",
    "blocks.0.feed_forward.contract.bias",
    "final_norm.weight",
    "final_norm.bias",
]


@pytest.mark.parametrize(
    ("sizes", "decays", "stays"),
    [
        (GPTConfig(**SIZES), GPT_DECAYS, GPT_STAYS),
        (GPT2Config(**SIZES), GPT2_DECAYS, GPT2_STAYS),
    ],
    ids=["gpt", "gpt2"],
)
def test_matrices_decay_and_norms_and_biases_do_not(sizes, decays: list[str], stays: list[str]):
    """Every weight is in one of the two groups, once."""
    model = build_model(sizes)
    optimizer = build_optimizer(model, TrainConfig(weight_decay=0.3))
    name_of = {weight: name for name, weight in model.named_parameters()}
    groups = [
        (group["weight_decay"], sorted(name_of[weight] for weight in group["params"]))
        for group in optimizer.param_groups
    ]
    assert groups == [(0.3, sorted(decays)), (0.0, sorted(stays))]


@pytest.mark.parametrize("shape", [(3, 2), (3,)], ids=["matrix", "bias"])
def test_a_step_is_adamw_as_in_the_paper(shape: tuple[int, ...]):
    """Algorithm 2 of Loshchilov and Hutter (2019), written out in float64, three steps."""
    torch.manual_seed(0)
    holder = nn.Module()
    holder.weight = nn.Parameter(torch.randn(shape))
    config = TrainConfig(learning_rate=0.01, betas=(0.8, 0.95), weight_decay=0.2)
    optimizer = build_optimizer(holder, config)
    decay = 0.2 if len(shape) == 2 else 0.0
    expected = holder.weight.detach().double()
    first, second = torch.zeros(shape).double(), torch.zeros(shape).double()
    for step in (1, 2, 3):
        gradient = torch.randn(shape)
        holder.weight.grad = gradient.clone()
        optimizer.step()

        gradient = gradient.double()
        first = 0.8 * first + (1 - 0.8) * gradient
        second = 0.95 * second + (1 - 0.95) * gradient**2
        unbiased_first, unbiased_second = first / (1 - 0.8**step), second / (1 - 0.95**step)
        update = unbiased_first / (unbiased_second.sqrt() + 1e-8)
        expected = expected - 0.01 * update - 0.01 * decay * expected
        torch.testing.assert_close(holder.weight.detach().double(), expected, atol=1e-6, rtol=0)


def config_of(**settings: object) -> TrainConfig:
    """Return a schedule with round numbers."""
    defaults = {"learning_rate": 1.0, "min_learning_rate": 0.2, "warmup_steps": 10}
    return TrainConfig(**{**defaults, **settings})


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.1),  # the first is a part of the highest, not 0
        (4, 0.5),
        (9, 1.0),  # the warm-up's last step
        (10, 1.0),  # where the cosine begins
        (30, 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2),  # a quarter of the cosine: cos(45°)
        (50, 0.6),  # its middle
        (90, 0.2),  # the last step
        (91, 0.2),
        (10_000, 0.2),
    ],
)
def test_the_learning_rate_rises_in_a_line_and_falls_as_a_cosine(step: int, rate: float):
    assert learning_rate(step, 91, config_of()) == pytest.approx(rate, abs=1e-12)


def test_without_a_warm_up_the_first_step_has_the_highest_rate():
    config = config_of(warmup_steps=0)
    assert [learning_rate(step, 3, config) for step in range(3)] == pytest.approx([1.0, 0.6, 0.2])


@pytest.mark.parametrize(("step", "rate"), [(0, 0.1), (9, 1.0), (10, 1.0), (90, 1.0), (999, 1.0)])
def test_a_constant_schedule_stays_up_after_the_warm_up(step: int, rate: float):
    assert learning_rate(step, 91, config_of(schedule="constant")) == pytest.approx(rate)


@given(
    step=st.integers(0, 300),
    steps=st.integers(1, 200),
    warmup_steps=st.integers(0, 200),
    schedule=st.sampled_from(["cosine", "constant"]),
)
@settings(deadline=None)
def test_no_step_of_any_schedule_leaves_the_range(
    step: int, steps: int, warmup_steps: int, schedule: str
):
    """However short the run: above 0, never above the highest, and never rising again."""
    config = config_of(warmup_steps=warmup_steps, schedule=schedule)
    rate, following = (learning_rate(at, steps, config) for at in (step, step + 1))
    assert 0 < rate <= 1.0
    if step >= warmup_steps:
        assert following <= rate
