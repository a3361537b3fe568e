"""Matrices whose product with a single token is shared among the cores, for generation.

One core can't read memory as fast as several, and the library that multiplies a matrix with one
vector leaves it to one core. A batch of products it spreads over all: so a matrix is kept in as
many parts as there are threads, each with outputs of its own. What is computed is the same. Knows
neither models nor sampling.
"""

import torch
from torch import nn

from playattention.models.kept import KeptMatrix, users_of_weights

SMALL = 2**20
"""Bytes of a matrix below which a core's own cache keeps it, so that nothing is read."""


class SplitMatrix(KeptMatrix):
    """A weight (N, K) as its parts (S, K, N / S)."""

    parts: torch.Tensor
    """The same numbers as a plain tensor."""

    def linear(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Multiply with all parts at once, each on a core of its own."""
        rows = x.flatten(0, -2).expand(len(self.parts), -1, -1)  # (S, M, K)
        products = torch.bmm(rows, self.parts)  # (S, M, N / S)
        product = products.transpose(0, 1).reshape(*x.shape[:-1], -1)  # (..., N)
        return product if bias is None else product + bias

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """Take each row out of its part."""
        size = self.parts.size(2)
        return self.parts.mT[ids // size, ids % size]


def split(model: nn.Module) -> None:
    """Split the matrices of Linear and Embedding modules, to generate from then on.

    Long rows are read fastest: a matrix with more outputs than inputs is kept input by input.

    Args:
        model: In float32 on a CPU; changed in place.
    """
    for weight, users in users_of_weights(model).items():
        matrix = _split(weight)
        for part in users:  # a weight in two places stays one
            part.weight = matrix


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
