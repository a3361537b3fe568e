"""Sampling: one token after another from a model's own distribution.

Sees token ids only, never text. Draws from the generator it is given, so that sampling while a
model trains leaves the training as it would have been.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from playattention.config import ModelConfig
from playattention.errors import UserError
from playattention.models.kv_cache import KVCache


class Step(NamedTuple):
    """One generated token for each sequence, and the distributions it came from."""

    ids: torch.Tensor
    """The tokens drawn (B, 1)."""
    raw: torch.Tensor
    """The model's own probabilities (B, V)."""
    filtered: torch.Tensor
    """The probabilities after temperature, top-k and top-p (B, V)."""


def generate(
    model: nn.Module,
    idx: torch.Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> torch.Tensor:
    """Return the prompt with new tokens behind it.

    Args:
        model: A model of this package; left in the mode (training or not) it was in.
        idx: The prompt (B, T), at least one token. The model sees its last seq_size tokens.
        max_new_tokens: How many tokens to add.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: Keeps the k likeliest tokens; default: all.
        top_p: Keeps the fewest tokens whose probabilities reach p (Holtzman et al. 2020, 3.1).
        generator: Source of randomness, on the model's device; default: torch's global one.
        use_cache: Keeps keys and values between steps, where the model can; the tokens are the
            same without.

    Returns:
        Token ids (B, T + max_new_tokens).

    Raises:
        UserError: If a setting is out of its range, or the prompt is empty.
    """
    steps = stream(
        model,
        idx,
        max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        generator=generator,
        use_cache=use_cache,
    )
    return torch.cat([idx, *(step.ids for step in steps)], dim=1)


def stream(
    model: nn.Module,
    idx: torch.Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> Iterator[Step]:
    """Yield each new token as it is drawn, with the distributions it came from.

    Args, errors: as in `generate`.
    """
    _check(idx, max_new_tokens, temperature, top_k, top_p)

    def draw(logits: torch.Tensor) -> Step:
        filtered = next_token_distribution(logits, temperature, top_k, top_p)
        if temperature == 0:
            ids = filtered.argmax(dim=-1, keepdim=True)
        else:
            ids = torch.multinomial(filtered, 1, generator=generator)
        return Step(ids, torch.softmax(logits.float(), dim=-1), filtered)

    # A generator function checks nothing before its first step; this one has checked by now.
    return _steps(model, idx, max_new_tokens, draw, use_cache)


def lay_out_for_generation(model: nn.Module) -> None:
    """Turn the matrices of a model around in memory, which makes single tokens faster on a CPU.

    Generation multiplies each matrix with one vector at a time, which is faster over long rows. A
    matrix with more outputs than inputs is therefore kept input by input; shapes, values and
    gradients are as before. Measured for GPT-2 124M: benchmarks/README.md.

    Args:
        model: Its weights are laid out anew, in place.
    """
    for weight in model.parameters():
        if weight.dim() == 2 and weight.size(0) > weight.size(1):
            weight.data = weight.data.T.contiguous().T


def next_token_distribution(
    logits: torch.Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> torch.Tensor:
    """Return the probabilities that a token is drawn from.

    Top-k and top-p both look at the tempered distribution; a token must pass both.

    Args:
        logits: Scores of the next token (B, V).
        temperature: Divides the logits; 0 gives the likeliest token all the probability.
        top_k: Keeps exactly k tokens, also where scores are equal.
        top_p: Keeps the fewest tokens that together reach p, the one that crosses it included.

    Returns:
        Probabilities (B, V).
    """
    if temperature == 0:
        likeliest = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits, dtype=torch.float32).scatter(-1, likeliest, 1.0)
    # The largest first goes to 0, so that no temperature, however small, overflows.
    tempered = (logits.float() - logits.float().amax(dim=-1, keepdim=True)) / temperature
    probabilities = torch.softmax(tempered, dim=-1)
    if top_k is None and top_p is None:
        return probabilities
    vocab_size = logits.size(-1)
    ordered, order = probabilities.topk(min(top_k or vocab_size, vocab_size), dim=-1)
    if top_p is not None:
        before = ordered.cumsum(dim=-1) - ordered
        ordered = ordered.where(before < top_p, 0.0)  # 0 < top_p: the first always stays
    filtered = torch.zeros_like(probabilities).scatter(-1, order, ordered)
    return filtered / filtered.sum(dim=-1, keepdim=True)


def _check(
    idx: torch.Tensor,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> None:
    if idx.dim() != 2 or idx.size(1) == 0:
        raise UserError(f"idx of shape {tuple(idx.shape)}: must be (B, T) with at least one token")
    if max_new_tokens < 0:
        raise UserError(f"max_new_tokens = {max_new_tokens}: must be 0 or more")
    if not 0 <= temperature < float("inf"):
        raise UserError(f"temperature = {temperature}: must be 0 (greedy) or more")
    if top_k is not None and top_k < 1:
        raise UserError(f"top_k = {top_k}: must be 1 or more")
    if top_p is not None and not 0 < top_p <= 1:
        raise UserError(f"top_p = {top_p}: must be above 0 and at most 1")


def _steps(
    model: nn.Module,
    idx: torch.Tensor,
    max_new_tokens: int,
    draw: Callable[[torch.Tensor], Step],
    use_cache: bool,
) -> Iterator[Step]:
    config: ModelConfig = model.config  # type: ignore[assignment]  # a plain attribute of a module
    cache = KVCache(config.seq_size) if use_cache and takes_cache(model) else None
    unseen = window = idx[:, -config.seq_size :]
    for _ in range(max_new_tokens):
        with evaluation_mode(model):
            logits, _ = model(unseen, cache=cache) if cache else model(window)
            step = draw(logits[:, -1])
        yield step
        unseen = step.ids
        window = torch.cat([window, step.ids], dim=1)[:, -config.seq_size :]
        if cache and cache.length == config.seq_size:
            # Every token has moved to another position: what is cached belongs to the old ones.
            cache.clear()
            unseen = window


def takes_cache(model: nn.Module) -> bool:
    """Tell whether a model can keep keys and values: those that learners write need not."""
    parameters = inspect.signature(model.forward).parameters.values()
    return any(one.name == "cache" or one.kind is one.VAR_KEYWORD for one in parameters)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Switch dropout and gradients off, and put each module back into its mode afterwards."""
    was_training = [part for part in model.modules() if part.training] if model.training else []
    if was_training:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part in was_training:
            part.training = True
