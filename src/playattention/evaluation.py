"""What a model has learnt, measured on text it was not trained on.

Knows neither runs nor schedules. The windows are fixed, and every token counts once, so the figure
depends on the model and the tokens alone: not on batch size or luck.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from playattention.data import Tokens
from playattention.data.hellaswag import Item
from playattention.errors import UserError
from playattention.generation import evaluation_mode
from playattention.tokenizers import GPT2Tokenizer, Tokenizer

TOKENS_PER_BATCH = 4096
"""Tokens in a forward pass: enough to keep a device busy; GPT-2's logits take 0.8 GB."""
TOKENS_PER_BATCH_ON_CPU = 1024
"""On a CPU, whose caches hold their values: a fifth more tokens/s (measured on two cores)."""


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
        batch_size: Windows in a forward pass, which changes the speed alone; default: 4,096 tokens,
            on a CPU 1,024.
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
    most = TOKENS_PER_BATCH_ON_CPU if device.type == "cpu" else TOKENS_PER_BATCH
    batch_size = batch_size or max(1, most // seq_size)
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


def text_bytes(
    tokens: Tokens, seq_size: int, tokenizer: Tokenizer, *, max_tokens: int | None = None
) -> int:
    """Return the UTF-8 bytes of the text that `evaluate` predicts with these arguments.

    "<|endoftext|>" stands between texts and is none: predicting it costs nats and fills no byte.
    """
    lengths = np.array([len(tokenizer.decode_bytes([id_])) for id_ in range(tokenizer.vocab_size)])
    if isinstance(tokenizer, GPT2Tokenizer):
        lengths[tokenizer.end_of_text] = 0
    starts = window_starts(len(tokens), seq_size, max_tokens)
    total = 0
    for first in range(0, len(starts), 1000):  # some at a time: a split may be larger than memory
        _, targets = _batch(tokens, starts[first : first + 1000], seq_size)
        total += int(lengths[targets[targets >= 0].numpy()].sum())
    return total


def bits_per_byte(evaluation: Evaluation, n_bytes: int) -> float:
    """Return a loss in bits for each byte of text, which compares models of other tokenizers.

    Args:
        evaluation: A loss in nats per token, and of how many tokens.
        n_bytes: Of the text of exactly these tokens.
    """
    return evaluation.loss * evaluation.tokens / (math.log(2) * n_bytes)


class Choices(NamedTuple):
    """How often a model prefers the right one of several endings."""

    accuracy: float
    """By the likelihood of the whole ending, which favours short ones."""
    standard_error: float
    """Of the accuracy, each item one draw. nan for one item."""
    normalized_accuracy: float
    """By the mean log-likelihood of the ending's tokens: the lowest mean loss is the answer."""
    normalized_standard_error: float
    """Of the normalized accuracy."""
    items: int
    """How many were answered."""


def choose(
    model: nn.Module,
    tokenizer: Tokenizer,
    items: Sequence[Item],
    seq_size: int,
) -> Choices:
    """Return how well a model completes HellaSwag's contexts (Zellers et al. 2019).

    An ending follows its context after a space. Only the ending's tokens are scored: their
    log-likelihoods are summed, or averaged for the normalized accuracy, which for GPT-2 124M is
    29.55 % over the 10,042 items for validation (build-nanogpt). A context that is too long loses
    its beginning. Of equal scores the first wins.

    Args:
        model: Left in the mode (training or not) it was in.
        tokenizer: The model's.
        items: At least one.
        seq_size: Most tokens that the model takes.

    Raises:
        UserError: If an item has a character that the tokenizer lacks, or an ending that is longer
            than the model's context.
    """
    rows = [row for number, item in enumerate(items) for row in _rows(number, item, tokenizer)]
    totals, counts = _ending_losses(model, rows, seq_size)
    labels = torch.tensor([item.label for item in items])
    shape = (len(items), -1)
    by_total = totals.view(shape).argmin(dim=1) == labels
    by_mean = (totals / counts).view(shape).argmin(dim=1) == labels
    return Choices(*_share(by_total), *_share(by_mean), len(items))


def _rows(number: int, item: Item, tokenizer: Tokenizer) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the ids of an item's context with those of each ending."""
    try:
        context = tokenizer.encode(item.context)
        for ending in item.endings:
            yield context, tokenizer.encode(f" {ending}")
    except UserError as error:
        raise UserError(f"item {number}: {error}") from None


def _ending_losses(
    model: nn.Module,
    rows: list[tuple[list[int], list[int]]],
    seq_size: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed loss of each row's ending in nats, and its number of tokens (N, N).

    Rows of like length go together; what fills the shorter ones up comes after them, unseen.
    """
    longest = max(len(ending) for _, ending in rows)
    if longest > seq_size:
        raise UserError(
            f"seq_size = {seq_size}: an ending takes {longest} tokens; allowed: a model that takes "
            "at least as many"
        )
    device = next(model.parameters()).device
    whole = [(context + ending)[-seq_size - 1 :] for context, ending in rows]
    totals, counts = torch.zeros(len(rows), dtype=torch.float64), torch.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda row: len(whole[row]))
    while order:
        length = len(whole[order[-1]])
        count = max(1, TOKENS_PER_BATCH // length)
        batch, order = order[-count:], order[:-count]
        padded = torch.tensor([whole[row] + [0] * (length - len(whole[row])) for row in batch])
        targets = torch.full((len(batch), length - 1), -100)
        for place, row in enumerate(batch):
            end, n_ending = len(whole[row]) - 1, len(rows[row][1])
            targets[place, end - n_ending : end] = padded[place, end + 1 - n_ending : end + 1]
        with evaluation_mode(model):
            logits, _ = model(padded[:, :-1].to(device))
        losses = F.cross_entropy(
            logits.float().flatten(0, 1), targets.to(device).flatten(), reduction="none"
        ).view(targets.shape)
        totals[batch] = losses.double().sum(dim=1).cpu()
        counts[batch] = (targets >= 0).sum(dim=1).float()
    return totals, counts


def _share(right: torch.Tensor) -> tuple[float, float]:
    """Return the share of True and its standard error."""
    share, n = right.double().mean().item(), len(right)
    return share, math.sqrt(share * (1 - share) / (n - 1)) if n > 1 else float("nan")
