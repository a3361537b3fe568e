"""The heads of a GPT joined as GPT-2 has them, to generate with.

`model_gpt.py` spells each head out, to be read; for a single token that is as many times the small
operations as there are heads. What is computed is the same. Knows neither sampling nor training.
"""

from typing import cast

import torch
from torch import nn

from playattention.config import GPT2Config
from playattention.models.model_gpt import AttentionHead, MultiHeadAttention
from playattention.models.model_gpt2 import MultiHeadAttention as JoinedHeads


def join_heads(model: nn.Module) -> None:
    """Let every `MultiHeadAttention` of a GPT compute its heads together, from then on.

    Args:
        model: Changed in place; one that has none stays as it is. It is then there to generate
            with: the names of its weights are no longer those of a checkpoint.
    """
    for part in list(model.modules()):
        for name, child in part.named_children():
            if type(child) is MultiHeadAttention:  # a learner's own may compute something else
                setattr(part, name, _joined(child))


def _joined(attention: MultiHeadAttention) -> JoinedHeads:
    """Return GPT-2's attention with the same weights: all queries, then all keys, all values."""
    heads = cast(list[AttentionHead], list(attention.heads))
    width, seq_size = attention.projection.in_features, heads[0].causal_mask.size(0)
    with torch.device("meta"):  # no weight of its own is kept
        joined = JoinedHeads(GPT2Config(n_embd=width, n_head=len(heads), seq_size=seq_size))
    parts = [getattr(head, name).weight for name in ("query", "key", "value") for head in heads]
    joined.query_key_value.weight = nn.Parameter(torch.cat([part.detach() for part in parts]))
    joined.query_key_value.register_parameter("bias", None)  # GPT has none there
    joined.projection, joined.dropout = attention.projection, attention.dropout
    joined.causal_mask, joined.scale = heads[0].causal_mask, heads[0].scale
    return joined.train(attention.training)
