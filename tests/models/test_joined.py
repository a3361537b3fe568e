"""Heads joined to generate with, against the heads spelled out."""

import pytest
import torch
from torch import nn

from playattention.config import GPTConfig
from playattention.generation import generate
from playattention.models import MODELS, build_model
from playattention.models.joined import JoinedHeads, join_heads
from playattention.models.kv_cache import KVCache
from playattention.models.model_gpt import GPTModel, MultiHeadAttention
from tests.models.conftest import CONFIGS, SIZES

PROMPT = torch.tensor([[1, 2, 3], [4, 5, 6]])


def two(name: str) -> tuple[nn.Module, nn.Module]:
    """Return a model twice, the second one with its heads joined."""
    torch.manual_seed(0)
    config = CONFIGS[name](**SIZES)
    one, other = build_model(config).eval(), build_model(config).eval()
    for weight in one.parameters():
        nn.init.normal_(weight, std=0.4)
    other.load_state_dict(one.state_dict())
    join_heads(other)
    return one, other


@pytest.mark.parametrize("name", MODELS)
def test_joined_heads_write_the_same_tokens(name: str) -> None:
    """Also past the context, where the cache begins anew, and without a cache."""
    spelled, joined = two(name)
    length = SIZES["seq_size"] + 5
    for use_cache in (True, False):
        texts = [
            generate(
                model,
                PROMPT,
                length,
                generator=torch.Generator().manual_seed(1),
                use_cache=use_cache,
            )
            for model in (spelled, joined)
        ]
        assert torch.equal(*texts)


def test_joined_heads_compute_the_same_logits_in_pieces() -> None:
    """One token, then two, then one: each mask is another."""
    spelled, joined = two("gpt")
    assert any(isinstance(part, JoinedHeads) for part in joined.modules())
    whole = spelled(PROMPT[:, :3])[0]
    torch.testing.assert_close(joined(PROMPT[:, :3])[0], whole, rtol=1e-4, atol=1e-4)
    cache = KVCache(SIZES["seq_size"])
    parts = [joined(PROMPT[:, a:b], cache=cache)[0] for a, b in ((0, 1), (1, 3))]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-4)


def test_a_learners_own_attention_stays_as_it_is() -> None:
    class Own(MultiHeadAttention):
        """Computes something else."""

    model = GPTModel(GPTConfig(**SIZES))
    model.blocks[0].attention = Own(model.config)  # type: ignore[assignment]
    join_heads(model)
    assert type(model.blocks[0].attention) is Own
