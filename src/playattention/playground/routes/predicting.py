"""What a model would say: after each block, at each position, and where a score comes from."""

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from fastapi import Query
from torch import nn

from playattention.errors import UserError
from playattention.playground.answers import Candidate, TokenText
from playattention.playground.answers_predicting import (
    LedgerAnswer,
    LedgerEntry,
    Lens,
    LensCell,
    LossEntry,
    LossesAnswer,
    RoleEntry,
    Roles,
    TrueNext,
)
from playattention.playground.looks import Look, Looks
from playattention.playground.requests import LedgerQuery, RunQuery, TopQuery
from playattention.playground.routes import Asked, group
from playattention.playground.texts import windows_of
from playattention.tokenizers import Tokenizer
from playattention.xray.ledger import ledger as ledger_of
from playattention.xray.lens import IGNORED, logit_lens
from playattention.xray.lens import losses as losses_of
from playattention.xray.patterns import TOLD
from playattention.xray.roles import Role, head_roles, untrained_twins

router = group("predicting")


@router.get("/lens")
def lens(asked: Asked, query: Annotated[TopQuery, Query()]) -> Lens:
    """Return what each stage would predict at each position."""
    found = asked.look(query.run, query.step, query.text, query.change)
    _check_size(asked, found)
    return found.kept(f"lens {query.k}", lambda model: lens_answer(model, found, query.k))


@router.get("/losses")
def losses(asked: Asked, query: Annotated[TopQuery, Query()]) -> LossesAnswer:
    """Return what each prediction of the text cost."""
    found = asked.look(query.run, query.step, query.text, query.change)
    return found.kept(f"losses {query.k}", lambda model: losses_answer(model, found, query.k))


@router.get("/ledger")
def ledger(asked: Asked, query: Annotated[LedgerQuery, Query()]) -> LedgerAnswer:
    """Return one logit as a sum over the parts of the model."""
    found = asked.look(query.run, query.step, query.text, query.change)
    name = f"ledger {query.pos} {query.token}"
    return found.kept(name, lambda model: ledger_answer(model, found, query.pos, query.token))


@router.get("/roles")
def roles(asked: Asked, query: Annotated[RunQuery, Query()]) -> Roles:
    """Return what each head looks at, beside untrained models; slow the first time."""
    found = asked.look(query.run, query.step)
    return found.kept("roles", lambda model: _roles(model, found))


def _check_size(looks: Looks, found: Look) -> None:
    sizes = found.opened.config.model
    needed = 4 * (sizes.n_layer + 1) * len(found.ids) * sizes.vocab_size
    if needed > looks.limit:
        raise UserError(
            f"text = {len(found.ids)} tokens: the scores after {sizes.n_layer + 1} stages take "
            f"{needed:,} bytes; allowed: {looks.limit:,.0f}, so a shorter text"
        )


def lens_answer(model: nn.Module, found: Look, k: int) -> Lens:
    """Return what each stage would predict at each position."""
    seen = logit_lens(model, found.idx)
    tokenizer, ids = found.opened.tokenizer, found.ids
    stages = []
    for scores in seen.logits[:, 0]:  # (T, V), stage by stage: their probabilities are as large
        logs = scores.log_softmax(dim=-1)
        probabilities, likely = (one.tolist() for one in _top(logs, k))
        true = logs[:-1].gather(-1, found.idx[0, 1:, None])  # (T - 1, 1)
        ranks = (1 + (logs[:-1] > true).sum(dim=-1)).tolist()
        shares = true.exp()[:, 0].tolist()
        following = [
            TrueNext(id=id_, text=tokenizer.decode([id_]), rank=rank, probability=share)
            for id_, rank, share in zip(ids[1:], ranks, shares, strict=True)
        ]
        stages.append(
            [
                LensCell(
                    top=_candidates(tokenizer, likely[place], probabilities[place]), next=next_
                )
                for place, next_ in enumerate([*following, None])
            ]
        )
    return Lens(stages=seen.stages, positions=stages)


def _top(logs: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    if k > logs.size(-1):
        raise UserError(f"k = {k}: must be 1 to {logs.size(-1)}, the tokens there are")
    best, ids = logs.topk(k, dim=-1)
    return best.exp(), ids


def losses_answer(model: nn.Module, found: Look, k: int) -> LossesAnswer:
    """Return what each prediction of a text cost."""
    targets = found.targets
    if targets is None:  # of a single token, candidates can be told all the same
        targets = torch.full_like(found.idx, IGNORED)
    seen = losses_of(model, found.idx, targets, k)
    tokenizer, ids = found.opened.tokenizer, found.ids
    entries = []
    for place, id_ in enumerate(ids):
        counts = int(targets[0, place]) != IGNORED
        following = _token(tokenizer, ids[place + 1]) if counts else None
        entries.append(
            LossEntry(
                position=place,
                token=_token(tokenizer, id_),
                next=following,
                loss=seen.loss[0, place].item() if counts else None,
                probability=seen.probability[0, place].item() if counts else None,
                rank=int(seen.rank[0, place]) if counts else None,
                top=_candidates(
                    tokenizer,
                    seen.top_ids[0, place].tolist(),
                    seen.top_probabilities[0, place].tolist(),
                ),
            )
        )
    return LossesAnswer(mean=None if math.isnan(seen.mean) else seen.mean, positions=entries)


def ledger_answer(
    model: nn.Module, found: Look, place: int | None, token: int | None
) -> LedgerAnswer:
    """Return one logit as a sum over the parts of the model."""
    place = len(found.ids) - 1 if place is None else place
    if place >= len(found.ids):
        raise UserError(f"pos = {place}: must be 0 to {len(found.ids) - 1}")
    if token is None:
        with torch.no_grad():
            token = int(model(found.idx)[0][0, place].argmax())
    seen = ledger_of(model, found.idx, place, token)
    return LedgerAnswer(
        position=place,
        token=_token(found.opened.tokenizer, token),
        logit=seen.logit,
        total=seen.total,
        remainder=seen.remainder,
        entries=[
            LedgerEntry(
                name=entry.name,
                kind=entry.kind,
                layer=entry.layer,
                head=entry.head,
                amount=entry.amount,
            )
            for entry in seen.entries
        ],
    )


def _roles(model: nn.Module, found: Look) -> Roles:
    told, windows = windows_of(found.opened)
    seen = head_roles(model, windows, untrained=_twins(model, found.looks))
    return Roles(
        text=told,
        windows=len(windows),
        patterns={name: TOLD[name] for name in seen.patterns},
        roles=[_role(role) for role in seen],
    )


def _twins(model: nn.Module, looks: Looks) -> Iterator[nn.Module]:
    """Yield the untrained models to compare with; in between, others get their turn."""
    for twin in untrained_twins(model):
        looks.alone.let_others()
        yield twin


def _role(role: Role) -> RoleEntry:
    return RoleEntry(**{name: getattr(role, name) for name in RoleEntry.model_fields})


def _token(tokenizer: Tokenizer, id_: int) -> TokenText:
    return TokenText(id=id_, text=tokenizer.decode([id_]))


def _candidates(
    tokenizer: Tokenizer, ids: list[int], probabilities: list[float]
) -> list[Candidate]:
    return [
        Candidate(id=id_, text=tokenizer.decode([id_]), probability=probability)
        for id_, probability in zip(ids, probabilities, strict=True)
    ]
