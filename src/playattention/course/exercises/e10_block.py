"""Exercise 10: the block. Tokens exchange what they know, then each works on it; both add."""

import torch
from torch import nn

from playattention.course.exercise import Exercise, Probe, Solution
from playattention.course.exercises.e07_many_heads import MultiHeadAttention
from playattention.course.exercises.e09_feed_forward import FeedForward
from playattention.course.exercises.e10_mistakes import EQUIVALENTS, MISTAKES
from playattention.course.filling import (
    count_unmoved,
    count_weights,
    dependencies,
    draw,
    fill,
    fill_with,
    is_untouched,
    steady,
    strided,
    tell_dependencies,
)


class Block(nn.Module):
    """Attention, then the feed-forward network; each reads a normed stream and adds to it.

    Args:
        n_embd: C, channels of a token.
        n_head: Heads of the attention.
    """

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(n_embd)
        self.attention = MultiHeadAttention(n_embd, n_head)
        self.feed_forward_norm = nn.LayerNorm(n_embd)
        self.feed_forward = FeedForward(n_embd)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stream with this block's two additions: (B, T, C) -> (B, T, C)."""
        attended = self.attention(self.attention_norm(x))
        x_attended = x + attended
        computed = self.feed_forward(self.feed_forward_norm(x_attended))
        return x_attended + computed


def _built(own: Solution, seed: int) -> nn.Module:
    """Return a filled block of 12 channels and 3 heads."""
    return fill(own.Block(12, 3), seed, head_size=4)


def _idle(own: Solution, seed: int) -> torch.Tensor | str:
    """Return what a block gives whose parts add nothing: all their weights are 0."""
    return steady(fill_with(own.Block(12, 3), torch.zeros(1, 1)), draw(seed, 2, 5, 12))


def _in(own: Solution, seed: int, training: bool) -> list[list[int]]:
    return dependencies(_built(own, seed).train(training), draw(seed, 2, 5, 12))


def _counts(own: Solution, _: int) -> dict[str, int]:
    counts = count_weights(own.Block(12, 3))
    return {key: counts[key] for key in ("in matrices", "in gains")}


def _unmoved(own: Solution, seed: int) -> int:
    module = _built(own, seed)
    return count_unmoved(module, module(draw(seed, 2, 5, 12)))


READ = "docs/08-residuals-and-norms.md#block"

EXERCISE = Exercise(
    number=10,
    name="block",
    title="The block",
    goal="""
Put the parts together: attention and the feed-forward network, each behind a layer norm of its own
(nn.LayerNorm), and each adding its result to the stream that it read from. The norms stand before
the parts, and nothing but these two additions touches the stream. MultiHeadAttention(n_embd, n_head)
and FeedForward(n_embd) are there; biases and names are up to you. No dropout. The input
stays as it is; it may be a slice of a larger tensor.
""",
    reference=(Block,),
    imports=(
        "import torch",
        "from torch import nn",
        "",
        "from playattention.course.pieces import FeedForward, MultiHeadAttention",
    ),
    probes=(
        Probe(
            "each token keeps its C channels",
            lambda own, seed: list(_built(own, seed)(draw(seed, 2, 5, 12)).shape),
        ),
        Probe("an optimizer gets 12 C^2 numbers in matrices and 2 C in the norms' gains", _counts),
        Probe("with all weights at 0 the parts add nothing: what goes in comes out", _idle),
        Probe(
            "each token depends on those up to itself, in evaluation",
            lambda own, seed: _in(own, seed, False),
            evidence=tell_dependencies,
        ),
        Probe(
            "each token depends on those up to itself, in training",
            lambda own, seed: _in(own, seed, True),
            evidence=tell_dependencies,
        ),
        Probe(
            "the output is right",
            lambda own, seed: steady(_built(own, seed), draw(seed, 2, 5, 12)),
        ),
        Probe(
            "texts of one token are right, too",
            lambda own, seed: steady(_built(own, seed), draw(seed, 4, 1, 12)),
        ),
        Probe(
            "other widths and numbers of heads will do",
            lambda own, seed: steady(fill(own.Block(10, 2), seed, 5), draw(seed, 1, 7, 10)),
        ),
        Probe(
            "it does not matter how the numbers lie in memory",
            lambda own, seed: list(_built(own, seed)(strided(draw(seed, 2, 5, 12))).shape),
        ),
        Probe(
            "the input is left as it is",
            lambda own, seed: is_untouched(_built(own, seed), draw(seed, 2, 5, 12)),
        ),
        Probe("every number in the matrices gets a gradient", _unmoved),
    ),
    hints=(
        "If attention and the feed-forward network gave 0, the block would hand on its input unchanged.",
        "Two steps of the same form: x = x + part(norm(x)), each with a norm and a part of its own.",
        "x = x + self.attention(self.norm_1(x)), then return x + self.feed_forward(self.norm_2(x)).",
    ),
    equivalents=EQUIVALENTS,
    mistakes=MISTAKES,
    read=READ,
)
