"""Exercise 12: the whole GPT, from token ids to a score for every next token, and the loss."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from playattention.course.exercise import Exercise, Probe, Solution
from playattention.course.exercises.e10_block import Block
from playattention.course.exercises.e12_mistakes import EQUIVALENTS, MISTAKES
from playattention.course.filling import (
    count_unmoved,
    count_weights,
    dependencies,
    draw_ids,
    elsewhere,
    every_weight,
    fill,
    fill_with,
    is_untouched,
    steady,
    strided,
    tell_dependencies,
)


class GPT(nn.Module):
    """Token ids in, a score for every possible next token out.

    Args:
        vocab_size: V, number of different tokens.
        seq_size: The most tokens it takes at once.
        n_embd: C, channels of a token.
        n_head: Heads of each attention.
        n_layer: Number of blocks.
    """

    def __init__(
        self, vocab_size: int, seq_size: int, n_embd: int, n_head: int, n_layer: int
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(seq_size, n_embd)
        self.blocks = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.final_norm = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, vocab_size, bias=False)
        self.head.weight = self.token_embedding.weight
        for weight in self.parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02)

    def forward(
        self, idx: torch.Tensor, targets: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the scores of the next token at every position, and the loss.

        Args:
            idx: Token ids (B, T), T at most seq_size; more are refused, with any error. They may
                be a slice of a longer text, and stay as they are. What is made here, such as the
                positions, is made on the ids' device.
            targets: The tokens that do come next (B, T); maybe a slice, too.

        Returns:
            Logits (B, T, V); mean cross-entropy in nats per token, or None without targets.
        """
        positions = torch.arange(idx.size(1), device=idx.device)
        x = self.token_embedding(idx) + self.position_embedding(positions)  # (B, T, C)
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.final_norm(x))  # (B, T, V)
        if targets is None:
            return logits, None
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return logits, loss


V, SEQ_SIZE, C = 11, 7, 12


def _built(own: Solution, seed: int, n_layer: int = 2) -> nn.Module:
    return fill(own.GPT(V, SEQ_SIZE, C, 3, n_layer), seed, head_size=4)


def _logits(own: Solution, seed: int, B: int, T: int) -> torch.Tensor | str:  # noqa: N803
    module = _built(own, seed)
    return steady(lambda idx: module(idx)[0], draw_ids(seed, V, B, T))


def _both(own: Solution, seed: int) -> list[torch.Tensor]:
    """Return logits and loss of two texts."""
    idx = draw_ids(seed, V, 2, 6)
    return list(_built(own, seed)(idx[:, :-1].contiguous(), idx[:, 1:].contiguous()))


def _loss(own: Solution, seed: int) -> torch.Tensor | str:
    module, targets = _built(own, seed), draw_ids(seed + 9, V, 2, 5)
    return steady(lambda idx: module(idx, targets)[1], draw_ids(seed, V, 2, 5))


def _even(own: Solution, seed: int) -> float:
    """Return the loss of a model that holds every token equally likely: all its weights are 0."""
    module = fill_with(own.GPT(V, SEQ_SIZE, C, 3, 2), torch.zeros(1, 1))
    return module(draw_ids(seed, V, 2, 5), draw_ids(seed + 9, V, 2, 5))[1].item()


def _first(own: Solution, seed: int) -> str:
    """Tell whether a fresh model of 50 tokens holds them about equally likely."""
    module = own.GPT(50, 8, 48, 4, 2).eval()
    loss = module(draw_ids(seed, 50, 4, 8), draw_ids(seed + 9, 50, 4, 8))[1].item()
    return "about ln 50 = 3.9" if abs(loss - math.log(50)) < 0.5 else "far from ln 50 = 3.9"


def _spread(own: Solution, _: int) -> str:
    """Tell whether a fresh embedding table, which is the head, too, is small but not 0."""
    tables = [one for one in every_weight(own.GPT(50, 8, 48, 4, 2)) if one.numel() == 50 * 48]
    spread = torch.cat([one.flatten() for one in tables]).std().item()
    return "between 0.005 and 0.1" if 0.005 < spread < 0.1 else f"{spread:.3f}"


def _counts(own: Solution, _: int) -> dict[str, int]:
    module = own.GPT(V, SEQ_SIZE, C, 3, 2)
    counts = count_weights(module)
    head_bias = sum(V for weight in module.parameters() if weight.shape == (V,))
    return {
        "in matrices": counts["in matrices"],
        "in gains": counts["in gains"],
        "in a bias of the head": head_bias,
    }


def _in(own: Solution, seed: int, training: bool) -> list[list[int]]:
    module = _built(own, seed, n_layer=1).train(training)
    return dependencies(
        lambda idx: module(idx)[0], draw_ids(seed, V, 2, 5), change=lambda token: (token + 3) % V
    )


