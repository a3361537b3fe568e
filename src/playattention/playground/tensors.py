"""A tensor on its way to the page: plain numbers, one after another, their shape in a header.

Does not know what the numbers mean.
"""

from collections.abc import Sequence

import numpy as np
import torch
from fastapi import Response

from playattention.errors import UserError

MOST_BYTES = 64 * 2**20
"""Of one answer: what a page can draw is far less."""

BINARY: dict[int | str, dict[str, object]] = {
    200: {
        "description": "Little-endian numbers in C order; X-Shape: 1,12,12, X-Dtype: float32",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            "X-Shape": {"schema": {"type": "string"}},
            "X-Dtype": {"schema": {"type": "string", "enum": ["float32", "int32"]}},
        },
    }
}
"""What OpenAPI says of a route that answers with a tensor."""


SEVERAL: dict[int | str, dict[str, object]] = {
    200: {
        "description": "Little-endian float32, tensor after tensor; X-Shapes: 12,12;1,12;",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {"X-Shapes": {"schema": {"type": "string"}}},
    }
}
"""What OpenAPI says of a route that answers with several."""


def kind_of(tensor: torch.Tensor) -> str:
    """Return what a tensor's numbers are sent as: "float32" or "int32"."""
    return "float32" if tensor.dtype.is_floating_point else "int32"


def part_of(tensor: torch.Tensor, index: Sequence[int], name: str) -> torch.Tensor:
    """Return what is left of a tensor when its first dimensions are fixed.

    Args:
        tensor: Any.
        index: A number for each of the first dimensions, from 0.
        name: What the tensor is called, for the error.

    Raises:
        UserError: If there is no such place.
    """
    shape = tuple(tensor.shape)
    fits = len(index) <= len(shape) and all(
        0 <= place < size for place, size in zip(index, shape, strict=False)
    )
    if not fits:
        told = ",".join(map(str, index))
        last = ",".join(str(size - 1) for size in shape)
        raise UserError(
            f"index = {told}: {name} has the shape {shape}; "
            f"allowed: {f'up to {last}' if shape else 'none, as it is a single number'}"
        )
    return tensor[tuple(index)]


def columns_of(tensor: torch.Tensor, columns: str | None) -> torch.Tensor:
    """Return some columns of a tensor's last dimension.

    Args:
        tensor: With one dimension at least, where columns are asked for.
        columns: `a:b`, from 0, b left out; None: all.

    Raises:
        UserError: If there are no such columns.
    """
    if columns is None:
        return tensor
    begin, end = (int(number) for number in columns.split(":"))
    size = tensor.size(-1) if tensor.dim() else 0
    if end > size:
        raise UserError(f"columns = {columns}: must end at {size} at most")
    return tensor[..., begin:end]


def numbers(tensor: torch.Tensor) -> bytes:
    """Return a tensor's numbers, little-endian, the last dimension fastest.

    Raises:
        UserError: If they are too many for one answer.
    """
    if tensor.numel() * 4 > MOST_BYTES:
        raise UserError(
            f"{tuple(tensor.shape)}: {tensor.numel() * 4:,} bytes are too many for one answer; "
            f"allowed: {MOST_BYTES:,}; let index fix more of the dimensions"
        )
    wanted = torch.float32 if tensor.dtype.is_floating_point else torch.int32
    array = tensor.detach().to("cpu", wanted).contiguous().numpy()
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).tobytes()


def binary(tensor: torch.Tensor, **headers: str) -> Response:
    """Return a tensor as an answer.

    Args:
        tensor: On any device.
        headers: More of them; `x_steps` becomes X-Steps.

    Raises:
        UserError: If it is too large.
    """
    more = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Response(
        numbers(tensor),
        media_type="application/octet-stream",
        headers={
            "X-Shape": ",".join(map(str, tensor.shape)),
            "X-Dtype": kind_of(tensor),
            **more,
        },
    )


def several(tensors: Sequence[torch.Tensor]) -> Response:
    """Return tensors as one answer, whole numbers as float32 too.

    Args:
        tensors: One at least, on any device.

    Raises:
        UserError: If they are too large together.
    """
    joined = torch.cat([one.detach().to("cpu", torch.float32).flatten() for one in tensors])
    return Response(
        numbers(joined),
        media_type="application/octet-stream",
        headers={"X-Shapes": ";".join(",".join(map(str, one.shape)) for one in tensors)},
    )
