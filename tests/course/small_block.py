"""An exercise for the tests of what is made of several: a block that is one matrix."""

import torch
from torch import nn

from playattention.course.exercise import Exercise


class Block(nn.Module):
    """A block.

    Args:
        n_embd: Channels.
        n_head: Heads.
    """

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.mix = nn.Linear(n_embd, n_embd)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stream, the same shape."""
        return x + self.mix(x)


EXERCISE = Exercise(
    number=10,
    name="block",
    title="A small block",
    goal="For the tests.",
    reference=(Block,),
    imports=("import torch", "from torch import nn"),
    probes=(),
    hints=("one", "two", "three"),
    equivalents=(),
    mistakes=(),
    read="docs/08-residuals-and-norms.md#block",
)
