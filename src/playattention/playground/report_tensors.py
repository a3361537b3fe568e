"""Tensors inside a file: each content once, as base64. Does not know what they mean."""

import base64
import hashlib
from typing import Any

import torch

from playattention.errors import UserError
from playattention.playground.tensors import numbers
from playattention.xray.trace import Trace

MOST_BYTES = 48 * 2**20
"""Of numbers in one file; as text they take a third more."""


class Tensors:
    """Collects tensors."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        """Content's name -> its kind and its bytes."""
        self._bytes = 0

    def put(self, tensor: torch.Tensor) -> dict[str, Any]:
        """Keep a tensor, and return how it is found.

        Raises:
            UserError: If there are too many.
        """
        kind, content = _content(tensor)
        name = hashlib.sha256(kind.encode() + content).hexdigest()[:16]
        if name not in self.kept:
            self._bytes += len(content)
            if self._bytes > MOST_BYTES:
                raise UserError(
                    f"html: more than {MOST_BYTES:,} bytes of numbers; allowed: a shorter text, or "
                    "a smaller model; `--save` keeps all of any"
                )
            self.kept[name] = {"dtype": kind, "data": base64.b64encode(content).decode("ascii")}
        return {"tensor": name, "shape": [*tensor.shape]}

    def weights(self, trace: Trace) -> dict[str, Any]:
        """Keep a trace's weights, or none where they are too many: then products lack them."""
        before = dict(self.kept), self._bytes
        try:
            return {name: self.put(weight) for name, weight in trace.weights.items()}
        except UserError:
            self.kept, self._bytes = before
            return {}


def _content(tensor: torch.Tensor) -> tuple[str, bytes]:
    if tensor.dtype == torch.bool:
        return "uint8", tensor.detach().cpu().to(torch.uint8).contiguous().numpy().tobytes()
    return ("float32" if tensor.dtype.is_floating_point else "int32"), numbers(tensor)
