"""A tiny model that notes how it is run, and what a solution of "train_step" does with it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from playattention.course.exercise import Solution

Batch = tuple[torch.Tensor, torch.Tensor]
Look = Callable[[Solution, int], Any]
"""What a probe does: with a solution and a seed, it observes."""

V, C, T = 7, 4, 5


class Watched(nn.Module):
    """Predicts from one token the next, and notes in which order and state it was run.

    Args:
        seed: Of the weights, which are drawn anew without a look at the global generator.
        dropout: Share of the embedding's features that training mode leaves out.
    """

    def __init__(self, seed: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(V, C), nn.Linear(C, V)
        self.dropout = nn.Dropout(dropout)
        self.seen: list[str] = []
        chance = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=chance))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, T, V) and the mean loss of ids x and the next ones y, both (B, T)."""
        gradients = "gradients" if torch.is_grad_enabled() else "no gradients"
        mode = "training" if self.training else "evaluation"
        self.seen.append(f"forward of {len(x)}, {mode}, {gradients}")
        logits = self.head(self.dropout(self.embedding(x)))
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        if loss.requires_grad:
            note = f"backward of {len(x)}"
            loss.register_hook(lambda _: self.seen.append(note))  # type: ignore[no-untyped-call]
        return logits, loss

    def sgd(self, rate: float = 0.3) -> torch.optim.Optimizer:
        """Return plain gradient descent over the weights; the model notes its steps."""
        optimizer = torch.optim.SGD(self.parameters(), lr=rate)
        optimizer.register_step_pre_hook(self._note_step)
        return optimizer

    def _note_step(self, *_: object) -> None:
        there = [weight.grad is not None for weight in self.parameters()]
        self.seen.append("step" if all(there) else "step without gradients")


def batches(seed: int, count: int, rows: int = 3) -> list[Batch]:
    """Return pairs of ids and the ids that come next, each (B, T); y is a slice."""
    chance = torch.Generator().manual_seed(seed + 5)
    windows = torch.randint(0, V, (count, rows, T + 1), generator=chance)
    return [(window[:, :-1], window[:, 1:]) for window in windows]


def steps(own: Solution, seed: int, *counts: int, adam: bool = False) -> dict[str, Any]:
    """Return the weights and what was returned, after a step for each number of micro-batches."""
    model = Watched(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1) if adam else model.sgd()
    given = [batches(seed + step, count, rows=2) for step, count in enumerate(counts)]
    returned = [own.train_step(model, optimizer, one) for one in given]
    return {"returned": returned, "weights": list(model.parameters()), "order": model.seen}


def weights(*counts: int, adam: bool = False) -> Look:
    """Look at the weights after a step for each number of micro-batches."""
    return lambda own, seed: steps(own, seed, *counts, adam=adam)["weights"]


def losses(*counts: int) -> Look:
    """Look at what is returned by a step for each number of micro-batches."""
    return lambda own, seed: [float(one) for one in steps(own, seed, *counts)["returned"]]


def overfitted(own: Solution, seed: int) -> bool:
    """Tell whether every step on one batch lowers its loss."""
    model = Watched(seed)
    optimizer, one = model.sgd(1.0), batches(seed, 1)
    losses = [own.train_step(model, optimizer, one) for _ in range(6)]
    return losses == sorted(losses, reverse=True)


def evaluated(part: str) -> Look:
    """Look at one thing that an evaluation gives or leaves behind, from both modes."""

    def look(own: Solution, seed: int) -> list[Any]:
        found = []
        for training in (True, False):
            model = Watched(seed, dropout=0.5).train(training)
            with torch.enable_grad():  # whatever a solution does, it is over afterwards
                loss = own.evaluate(model, batches(seed, 3, rows=2))
                after = torch.is_grad_enabled()
            modes = [one.training for one in model.modules()]
            weights = [[weight, weight.grad is None] for weight in model.parameters()]
            seen = {"loss": loss, "runs": model.seen, "modes": modes, "weights": weights}
            found.append({**seen, "gradients": after}[part])
        return found

    return look
