"""GPT: a Transformer decoder with every attention head spelled out.

Read it from the bottom up or from the top down; nothing is elsewhere but the sizes (`config.py`)
and the cache of generation (`kv_cache.py`). It follows Vaswani et al. 2017, "Attention is all you
need", with learned positions and the norms placed first, as in GPT-2. It knows nothing of text,
devices or training.

Shapes:  B batch    T tokens    S tokens seen so far (T, and those in the cache)
         C channels (n_embd)    H heads    D head size (C / H)    V vocabulary
"""

import torch
import torch.nn.functional as F
from torch import nn

from playattention.config import GPTConfig
from playattention.models.kv_cache import KVCache


class AttentionHead(nn.Module):
    """One head: each token asks a question and mixes the answers of those before it (3.2.1).

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.query = nn.Linear(config.n_embd, config.head_size, bias=False)
        self.key = nn.Linear(config.n_embd, config.head_size, bias=False)
        self.value = nn.Linear(config.n_embd, config.head_size, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        # Without it, scores grow with head_size, and softmax becomes a hard choice.
        self.scale = config.head_size**-0.5
        may_look = torch.ones(config.seq_size, config.seq_size, dtype=torch.bool).tril()
        self.causal_mask: torch.Tensor
        self.register_buffer("causal_mask", may_look, persistent=False)

    def forward(self, x: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Return for each token a mix of the values it looks at: (B, T, C) -> (B, T, D)."""
        query = self.query(x)  # (B, T, D)
        key = self.key(x)  # (B, T, D)
        value = self.value(x)  # (B, T, D)
        keys, values = cache.append(self, key, value) if cache else (key, value)  # (B, S, D)
        T, S = query.size(1), keys.size(1)

        scores = query @ keys.transpose(1, 2)  # (B, T, S)
        scaled = scores * self.scale  # (B, T, S)
        masked = scaled.where(self.causal_mask[S - T : S, :S], float("-inf"))  # (B, T, S)
        weights = F.softmax(masked, dim=-1)  # (B, T, S)
        dropped = self.dropout(weights)  # (B, T, S)
        mixed = dropped @ values  # (B, T, D)
        return mixed


class MultiHeadAttention(nn.Module):
    """Several heads side by side, their results joined and projected back (3.2.2).

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads = nn.ModuleList(AttentionHead(config) for _ in range(config.n_head))
        self.projection = nn.Linear(config.n_embd, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Return what the heads found, for each token: (B, T, C) -> (B, T, C)."""
        mixed = [head(x, cache) for head in self.heads]  # H x (B, T, D)
        joined = torch.cat(mixed, dim=-1)  # (B, T, C)
        projected = self.projection(joined)  # (B, T, C)
        return self.dropout(projected)


class FeedForward(nn.Module):
    """Two layers that each token passes alone, four times as wide in between (3.3).

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.expand = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.contract = nn.Linear(4 * config.n_embd, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return each token's new features: (B, T, C) -> (B, T, C)."""
        hidden = self.expand(x)  # (B, T, 4C)
        activated = F.relu(hidden)  # (B, T, 4C)
        contracted = self.contract(activated)  # (B, T, C)
        return self.dropout(contracted)


class TransformerBlock(nn.Module):
    """Communication, then computation; each adds to the stream of its input (Xiong et al. 2020).

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.n_embd)
        self.attention = MultiHeadAttention(config)
        self.feed_forward_norm = nn.LayerNorm(config.n_embd)
        self.feed_forward = FeedForward(config)

    def forward(self, x: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Return the stream with this block's two additions: (B, T, C) -> (B, T, C)."""
        attention_input = self.attention_norm(x)  # (B, T, C)
        attended = self.attention(attention_input, cache)  # (B, T, C)
        x_attended = x + attended  # (B, T, C)
        feed_forward_input = self.feed_forward_norm(x_attended)  # (B, T, C)
        computed = self.feed_forward(feed_forward_input)  # (B, T, C)
        return x_attended + computed


class GPTModel(nn.Module):
    """Token ids in, a score for every possible next token out.

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.seq_size, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.n_layer))
        self.final_norm = nn.LayerNorm(config.n_embd)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self._init_weights()

    def _init_weights(self) -> None:
        """Draw the first weights: each layer keeps the size of its input within bounds."""
        width = self.config.n_embd
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.45 * width**-0.5)  # 0.016 at GPT-2's width
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # Small logits: every token about equally likely, a first loss of ln(V) at any width.
        nn.init.normal_(self.head.weight, std=0.1 * width**-0.5)

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

        positions = torch.arange(start, start + T, device=idx.device)  # (T)
        token_embedded = self.token_embedding(idx)  # (B, T, C)
        position_embedded = self.position_embedding(positions)  # (T, C)
        embedded = token_embedded + position_embedded  # (B, T, C)
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
