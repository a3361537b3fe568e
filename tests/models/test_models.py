"""What holds for every registered model."""

import math

import pytest
import torch
from torch import nn

from playattention.config import GPT2Config, GPTConfig, ModernConfig
from playattention.models import MODELS, build_model
from playattention.models.kv_cache import KVCache


def ids(batch: int, tokens: int) -> torch.Tensor:
    return torch.randint(0, 11, (batch, tokens), generator=torch.Generator().manual_seed(1))


def test_logits_have_one_score_for_each_token_of_the_vocabulary(model: nn.Module) -> None:
    logits, loss = model(ids(2, 5))
    assert logits.shape == (2, 5, 11)
    assert loss is None


def test_loss_is_the_mean_negative_log_probability_of_the_targets(model: nn.Module) -> None:
    idx = ids(2, 6)
    logits, loss = model(idx[:, :-1], idx[:, 1:])
    probabilities = logits.exp() / logits.exp().sum(-1, keepdim=True)
    by_hand = [-probabilities[b, t, idx[b, t + 1]].log() for b in range(2) for t in range(5)]
    assert loss.item() == pytest.approx(sum(by_hand).item() / 10, rel=1e-12)


def test_a_target_of_minus_100_does_not_count(model: nn.Module) -> None:
    idx = ids(1, 6)
    targets = idx[:, 1:].clone()
    targets[:, 2:] = -100
    _, masked = model(idx[:, :-1], targets)
    _, short = model(idx[:, :2], idx[:, 1:3])
    assert masked.item() == pytest.approx(short.item(), rel=1e-12)


def test_a_later_token_never_changes_an_earlier_logit(model: nn.Module) -> None:
    idx = ids(1, 7)
    before, _ = model(idx)
    for position in range(1, 7):
        changed = idx.clone()
        changed[0, position] = (changed[0, position] + 1) % 11
        after, _ = model(changed)
        assert torch.equal(before[:, :position], after[:, :position])
        assert not torch.allclose(before[:, position:], after[:, position:])


def test_the_order_of_earlier_tokens_matters(model: nn.Module) -> None:
    forward, _ = model(torch.tensor([[1, 2, 3]]))
    swapped, _ = model(torch.tensor([[2, 1, 3]]))
    assert not torch.allclose(forward[:, -1], swapped[:, -1])


def test_more_tokens_than_the_context_are_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="8 tokens: the model takes 7 at most"):
        model(ids(1, 8))


@pytest.mark.parametrize("chunks", [(1, 1), (4, 3), (1, 2, 4), (7,), (6, 1)])
def test_a_cache_gives_the_logits_of_the_whole_text(
    model: nn.Module, chunks: tuple[int, ...]
) -> None:
    idx = ids(2, sum(chunks))
    whole, _ = model(idx)
    cache = KVCache(7)
    parts = [model(part, cache=cache)[0] for part in idx.split(chunks, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-10, atol=1e-10)


def test_a_cleared_cache_has_forgotten_the_text_before(model: nn.Module) -> None:
    cache = KVCache(7)
    model(ids(2, 5), cache=cache)
    cache.clear()
    again, _ = model(ids(2, 3), cache=cache)
    fresh, _ = model(ids(2, 3))
    torch.testing.assert_close(again, fresh, rtol=1e-10, atol=1e-10)


def test_a_cache_that_is_full_is_refused(model: nn.Module) -> None:
    cache = KVCache(7)
    model(ids(1, 7), cache=cache)
    with pytest.raises(ValueError, match="8 tokens"):
        model(ids(1, 1), cache=cache)


def test_every_weight_gets_a_gradient(model: nn.Module) -> None:
    idx = ids(3, 8)
    _, loss = model(idx[:, :-1], idx[:, 1:])
    loss.backward()
    idle = [name for name, weight in model.named_parameters() if not weight.grad.abs().sum() > 0]
    assert idle == []


@pytest.mark.parametrize("name", MODELS)
def test_dropout_acts_in_training_alone(name: str) -> None:
    config = {"gpt": GPTConfig, "gpt2": GPT2Config, "modern": ModernConfig}[name]
    built = build_model(config(vocab_size=11, seq_size=7, n_embd=12, n_head=3, dropout=0.5))
    for weight in built.parameters():  # none may be zero, as the first ones of some are
        nn.init.normal_(weight, std=0.5)
    idx = ids(1, 7)
    assert not torch.equal(built(idx)[0], built(idx)[0])
    built.eval()
    assert torch.equal(built(idx)[0], built(idx)[0])


@pytest.mark.parametrize(
    "config",
    [
        GPTConfig(),
        GPTConfig(n_embd=768, n_head=12, n_layer=2),
        GPT2Config(vocab_size=65, seq_size=64, n_embd=128, n_head=4, n_layer=4),
        GPT2Config(seq_size=64, n_embd=256, n_head=4, n_layer=4),
        ModernConfig(),
    ],
    ids=str,
)
def test_an_untrained_model_finds_every_token_about_equally_likely(config: GPTConfig) -> None:
    torch.manual_seed(0)
    built = build_model(config)
    idx = torch.randint(0, config.vocab_size, (8, config.seq_size + 1))
    with torch.no_grad():
        _, loss = built(idx[:, :-1], idx[:, 1:])
    assert loss.item() == pytest.approx(math.log(config.vocab_size), abs=0.1)
