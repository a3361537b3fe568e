"""Every head's attention weights, and how much of them falls where a pattern says.

Knows neither what is much (`roles.py`) nor which patterns there are (`patterns.py`), and no model:
the weights are found among the values of its own lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from playattention.errors import UserError
from playattention.generation import evaluation_mode
from playattention.xray.anatomy import anatomy
from playattention.xray.patterns import Pattern, Window
from playattention.xray.trace import Trace, matches
from playattention.xray.values import Value
from playattention.xray.watch import watch

_AT_ONCE = 2**23
"""Attention weights in a forward pass, over all heads: 32 MiB in float32."""


@dataclass(frozen=True, eq=False)
class Scores:
    """How much each head looks where one pattern says."""

    heads: tuple[tuple[int, int], ...]
    """(layer, head) of each."""
    looked: torch.Tensor
    """Share of its attention on the keys that count, mean over the queries (heads), float64."""
    by_distance: torch.Tensor
    """The same if it knew distances alone: if it looked from each query at each distance as it
    does on average over all queries (heads), float64."""
    uniform: float
    """The same of attention that is spread evenly over a token and all before it; exact."""
    sites: int
    """Queries with a key that counts."""
    one_distance: bool
    """Whether all keys that count are equally far from their queries: then distance is all that
    the pattern is about, and `by_distance` is no chance."""


def head_scores(
    model: nn.Module, windows: Sequence[Window], patterns: Mapping[str, Pattern]
) -> dict[str, Scores]:
    """Return how much a model's heads look where patterns say.

    Args:
        model: Left in the mode it was in; runs without dropout.
        windows: At least one, all of the same length.
        patterns: Name -> pattern, such as `PATTERNS`.

    Returns:
        Pattern -> scores; a pattern that applies to no query is left out.

    Raises:
        UserError: If the tokens do not fit the model, or a pattern looks ahead.
    """
    heads = tuple(
        (layer, head)
        for layer, block in enumerate(anatomy(model).blocks)
        for head in range(block.n_head)
    )
    length = len(windows[0].ids)
    sums = {name: _Sums(len(heads), length) for name in patterns}
    average = torch.zeros(len(heads), length, length, dtype=torch.float64)
    at_once = max(1, _AT_ONCE // (len(heads) * length**2))
    for begin in range(0, len(windows), at_once):
        some = windows[begin : begin + at_once]
        found = attention_weights(model, torch.stack([window.ids for window in some]))
        weights = torch.stack([*found.values()])
        average += weights.sum(dim=1).double() / len(windows)
        for name, pattern in patterns.items():
            sums[name].add(weights, _counts(name, pattern, some))
    profile = torch.stack([_at_distance(average, distance) for distance in range(length)], dim=1)
    return {name: found.scores(heads, profile) for name, found in sums.items() if found.sites}


def attention_weights(model: nn.Module, idx: torch.Tensor) -> dict[tuple[int, int], torch.Tensor]:
    """Return every head's attention weights, watched as the model's own lines make them.

    In each attention module the values called `weights` are taken, or, where a model names them
    otherwise, the first whose rows sum to 1.

    Args:
        model: Left in the mode it was in; runs without dropout.
        idx: Token ids (B, T).

    Returns:
        (layer, head) -> (B, T, T) on the CPU: a row is a query, a column a key.

    Raises:
        UserError: If the tokens do not fit the model, or there are no such values.
    """
    parts = anatomy(model)
    device = next(model.parameters()).device
    inside = [f"{block.attention}{end}" for block in parts.blocks for end in ("", ".*")]
    with evaluation_mode(model):
        trace = watch(model, idx.to(device), modules=inside)
    found = {}
    for layer, block in enumerate(parts.blocks):
        heads = list(_weights(trace, block.attention))
        if len(heads) != block.n_head:
            raise UserError(
                f"model = {type(model).__name__}: {block.attention} shows the attention weights of "
                f"{len(heads)} heads, not {block.n_head}; allowed: a model that binds them, say as "
                "`weights`, with rows that sum to 1"
            )
        found.update({(layer, head): weights for head, weights in enumerate(heads)})
    return found


def weights_of(trace: Trace) -> dict[tuple[int, int], torch.Tensor]:
    """Return the attention weights that a trace has, head by head.

    Args:
        trace: What a watch saw, of all modules or of those that attend.

    Returns:
        (layer, head) -> (B, T, T) on the CPU; layers and heads are numbered in their order.
    """
    return {place: _taken(value, number) for place, (value, number) in places_of(trace).items()}


def places_of(trace: Trace) -> dict[tuple[int, int], tuple[Value, int | None]]:
    """Return where in a trace each head's attention weights are.

    Args:
        trace: As in `weights_of`.

    Returns:
        (layer, head) -> the value, and the head's number in it: (B, H, T, T); None: the value is
        of this head alone, (B, T, T).
    """
    layers: dict[str, list[tuple[Value, int | None]]] = {}
    for module, values in _by_module(trace).items():
        layer = next((part for part in module.split(".") if part.isdecimal()), "")
        layers.setdefault(layer, []).extend(_places(values, trace.idx))
    attending = [heads for heads in layers.values() if heads]
    return {
        (layer, head): place
        for layer, heads in enumerate(attending)
        for head, place in enumerate(heads)
    }


class _Sums:
    """What is added up over the windows for one pattern."""

    def __init__(self, heads: int, length: int) -> None:
        self.sites = 0
        self._looked = torch.zeros(heads, dtype=torch.float64)
        self._uniform = 0.0
        self._pairs = torch.zeros(length, length, dtype=torch.int64)

    def add(self, weights: torch.Tensor, counts: torch.Tensor) -> None:
        """Add weights (heads, B, T, T) where they count (B, T, T)."""
        self.sites += int(counts.any(dim=-1).sum())
        self._looked += (weights.flatten(1) @ counts.flatten().float()).double()
        seen = torch.arange(1, counts.size(-1) + 1)
        self._uniform += (counts.sum(dim=-1).double() / seen).sum().item()
        self._pairs += counts.sum(dim=0)

    def scores(self, heads: tuple[tuple[int, int], ...], profile: torch.Tensor) -> Scores:
        """Return the means, given each head's mean weight at each distance (heads, T)."""
        length = len(self._pairs)
        pairs = torch.stack([self._pairs.diagonal(-distance).sum() for distance in range(length)])
        return Scores(
            heads,
            self._looked / self.sites,
            profile @ pairs.double() / self.sites,
            self._uniform / self.sites,
            self.sites,
            one_distance=int(pairs.count_nonzero()) == 1,
        )


