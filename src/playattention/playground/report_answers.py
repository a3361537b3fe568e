"""What the server would answer about a trace, for a page that has no server.

Does not know how the page gets it.
"""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import nn

from playattention.errors import UserError
from playattention.playground.looks import Look
from playattention.playground.routes.looking import heads_of, loss_of, short, values_of
from playattention.playground.routes.predicting import (
    ledger_answer,
    lens_answer,
    losses_answer,
)
from playattention.xray.lens import IGNORED, likeliest
from playattention.xray.trace import Trace

CANDIDATES = 10
LENS_CANDIDATES = 5
LEDGER_CANDIDATES = 8
LEDGER_SECONDS = 10
"""For the ledgers; the likeliest and the true next tokens come first."""

Decode = Callable[[list[int]], str]


class Seen:
    """What a look of the server tells, from a trace alone.

    Args:
        trace: What a watch saw.
        decode: Token ids -> their text.
    """

    def __init__(self, trace: Trace, decode: Decode | None) -> None:
        self.trace = trace
        self.idx = trace.idx[:1].cpu()
        self.ids: list[int] = self.idx[0].tolist()
        known = dict(zip(self.ids, trace.labels, strict=True))
        self.decode = decode
        tokens = decode or (lambda ids: "".join(known.get(id_, f"[{id_}]") for id_ in ids))
        self.text = tokens(self.ids)
        self.opened = SimpleNamespace(tokenizer=SimpleNamespace(decode=tokens))

    @property
    def targets(self) -> torch.Tensor | None:
        """The next tokens (1, T)."""
        if len(self.ids) == 1:
            return None
        return torch.cat([self.idx[:, 1:], torch.tensor([[IGNORED]])], dim=1)

    @property
    def logits(self) -> torch.Tensor | None:
        """What the model returned first (1, T, V), if that was scores for each position."""
        found = [one for one in self.trace.values if (one.module, one.name) == ("", "return[0]")]
        if not found or found[-1].tensor.dim() != 3:
            return None
        return found[-1].tensor[:1].cpu()

    def vocabulary(self) -> list[str]:
        """Return how all tokens are shown, where that is known."""
        size = 0 if self.logits is None else self.logits.size(-1)
        if self.decode is None:
            return [str(id_) for id_ in range(size)]
        return [self.decode([id_]) for id_ in range(size)]


class _Replay(nn.Module):
    """Returns the scores that the trace saw."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the scores for the very tokens of the trace."""
        del idx
        return self.logits, None


def look_answer(seen: Seen, run: str, step: int) -> dict[str, Any]:
    """Return what /api/look answers."""
    trace = seen.trace
    decode = seen.opened.tokenizer.decode
    heads = [one.model_dump() for one in heads_of(trace)]
    sizes = {
        "n_layer": len({one["layer"] for one in heads}),
        "n_head": len({one["head"] for one in heads}),
        "n_embd": next((one.size(-1) for one in trace.weights.values() if one.dim() == 2), 0),
        "seq_size": len(seen.ids),
        "vocab_size": 0 if seen.logits is None else seen.logits.size(-1),
    }
    sizes["head_size"] = sizes["n_embd"] // max(1, sizes["n_head"])
    following: list[dict[str, Any]] = []
    if seen.logits is not None:
        shares, ids = likeliest(seen.logits[0, -1].float(), min(5, seen.logits.size(-1)))
        following = [
            {"id": id_, "text": decode([id_]), "probability": share}
            for id_, share in zip(ids.tolist(), shares.tolist(), strict=True)
        ]
    kind = trace.parts[""].kind.rpartition(".")[2] if "" in trace.parts else ""
    return {
        "run": run,
        "model": kind,
        "step": step,
        "steps": [step],
        "text": seen.text,
        "change": "",
        "sizes": sizes,
        "seq_size": sizes["seq_size"],
        "tokens": [
            {"id": id_, "text": text, "bytes": [*text.encode()]}
            for id_, text in zip(seen.ids, trace.labels, strict=True)
        ],
        "loss": loss_of(trace),
        "next": following,
        "values": [one.model_dump() for one in values_of(trace)],
        "heads": heads,
        "bytes": trace.nbytes,
        "milliseconds": 0.0,
    }


def sources(trace: Trace) -> dict[str, Any]:
    """Return what /api/source answers, for each module and function: their text once."""
    found = {}
    for call in trace.calls:
        key = f"{call.module}|{call.function}"
        if key in found:
            continue
        listing = trace.lines(call.module, call.function)
        found[key] = {
            "file": short(listing.file),
            "lines": [
                [line.number, line.text, [one.title for one in line.values]]
                for line in listing.lines
            ],
        }
    return found


def predictions(seen: Seen, model: nn.Module | None) -> dict[str, Any]:
    """Return what /api/losses, /api/lens and /api/ledger answer, as far as that is known."""
    found: dict[str, Any] = {}
    as_look = cast(Look, seen)
    if seen.logits is not None:
        most = min(CANDIDATES, seen.logits.size(-1))
        answer = losses_answer(_Replay(seen.logits), as_look, most)
        found["losses"] = answer.model_dump(mode="json")
    if model is None:
        return found
    try:
        found["lens"] = lens_answer(model, as_look, LENS_CANDIDATES).model_dump(mode="json")
        found["ledger"] = _ledgers(seen, model, found.get("losses"))
    except UserError as error:  # its parts are not those of a GPT
        found["without"] = str(error)
    return found


def _ledgers(seen: Seen, model: nn.Module, losses: dict[str, Any] | None) -> dict[str, Any]:
    """Return ledgers of the tokens that the page offers, the likeliest first."""
    wanted: list[tuple[int, int]] = []
    positions = [] if losses is None else losses["positions"]
    for rank in range(LEDGER_CANDIDATES):
        for one in positions:
            wanted += [(one["position"], found["id"]) for found in one["top"][rank : rank + 1]]
            if rank == 0 and one["next"] is not None:
                wanted.append((one["position"], one["next"]["id"]))
    parts: list[dict[str, Any]] = []
    rows: dict[str, list[float]] = {}
    latest = time.monotonic() + LEDGER_SECONDS
    for position, token in dict.fromkeys(wanted):
        if time.monotonic() > latest:
            break
        answer = ledger_answer(model, cast(Look, seen), position, token).model_dump(mode="json")
        entries = answer["entries"]
        amounts = [one.pop("amount") for one in entries]
        parts = parts or entries
        rows[f"{position},{token}"] = [
            answer["logit"],
            answer["total"],
            answer["remainder"],
            *amounts,
        ]
    return {"parts": parts, "rows": rows}
