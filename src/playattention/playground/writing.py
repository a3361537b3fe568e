"""The next token, and how it came to be drawn: logits, temperature, filters, probabilities.

The numbers are those of `generation.py`; the cache is the model's own. Does not know HTTP.
"""

from dataclasses import dataclass

import torch

from playattention.errors import UserError
from playattention.generation import draw_tokens, next_token_distribution, takes_cache
from playattention.models.kv_cache import KVCache
from playattention.playground.answers_training import CacheSize, Choice, Drawn, Generated, Rest
from playattention.playground.changes import Changes
from playattention.playground.opened import Opened
from playattention.playground.requests import GenerateBody


@dataclass(frozen=True, eq=False)
class Columns:
    """A token's way from its logit to its probability, for all tokens (V)."""

    logits: torch.Tensor
    raw: torch.Tensor
    """softmax(logits)"""
    tempered: torch.Tensor
    """softmax(logits / temperature)"""
    filtered: torch.Tensor
    """After top-k and top-p: what is drawn from."""


def written(opened: Opened, changes: Changes, body: GenerateBody, ids: list[int]) -> Generated:
    """Return a text with one token more.

    Args:
        opened: The model.
        changes: What it is changed by.
        body: How the token is drawn.
        ids: The text so far, at least one token.

    Raises:
        UserError: If a setting is out of its range.
    """
    config = opened.config.model
    wrong = next((id_ for id_ in ids if id_ >= config.vocab_size), None)
    if wrong is not None:
        raise UserError(f"ids = {wrong}: must be 0 to {config.vocab_size - 1}")
    idx = changes.tokens(torch.tensor([ids[-config.seq_size :]]))
    logits, cache = _logits(opened, changes, idx)
    columns = columns_of(logits, body)
    drawn = _draw(columns.filtered, body)
    order = columns.logits.argsort(descending=True, stable=True)[: body.candidates].tolist()
    shown = [*dict.fromkeys([*order, drawn])]
    longer = [*ids, drawn]
    decode = opened.tokenizer.decode
    return Generated(
        seen=idx.size(1),
        ids=longer,
        text=decode(longer),
        drawn=Drawn(id=drawn, text=decode([drawn]), probability=columns.filtered[drawn].item()),
        candidates=[_choice(columns, id_, decode([id_]), body.temperature) for id_ in shown],
        kept=int((columns.filtered > 0).sum()),
        rest=_rest(columns, shown),
        cache=cache,
    )


def columns_of(logits: torch.Tensor, body: GenerateBody) -> Columns:
    """Return every step from logits (V) to what a token is drawn from."""
    row = logits.float()[None]
    return Columns(
        logits.float(),
        next_token_distribution(row)[0],
        next_token_distribution(row, body.temperature)[0],
        next_token_distribution(row, body.temperature, body.top_k, body.top_p)[0],
    )


def _logits(
    opened: Opened, changes: Changes, idx: torch.Tensor
) -> tuple[torch.Tensor, CacheSize | None]:
    """Return the scores of the next token (V), and what a cache of the text so far takes."""
    model, sizes = opened.model, opened.config.model
    cache = KVCache(sizes.seq_size)
    with torch.no_grad(), changes.made(model, idx):
        if not takes_cache(model):
            return model(idx)[0][0, -1], None
        try:
            logits, _ = model(idx, cache=cache)
        except UserError:  # what looks ahead can't come one by one
            logits, _ = model(idx)
            return logits[0, -1], None
    per_token = cache.nbytes // cache.capacity
    size = CacheSize(
        tokens=cache.length,
        bytes=per_token * cache.length,
        bytes_per_token=per_token,
        capacity=cache.capacity,
        layers=sizes.n_layer,
    )
    return logits[0, -1], size


def _draw(filtered: torch.Tensor, body: GenerateBody) -> int:
    """Return a token: the one that this draw of the seed gives."""
    if body.temperature == 0:
        return int(filtered.argmax())
    generator = torch.Generator().manual_seed(body.seed)
    for _ in range(body.draw):  # each draw takes as much randomness, whatever it is drawn from
        draw_tokens(torch.ones_like(filtered)[None], generator)
    return int(draw_tokens(filtered[None], generator))


def _choice(columns: Columns, id_: int, text: str, temperature: float) -> Choice:
    logit = columns.logits[id_].item()
    tempered = logit / temperature if temperature else None
    return Choice(
        id=id_,
        text=text,
        logit=logit,
        tempered_logit=tempered if tempered is not None and abs(tempered) < float("inf") else None,
        raw=columns.raw[id_].item(),
        tempered=columns.tempered[id_].item(),
        kept=bool(columns.filtered[id_] > 0),
        probability=columns.filtered[id_].item(),
    )


def _rest(columns: Columns, shown: list[int]) -> Rest:
    """Return all tokens together that are not shown one by one."""
    left = torch.ones_like(columns.raw, dtype=torch.bool)
    left[shown] = False
    return Rest(
        count=int(left.sum()),
        raw=columns.raw[left].double().sum().item(),
        tempered=columns.tempered[left].double().sum().item(),
        probability=columns.filtered[left].double().sum().item(),
    )