def _at_distance(average: torch.Tensor, distance: int) -> torch.Tensor:
    """Return each head's mean weight (heads) on the token so far back."""
    return average.diagonal(-distance, dim1=1, dim2=2).mean(dim=1)


def _counts(name: str, pattern: Pattern, windows: Sequence[Window]) -> torch.Tensor:
    """Return which keys count in each window (B, T, T)."""
    counts = torch.stack([pattern(window) for window in windows])
    length = len(windows[0].ids)
    if counts.shape[1:] != (length, length) or counts.dtype != torch.bool:
        raise UserError(
            f"pattern {name!r} = {counts.dtype} of shape {tuple(counts.shape[1:])}: must be "
            f"torch.bool of shape {(length, length)}, a row for each token that looks"
        )
    if counts.triu(1).any():
        raise UserError(f"pattern {name!r}: counts a key after its query, where no head can look")
    return counts


def _weights(trace: Trace, attention: str) -> Iterator[torch.Tensor]:
    """Yield the weights of each head (B, T, T) that a module and those below it made."""
    for module, values in _by_module(trace).items():
        if matches(module, [attention, f"{attention}.*"]):
            yield from (_taken(value, number) for value, number in _places(values, trace.idx))


def _by_module(trace: Trace) -> dict[str, list[Value]]:
    of_modules: dict[str, list[Value]] = {}
    for value in trace.values:
        of_modules.setdefault(value.module, []).append(value)
    return of_modules


def _places(values: Sequence[Value], idx: torch.Tensor) -> Iterator[tuple[Value, int | None]]:
    """Yield which of a module's values are attention weights, head by head."""
    named = [value for value in values if value.name == "weights"]
    for value in (named or [one for one in values if _is_attention(one, idx)])[:1]:
        heads = value.shape[1] if len(value.shape) == 4 else None
        yield from [(value, None)] if heads is None else [(value, head) for head in range(heads)]


def _taken(value: Value, number: int | None) -> torch.Tensor:
    """Return a head's weights (B, T, T) out of a value."""
    weights = value.tensor.detach().float().cpu()
    return weights if number is None else weights[:, number]


def _is_attention(value: Value, idx: torch.Tensor) -> bool:
    """Tell whether a value is attention weights: (B, ..., T, T), rows that sum to 1."""
    B, T = idx.shape
    shape = value.shape
    if len(shape) not in (3, 4) or shape[0] != B or shape[-2:] != (T, T):
        return False
    sums = value.tensor.float().sum(dim=-1)
    return bool((value.tensor >= 0).all()) and torch.allclose(
        sums, torch.ones_like(sums), atol=1e-3
    )
