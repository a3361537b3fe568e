"""Exercise 9: the feed-forward network. Each token is worked on alone, four times as wide."""

import torch
import torch.nn.functional as F
from torch import nn

from playattention.course.exercise import Exercise, Mistake, Probe, Solution
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


class FeedForward(nn.Module):
    """Two linear layers with a tanh-GELU between them, four times as wide there.

    Args:
        n_embd: C, channels of a token.
    """

    def __init__(self, n_embd: int) -> None:
        super().__init__()
        self.expand = nn.Linear(n_embd, 4 * n_embd)
        self.contract = nn.Linear(4 * n_embd, n_embd)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return each token's new features: (B, T, C) -> (B, T, C)."""
        hidden = self.expand(x)  # (B, T, 4C)
        activated = F.gelu(hidden, approximate="tanh")  # (B, T, 4C)
        return self.contract(activated)  # (B, T, C)


def _built(own: Solution, seed: int) -> nn.Module:
    return fill(own.FeedForward(5), seed, biases=True)


def _activation(own: Solution, _: int) -> dict[str, float] | str:
    """Return what becomes of a number between the two layers.

    All weights are the same, w, and all channels: a hidden number is 5 w x, and each number of the
    output 20 w times what it becomes.
    """
    weight = 0.25
    module = fill_with(own.FeedForward(5), torch.tensor([[weight]]))
    hidden = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    out = steady(module, (hidden / (5 * weight)).view(-1, 1, 1).expand(-1, 1, 5))
    if isinstance(out, str):
        return out
    names = [f"{number:g}" for number in hidden.tolist()]
    return dict(zip(names, (out[:, 0, 0] / (20 * weight)).tolist(), strict=True))


def _linear(own: Solution, seed: int) -> str:
    """Tell whether twice the input gives twice the output, apart from the biases."""
    module, x = _built(own, seed), draw(seed, 2, 4, 5)
    none = module(torch.zeros(2, 4, 5))
    linear = torch.allclose(module(2 * x) - none, 2 * (module(x) - none))
    return "a linear function" if linear else "not linear"


def _gives(own: Solution, seed: int, *shape: int) -> torch.Tensor | str:
    return steady(_built(own, seed), draw(seed, *shape))


def _unmoved(own: Solution, seed: int) -> int:
    module = _built(own, seed)
    return count_unmoved(module, module(draw(seed, 2, 4, 5)))


def _in(own: Solution, seed: int, training: bool) -> list[list[int]]:
    return dependencies(_built(own, seed).train(training), draw(seed, 2, 4, 5))


EXPAND = "self.expand = nn.Linear(n_embd, 4 * n_embd)"
CONTRACT = "self.contract = nn.Linear(4 * n_embd, n_embd)"
GELU = 'activated = F.gelu(hidden, approximate="tanh")'
OUT = "return self.contract(activated)"
READ = "docs/07-feed-forward.md#feed-forward"
ACTIVATION = "docs/07-feed-forward.md#activation"

