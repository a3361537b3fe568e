"""Modern: what changed since GPT-2, in one decoder that learns the same from far fewer steps.

No table of positions: queries and keys are turned by an angle that grows with the position (rotary
positions, Su et al. 2021, arXiv 2104.09864). Norms divide by the root mean square alone and have
no weights (Zhang and Sennrich 2019, arXiv 1910.07467); queries and keys are normed too (Henry et
al. 2020, arXiv 2010.04245). The activation is ReLU squared (So et al. 2021, arXiv 2109.08668).
No biases; the output head has a table of its own. What is written into the stream begins at zero.
It knows nothing of text, devices or training.

Shapes:  B batch    T tokens    S tokens seen so far (T, and those in the cache)
         C channels (n_embd)    H heads    D head size (C / H)    V vocabulary
"""

import torch
import torch.nn.functional as F
from torch import nn

from playattention.config import ModernConfig
from playattention.models.kv_cache import KVCache


class Rotation(nn.Module):
    """Turns each pair of channels by its own speed times the position (Su et al. 2021, 3.2.2).

    The score of a query and a key then depends on how far apart they are, not on where.

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        pairs = config.head_size // 2
        # From one radian a token down to 1/10,000: near things are told apart, and far ones.
        speeds = 10_000.0 ** -(torch.arange(pairs) / pairs)
        angles = torch.outer(torch.arange(config.seq_size), speeds)
        self.cosines: torch.Tensor
        self.sines: torch.Tensor
        self.register_buffer("cosines", angles.cos(), persistent=False)
        self.register_buffer("sines", angles.sin(), persistent=False)

    def forward(self, x: torch.Tensor, start: int) -> torch.Tensor:
        """Return what was turned, the first token at position start: (B, H, T, D) -> the same."""
        T = x.size(2)
        cosine = self.cosines[start : start + T]  # (T, D/2)
        sine = self.sines[start : start + T]  # (T, D/2)
        first, second = x.chunk(2, dim=-1)  # (B, H, T, D/2)
        first_turned = first * cosine - second * sine  # (B, H, T, D/2)
        second_turned = second * cosine + first * sine  # (B, H, T, D/2)
        return torch.cat([first_turned, second_turned], dim=-1)


class MultiHeadAttention(nn.Module):
    """All heads of a block at once (Vaswani et al. 2017, section 3.2.2).

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.flash_attention = config.flash_attention
        self.query_key_value = nn.Linear(config.n_embd, 3 * config.n_embd, bias=False)
        self.query_norm = nn.RMSNorm(config.head_size, elementwise_affine=False)
        self.key_norm = nn.RMSNorm(config.head_size, elementwise_affine=False)
        self.rotation = Rotation(config)
        self.projection = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.attention_dropout = nn.Dropout(config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.scale = config.head_size**-0.5
        may_look = torch.ones(config.seq_size, config.seq_size, dtype=torch.bool).tril()
        self.causal_mask: torch.Tensor
        self.register_buffer("causal_mask", may_look, persistent=False)

    def forward(self, x: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Return what the heads found, for each token: (B, T, C) -> (B, T, C)."""
        fused = self.query_key_value(x)  # (B, T, 3C)
        query, key, value = (self._split(part) for part in fused.chunk(3, dim=-1))  # (B, H, T, D)
        query_normed = self.query_norm(query)  # (B, H, T, D)
        key_normed = self.key_norm(key)  # (B, H, T, D)
        start = cache.length if cache else 0
        query_turned = self.rotation(query_normed, start)  # (B, H, T, D)
        key_turned = self.rotation(key_normed, start)  # (B, H, T, D)
        keys, values = (
            cache.append(self, key_turned, value) if cache else (key_turned, value)
        )  # (B, H, S, D)
        attend = self._attend_fused if self.flash_attention else self._attend
        mixed = attend(query_turned, keys, values)  # (B, H, T, D)
        joined = mixed.transpose(1, 2).flatten(2)  # (B, T, C)
        projected = self.projection(joined)  # (B, T, C)
        return self.dropout(projected)

    def _split(self, fused: torch.Tensor) -> torch.Tensor:
        """Give each head its own channels: (B, T, C) -> (B, H, T, D)."""
        B, T, _ = fused.shape
        return fused.view(B, T, self.n_head, -1).transpose(1, 2)

    def _attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Attend step by step: (B, H, T, D) and twice (B, H, S, D) -> (B, H, T, D)."""
        T, S = query.size(2), keys.size(2)
        scores = query @ keys.transpose(2, 3)  # (B, H, T, S)
        scaled = scores * self.scale  # (B, H, T, S)
        masked = scaled.where(self.causal_mask[S - T : S, :S], float("-inf"))  # (B, H, T, S)
        weights = F.softmax(masked, dim=-1)  # (B, H, T, S)
        dropped = self.attention_dropout(weights)  # (B, H, T, S)
        mixed = dropped @ values  # (B, H, T, D)
        return mixed

    def _attend_fused(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Attend in one fused operation: (B, H, T, D) and twice (B, H, S, D) -> (B, H, T, D)."""
        T, S = query.size(2), keys.size(2)
        whole = 1 < T == S  # PyTorch's own causal mask starts at the top left: right only then
        mask = None if whole or T == 1 else self.causal_mask[S - T : S, :S]
        dropout = self.attention_dropout.p if self.training else 0.0
        return F.scaled_dot_product_attention(
            query, keys, values, mask, dropout, is_causal=whole, scale=self.scale
        )


class FeedForward(nn.Module):
    """Two layers that each token passes alone, four times as wide in between.

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.expand = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)
        self.contract = nn.Linear(4 * config.n_embd, config.n_embd, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return each token's new features: (B, T, C) -> (B, T, C)."""
        hidden = self.expand(x)  # (B, T, 4C)
        rectified = F.relu(hidden)  # (B, T, 4C)
        activated = rectified * rectified  # (B, T, 4C)
        contracted = self.contract(activated)  # (B, T, C)
        return self.dropout(contracted)


class TransformerBlock(nn.Module):
    """Communication, then computation; each adds to the stream of its input.

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.n_embd, elementwise_affine=False)
        self.attention = MultiHeadAttention(config)
        self.feed_forward_norm = nn.RMSNorm(config.n_embd, elementwise_affine=False)
        self.feed_forward = FeedForward(config)

    def forward(self, x: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Return the stream with this block's two additions: (B, T, C) -> (B, T, C)."""
        attention_input = self.attention_norm(x)  # (B, T, C)
        attended = self.attention(attention_input, cache)  # (B, T, C)
        x_attended = x + attended  # (B, T, C)
        feed_forward_input = self.feed_forward_norm(x_attended)  # (B, T, C)
        computed = self.feed_forward(feed_forward_input)  # (B, T, C)
        return x_attended + computed


class ModernModel(nn.Module):
    """Token ids in, a score for every possible next token out.

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.embedding_norm = nn.RMSNorm(config.n_embd, elementwise_affine=False)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.n_layer))
        self.final_norm = nn.RMSNorm(config.n_embd, elementwise_affine=False)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self._init_weights()

    def _init_weights(self) -> None:
        """Draw the first weights: each block begins as the identity, every token as likely."""
        for name, weight in self.named_parameters():
            if name.endswith(("projection.weight", "contract.weight", "head.weight")):
                nn.init.zeros_(weight)
            elif name.endswith(("query_key_value.weight", "expand.weight")):
                nn.init.normal_(weight, std=(3 * self.config.n_embd) ** -0.5)
        # Normed at once: all that its size sets is how far a step of the optimizer turns it.
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def forward(
        self,
        idx: torch.Tensor,
        targets: torch.Tensor | None = None,
        cache: KVCache | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the scores of the next token at every position, and the loss.

        Args:
            idx: Token ids (B, T).
            targets: The tokens that do come next (B, T); those at -100 do not count.
            cache: Holds the tokens before idx; takes up idx.

        Returns:
            Logits (B, T, V); mean cross-entropy in nats per token, or None without targets.

        Raises:
            ValueError: If the tokens, with those in the cache, are more than seq_size.
        """
        T = idx.size(1)
        start = cache.length if cache else 0
        if start + T > self.config.seq_size:
            raise ValueError(f"{start + T} tokens: the model takes {self.config.seq_size} at most")

        token_embedded = self.token_embedding(idx)  # (B, T, C)
        embedded = self.embedding_norm(token_embedded)  # (B, T, C)
        x = self.dropout(embedded)  # (B, T, C)
        for block in self.blocks:
            x = block(x, cache)  # (B, T, C)
        if cache:
            cache.advance(T)
        normed = self.final_norm(x)  # (B, T, C)
        logits = self.head(normed)  # (B, T, V)
        if targets is None:
            return logits, None
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return logits, loss
