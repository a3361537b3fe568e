"""An exercise for the tests of what is made of several: a GPT of small blocks, its head tied."""

import torch
import torch.nn.functional as F
from torch import nn

from playattention.course.exercise import Exercise
from tests.course.small_block import Block


class GPT(nn.Module):
    """A GPT.

    Args:
        vocab_size: Tokens.
        seq_size: Context.
        n_embd: Channels.
        n_head: Heads.
        n_layer: Blocks.
    """

    def __init__(
        self, vocab_size: int, seq_size: int, n_embd: int, n_head: int, n_layer: int
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, n_embd)
        self.register_buffer("positions", torch.randn(seq_size, n_embd))
        self.blocks = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.head = nn.Linear(n_embd, vocab_size, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.head.weight = self.tokens.weight

    def forward(
        self, idx: torch.Tensor, targets: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits and loss."""
        x = self.tokens(idx) + self.positions[: idx.size(1)]
        for block in self.blocks:
            x = block(x)
        logits = self.head(x)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


EXERCISE = Exercise(
    number=12,
    name="gpt",
    title="A small GPT",
    goal="For the tests.",
    reference=(GPT,),
    imports=(
        "import torch",
        "import torch.nn.functional as F",
        "from torch import nn",
        "from playattention.course.pieces import (\n    Block,\n)",
    ),
    probes=(),
    hints=("one", "two", "three"),
    equivalents=(),
    mistakes=(),
    read="docs/09-head-and-loss.md#head",
)
