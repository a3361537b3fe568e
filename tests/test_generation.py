"""Sampling against distributions worked out by hand."""

import pytest
import torch
from torch import nn

from playattention.config import GPTConfig
from playattention.errors import UserError
from playattention.generation import (
    MANY_TOKENS,
    draw_tokens,
    generate,
    next_token_distribution,
    stream,
)
from playattention.models import MODELS, build_model
from playattention.models.model_gpt import GPTModel
from playattention.models.single_tokens import lay_out_for_generation
from tests.models.conftest import CONFIGS, SIZES


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    built = build_model(CONFIGS[request.param](**SIZES)).eval()
    for weight in built.parameters():
        nn.init.normal_(weight, std=0.4)
    return built


PROMPT = torch.tensor([[1, 2, 3], [4, 5, 6]])
LOGITS = torch.tensor([[1.0, 3.0, 2.0, 0.0]])


@pytest.mark.parametrize("prompt_tokens", [1, 3, 7, 12])
def test_cached_generation_equals_uncached_past_the_context_too(
    model: nn.Module, prompt_tokens: int
) -> None:
    prompt = torch.arange(2 * prompt_tokens).view(2, -1) % 11
    cached = generate(model, prompt, 25, generator=seeded())
    uncached = generate(model, prompt, 25, generator=seeded(), use_cache=False)
    assert cached.shape == (2, prompt_tokens + 25)
    assert torch.equal(cached, uncached)


def test_greedy_takes_the_likeliest_token_of_the_whole_context(model: nn.Module) -> None:
    ids = PROMPT
    for _ in range(10):
        logits, _ = model(ids[:, -7:])
        ids = torch.cat([ids, logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(generate(model, PROMPT, 10, temperature=0), ids)


@pytest.mark.parametrize("temperature", [1e-40, 1e-10, 1e-3])
def test_a_tiny_temperature_is_as_good_as_greedy(temperature: float) -> None:
    expected = next_token_distribution(LOGITS, temperature=0)
    assert torch.equal(next_token_distribution(LOGITS, temperature), expected)
    assert expected.tolist() == [[0.0, 1.0, 0.0, 0.0]]


def test_temperature_divides_the_logits() -> None:
    got = next_token_distribution(LOGITS, temperature=2.0)
    torch.testing.assert_close(got, torch.softmax(LOGITS / 2, dim=-1))


def test_top_k_keeps_exactly_k_where_scores_are_equal() -> None:
    got = next_token_distribution(torch.zeros(3, 5), top_k=2)
    assert (got > 0).sum(dim=-1).tolist() == [2, 2, 2]
    assert got.max().item() == 0.5


def test_top_k_beyond_the_vocabulary_keeps_all() -> None:
    torch.testing.assert_close(
        next_token_distribution(LOGITS, top_k=99), torch.softmax(LOGITS, dim=-1)
    )


def test_top_p_keeps_the_token_that_crosses_the_line() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    got = next_token_distribution(logits, top_p=0.6)
    torch.testing.assert_close(got, torch.tensor([[0.5, 0.3, 0.0, 0.0]]) / 0.8)


def test_top_p_keeps_one_token_however_small_p_is() -> None:
    assert next_token_distribution(LOGITS, top_p=1e-9).tolist() == [[0.0, 1.0, 0.0, 0.0]]


def test_top_p_looks_at_the_whole_distribution_not_at_what_top_k_left() -> None:
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    # 0.4 + 0.3 = 0.7 of all: both stay; of what top-2 leaves, 0.4 alone would be 0.57.
    got = next_token_distribution(logits, top_k=2, top_p=0.55)
    torch.testing.assert_close(got, torch.tensor([[0.4, 0.3, 0.0, 0.0]]) / 0.7)


def test_tokens_come_as_often_as_their_probability_says(model: nn.Module) -> None:
    prompt = PROMPT[:1].expand(4000, -1)
    step = next(iter(stream(model, prompt, 1, temperature=0.7, top_k=5, generator=seeded())))
    counts = torch.bincount(step.ids.flatten(), minlength=11)
    expected = step.filtered[0] * 4000
    kept = expected > 0
    assert kept.sum() == 5
    assert not counts[~kept].any()
    chi_square = ((counts - expected)[kept].square() / expected[kept]).sum()
    assert chi_square < 18.5  # 4 degrees of freedom: 0.1 %


def test_stream_yields_what_generate_returns_with_both_distributions(model: nn.Module) -> None:
    steps = list(stream(model, PROMPT, 9, temperature=0.5, top_p=0.9, generator=seeded()))
    whole = generate(model, PROMPT, 9, temperature=0.5, top_p=0.9, generator=seeded())
    assert torch.equal(torch.cat([PROMPT, *(step.ids for step in steps)], dim=1), whole)
    logits, _ = model(PROMPT)
    torch.testing.assert_close(steps[0].raw, torch.softmax(logits[:, -1], dim=-1))
    for step in steps:
        torch.testing.assert_close(step.filtered.sum(-1), torch.ones(2))
        assert (step.filtered.gather(1, step.ids) > 0).all()


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others(model: nn.Module) -> None:
    first, again, other = (generate(model, PROMPT, 40, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_generator_is_not_touched(model: nn.Module) -> None:
    before = torch.get_rng_state()
    generate(model, PROMPT, 5, generator=seeded())
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_in_training_samples_without_dropout_and_trains_on() -> None:
    torch.manual_seed(0)
    model = GPTModel(GPTConfig(**SIZES, dropout=0.5))
    nn.init.normal_(model.head.weight)
    sampled = generate(model.train(), PROMPT, 9, temperature=0)
    assert all(module.training for module in model.modules())
    assert torch.equal(sampled, generate(model.eval(), PROMPT, 9, temperature=0))
    assert not any(module.training for module in model.modules())


def test_turning_the_matrices_around_changes_no_value(model: nn.Module) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    logits, _ = model(PROMPT)
    lay_out_for_generation(model)
    assert any(not weight.is_contiguous() for weight in model.parameters())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])
    torch.testing.assert_close(model(PROMPT)[0], logits)


def test_several_samples_are_those_of_a_prompt_repeated(model: nn.Module) -> None:
    """Past the context too; each text has its own source of randomness."""
    sources = [seeded(number) for number in range(6)]
    together = generate(model, PROMPT, 12, samples=3, generator=sources)
    assert together.shape == (6, 15)
    for number, text in enumerate(together):
        prompt = PROMPT[number // 3][None]
        assert torch.equal(generate(model, prompt, 12, generator=seeded(number))[0], text)


def test_several_samples_compute_the_prompt_once(model: nn.Module) -> None:
    shapes: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape)))
    generate(model, PROMPT, 3, samples=4)
    assert shapes == [(2, 3), (8, 1), (8, 1)]