def _slices(own: Solution, seed: int) -> torch.Tensor:
    idx = draw_ids(seed, V, 2, 6)
    return _built(own, seed)(strided(idx[:, :-1]), strided(idx[:, 1:]))[1]


def _too_long(own: Solution, seed: int) -> str:
    module = _built(own, seed)
    try:
        module(draw_ids(seed, V, 2, SEQ_SIZE + 1))
    except Exception:  # of any kind: what counts is that it is refused
        return "refused"
    return "taken"


def _unmoved(own: Solution, seed: int) -> int:
    module = _built(own, seed)
    return count_unmoved(module, module(draw_ids(seed, V, 2, SEQ_SIZE))[0])


READ = "docs/09-head-and-loss.md#head"

EXERCISE = Exercise(
    number=12,
    name="gpt",
    title="The whole GPT",
    goal="""
Token and position embeddings are added, the blocks work on them one after the other, a last layer
norm, and the head gives a score for every token of the vocabulary. As in GPT-2, the head is tied: it
is the embedding table once more, the very same parameter, and has no bias. With targets, there is the loss, too: they
are the next tokens already, so nothing is left to shift. The first loss is about ln V, so matrices
begin small (standard deviation 0.02). Block(n_embd, n_head) is there. No dropout; other biases and
the names are up to you.
""",
    follows="GPT-2",
    reference=(GPT,),
    imports=(
        "import torch",
        "import torch.nn.functional as F",
        "from torch import nn",
        "",
        "from playattention.course.pieces import Block",
    ),
    probes=(
        Probe(
            "without targets: logits (B, T, V), and None",
            lambda own, seed: [
                list(one.shape) if isinstance(one, torch.Tensor) else one
                for one in _built(own, seed)(draw_ids(seed, V, 2, 5))
            ],
        ),
        Probe(
            "with targets: logits (B, T, V), and a loss that is one number, in a tensor",
            lambda own, seed: [list(one.shape) for one in _both(own, seed)],
        ),
        Probe(
            "an optimizer gets the two tables, 12 C^2 in each block, and C gains in each norm; the head is the table, without a bias",
            _counts,
        ),
        Probe(
            "the loss is ln V = ln 11 if all weights are 0: every token is equally likely", _even
        ),
        Probe("the first loss of a fresh model is about ln V", _first),
        Probe("the table begins with small numbers that differ: a spread of 0.005 to 0.1", _spread),
        Probe(
            "the logits of a token depend on those up to itself, in evaluation",
            lambda own, seed: _in(own, seed, False),
            evidence=tell_dependencies,
        ),
        Probe(
            "the logits of a token depend on those up to itself, in training",
            lambda own, seed: _in(own, seed, True),
            evidence=tell_dependencies,
        ),
        Probe("the logits are right", lambda own, seed: _logits(own, seed, 2, 5)),
        Probe("the loss is right: the mean over all tokens", _loss),
        Probe("the logits are the same with targets", lambda own, seed: _both(own, seed)[0]),
        Probe("seq_size tokens are right", lambda own, seed: _logits(own, seed, 3, SEQ_SIZE)),
        Probe("one token is right", lambda own, seed: _logits(own, seed, 1, 1)),
        Probe(
            "one block, or three, are right",
            lambda own, seed: [
                _built(own, seed, n_layer)(draw_ids(seed, V, 2, 4))[0] for n_layer in (1, 3)
            ],
        ),
        Probe("ids and targets may be parts of a longer text", _slices),
        Probe("more tokens than seq_size are refused, with any error", _too_long),
        Probe(
            "the ids are left as they are",
            lambda own, seed: is_untouched(_built(own, seed), draw_ids(seed, V, 2, 5)),
        ),
        Probe(
            "the positions are made on the ids' device",
            lambda own, seed: elsewhere(_built(own, seed), draw_ids(seed, V, 2, 5))[0],
        ),
        Probe("every number in the matrices gets a gradient", _unmoved),
    ),
    hints=(
        "With all weights at 0 every token is equally likely, so the loss is ln V; and with the head tied, there is one (V, C) parameter, not two.",
        "Five steps: embed ids and positions 0 to T - 1, add; the blocks; the last norm; the head; cross-entropy over all B * T tokens. nn.ModuleList holds the blocks.",
        "self.head.weight = self.token_embedding.weight; nn.init.normal_(weight, std=0.02) for all with two axes; F.cross_entropy(logits.flatten(0, 1), targets.flatten()).",
    ),
    equivalents=EQUIVALENTS,
    mistakes=MISTAKES,
    read=READ,
)
