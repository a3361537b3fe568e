"""Matrices whose product with a single token is shared among the cores, for generation.

One core can't read memory as fast as several, and the library that multiplies a matrix with one
vector leaves it to one core. A batch of products it spreads over all: so a matrix is kept in as
many parts as there are threads, each with outputs of its own. What is computed is the same. Knows
neither models nor sampling.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

SMALL = 2**20
"""Bytes of a matrix below which a core's own cache keeps it, so that nothing is read."""


class SplitMatrix(nn.Parameter):
    """A weight (N, K) as its parts (S, K, N / S), that `F.linear` and `F.embedding` take."""

    parts: torch.Tensor
    """The same numbers as a plain tensor."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do the two things that models do with a matrix; anything else sees the parts."""
        if func is F.linear:
            return _linear(*args, **kwargs or {})
        if func is F.embedding:
            ids, weight = args[:2]
            rows = weight.parts.size(2)
            return weight.parts.mT[ids // rows, ids % rows]
        return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]


def split(model: nn.Module) -> None:
    """Split the matrices of Linear and Embedding modules, to generate from then on.

    Long rows are read fastest: a matrix with more outputs than inputs is kept input by input.

    Args:
        model: In float32 on a CPU; changed in place.
    """
    done: dict[torch.Tensor, torch.Tensor] = {}
    for part in model.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            if part.weight not in done:
                done[part.weight] = _split(part.weight)
            part.weight = done[part.weight]  # a weight in two places stays one


def _split(weight: torch.Tensor) -> torch.Tensor:
    outputs, inputs = weight.shape
    threads = torch.get_num_threads()
    shares = next(shares for shares in range(threads, 0, -1) if outputs % shares == 0)
    if shares == 1 or weight.nbytes < SMALL:
        return weight
    parts = weight.detach().view(shares, -1, inputs).mT  # (S, K, N / S)
    parts = parts.contiguous() if outputs > inputs else parts
    matrix = SplitMatrix(parts, requires_grad=False)
    matrix.parts = parts
    return matrix


def _linear(x: torch.Tensor, weight: SplitMatrix, bias: torch.Tensor | None = None) -> torch.Tensor:
    rows = x.flatten(0, -2).expand(len(weight.parts), -1, -1)  # (S, M, K)
    products = torch.bmm(rows, weight.parts)  # (S, M, N / S)
    product = products.transpose(0, 1).reshape(*x.shape[:-1], -1)  # (..., N)
    return product if bias is None else product + bias
