"""What a model would say: after each of its blocks, and at each position of a text.

`logit_lens` asks each stage of the stream what it would predict (nostalgebraist 2020, "interpreting
GPT: the logit lens"); `losses` compares the prediction with what comes. Knows no model: the norm
and the head are the model's own lines, which run as they stand. Pictures are drawn elsewhere.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from playattention.errors import UserError
from playattention.xray.anatomy import Anatomy, anatomy, own_logits, passed
from playattention.xray.checks import check_targets, check_tokens
from playattention.xray.tables import WIDTH, Decode, shown, table

IGNORED = -100
"""The target that does not count, as in torch's cross-entropy."""


@dataclass(frozen=True, eq=False)
class LogitLens:
    """What each stage of a model would predict; stage 0 is the embedding, the last the model."""

    idx: torch.Tensor
    """The tokens (B, T)."""
    logits: torch.Tensor
    """Scores of the next token after each stage (L + 1, B, T, V), float32."""
    decode: Decode | None = field(default=None, repr=False)
    """How tokens are shown; None: as numbers."""

    @property
    def stages(self) -> list[str]:
        """What each stage is called."""
        return ["embedding", *(f"block {layer}" for layer in range(len(self.logits) - 1))]

    @property
    def probabilities(self) -> torch.Tensor:
        """Of the next token after each stage (L + 1, B, T, V); as large as the logits."""
        return torch.softmax(self.logits, dim=-1)

    def top(self, k: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the likeliest next tokens after each stage.

        Args:
            k: How many, from 1 to V.

        Returns:
            Their probabilities and their ids, the likeliest first (L + 1, B, T, k).

        Raises:
            UserError: If k is out of its range.
        """
        return likeliest(self.logits, k)

    def __repr__(self) -> str:
        """Show the likeliest token and its probability at the last positions of the first text."""
        probabilities, ids = (found[:, 0, :, 0] for found in self.top())
        cells = [
            [
                f"{shown(int(id_), self.decode, 8)} {share:.0%}"
                for id_, share in zip(*row, strict=True)
            ]
            for row in zip(ids, probabilities.tolist(), strict=True)
        ]
        texts = [shown(id_, self.decode, 8) for id_ in self.idx[0].tolist()]
        rows = [
            ["after", *texts],
            *([name, *row] for name, row in zip(self.stages, cells, strict=True)),
        ]
        first = len(texts)
        while first > 1 and len(_lines(rows, first - 1)[0]) <= WIDTH:
            first -= 1
        return "\n".join(_lines(rows, first))


@dataclass(frozen=True, eq=False)
class Losses:
    """What each prediction cost, and what else the model held likely."""

    idx: torch.Tensor
    """The tokens (B, T)."""
    targets: torch.Tensor
    """The tokens that come next (B, T); those at -100 do not count."""
    loss: torch.Tensor
    """Surprise in nats (B, T), float32; nan where it does not count."""
    probability: torch.Tensor
    """Of the true token (B, T); nan where it does not count."""
    rank: torch.Tensor
    """Of the true token (B, T): 1 is the likeliest, equals share a rank; 0: does not count."""
    top_probabilities: torch.Tensor
    """Of the likeliest tokens, the first first (B, T, k)."""
    top_ids: torch.Tensor
    """Which they are (B, T, k)."""
    decode: Decode | None = field(default=None, repr=False)
    """How tokens are shown; None: as numbers."""

    @property
    def mean(self) -> float:
        """Mean surprise of the tokens that count: the model's loss; nan if none does."""
        return self.loss[self.targets != IGNORED].double().mean().item()

    def __repr__(self) -> str:
        """Show the last positions of the first text."""
        length = self.idx.size(1)
        heading = ["position", "token", "next", "loss", "rank", "candidates"]
        rows = [heading, *(self._row(place) for place in range(max(0, length - 30), length))]
        lines = table(rows, left=3).splitlines()
        counts = bool((self.targets != IGNORED).any())
        told = f"mean loss {self.mean:.4f} nats" if counts else "no target counts: all are -100"
        return "\n".join([*(line[:WIDTH] for line in lines), told])

    def _row(self, position: int) -> list[str]:
        target = int(self.targets[0, position])
        candidates = zip(
            self.top_ids[0, position].tolist(),
            self.top_probabilities[0, position].tolist(),
            strict=True,
        )
        told = "  ".join(f"{shown(id_, self.decode, 8)} {share:.0%}" for id_, share in candidates)
        counts = target != IGNORED
        return [
            str(position),
            shown(int(self.idx[0, position]), self.decode),
            shown(target, self.decode) if counts else "-",
            f"{self.loss[0, position].item():.3f}" if counts else "-",
            str(int(self.rank[0, position])) if counts else "-",
            told,
        ]


def logit_lens(model: nn.Module, idx: torch.Tensor, *, decode: Decode | None = None) -> LogitLens:
    """Return what a model would predict if it ended after the embedding, or after each block.

    Each stage of the stream goes through the final norm and the head, in one pass of the model's
    own lines: the stages stand beside each other as if they were more texts.

    Args:
        model: Left in the mode it was in; runs without dropout.
        idx: Token ids (B, T).
        decode: The tokenizer's, to show tokens; default: numbers.

    Returns:
        Scores after each stage, float32; the last are the model's own. They take
        (L + 1) B T V x 4 bytes.

    Raises:
        UserError: If the tokens do not fit the model, or it has not the parts of `anatomy`.
    """
    parts = anatomy(model)
    stream = _stages(model, parts, idx)

    def all_stages(_module: nn.Module, _given: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return torch.cat(stream)

    handle = parts.final_norm.register_forward_pre_hook(all_stages)
    try:
        logits = own_logits(model, idx)
    finally:
        handle.remove()
    return LogitLens(idx, logits.float().view(len(stream), *idx.shape, -1), decode)


def losses(
    model: nn.Module,
    idx: torch.Tensor,
    targets: torch.Tensor,
    k: int = 5,
    *,
    decode: Decode | None = None,
) -> Losses:
    """Return what each prediction of a text costs, and the likeliest tokens at each position.

    Args:
        model: Left in the mode it was in; runs without dropout.
        idx: Token ids (B, T).
        targets: The tokens that come next (B, T); those at -100 do not count.
        k: How many candidates, from 1 to V.
        decode: The tokenizer's, to show tokens; default: numbers.

    Raises:
        UserError: If the tokens do not fit the model or each other, or k is out of its range.
    """
    check_tokens(model, idx, None)  # the model is not given the targets, and need not take any
    check_targets(idx, targets)
    logits = own_logits(model, idx).float()
    counts = targets != IGNORED
    wrong = targets[counts & ((targets < 0) | (targets >= logits.size(-1)))].tolist()
    if wrong:
        raise UserError(
            f"targets = {wrong[0]}: must be 0 to {logits.size(-1) - 1}, or {IGNORED} to be ignored"
        )
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    loss = loss.view(targets.shape).where(counts, torch.nan)
    true = logits.gather(-1, targets.clamp(min=0).unsqueeze(-1))
    rank = 1 + (logits > true).sum(dim=-1)
    return Losses(
        idx,
        targets,
        loss,
        torch.exp(-loss),
        rank.where(counts, 0),
        *likeliest(logits, k),
        decode,
    )


def likeliest(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probabilities of the k likeliest tokens and their ids (..., k).

    Args:
        logits: Scores (..., V).
        k: How many, from 1 to V.

    Raises:
        UserError: If k is out of its range.
    """
    vocab_size = logits.size(-1)
    if not 1 <= k <= vocab_size:
        raise UserError(f"k = {k}: must be 1 to {vocab_size}, the tokens there are")
    scores, ids = logits.topk(k, dim=-1)
    return torch.exp(scores - logits.logsumexp(dim=-1, keepdim=True)), ids


def _stages(model: nn.Module, parts: Anatomy, idx: torch.Tensor) -> list[torch.Tensor]:
    """Return the stream (B, T, C) after the embedding and after each block."""
    blocks = [block.path for block in parts.blocks]
    seen = passed(model, idx, [*blocks, "final_norm"])
    # What the final norm is given is what the last block returned, unless a model was edited.
    return [seen.inputs[path] for path in blocks] + [seen.inputs["final_norm"]]


def _lines(rows: list[list[str]], first: int) -> list[str]:
    return table([[row[0], *row[1 + first :]] for row in rows]).splitlines()