EXERCISE = Exercise(
    number=9,
    name="feed_forward",
    title="The feed-forward network",
    goal="""
After attention has brought the tokens together, each works on what it got, alone: a linear layer to
four times the width, an activation, and a linear layer back. As in GPT-2, the activation is GELU in
its tanh form, and both layers have biases. (The GPT of this package takes ReLU instead.) No dropout,
no residual, no norm: the block adds these. The input stays as it is; it may be a slice of a larger
tensor.
""",
    follows="GPT-2",
    reference=(FeedForward,),
    imports=("import torch", "import torch.nn.functional as F", "from torch import nn"),
    probes=(
        Probe(
            "each token keeps its C channels",
            lambda own, seed: list(_built(own, seed)(draw(seed, 2, 4, 5)).shape),
        ),
        Probe(
            "an optimizer gets 2 * 4 C^2 numbers in matrices and 5 C in biases",
            lambda own, _: count_weights(own.FeedForward(5)),
        ),
        Probe(
            "a token depends on itself alone, in evaluation",
            lambda own, seed: _in(own, seed, False),
            evidence=tell_dependencies,
        ),
        Probe(
            "a token depends on itself alone, in training",
            lambda own, seed: _in(own, seed, True),
            evidence=tell_dependencies,
        ),
        Probe(
            "it is more than one linear layer: twice the input does not give twice the output",
            _linear,
        ),
        Probe("what becomes of a number between the two layers", _activation),
        Probe(
            "the output is right",
            lambda own, seed: _gives(own, seed, 2, 4, 5),
        ),
        Probe(
            "texts of one token are right, too",
            lambda own, seed: _gives(own, seed, 6, 1, 5),
        ),
        Probe(
            "other widths will do",
            lambda own, seed: steady(fill(own.FeedForward(3), seed), draw(seed, 2, 5, 3)),
        ),
        Probe(
            "the input is left as it is",
            lambda own, seed: is_untouched(_built(own, seed), draw(seed, 2, 4, 5)),
        ),
        Probe(
            "it does not matter how the numbers lie in memory",
            lambda own, seed: _built(own, seed)(strided(draw(seed, 2, 4, 5))).shape == (2, 4, 5),
        ),
        Probe("every number in the matrices gets a gradient", _unmoved),
    ),
    hints=(
        "Each token goes through alone, and twice the input must not give twice the output.",
        "Two nn.Linear, C to 4C and 4C to C, with F.gelu between them; F.gelu has an argument for the tanh form.",
        'self.contract(F.gelu(self.expand(x), approximate="tanh")).',
    ),
    equivalents=(
        """
from torch import nn


class FeedForward(nn.Module):
    def __init__(self, n_embd):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_embd, 4 * n_embd), nn.GELU(approximate="tanh"), nn.Linear(4 * n_embd, n_embd)
        )

    def forward(self, x):
        return self.net(x)
""",
        """
import math

import torch
from torch import nn


class FeedForward(nn.Module):
    def __init__(self, n_embd):
        super().__init__()
        wide = 4 * n_embd
        self.w1 = nn.Parameter(torch.randn(n_embd, wide) * 0.02)
        self.b1 = nn.Parameter(torch.zeros(wide))
        self.w2 = nn.Parameter(torch.randn(wide, n_embd) * 0.02)
        self.b2 = nn.Parameter(torch.zeros(n_embd))

    def forward(self, x):
        h = x @ self.w1 + self.b1
        inner = math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)
        return (0.5 * h * (1 + torch.tanh(inner))) @ self.w2 + self.b2
""",
    ),
    mistakes=(
        Mistake(
            "not four times as wide",
            (
                (EXPAND, "self.expand = nn.Linear(n_embd, n_embd)"),
                (CONTRACT, "self.contract = nn.Linear(n_embd, n_embd)"),
            ),
            "The layer between is as narrow as the stream. Most of a GPT's knowledge is in these matrices: four times the width, as in the Transformer's first paper.",
            READ,
        ),
        Mistake(
            "twice as wide",
            (
                (EXPAND, "self.expand = nn.Linear(n_embd, 2 * n_embd)"),
                (CONTRACT, "self.contract = nn.Linear(2 * n_embd, n_embd)"),
            ),
            "The layer between is twice as wide as the stream; GPT and GPT-2 make it four times.",
            READ,
        ),
        Mistake(
            "no activation",
            ((GELU, "activated = hidden"),),
            "Two linear layers one after the other are one linear layer: with nothing bent between them, the width is wasted.",
            ACTIVATION,
        ),
        Mistake(
            "ReLU for GELU",
            ((GELU, "activated = F.relu(hidden)"),),
            "ReLU makes 0 of all negative numbers. GPT-2 has GELU, which lets a little of them through: -0.16 for -1.",
            ACTIVATION,
        ),
        Mistake(
            "erf for tanh",
            ((GELU, "activated = F.gelu(hidden)"),),
            'This is GELU itself, with the error function. GPT-2 was trained with its approximation by tanh, which differs in the fourth digit: approximate="tanh".',
            ACTIVATION,
        ),
        Mistake(
            "sigmoid for tanh",
            ((GELU, "activated = hidden * torch.sigmoid(1.702 * hidden)"),),
            "x * sigmoid(1.702 x) is the other, coarser approximation of GELU. GPT-2 has the one with tanh.",
            ACTIVATION,
        ),
        Mistake(
            "SiLU for GELU",
            ((GELU, "activated = F.silu(hidden)"),),
            "x * sigmoid(x) is SiLU, which later models take. GPT-2 has GELU in its tanh form.",
            ACTIVATION,
        ),
        Mistake(
            "tanh for GELU",
            ((GELU, "activated = torch.tanh(hidden)"),),
            "The tanh form of GELU is x times a share that is made with tanh, not tanh of x.",
            ACTIVATION,
        ),
        Mistake(
            "activated at the end too",
            ((OUT, 'return F.gelu(self.contract(activated), approximate="tanh")'),),
            "The output is bent, too, so that it is hardly ever negative: the block could only add to the stream, not take from it. The activation stands between the two layers.",
            ACTIVATION,
        ),
        Mistake(
            "activated at the end instead",
            (
                (GELU, "activated = hidden"),
                (OUT, 'return F.gelu(self.contract(activated), approximate="tanh")'),
            ),
            "Between the two layers nothing is bent, so they are one; and the output is hardly ever negative. The activation stands between the two layers.",
            ACTIVATION,
        ),
        Mistake(
            "no biases",
            (
                (EXPAND, "self.expand = nn.Linear(n_embd, 4 * n_embd, bias=False)"),
                (CONTRACT, "self.contract = nn.Linear(4 * n_embd, n_embd, bias=False)"),
            ),
            "GPT and GPT-2 have biases in both layers: without, all hidden numbers of a token of zeros are 0.",
            READ,
        ),
        Mistake(
            "residual inside",
            ((OUT, "return x + self.contract(activated)"),),
            "The input is added here, and the block adds it again. The network gives only what is to be added.",
            "docs/08-residuals-and-norms.md#residuals",
        ),
        Mistake(
            "dropout in evaluation",
            ((OUT, "return F.dropout(self.contract(activated), 0.1)"),),
            "F.dropout drops numbers in evaluation as in training unless it is told training=self.training. nn.Dropout knows by itself. (Here, none is needed.)",
            READ,
        ),
        Mistake(
            "input edited in place",
            ((GELU, GELU + "\n        x.copy_(self.contract(activated))"), (OUT, "return x")),
            "The output is written over the input, which the residual still needs. Make a new tensor.",
            READ,
        ),
    ),
    read=READ,
)
