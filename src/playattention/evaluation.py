"""What a model has learnt, measured on text it was not trained on.

Knows neither runs nor schedules. The windows are fixed, and every token counts once, so the figure
depends on the model and the tokens alone: not on batch size or luck.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from playattention.data import Tokens
from playattention.generation import evaluation_mode

TOKENS_PER_BATCH = 4096
"""Tokens in a forward pass: enough to keep a device busy; GPT-2's logits take 0.8 GB."""


class Evaluation(NamedTuple):
    """A mean loss and how far chance may have moved it."""

    loss: float
    """Mean cross-entropy in nats per token."""
    standard_error: float
    """Of that mean, over windows: tokens of one window are not independent. nan for one window."""
    tokens: int
    """How many tokens were predicted."""


def evaluate(
    model: nn.Module,
    tokens: Tokens,
    seq_size: int,
    *,
    batch_size: int | None = None,
    max_tokens: int | None = None,
    autocast: AbstractContextManager[object] | None = None,
) -> Evaluation:
    """Return a model's loss on windows that follow each other through the tokens.

    Args:
        model: Left in the mode (training or not) it was in.
        tokens: Token ids (N), at least seq_size + 1.
        seq_size: T, tokens in a window; each is predicted from those before it in its window.
        batch_size: Windows in a forward pass, which changes the speed alone; default: 4,096 tokens.
        max_tokens: Most tokens to predict; a larger split gives windows at even distances.
        autocast: Context of the forward pass; default: none.
    """
    return mean_loss(
        window_losses(
            model,
            tokens,
            seq_size,
            batch_size=batch_size,
            max_tokens=max_tokens,
            autocast=autocast,
        )
    )


def window_losses(
    model: nn.Module,
    tokens: Tokens,
    seq_size: int,
    *,
    batch_size: int | None = None,
    max_tokens: int | None = None,
    autocast: AbstractContextManager[object] | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> torch.Tensor:
    """Return what each window costs: the part of `evaluate` that several processes can share.

    Args:
        model: As in `evaluate`.
        tokens: As in `evaluate`.
        seq_size: As in `evaluate`.
        batch_size: As in `evaluate`.
        max_tokens: As in `evaluate`.
        autocast: As in `evaluate`.
        rank: Which share of the batches to compute: every ranks-th, from this one on.
        ranks: How many shares there are. Each makes the same number of forward passes, as a model
            that is spread over processes needs.

    Returns:
        Summed loss in nats and number of predicted tokens of each window (W, 2), float64; zeros
        for the windows of other shares, so that the sum over the shares is the whole.
    """
    device = next(model.parameters()).device
    starts = window_starts(len(tokens), seq_size, max_tokens)
    batch_size = batch_size or max(1, TOKENS_PER_BATCH // seq_size)
    figures = torch.zeros(len(starts), 2, dtype=torch.float64)
    n_batches = -(-len(starts) // batch_size)
    for turn in range(-(-n_batches // ranks)):
        first = (turn * ranks + rank) * batch_size
        wanted = starts[first : first + batch_size]
        idx, targets = _batch(tokens, wanted if len(wanted) else starts[:1], seq_size)
        with evaluation_mode(model), autocast or nullcontext():
            logits, _ = model(idx.to(device))
        losses = F.cross_entropy(
            logits.float().flatten(0, 1), targets.to(device).flatten(), reduction="none"
        ).view(targets.shape)
        if len(wanted):
            figures[first : first + batch_size, 0] = losses.double().sum(dim=1).cpu()
            figures[first : first + batch_size, 1] = (targets >= 0).sum(dim=1).double()
    return figures


def window_starts(
    n_tokens: int, seq_size: int, max_tokens: int | None = None
) -> npt.NDArray[np.int64]:
    """Return where each evaluated window starts.

    Windows predict seq_size tokens each and follow one another; the last begins early enough to be
    whole, and what it shares with the one before counts once.
    """
    n_windows = -(-(n_tokens - 1) // seq_size)
    kept = n_windows
    if max_tokens is not None and max_tokens < n_tokens - 1:
        kept = max(1, max_tokens // seq_size)
    windows = np.arange(kept) * n_windows // kept
    return windows * seq_size


def _batch(
    tokens: Tokens, starts: npt.NDArray[np.int64], seq_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    whole = np.minimum(starts, len(tokens) - seq_size - 1)
    places = whole[:, None] + np.arange(seq_size + 1)
    windows = torch.from_numpy(tokens[places].astype(np.int64))
    targets = windows[:, 1:].clone()
    targets[torch.from_numpy(places[:, 1:] <= starts[:, None])] = -100  # counted already
    return windows[:, :-1], targets


def mean_loss(figures: torch.Tensor) -> Evaluation:
    """Return the mean over all tokens and its standard error, each window one draw.

    Args:
        figures: What `window_losses` returned, summed over all shares (W, 2).
    """
    totals, counts = figures.unbind(dim=1)
    n = len(totals)
    loss = (totals.sum() / counts.sum()).item()
    deviations = totals - loss * counts
    spread = (deviations.square().sum() * n / max(n - 1, 1)).sqrt() / counts.sum()
    return Evaluation(loss, spread.item() if n > 1 else float("nan"), int(counts.sum().item()))
