"""What can be looked into: plain models, tokens that fit them, modules that are there.

Knows neither how a model is watched nor how it is changed.
"""

import functools
import inspect
from collections.abc import Callable, Iterable

import torch
from torch import nn

from playattention.errors import UserError, unknown
from playattention.xray.trace import matches

_WRAPPERS = {
    "torch._dynamo": "compiled by torch.compile",
    "torch.jit": "compiled by torch.jit",
    "torch.nn.parallel": "wrapped for several devices",
    "torch.distributed": "spread over several devices",
}


def refuse_wrapped(model: nn.Module) -> None:
    """Check that a model's own source runs, and that its hooks are called.

    Raises:
        UserError: If it, or a module in it, is compiled or wrapped.
    """
    if not isinstance(model, nn.Module):
        raise UserError(f"model = {type(model).__name__}: must be a torch.nn.Module")
    for path, module in model.named_modules():
        compiled = module._compiled_call_impl is not None  # what module.compile() sets
        kind: type = type(module)
        found = _WRAPPERS["torch._dynamo"] if compiled else _wrapper(kind)
        if found:
            where = f"its module {path!r}" if path else "it"
            raise UserError(
                f"model = {type(model).__name__}: {where} is {found}, so its source does not "
                "run line by line; allowed: the plain model"
            )


@functools.cache
def _wrapper(kind: type) -> str | None:
    """Return what a class does to the model in it, in words; None: nothing."""
    packages = [f"{base.__module__}." for base in kind.__mro__]
    for package, told in _WRAPPERS.items():
        if any(name.startswith(f"{package}.") for name in packages):
            return told
    return None


def kept_modules(model: nn.Module, modules: Iterable[str] | str | None) -> Callable[[str], bool]:
    """Return what tells by its dotted path whether a module's values are kept.

    Raises:
        UserError: If a path or pattern is none of the model's.
    """
    if modules is None:
        return lambda _: True
    patterns = [modules] if isinstance(modules, str) else [*modules]
    if not patterns:
        raise UserError("modules = []: must name at least one module; None: all of them")
    paths = [path for path, _ in model.named_modules()]
    for pattern in patterns:
        if not any(matches(path, [pattern]) for path in paths):
            raise unknown("module", pattern, paths)
    return functools.cache(lambda path: matches(path, patterns))


def check_tokens(model: nn.Module, idx: torch.Tensor, targets: torch.Tensor | None) -> None:
    """Check that token ids fit a model, as far as it says what it takes.

    Raises:
        UserError: If they do not.
    """
    check_ids(idx)
    if targets is not None:
        check_targets(idx, targets)
    if targets is not None and "targets" not in inspect.signature(model.forward).parameters:
        raise UserError(
            f"targets: the forward of {type(model).__name__} takes none; allowed: a model with "
            "forward(idx, targets=None) that returns its logits and the loss"
        )
    config = getattr(model, "config", None)
    seq_size, vocab_size = (getattr(config, name, None) for name in ("seq_size", "vocab_size"))
    if isinstance(seq_size, int) and idx.size(1) > seq_size:
        raise UserError(
            f"idx = {idx.size(1)} tokens: the model takes seq_size = {seq_size} at most"
        )
    if isinstance(vocab_size, int) and not 0 <= int(idx.min()) <= int(idx.max()) < vocab_size:
        raise UserError(
            f"idx = ids from {int(idx.min())} to {int(idx.max())}: must be 0 to "
            f"{vocab_size - 1}, as vocab_size = {vocab_size}"
        )
    # Which number below 0 does not count is the model's own affair; -100 in those of this package.
    if isinstance(vocab_size, int) and targets is not None and int(targets.max()) >= vocab_size:
        raise UserError(
            f"targets = {int(targets.max())}: must be 0 to {vocab_size - 1}, as vocab_size = "
            f"{vocab_size}, or -100 where none counts"
        )


def check_targets(idx: torch.Tensor, targets: torch.Tensor) -> None:
    """Check that targets are as many as the token ids (B, T).

    Raises:
        UserError: If they are not.
    """
    check_ids(targets, "targets")
    if targets.shape != idx.shape:
        raise UserError(
            f"targets = shape {tuple(targets.shape)}: must be that of idx, {tuple(idx.shape)}"
        )


def check_ids(idx: torch.Tensor, field: str = "idx") -> None:
    """Check that these are token ids (B, T).

    Args:
        idx: What was given.
        field: What it is called.

    Raises:
        UserError: If they are something else.
    """
    if not isinstance(idx, torch.Tensor):
        raise UserError(
            f"{field} = {type(idx).__name__}: must be a torch.Tensor of token ids (B, T), such as "
            "torch.tensor([[1, 2, 3]])"
        )
    if idx.dim() != 2 or idx.dtype not in (torch.int64, torch.int32) or not idx.numel():
        raise UserError(
            f"{field} = {idx.dtype} of shape {tuple(idx.shape)}: must be token ids (B, T), "
            "torch.int64, at least one"
        )
