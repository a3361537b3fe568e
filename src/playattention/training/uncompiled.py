"""The optimizer of a run in which nothing is compiled, made without loading PyTorch's compiler.

PyTorch's optimizers import `torch._dynamo`, and sympy with it, to tell the compiler to leave them
alone: a second or two before the first step. Where nothing is compiled there is nobody to tell.
Does not know which optimizer it is given.
"""

import inspect
from collections.abc import Callable
from types import MethodType

import torch

GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods that PyTorch hides from its compiler, which it loads for that (torch/_compile.py)."""


def uncompiled(build: Callable[[], torch.optim.Optimizer]) -> torch.optim.Optimizer:
    """Return an optimizer whose steps are the same, and which never loads the compiler.

    With another PyTorch than those that this was written for, it may load it all the same.

    Args:
        build: Makes the optimizer.
    """
    for name in GUARDED:
        method = inspect.unwrap(getattr(torch.optim.Optimizer, name))
        # Where PyTorch keeps the hidden method once the compiler was told: here, as it is.
        method.__dict__.setdefault("__dynamo_disable", method)
    optimizer = build()
    # Without PyTorch's wrappers, of which one imports the compiler and one turns gradients off.
    step = torch.no_grad()(inspect.unwrap(type(optimizer).step))
    optimizer.step = MethodType(step, optimizer)  # type: ignore[method-assign]
    return optimizer
