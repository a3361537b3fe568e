"""The update and the learning rate, against the papers' formulas written out."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from playattention.config import GPT2Config, GPTConfig, ModernConfig, TrainConfig
from playattention.models import build_model
from playattention.training import optimizer as optimizer_module
from playattention.training.optimizer import (
    ADAMW_SIZE,
    Muon,
    build_optimizer,
    learning_rate,
    orthogonal,
)

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
MODERN_DECAYS = [
    "token_embedding.weight",
    "blocks.0.attention.query_key_value.weight",
    "blocks.0.attention.projection.weight",
    "blocks.0.feed_forward.expand.weight",
    "blocks.0.feed_forward.contract.weight",
    "head.weight",
]


@pytest.mark.parametrize(
    ("sizes", "decays", "stays"),
    [
        (GPTConfig(**SIZES), GPT_DECAYS, GPT_STAYS),
        (GPT2Config(**SIZES), GPT2_DECAYS, GPT2_STAYS),
        (ModernConfig(**SIZES), MODERN_DECAYS, []),
    ],
    ids=["gpt", "gpt2", "modern"],
)
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_matrices_decay_and_norms_and_biases_do_not(
    sizes, decays: list[str], stays: list[str], optimizer: str
):
    """Every weight is in one group, once; Muon turns the matrices in blocks and no others."""
    model = build_model(sizes)
    built = build_optimizer(model, TrainConfig(weight_decay=0.3, optimizer=optimizer))
    name_of = {weight: name for name, weight in model.named_parameters()}
    groups = [
        (
            group.get("turned", False),
            group["weight_decay"],
            sorted(name_of[weight] for weight in group["params"]),
        )
        for group in built.param_groups
    ]
    inside = [name for name in decays if name.startswith("blocks") and optimizer == "muon"]
    outside = [name for name in decays if name not in inside]
    expected = [(True, 0.3, sorted(inside)), (False, 0.3, sorted(outside)), (False, 0.0, stays)]
    found = [group for group in groups if group[2]]
    assert found == [(turned, rate, sorted(names)) for turned, rate, names in expected if names]


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


# Muon.


def with_singular_values(rows: int, columns: int, values: torch.Tensor) -> torch.Tensor:
    """Return a matrix with random directions and these singular values, float64."""
    left = torch.linalg.qr(torch.randn(rows, len(values), dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(columns, len(values), dtype=torch.float64))[0]
    return left @ values.double().diag() @ right.T


@pytest.mark.parametrize("shape", [(12, 48), (48, 12), (24, 24)], ids=["wide", "tall", "square"])
@pytest.mark.parametrize(("times", "low", "high"), [(3, 0.18, 1.9), (5, 0.86, 1.14)])
def test_turned_matrices_keep_their_directions_and_lose_their_sizes(
    shape: tuple[int, int], times: int, low: float, high: float
):
    """Of one that is 30 times another both come near 1: after three products only within 0.2 to
    1.9, after five within 1/8; the directions stay."""
    torch.manual_seed(0)
    values = torch.logspace(0, -1.5, min(shape))
    matrix = with_singular_values(*shape, 7 * values)
    found = orthogonal(matrix, times)
    sizes = torch.linalg.svdvals(found)
    assert low < sizes.min() <= sizes.max() < high
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ found @ right.T
    torch.testing.assert_close(inside, inside.diag().diag(), rtol=0, atol=1e-9)
    assert inside.diag().min() > 0


def test_matrices_that_are_turned_together_are_turned_alone():
    torch.manual_seed(0)
    several = torch.randn(3, 6, 10, dtype=torch.float64)
    alone = torch.stack([orthogonal(one) for one in several])
    torch.testing.assert_close(orthogonal(several), alone)
    assert not orthogonal(torch.zeros(2, 6, 10)).any()


def turned(rows: int = 6, columns: int = 10, **settings: object) -> tuple[nn.Parameter, Muon]:
    """Return a random matrix and what turns it."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(rows, columns, dtype=torch.float64))
    given = {"lr": 0.03, "betas": (0.9, 0.99), "momentum": 0.8, "fused": False, **settings}
    group = {"params": [weight], "weight_decay": 0.2, "turned": True}
    return weight, Muon([group], **given)


def test_a_step_of_muon_is_its_papers_written_out():
    """Jordan et al. (2024), with the size of Liu et al. (2025, 2.2), in float64, three steps."""
    weight, optimizer = turned()
    expected, mean = weight.detach().clone(), torch.zeros(6, 10, dtype=torch.float64)
    for _ in range(3):
        gradient = torch.randn(6, 10, dtype=torch.float64)
        weight.grad = gradient.clone()
        optimizer.step()
        mean = 0.8 * mean + (1 - 0.8) * gradient
        ahead = (1 - 0.8) * gradient + 0.8 * mean
        step = orthogonal(ahead[None])[0] * 0.2 * math.sqrt(10)
        expected = expected * (1 - 0.03 * 0.2) - 0.03 * step
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-12, atol=1e-12)
        assert torch.equal(weight.grad, gradient)
    torch.testing.assert_close(optimizer.state[weight]["momentum"], mean)
    assert [*optimizer.state[weight]] == ["momentum"]


