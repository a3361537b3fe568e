"""Matrices kept in another form than (N, K), which modules take like any other.

Knows neither the forms nor the models.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class KeptMatrix(nn.Parameter):
    """A weight (N, K) in a form of its own: it does the two things that models do with a matrix."""

    def linear(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Return the product of each row with the weight: (..., K) -> (..., N)."""
        raise NotImplementedError

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """Return rows of the weight: (...) -> (..., K)."""
        raise NotImplementedError

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Leave `F.linear` and `F.embedding` to the weight; anything else sees its form."""
        if func is F.linear:
            x, weight, *bias = args
            return weight.linear(x, *bias, **kwargs or {})
        if func is F.embedding:
            ids, weight = args[:2]
            return weight.rows(ids)
        return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]


def users_of_weights(model: nn.Module) -> dict[torch.Tensor, list[nn.Linear | nn.Embedding]]:
    """Return the weights of Linear and Embedding modules, with whose they are: often two's."""
    users: dict[torch.Tensor, list[nn.Linear | nn.Embedding]] = {}
    for part in model.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            users.setdefault(part.weight, []).append(part)
    return users
