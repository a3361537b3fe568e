"""What is looked at in exercise 15: which tokens come how often, and what the model is shown."""

import torch
from torch import nn

from playattention.course.exercise import Probe, Solution

DRAWS = 1500
"""The difference of two frequencies around 0.4 has a standard error of 0.018 with as many."""

WIDE = 0.1
"""Frequencies may lie apart by this: more than five standard errors."""

SHARES = (0.08, 0.42, 0.05, 0.27, 0.18)
"""Probabilities of five tokens, in no order."""


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _counted(drawn: torch.Tensor, vocab_size: int) -> dict[str, list[float]]:
    """Return which tokens came at all, and which share of the draws each is."""
    counts = torch.bincount(drawn.flatten(), minlength=vocab_size)
    came = counts.nonzero().flatten().tolist()
    return {"which": came, "how often": (counts / drawn.numel()).tolist()}


def _differently(got: dict[str, list[float]], wanted: dict[str, list[float]]) -> str:
    """Say how often tokens came, and how often they should."""
    pairs = zip(got["how often"], wanted["how often"], strict=True)
    rows = [
        f"token {token}: {one:.3f}, right is about {other:.3f}"
        for token, (one, other) in enumerate(pairs)
        if one or other
    ]
    return "Shares of the draws: " + "; ".join(rows) + "."


def _frequencies(own: Solution, seed: int, *settings: float | None) -> dict[str, list[float]]:
    """Return how often each of the five tokens is drawn."""
    logits = torch.tensor(SHARES).log() + 3  # a softmax does not feel what is added to all
    drawn = own.next_token(logits.repeat(DRAWS, 1), *settings, generator=_generator(seed))
    return _counted(drawn, 5)


def _each_row(own: Solution, seed: int) -> list[dict[str, list[float]]]:
    """Return how often each token is drawn for either of two kinds of rows, which alternate."""
    logits = torch.tensor([SHARES, SHARES[::-1]]).log().repeat(DRAWS, 1)
    drawn = own.next_token(logits, 1.0, 4, 0.9, _generator(seed))
    return [_counted(column, 5) for column in drawn.view(-1, 2).T]


def _likeliest(own: Solution, seed: int, *settings: float | None) -> torch.Tensor:
    """Return what is drawn from sixteen nearly even rows: with one token left, no chance is."""
    logits = torch.randn(16, 9, generator=_generator(seed)) / 9
    return own.next_token(logits, *settings, generator=_generator(seed))


def _certain(seed: int, rows: int = 3, vocab_size: int = 7) -> torch.Tensor:
    """Return logits (rows, vocab_size) of which one is so large that it is drawn for sure."""
    tokens = torch.randint(vocab_size, (rows,), generator=_generator(seed))
    return 60.0 * nn.functional.one_hot(tokens, vocab_size) - 30


def _same_seed(own: Solution, seed: int) -> dict[str, bool]:
    """Return whether one seed gives the same tokens twice, and whether another seed does."""
    logits = torch.zeros(200, 5)
    one, same, other = (
        own.next_token(logits, 1.0, 4, 0.9, _generator(number)) for number in (seed, seed, seed + 1)
    )
    return {
        "same seed, same tokens": torch.equal(one, same),
        "another seed, same tokens": torch.equal(one, other),
    }


def _left_alone(own: Solution, seed: int) -> torch.Tensor:
    logits = _certain(seed) / 10
    for settings in ((1.0, 2, 0.5), (0.5, 2, 0.5), (3.0, None, None), (0.0, 2, 0.5)):
        own.next_token(logits, *settings, generator=_generator(seed))
    return logits


