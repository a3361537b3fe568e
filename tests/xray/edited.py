"""Models that nobody registered: a learner's own, with the names of the parts kept."""

import torch
from torch import nn

from playattention.config import GPT2Config, GPTConfig, ModernConfig
from playattention.models import MODELS, build_model
from playattention.models.model_gpt import GPTModel

SIZES = {"vocab_size": 11, "seq_size": 7, "n_embd": 12, "n_head": 3, "n_layer": 2}
CONFIGS = {"gpt": GPTConfig, "gpt2": GPT2Config, "modern": ModernConfig}


class BareAttention(nn.Module):
    """Heads computed together under names of its own; no scale, no dropout, no bias."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.mixer = nn.Linear(config.n_embd, 3 * config.n_embd, bias=False)
        self.projection = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.mixer(x).unflatten(2, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        table = q @ k.mT
        ahead = torch.ones(table.shape[-2:], dtype=torch.bool).triu(1)
        shares = table.masked_fill(ahead, float("-inf")).softmax(dim=-1)
        return self.projection((shares @ v).transpose(1, 2).flatten(2))


class BareBlock(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention = BareAttention(config)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.n_embd, 20, bias=False),
            nn.SiLU(),
            nn.Linear(20, config.n_embd, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + self.attention(x)
        return y + self.feed_forward(y)


class BareModel(nn.Module):
    """No positions, RMS norm, no bias but the head's, and logits alone for an answer."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.blocks = nn.ModuleList(BareBlock(config) for _ in range(config.n_layer))
        self.final_norm = nn.RMSNorm(config.n_embd)
        self.head = nn.Linear(config.n_embd, config.vocab_size)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = self.token_embedding(idx)
        for block in self.blocks:
            x = block(x)
        return self.head(self.final_norm(x))


class RecallingModel(GPTModel):
    """A subclass with a line more: the embedding is added once again before the last norm."""

    def forward(self, idx, targets=None, cache=None):  # noqa: ARG002 - the base's signature
        embedded = self.token_embedding(idx) + self.position_embedding(torch.arange(idx.size(1)))
        x = embedded
        for block in self.blocks:
            x = block(x, cache)
        recalled = x + embedded
        return self.head(self.final_norm(recalled)), None


EVERY = [*MODELS, "bare"]
"""The registered models, and one that is not."""


def recalling() -> RecallingModel:
    """Return the edited model with weights large enough to matter."""
    model = RecallingModel(small("gpt").config).eval()
    model.load_state_dict(small("gpt").state_dict())
    return model


def small(name: str, *, seed: int = 0, **sizes: float) -> nn.Module:
    """Return a small model with weights large enough to matter, norms' too, in evaluation mode."""
    torch.manual_seed(seed)
    config = CONFIGS.get(name, GPTConfig)(**{**SIZES, **sizes})
    model = BareModel(config) if name == "bare" else build_model(config)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.4)
    return model.eval()


def ids(batch: int, tokens: int, vocab_size: int = 11, seed: int = 1) -> torch.Tensor:
    """Return random tokens (B, T)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocab_size, (batch, tokens), generator=generator)
