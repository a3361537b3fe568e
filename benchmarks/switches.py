"""GPT-2's form with a switch for each change since, for `since_gpt2.py`.

The registered models have no switches, so the one here stands in for both: `check_same` tells
whether it computes what `GPT2Model` does with all changes off, and what `ModernModel` does with all
of them on.
"""

import torch
import torch.nn.functional as F
from torch import nn

from playattention.config import GPT2Config, ModernConfig
from playattention.models.model_gpt2 import GPT2Model
from playattention.models.model_modern import ModernModel, Rotation

SIZES = ModernConfig(n_layer=4, n_head=4, n_embd=128, seq_size=64)
CHANGES = (
    "rotary positions",
    "RMS norm",
    "QK-norm",
    "ReLU squared",
    "no biases",
    "untied head",
    "zero init",
    "Muon",
)


class Block(nn.Module):
    """A Transformer block in which each change can be made.

    Args:
        changes: Those that are made.
    """

    def __init__(self, changes: frozenset[str]) -> None:
        super().__init__()
        width, bias = SIZES.n_embd, "no biases" not in changes
        self.changes = changes
        self.attention_norm, self.feed_forward_norm = norm(changes), norm(changes)
        self.query_key_value = nn.Linear(width, 3 * width, bias)
        self.projection = nn.Linear(width, width, bias)
        self.expand = nn.Linear(width, 4 * width, bias)
        self.contract = nn.Linear(4 * width, width, bias)
        self.rotation = Rotation(SIZES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stream with this block's two additions: (B, T, C) -> (B, T, C)."""
        parts = self.query_key_value(self.attention_norm(x)).chunk(3, dim=-1)
        heads = (part.unflatten(2, (SIZES.n_head, -1)).transpose(1, 2) for part in parts)
        query, key, value = heads  # (B, H, T, D)
        if "QK-norm" in self.changes:
            query, key = (F.rms_norm(each, each.shape[-1:]) for each in (query, key))
        if "rotary positions" in self.changes:
            query, key = self.rotation(query, 0), self.rotation(key, 0)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).flatten(2))
        hidden = self.expand(self.feed_forward_norm(x))
        if "ReLU squared" in self.changes:
            rectified = F.relu(hidden)
            activated = rectified * rectified
        else:
            activated = F.gelu(hidden, approximate="tanh")
        return x + self.contract(activated)


class Changed(nn.Module):
    """GPT-2 with some of the changes.

    Args:
        changes: Those that are made.
    """

    def __init__(self, changes: frozenset[str]) -> None:
        super().__init__()
        self.config, self.changes = SIZES, changes
        self.token_embedding = nn.Embedding(SIZES.vocab_size, SIZES.n_embd)
        if "rotary positions" not in changes:
            self.position_embedding = nn.Embedding(SIZES.seq_size, SIZES.n_embd)
        self.blocks = nn.ModuleList(Block(changes) for _ in range(SIZES.n_layer))
        self.final_norm = norm(changes)
        self.head = nn.Linear(SIZES.n_embd, SIZES.vocab_size, bias=False)
        self._init_weights()
        if "untied head" not in changes:
            self.head.weight = self.token_embedding.weight

    def _init_weights(self) -> None:
        """Draw weights as GPT-2 does, or as the modern model does what a change is about."""
        zero = "zero init" in self.changes
        for name, weight in self.named_parameters():
            if name.endswith(("projection.weight", "contract.weight")):
                nn.init.normal_(weight, std=0.0 if zero else 0.02 * (2 * SIZES.n_layer) ** -0.5)
            elif weight.dim() == 2:
                inside = zero and "blocks" in name
                nn.init.normal_(weight, std=(3 * SIZES.n_embd) ** -0.5 if inside else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        if "untied head" in self.changes and zero:
            nn.init.zeros_(self.head.weight)
        if "rotary positions" not in self.changes:
            nn.init.normal_(self.position_embedding.weight, std=0.01)

    def forward(
        self, idx: torch.Tensor, targets: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits (B, T, V) and the loss, as the registered models do."""
        x = self.token_embedding(idx)
        if "rotary positions" not in self.changes:
            x = x + self.position_embedding.weight[: idx.size(1)]
        if {"RMS norm", "untied head"} <= self.changes:  # the modern model's norm of embeddings
            x = F.rms_norm(x, x.shape[-1:])
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.final_norm(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def norm(changes: frozenset[str]) -> nn.Module:
    """Return a norm of the channels."""
    if "RMS norm" in changes:
        return nn.RMSNorm(SIZES.n_embd, elementwise_affine=False)
    return nn.LayerNorm(SIZES.n_embd)


@torch.no_grad()
def check_same(idx: torch.Tensor) -> None:
    """Make sure that the model here is the registered ones, with all changes off and on.

    Raises:
        AssertionError: If it computes something else from the same weights.
    """
    shared = SIZES.model_dump(exclude={"name", "vocab_size"})
    gpt2 = GPT2Model(GPT2Config(**shared, vocab_size=SIZES.vocab_size, vocab_multiple=1))
    for theirs, changes in ((gpt2, frozenset()), (ModernModel(SIZES), frozenset(CHANGES))):
        mine = Changed(changes)
        for weight in theirs.parameters():
            nn.init.normal_(weight, std=0.1)
        renamed: dict[str, torch.Tensor] = {
            name.replace("attention.", "").replace("feed_forward.", ""): weight
            for name, weight in theirs.named_parameters()
        }
        renamed.setdefault("head.weight", theirs.token_embedding.weight)
        mine.load_state_dict(renamed, strict=False)
        assert {name for name, _ in mine.named_parameters()} <= set(renamed)
        torch.testing.assert_close(mine(idx)[0], theirs(idx)[0])