def test_of_many_tokens_each_comes_as_often_as_its_probability_says() -> None:
    probabilities = torch.zeros(20_000, MANY_TOKENS)
    places = [3, 1000, MANY_TOKENS - 2]  # nothing before the first, nothing behind the last
    probabilities[:, places] = torch.tensor([0.5, 0.2, 0.3])
    counts = torch.bincount(draw_tokens(probabilities, seeded()).flatten(), minlength=MANY_TOKENS)
    assert counts.sum() == counts[places].sum()
    expected = torch.tensor([10_000.0, 4_000.0, 6_000.0])
    chi_square = ((counts[places] - expected).square() / expected).sum()
    assert chi_square < 13.8  # 2 degrees of freedom: 0.1 %


@pytest.mark.parametrize("spread", [0.0, 5.0])
def test_top_p_of_many_tokens_keeps_the_fewest_that_reach_it(spread: float) -> None:
    """Where few are enough, and where nearly all are needed."""
    logits = torch.randn(2, 2 * MANY_TOKENS, generator=seeded()) * spread
    probabilities = torch.softmax(logits.double(), dim=-1)
    kept = next_token_distribution(logits, top_p=0.9) > 0
    for row, stays in zip(probabilities, kept, strict=True):
        assert row[stays].sum() > 0.9 - 1e-4
        assert row[stays].sum() - row[stays].min() < 0.9 + 1e-4
        assert row[stays].min() >= row[~stays].max()


def test_no_new_tokens_gives_the_prompt(model: nn.Module) -> None:
    assert torch.equal(generate(model, PROMPT, 0), PROMPT)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"temperature": -0.1}, "temperature = -0.1: must be 0 (greedy) or more"),
        ({"temperature": float("nan")}, "temperature = nan: must be"),
        ({"top_k": 0}, "top_k = 0: must be 1 or more"),
        ({"top_p": 0.0}, "top_p = 0.0: must be above 0 and at most 1"),
        ({"top_p": 1.5}, "top_p = 1.5: must be above 0 and at most 1"),
        ({"samples": 0}, "samples = 0: must be 1 or more"),
        ({"max_new_tokens": -1}, "max_new_tokens = -1: must be 0 or more"),
        ({"idx": torch.zeros(1, 0, dtype=torch.long)}, "with at least one token"),
    ],
)
def test_a_setting_out_of_range_is_refused_before_the_first_step(
    model: nn.Module, settings: dict[str, object], told: str
) -> None:
    arguments = {"idx": PROMPT, "max_new_tokens": 3} | settings
    with pytest.raises(UserError) as error:
        stream(model, **arguments)
    assert told in str(error.value)
