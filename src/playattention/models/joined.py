"""The heads of a GPT side by side in one product, to generate with.

`model_gpt.py` spells each head out, to be read; for a single token that is four times as many small
operations as there need be. What is computed is the same: the rows of all heads' matrices stand in
one. Knows neither sampling nor training.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from playattention.models.kv_cache import KVCache
from playattention.models.model_gpt import AttentionHead, MultiHeadAttention


def join_heads(model: nn.Module) -> None:
    """Let every `MultiHeadAttention` of a model compute its heads together, from then on.

    Args:
        model: Changed in place; one that has none stays as it is. It is then there to generate
            with: the names of its weights are no longer those of a checkpoint.
    """
    for part in list(model.modules()):
        for name, child in part.named_children():
            if type(child) is MultiHeadAttention:  # a learner's own may compute something else
                setattr(part, name, JoinedHeads(child))


class JoinedHeads(nn.Module):
    """What `MultiHeadAttention` computes, without dropout.

    Args:
        attention: Whose weights it takes.
    """

    def __init__(self, attention: MultiHeadAttention) -> None:
        super().__init__()
        heads = cast(list[AttentionHead], list(attention.heads))
        self.n_head, self.scale = len(heads), heads[0].scale
        rows = [getattr(head, name).weight for name in ("query", "key", "value") for head in heads]
        fused = torch.cat([row.detach() for row in rows])  # (3C, C)
        self.query_key_value = nn.Linear(fused.size(1), fused.size(0), bias=False, device="meta")
        self.query_key_value.weight = nn.Parameter(fused, requires_grad=False)
        self.projection = attention.projection
        self.causal_mask: torch.Tensor
        self.register_buffer("causal_mask", heads[0].causal_mask, persistent=False)

    def forward(self, x: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Return what the heads found, for each token: (B, T, C) -> (B, T, C)."""
        B, T, _ = x.shape
        fused = self.query_key_value(x).view(B, T, 3 * self.n_head, -1).transpose(1, 2)
        query, key, value = fused.chunk(3, dim=1)  # (B, H, T, D)
        keys, values = cache.append(self, key, value) if cache else (key, value)  # (B, H, S, D)
        S = keys.size(2)
        whole = T == S  # PyTorch's own causal mask starts at the top left: right only then
        mask = None if whole or T == 1 else self.causal_mask[S - T : S, :S]
        mixed = F.scaled_dot_product_attention(
            query, keys, values, mask, is_causal=whole and T > 1, scale=self.scale
        )
        projected: torch.Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return projected
