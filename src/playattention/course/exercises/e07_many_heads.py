"""Exercise 7: many heads side by side, each with its own channels, in one module."""

import torch
from torch import nn

from playattention.course.exercise import Exercise, Probe, Solution
from playattention.course.exercises.e06_causal_mask import causal_softmax
from playattention.course.exercises.e07_mistakes import EQUIVALENTS, MISTAKES
from playattention.course.filling import (
    count_unmoved,
    count_weights,
    dependencies,
    draw,
    elsewhere,
    fill,
    fill_with,
    is_untouched,
    steady,
    strided,
    tell_dependencies,
)


def split(x: torch.Tensor, n_head: int) -> torch.Tensor:
    """Deal out the channels to the heads: the first D to head 0, the next D to head 1, and so on.

    Args:
        x: (B, T, C), with C = H * D.
        n_head: H.

    Returns:
        (B, H, T, D).
    """
    B, T, C = x.shape
    return x.reshape(B, T, n_head, C // n_head).transpose(1, 2)


def merge(heads: torch.Tensor) -> torch.Tensor:
    """Put the heads' channels side by side again: `merge(split(x, n_head))` is x.

    Args:
        heads: (B, H, T, D).

    Returns:
        (B, T, C), with C = H * D.
    """
    B, H, T, D = heads.shape
    return heads.transpose(1, 2).reshape(B, T, H * D)


class MultiHeadAttention(nn.Module):
    """Causal attention with several heads; what they find is joined and projected.

    Args:
        n_embd: C, channels of a token.
        n_head: H; each head has D = C / H channels.
    """

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.scale = (n_embd // n_head) ** -0.5
        self.query_key_value = nn.Linear(n_embd, 3 * n_embd)
        self.projection = nn.Linear(n_embd, n_embd)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the heads found, for each token: (B, T, C) -> (B, T, C)."""
        fused = self.query_key_value(x)  # (B, T, 3C)
        query, key, value = (split(part, self.n_head) for part in fused.chunk(3, dim=-1))
        scores = query @ key.transpose(2, 3)  # (B, H, T, T)
        scaled = scores * self.scale  # (B, H, T, T)
        weights = causal_softmax(scaled)  # (B, H, T, T)
        mixed = weights @ value  # (B, H, T, D)
        return self.projection(merge(mixed))  # (B, T, C)


def _built(own: Solution, seed: int) -> nn.Module:
    """Return a filled module of 12 channels and 3 heads."""
    return fill(own.MultiHeadAttention(12, 3), seed, head_size=4)


def _factor(own: Solution, n_head: int) -> float:
    """Return what scores are multiplied by: seen at the shares of two keys.

    Unit matrices everywhere make query, key and value of a head the input; the channels of the two
    tokens do not overlap, so that their shares are seen in the output.
    """
    size = 12 // n_head
    module = fill_with(own.MultiHeadAttention(12, n_head), torch.eye(size))
    x = torch.zeros(1, 2, 12)
    x[0, 0, 0], x[0, 1, 1] = 1.0, 1.0
    first, second = module(x)[0, 1, :2]
    return (second / first).log().item()


def _after_another(own: Solution, seed: int) -> list[torch.Tensor]:
    """Return what one module gives for 2, then 6, then 3 tokens."""
    module = _built(own, seed)
    return [module(draw(seed, 2, tokens, 12)) for tokens in (2, 6, 3)]


def _unmoved(own: Solution, seed: int) -> int:
    module = _built(own, seed)
    return count_unmoved(module, module(draw(seed, 2, 5, 12)))


def _in(own: Solution, seed: int, training: bool) -> list[list[int]]:
    module = _built(own, seed).train(training)
    return dependencies(module, draw(seed, 2, 5, 12))


HEADS = "docs/05-attention.md#many-heads"

EXERCISE = Exercise(
    number=7,
    name="many_heads",
    title="Many heads",
    goal="""
Several heads look at the same tokens, each for something of its own. Write `split` and `merge`,
which change shapes alone, and the module. What is fixed: each head has its own query, key and value
projection from all C channels to its D; attention is causal and scaled; a last projection, C to C,
mixes what the heads found. What is free: one large projection or many small ones, nn.Linear or
nn.Parameter, biases or none (GPT-2 has them), the names of everything inside. No dropout.
The input stays as it is; it may be a slice of a larger tensor, and be on a GPU: what the module
makes while it runs, such as its mask, is made on the input's device.
""",
    reference=(split, merge, MultiHeadAttention),
    imports=(
        "import torch",
        "from torch import nn",
        "",
        "from playattention.course.pieces import causal_softmax",
    ),
    probes=(
        Probe(
            "split gives (B, H, T, D)",
            lambda own, seed: list(own.split(draw(seed, 2, 5, 12), 3).shape),
        ),
        Probe(
            "head h gets the channels h * D to (h + 1) * D of each token",
            lambda own, seed: own.split(draw(seed, 2, 5, 12), 3),
        ),
        Probe(
            "merge gives (B, T, C)",
            lambda own, seed: list(own.merge(draw(seed, 2, 3, 5, 4)).shape),
        ),
        Probe(
            "merge puts the heads' channels side by side, for each token",
            lambda own, seed: own.merge(draw(seed, 2, 3, 5, 4)),
        ),
        Probe(
            "the module gives C channels for each token",
            lambda own, seed: list(_built(own, seed)(draw(seed, 2, 5, 12)).shape),
        ),
        Probe(
            "an optimizer gets 4 C^2 numbers in matrices: query, key, value and the last projection",
            lambda own, _: count_weights(own.MultiHeadAttention(12, 3))["in matrices"],
        ),
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
            "scores are divided by the square root of the head size: multiplied by 0.5 where 12 channels have 3 heads, by 0.408 where they have 2",
            lambda own, _: [_factor(own, 3), _factor(own, 2)],
        ),
        Probe(
            "what the heads found is right",
            lambda own, seed: steady(_built(own, seed), draw(seed, 2, 5, 12)),
        ),
        Probe(
            "one head, or two, of 6 channels are right",
            lambda own, seed: [
                fill(own.MultiHeadAttention(6, n_head), seed, 6 // n_head)(draw(seed, 2, 4, 6))
                for n_head in (1, 2)
            ],
        ),
        Probe(
            "a token that is alone gets its own value, projected",
            lambda own, seed: _built(own, seed)(draw(seed, 1, 1, 12)),
        ),
        Probe(
            "it does not matter how the input lies in memory",
            lambda own, seed: list(_built(own, seed)(strided(draw(seed, 2, 5, 12))).shape),
        ),
        Probe("any number of tokens will do, one call after another", _after_another),
        Probe(
            "the input is left as it is",
            lambda own, seed: is_untouched(_built(own, seed), draw(seed, 2, 5, 12)),
        ),
        Probe(
            "what it makes is made on the input's device",
            lambda own, seed: elsewhere(_built(own, seed), draw(seed, 2, 5, 12)),
        ),
        Probe(
            "every number in the matrices gets a gradient",
            _unmoved,
        ),
    ),
    hints=(
        "merge(split(x, H)) is x; and what a token gets depends on the tokens up to it, however many heads there are.",
        "Two steps each way: cut C into H and D with reshape, then exchange the axes of T and H; for merge, first exchange them back.",
        "x.reshape(B, T, H, C // H).transpose(1, 2); back: heads.transpose(1, 2).reshape(B, T, H * D). In forward: split query, key and value, causal_softmax(query @ key.transpose(2, 3) / D**0.5) @ value, merge, projection.",
    ),
    equivalents=EQUIVALENTS,
    mistakes=MISTAKES,
    read=HEADS,
)