class Scripted(nn.Module):
    """Says what comes next by a rule over all that it sees, and notes how it was asked.

    The next token is 1 more than twice the last, the first and the number of those seen together,
    modulo 11. In training mode it says something else.

    Args:
        sure: How far the logit of the right token is above the others; a second one has half.
        seq_size: The most tokens that it takes.
    """

    def __init__(self, sure: float = 60.0, seq_size: int = 4) -> None:
        super().__init__()
        self.inner = nn.Dropout(0.5)
        self.sure = sure
        self.seq_size = seq_size
        self.asked: list[dict[str, bool]] = []

    def state(self) -> dict[str, bool]:
        """Return in which mode it is, with its dropout, and whether gradients are kept."""
        return {
            "training": self.training,
            "its dropout in training": self.inner.training,
            "gradients kept": torch.is_grad_enabled(),
        }

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return logits (B, T, 11) for token ids (B, T), and no loss."""
        T = idx.shape[1]
        if self.seq_size < T:
            raise ValueError(f"{T} tokens: the model takes {self.seq_size} at most")
        self.asked.append(self.state())
        length = torch.arange(T) + 1
        right = (2 * idx + idx[:, :1] + length + 1 + 5 * self.training) % 11
        second = (right + 3) % 11
        choices = nn.functional.one_hot(right, 11) + 0.5 * nn.functional.one_hot(second, 11)
        return choices * self.sure, None


def _written(own: Solution, seed: int, *size: int) -> torch.Tensor:
    """Return what is written behind a prompt of this size (B, T) by a model that is sure."""
    idx = torch.randint(11, size, generator=_generator(seed))
    return own.generate(Scripted().eval(), idx, 6, 4)


def _in_training(own: Solution, seed: int) -> torch.Tensor:
    model = Scripted().train()
    return own.generate(model, torch.tensor([[seed], [5]]), 3, 4)


def _asked(own: Solution, seed: int, *which: str) -> list[dict[str, bool]]:
    """Return how the model was each time it was asked, begun in training mode."""
    model = Scripted().train()
    own.generate(model, torch.tensor([[seed], [5]]), 3, 4)
    return [{name: one[name] for name in which} for one in model.asked]


def _modes_after(own: Solution, seed: int) -> dict[str, dict[str, bool]]:
    """Return how models that were in training and in evaluation mode are afterwards."""
    after = {}
    for before, training in (("was in training", True), ("was in evaluation", False)):
        model = Scripted().train(training)
        own.generate(model, torch.tensor([[seed]]), 1, 4)
        after[before] = model.state()
    return after


def _first_written(own: Solution, seed: int, **settings: float) -> dict[str, list[float]]:
    """Return how often the first new token is each of the 11, for a model that is not sure."""
    idx = torch.zeros(DRAWS, 1, dtype=torch.long)
    model = Scripted(3.0).eval()
    drawn = own.generate(model, idx, 1, 4, **settings, generator=_generator(seed))
    return _counted(drawn[:, 1], 11)


def _same_text(own: Solution, seed: int) -> dict[str, bool]:
    """Return whether one seed gives the same text twice, and whether another seed does."""
    idx = torch.zeros(9, 2, dtype=torch.long)
    one, same, other = (
        own.generate(Scripted(1.0).eval(), idx, 9, 4, generator=_generator(number))
        for number in (seed, seed, seed + 1)
    )
    return {
        "same seed, same tokens": torch.equal(one, same),
        "another seed, same tokens": torch.equal(one, other),
    }


def _prompt_after(own: Solution, seed: int) -> torch.Tensor:
    idx = torch.randint(11, (2, 3), generator=_generator(seed))
    own.generate(Scripted().eval(), idx, 3, 4)
    return idx


def _drawn(says: str, *settings: float | None) -> Probe:
    return Probe(says, lambda own, seed: _frequencies(own, seed, *settings), WIDE, _differently)


PROBES = (
    Probe(
        "next_token gives one id a row: (B, 1)",
        lambda own, seed: list(own.next_token(_certain(seed)).shape),
    ),
    Probe(
        "a token whose logit is far above all others is drawn",
        lambda own, seed: own.next_token(_certain(seed)),
    ),
    _drawn("each token is drawn as often as the softmax of the logits says"),
    _drawn("a temperature of 5 makes the choice more even", 5.0),
    _drawn("a temperature of 0.5 makes the choice surer", 0.5),
    Probe(
        "a temperature of 0 takes the likeliest token",
        lambda own, seed: own.next_token(_certain(seed, 4, 6) / 30, 0.0, 3, 0.5),
    ),
    _drawn("top_k = 2 leaves the two likeliest tokens", 1.0, 2),
    _drawn("top_k = 4, also at a temperature of 5", 5.0, 4),
    _drawn("top_k above V leaves all tokens", 1.0, 9),
    _drawn("top_p = 0.6 leaves the fewest tokens that reach 0.6: 0.42 and 0.27", 1.0, None, 0.6),
    _drawn("top_p = 0.3 leaves the likeliest token", 1.0, None, 0.3),
    _drawn("top_p looks at the tempered probabilities: warmer", 3.0, None, 0.6),
    _drawn("top_p looks at the tempered probabilities: cooler", 0.4, None, 0.75),
    _drawn("top_p = 0.999 leaves all tokens", 1.0, None, 0.999),
    _drawn("of top_k = 2 and top_p = 0.8, both are kept to", 1.0, 2, 0.8),
    _drawn("of top_k = 3 and top_p = 0.45, both are kept to", 1.0, 3, 0.45),
    Probe("each row is drawn from its own logits", _each_row, WIDE),
    Probe(
        "top_k = 1 leaves the likeliest token of each row",
        lambda own, seed: _likeliest(own, seed, 1.0, 1),
    ),
    Probe(
        "a tiny top_p leaves the likeliest token of each row",
        lambda own, seed: _likeliest(own, seed, 1.0, None, 0.01),
    ),
    Probe("the generator decides what is drawn", _same_seed),
    Probe("the logits stay as they were", _left_alone),
    Probe(
        "generate returns the prompt with max_new_tokens more: (B, T + 6)",
        lambda own, seed: list(_written(own, seed, 3, 2).shape),
    ),
    Probe(
        "each token follows from those before it",
        lambda own, seed: own.generate(Scripted().eval(), torch.tensor([[seed, 3]]), 2, 4),
    ),
    Probe(
        "each row is written on its own",
        lambda own, seed: own.generate(Scripted().eval(), torch.tensor([[seed], [3], [5]]), 3, 4),
    ),
    Probe(
        "the model sees its last seq_size tokens, and the text keeps all",
        lambda own, seed: [_written(own, seed, 2, T) for T in (3, 4, 9)],
    ),
    Probe("dropout is off while it writes", _in_training),
    Probe(
        "the model is in evaluation mode each time",
        lambda own, seed: _asked(own, seed, "training", "its dropout in training"),
    ),
    Probe("no gradients are kept", lambda own, seed: _asked(own, seed, "gradients kept")),
    Probe("afterwards the model is in the mode in which it was", _modes_after),
    Probe(
        "generate passes the temperature on",
        lambda own, seed: _first_written(own, seed, temperature=3.0),
        WIDE,
        _differently,
    ),
    Probe(
        "generate passes top_k on",
        lambda own, seed: _first_written(own, seed, top_k=2),
        WIDE,
        _differently,
    ),
    Probe(
        "generate passes top_p on",
        lambda own, seed: _first_written(own, seed, top_p=0.5),
        WIDE,
        _differently,
    ),
    Probe("the generator decides what is written", _same_text),
    Probe("the prompt stays as it was", _prompt_after),
    Probe(
        "no new tokens: the prompt",
        lambda own, seed: own.generate(Scripted().eval(), torch.tensor([[seed, 3]]), 0, 4),
    ),
)
