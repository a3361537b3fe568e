"""Where one score comes from: a logit as a sum, an entry for each part that wrote to the stream.

All parts add to one stream, and the head is linear, so a logit would be the sum of what each part
says for the token, were it not for the final norm. Its scale at the position is therefore taken as
it was in this pass: the ledger tells what was added, not what would happen without a part.
Knows no model: the parts are found by `anatomy`, and the norm is asked.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from playattention.errors import UserError
from playattention.xray.anatomy import Anatomy, Passed, anatomy, passed
from playattention.xray.checks import check_ids
from playattention.xray.tables import Decode, shown

_SHOWN = 20
"""Entries that are printed; the others are told as one sum."""


@dataclass(frozen=True)
class Entry:
    """What one part added to a logit."""

    kind: str
    """token_embedding, position_embedding, head, projection_bias, feed_forward, contract_bias,
    final_norm_bias or logit_bias."""
    layer: int | None
    """Number of the block; None: in none."""
    head: int | None
    """Number of the head in its block; None: no head."""
    amount: float
    """In the units of the logit."""

    @property
    def name(self) -> str:
        """For a table: `block 1 head 2`."""
        block = "" if self.layer is None else f"block {self.layer} "
        number = "" if self.head is None else f" {self.head}"
        return f"{block}{self.kind.replace('_', ' ')}{number}"


@dataclass(frozen=True)
class Ledger:
    """A logit as a sum."""

    entries: tuple[Entry, ...]
    """In the order in which the parts come in the model."""
    position: int
    """Where in the text the model predicts; from 0."""
    token: int
    """Whose logit it is."""
    logit: float
    """What the model returned."""
    decode: Decode | None = field(default=None, repr=False)
    """How the token is shown; None: as a number."""

    @property
    def total(self) -> float:
        """Sum of the entries."""
        return sum(entry.amount for entry in self.entries)

    @property
    def remainder(self) -> float:
        """What the entries leave of the logit: rounding, or a part that is none of these kinds."""
        return self.logit - self.total

    def __repr__(self) -> str:
        kept = sorted(self.entries, key=_size)[-_SHOWN:]
        widest = max(_size(entry) for entry in self.entries) or 1.0
        rows = [
            [entry.name, f"{entry.amount:+z.4f}", _bar(entry.amount / widest)]
            for entry in self.entries
            if entry in kept
        ]
        rest = [entry.amount for entry in self.entries if entry not in kept]
        if rest:
            rows.append([f"the {len(rest)} others", f"{sum(rest):+z.4f}", ""])
        rows.append(["remainder", f"{self.remainder:+z.4f}", ""])
        rows.append(["logit", f"{self.logit:+z.4f}", ""])
        widths = [max(len(row[place]) for row in rows) for place in range(2)]
        lines = [
            f"{name:<{widths[0]}}  {amount:>{widths[1]}}  {bar}".rstrip()
            for name, amount, bar in rows
        ]
        token = shown(self.token, self.decode)
        return "\n".join([f"logit of {token} at position {self.position}", *lines])


def ledger(
    model: nn.Module,
    idx: torch.Tensor,
    position: int,
    token: int,
    *,
    decode: Decode | None = None,
) -> Ledger:
    """Return the logit of one token at one position as a sum, worked out in float64.

    Args:
        model: Left in the mode it was in; runs without dropout.
        idx: Token ids of one text (1, T).
        position: Where the model predicts the token that follows, from 0; -1 is the last.
        token: Whose logit.
        decode: The tokenizer's, to show the token; default: its number.

    Returns:
        An entry for each embedding, each head (through its columns of the output projection), the
        projection's bias, each feed-forward, its last bias, and the biases of norm and head.

    Raises:
        UserError: If an argument is out of its range, or the model has not the parts of `anatomy`.
    """
    check_ids(idx)
    if idx.size(0) != 1:
        raise UserError(f"idx = shape {tuple(idx.shape)}: must be (1, T), one text")
    length = idx.size(1)
    if not -length <= position < length:
        raise UserError(f"position = {position}: must be 0 to {length - 1}, or -1 for the last")
    position %= length
    parts = anatomy(model)
    seen = passed(model, idx, parts.paths)
    vocab_size = seen.logits.size(-1)
    if not 0 <= token < vocab_size:
        raise UserError(f"token = {token}: must be 0 to {vocab_size - 1}")
    entries = tuple(_entries(parts, seen, position, token))
    return Ledger(entries, position, token, seen.logits[0, position, token].item(), decode)


class FrozenNorm:
    """A norm as it acts at one position, its mean and its scale held: a linear map and an offset.

    The norm is asked: norm(x) = gain * (x - mean of x, or x) / scale of x + offset, which layer
    norms and RMS norms are. It is not asked for its name or its attributes.

    Args:
        norm: Any module that maps (1, 1, C) to the same shape.
        x: What it was given at the position (C), float64.
    """

    def __init__(self, norm: nn.Module, x: torch.Tensor) -> None:
        own = copy.deepcopy(norm).double().eval()

        def ask(vector: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return own(vector[None, None])[0, 0].double()

        self.offset = ask(torch.zeros_like(x))
        """What is added after the scale (C): the bias."""
        self.subtracts_mean = torch.allclose(ask(torch.ones_like(x)), self.offset)
        """Whether a vector loses its mean first."""
        signs = torch.ones_like(x)
        signs[::2] = -1.0
        probe = self._without_mean(signs)  # in which no channel is zero
        gain = (ask(probe) - self.offset) / probe  # up to a factor that all channels share
        direction = gain * self._without_mean(x)
        length = (direction @ direction).clamp(min=torch.finfo(x.dtype).tiny)
        self.factors = gain * ((ask(x) - self.offset) @ direction / length)
        """By which each channel is multiplied (C)."""

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return what a part of the stream becomes (C), the offset left out."""
        return self._without_mean(vector) * self.factors

    def _without_mean(self, vector: torch.Tensor) -> torch.Tensor:
        return vector - vector.mean() if self.subtracts_mean else vector


