"""Matrices kept in 16 bits for generation, and multiplied in 32.

What a token costs is reading every weight once, so half the bytes are half the time. Each number is
widened on its way into the product; all that flows through the model (stream, keys, values,
logits) stays float32. A product of many rows takes no longer than with float32 weights, so a long
prompt is read as fast as before. Knows neither models nor sampling.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import nn

from playattention.errors import UserError
from playattention.models.kept import KeptMatrix, users_of_weights


class PackedMatrix(KeptMatrix):
    """A weight (N, K) in 16 bits."""

    packed: Any
    """The same numbers in the order in which FBGEMM's product reads them, with the bias."""
    bias: torch.Tensor | None
    """What the product adds by itself (N)."""

    def linear(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Multiply in float32, each number widened on its way."""
        assert bias is self.bias, "a packed matrix adds the bias that it was packed with"
        product: torch.Tensor = torch.ops.quantized.linear_dynamic_fp16(x, self.packed)
        return product

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """Take rows, and widen them to float32."""
        return self.data.as_subclass(torch.Tensor)[ids].float()


def pack(model: nn.Module, dtype: torch.dtype) -> None:
    """Round the weights of Linear and Embedding modules to 16 bits, to generate from then on.

    FBGEMM (Khudia et al. 2021, arXiv 2101.05615) multiplies float16 with float32 at the speed of
    memory on any x86 processor with AVX2. bfloat16 goes the same way: it has 8 significant bits, so
    float16 holds its numbers as they are, down to 2**-17; below, to 2**-25 at worst.

    Args:
        model: On the CPU; changed in place.
        dtype: float16 (11 significant bits) or bfloat16 (8).

    Raises:
        UserError: If this processor has no such product.
    """
    shared = users_of_weights(model)

    def packed(weight: torch.Tensor) -> PackedMatrix:
        biases = (part.bias for part in shared[weight] if isinstance(part, nn.Linear))
        return _packed(weight, dtype, next(biases, None))

    # FBGEMM orders a matrix on one core, without Python's lock: each core takes another matrix.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        matrices = list(pool.map(packed, shared))
    for users, matrix in zip(shared.values(), matrices, strict=True):
        for part in users:  # a weight in two places stays one
            part.weight = matrix


def _packed(weight: torch.Tensor, dtype: torch.dtype, bias: torch.Tensor | None) -> PackedMatrix:
    rounded = weight.detach().to(dtype).contiguous()
    matrix = PackedMatrix(rounded, requires_grad=False)
    matrix.bias = bias
    try:
        matrix.packed = torch.ops.quantized.linear_prepack_fp16(rounded.float(), bias)
    except RuntimeError:
        raise UserError(
            f"dtype = {str(dtype).removeprefix('torch.')}: no fast product with 16-bit weights on "
            "this processor; allowed here: float32"
        ) from None
    return matrix