@pytest.mark.skipif("Muon" not in vars(torch.optim), reason="this PyTorch has none")
@pytest.mark.parametrize(("times", "alike"), [(3, 0.85), (5, 0.97)])
def test_a_step_goes_where_the_one_of_torch_goes(
    times: int, alike: float, monkeypatch: pytest.MonkeyPatch
):
    """Theirs are five other polynomials in bfloat16: with five of ours it is nearly the same."""
    monkeypatch.setattr(optimizer_module, "orthogonal", partial(orthogonal, times=times))
    weight, optimizer = turned(32, 48)
    other = nn.Parameter(weight.detach().float())
    theirs = torch.optim.Muon(
        [other], lr=0.03, weight_decay=0.2, momentum=0.8, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(3):
        before, their_before = weight.detach().clone(), other.detach().clone()
        weight.grad = torch.randn(32, 48, dtype=torch.float64)
        other.grad = weight.grad.float()
        optimizer.step()
        theirs.step()
        step = weight.detach() - before * (1 - 0.03 * 0.2)
        their_step = (other.detach() - their_before * (1 - 0.03 * 0.2)).double()
        cosine = (step * their_step).sum() / (step.norm() * their_step.norm())
        assert cosine > alike
        assert times == 3 or step.norm() / their_step.norm() == pytest.approx(1, abs=0.2)


def test_a_step_is_about_as_large_as_those_of_adamw():
    weight, optimizer = turned(32, 48)
    weight.grad = torch.randn(32, 48, dtype=torch.float64)
    before = weight.detach() * (1 - 0.03 * 0.2)
    optimizer.step()
    size = (weight.detach() - before).square().mean().sqrt().item() / 0.03
    # Of all entries; 32 singular values near 1 share 32 x 48 of them.
    assert size == pytest.approx(ADAMW_SIZE, rel=0.2)


@pytest.mark.parametrize("fused", [False, True])
def test_all_other_weights_take_torchs_own_step_of_adamw(fused: bool):
    """Bit for bit, three steps of GPT's embeddings, head, norms and biases."""
    model, twin = (seeded(GPTConfig(**SIZES)) for _ in range(2))
    config = TrainConfig(weight_decay=0.3, fused_adamw=fused)
    ours = build_optimizer(model, config.model_copy(update={"optimizer": "muon"}))
    theirs = build_optimizer(twin, config)
    inside = {w for group in ours.param_groups if group["turned"] for w in group["params"]}
    others = [
        (own, other)
        for own, other in zip(model.parameters(), twin.parameters(), strict=True)
        if own not in inside
    ]
    assert len(others) == 3 + 9
    for _ in range(3):
        for own, other in zip(model.parameters(), twin.parameters(), strict=True):
            own.grad = torch.randn_like(own)
            other.grad = own.grad.clone()
        ours.step()
        theirs.step()
        for own, other in others:
            assert torch.equal(own, other)
            for name, kept in theirs.state[other].items():
                assert torch.equal(ours.state[own][name], kept), name


def seeded(sizes: GPTConfig) -> nn.Module:
    """Return a new model, the same each time."""
    torch.manual_seed(0)
    return build_model(sizes)


def test_a_state_that_is_restored_goes_on_as_if_nothing_had_been():
    """Bit for bit, after two steps in other hands."""
    config = TrainConfig(optimizer="muon")

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, numbers: range) -> None:
        for number in numbers:
            torch.manual_seed(number)
            for weight in model.parameters():
                weight.grad = torch.randn_like(weight)
            optimizer.step()

    whole, first, second = (seeded(ModernConfig(**SIZES)) for _ in range(3))
    steps(whole, build_optimizer(whole, config), range(4))
    before = build_optimizer(first, config)
    steps(first, before, range(2))
    second.load_state_dict(first.state_dict())
    after = build_optimizer(second, config)
    after.load_state_dict(before.state_dict())
    steps(second, after, range(2, 4))
    for one, other in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_weight_without_a_gradient_is_left_alone():
    model = seeded(ModernConfig(**SIZES))
    optimizer = build_optimizer(model, TrainConfig(optimizer="muon"))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.blocks[0].feed_forward.expand.weight.grad = torch.ones(16, 4)
    optimizer.step()
    changed = [
        name for name, weight in model.state_dict().items() if (weight != before[name]).any()
    ]
    assert changed == ["blocks.0.feed_forward.expand.weight", "head.weight"]


# Learning rate.


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


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.1), (9, 1.0), (10, 1.0), (30, 0.8), (50, 0.6), (90, 0.2), (91, 0.2), (10_000, 0.2)],
)
def test_a_linear_schedule_falls_in_a_line(step: int, rate: float):
    assert learning_rate(step, 91, config_of(schedule="linear")) == pytest.approx(rate)


@given(
    step=st.integers(0, 300),
    steps=st.integers(1, 200),
    warmup_steps=st.integers(0, 200),
    schedule=st.sampled_from(["cosine", "linear", "constant"]),
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
