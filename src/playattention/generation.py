"""Sampling: one token after another from a model's own distribution.

Sees token ids only, never text. Draws from the generator it is given, so that sampling while a
model trains leaves the training as it would have been.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from playattention.config import ModelConfig
from playattention.errors import UserError
from playattention.models.kv_cache import KVCache
from playattention.models.single_tokens import compiled_step

Generators = torch.Generator | Sequence[torch.Generator] | None


MANY_TOKENS = 4096
"""A vocabulary this large is drawn from, and sorted, with as little work as can be."""


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
    generator: Generators = None,
    use_cache: bool = True,
    samples: int = 1,
    compiled: bool = False,
) -> torch.Tensor:
    """Return the prompt with new tokens behind it.

    Args:
        model: A model of this package; left in the mode (training or not) it was in.
        idx: The prompt (B, T), at least one token. The model sees its last seq_size tokens.
        max_new_tokens: How many tokens to add.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: Keeps the k likeliest tokens; default: all.
        top_p: Keeps the fewest tokens whose probabilities reach p (Holtzman et al. 2020, 3.1).
        generator: Source of randomness, on the model's device, or one for each text that is
            written; default: torch's global one.
        use_cache: Keeps keys and values between steps, where the model can: same tokens, sooner.
        compiled: The second token waits for a compiler, some 20 s; each after it comes sooner.
        samples: How many texts to write from each prompt, side by side; the prompt is computed
            once for all of them.

    Returns:
        Token ids (B * samples, T + max_new_tokens); those of one prompt follow each other.

    Raises:
        UserError: If a setting is out of range or rules out another, or the prompt is empty.
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
        compiled=compiled,
        samples=samples,
    )
    prompts = idx.repeat_interleave(samples, dim=0)
    return torch.cat([prompts, *(step.ids for step in steps)], dim=1)


def stream(
    model: nn.Module,
    idx: torch.Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: Generators = None,
    use_cache: bool = True,
    samples: int = 1,
    compiled: bool = False,
) -> Iterator[Step]:
    """Yield each new token as it is drawn, with the distributions it came from.

    Args, errors: as in `generate`.
    """
    _check(idx, max_new_tokens, temperature, top_k, top_p, samples=samples)
    cached = use_cache and takes_cache(model)
    if compiled and not cached:
        raise UserError("compiled = True: what is compiled is a step with a cache; allowed: False")
    single = compiled_step(model) if compiled else model

    def draw(logits: torch.Tensor) -> Step:
        filtered = next_token_distribution(logits, temperature, top_k, top_p)
        whole = temperature == 1 and top_k is None and top_p is None
        raw = filtered if whole else torch.softmax(logits.float(), dim=-1)
        if temperature == 0:
            ids = filtered.argmax(dim=-1, keepdim=True)
        else:
            ids = draw_tokens(filtered, generator)
        return Step(ids, raw, filtered)

    # A generator function checks nothing before its first step; this one has checked by now.
    return _steps(model, single, idx, max_new_tokens, draw, cached=cached, samples=samples)


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
    tempered = logits.float()
    if temperature != 1:
        # The largest first goes to 0, so that no temperature, however small, overflows.
        tempered = (tempered - tempered.amax(dim=-1, keepdim=True)) / temperature
    probabilities = torch.softmax(tempered, dim=-1)
    if top_k is None and top_p is None:
        return probabilities
    ordered, order = _likeliest(probabilities, top_k, top_p)
    if top_p is not None:
        before = ordered.cumsum(dim=-1) - ordered
        ordered = ordered.where(before < top_p, 0.0)  # 0 < top_p: the first always stays
    filtered = torch.zeros_like(probabilities).scatter(-1, order, ordered)
    return filtered / filtered.sum(dim=-1, keepdim=True)


def _likeliest(
    probabilities: torch.Tensor, top_k: int | None, top_p: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k largest probabilities, or at least those that reach p, and their tokens."""
    vocab_size = probabilities.size(-1)
    few = min(top_k or MANY_TOKENS // 4, vocab_size)
    ordered, order = probabilities.topk(few, dim=-1)
    if top_k is not None or top_p is None or bool((ordered.sum(dim=-1) > top_p).all()):
        return ordered, order
    return probabilities.sort(dim=-1, descending=True)  # 4 ms for GPT-2's tokens: seldom needed


def draw_tokens(probabilities: torch.Tensor, generator: Generators = None) -> torch.Tensor:
    """Draw a token from each distribution.

    Args:
        probabilities: Of the next token (B, V).
        generator: Source of randomness, or one for each row; default: torch's global one.

    Returns:
        Token ids (B, 1).
    """
    if isinstance(generator, Sequence):
        rows = zip(probabilities.unbind(), generator, strict=True)
        return torch.cat([draw_tokens(row[None], one) for row, one in rows])
    if probabilities.size(-1) < MANY_TOKENS or probabilities.device.type != "cpu":
        return torch.multinomial(probabilities, 1, generator=generator)
    # On a CPU multinomial makes a random number for every token, 1.2 ms for GPT-2's. One is enough:
    # where it falls between the sums.
    sums = probabilities.cumsum(dim=-1, dtype=torch.float64)
    place = torch.rand(len(sums), 1, generator=generator, dtype=torch.float64) * sums[:, -1:]
    return torch.searchsorted(sums, place, right=True).clamp(max=sums.size(-1) - 1)


def _check(
    idx: torch.Tensor,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    *,
    samples: int,
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
    if samples < 1:
        raise UserError(f"samples = {samples}: must be 1 or more")


def _steps(
    model: nn.Module,
    single: Callable[..., tuple[torch.Tensor, torch.Tensor | None]],
    idx: torch.Tensor,
    max_new_tokens: int,
    draw: Callable[[torch.Tensor], Step],
    *,
    cached: bool,
    samples: int,
) -> Iterator[Step]:
    config: ModelConfig = model.config  # type: ignore[assignment]  # a plain attribute of a module
    room = min(config.seq_size, idx.size(1) + max_new_tokens)
    cache = KVCache(room) if cached else None
    unseen = window = idx[:, -config.seq_size :]
    for number in range(max_new_tokens):
        with evaluation_mode(model):
            # With tokens in the cache, the unseen one is single: a prompt may have any length.
            forward = single if cache and cache.length else model
            logits, _ = forward(unseen, cache=cache) if cache else model(window)
            last = logits[:, -1]  # (B, V)
            if number == 0 and samples > 1:
                last, window = (each.repeat_interleave(samples, dim=0) for each in (last, window))
                if cache:
                    cache.repeat(samples)
            step = draw(last)
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
