"""Models whose weights are about to be replaced, built without drawing first ones.

GPT-2's 124M numbers take a second or two to draw, and each is thrown away when a checkpoint is
read. Does not know which model is built.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

DRAWS = {"normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_"}
"""Functions of `torch.nn.init` and methods of tensors that give a weight random numbers."""


class Undrawn(TorchFunctionMode):
    """Leaves weights, while it is entered, with what their memory happened to hold."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do everything but draw weights."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in DRAWS:
            weight = args[0] if args else kwargs.get("tensor")
            if isinstance(weight, nn.Parameter):  # what else is random is in no checkpoint
                return weight
        return func(*args, **kwargs)