def _entries(parts: Anatomy, seen: Passed, position: int, token: int) -> Iterator[Entry]:
    row = parts.unembedding[token].double()
    norm = FrozenNorm(parts.final_norm, _at(seen.inputs["final_norm"], position))
    for kind, layer, head, vector in _written(parts, seen, position):
        yield Entry(kind, layer, head, (norm(vector) @ row).item())
    if norm.offset.any() or "bias" in dict(parts.final_norm.named_parameters()):
        yield Entry("final_norm_bias", None, None, (norm.offset @ row).item())
    if parts.unembedding_bias is not None:
        yield Entry("logit_bias", None, None, parts.unembedding_bias[token].item())


def _written(
    parts: Anatomy, seen: Passed, position: int
) -> Iterator[tuple[str, int | None, int | None, torch.Tensor]]:
    """Yield what each part adds to the stream at a position: kind, layer, head, vector (C)."""
    for kind, path in parts.embeddings.items():
        yield kind, None, None, _at(seen.outputs[path], position)
    for layer, block in enumerate(parts.blocks):
        joined = _at(seen.inputs[f"{block.attention}.projection"], position)
        columns = block.projection.double().chunk(block.n_head, dim=1)
        for head, mixed in enumerate(joined.chunk(block.n_head)):
            yield "head", layer, head, columns[head] @ mixed
        if block.projection_bias is not None:
            yield "projection_bias", layer, None, block.projection_bias.double()
        computed = _at(seen.outputs[block.feed_forward], position)
        if block.contract_bias is None:
            yield "feed_forward", layer, None, computed
        else:
            bias = block.contract_bias.double()
            yield "feed_forward", layer, None, computed - bias
            yield "contract_bias", layer, None, bias


def _at(tensor: torch.Tensor, position: int) -> torch.Tensor:
    """Return a text's vector at a position (C), float64, from (1, T, C) or (T, C)."""
    return tensor.flatten(0, -2)[position].double()


def _size(entry: Entry) -> float:
    return abs(entry.amount)


def _bar(share: float) -> str:
    """Return a bar of 30 columns, zero in its middle, for a share between -1 and 1."""
    length = round(15 * abs(share))
    return f"{'-' * length if share < 0 else '':>15}|{'+' * length if share > 0 else ''}"
