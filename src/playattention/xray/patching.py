"""Put what another run computed, or what you make up, in the place of a model's own values.

Context managers, as in `whatif.py`. Positions count from the first token that the model sees, in
a cache too; what comes after the last one patched is the model's own.
Does not know how the other run differed.
"""

import ast
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import nn

from playattention.errors import UserError, unknown
from playattention.xray import heads
from playattention.xray.handles import Change, Edit, changing, check_number
from playattention.xray.values import Value


@contextmanager
def replace_attention(
    model: nn.Module,
    layer: int,
    head: int,
    position: int,
    row: torch.Tensor | Sequence[float],
) -> Iterator[None]:
    """Let a head look from one position with weights of your own.

    They take the place of the softmax row after its dropout, in every sequence of the batch:
    `weights` shows the model's own, `dropped` and all that follows is computed from these.

    Args:
        model: A model of this package.
        layer: Which block, from 0.
        head: Which head, from 0.
        position: From which position it looks, from 0.
        row: Its weights on positions 0, 1, ..., each finite and not below 0; those that are
            missing are 0, so that [1.0] looks at the first token alone. They need not sum to 1,
            nor stay away from later tokens: what no softmax gives can be tried, too.

    Raises:
        UserError: If there is no such head or position, a weight is below 0 or not finite, the
            row is longer than the text that comes, or the model is compiled.
    """
    weights = _row(row)
    if isinstance(position, bool) or not isinstance(position, int) or position < 0:
        raise UserError(f"position = {position}: must be a whole number from 0")
    last = int(weights.nonzero().max()) if weights.any() else 0
    with changing(model, "replace_attention") as change:
        one = heads.head(model, layer, head)

        def edit(every: torch.Tensor) -> torch.Tensor:
            own = one.of(every).clone()
            T, S = own.shape[-2:]
            _check_given(change, position, T)
            if not change.start <= position < change.start + T:
                return every
            if last >= S:
                raise UserError(
                    f"row = a weight on position {last}: only {S} tokens are there; "
                    f"allowed: positions 0 to {S - 1}"
                )
            own[:, position - change.start] = 0
            own[:, position - change.start, : last + 1] = weights[: last + 1].to(own)
            return one.into(every, own)

        change.output(one.dropout, edit)
        yield


def _row(row: torch.Tensor | Sequence[float]) -> torch.Tensor:
    """Return attention weights as a tensor."""
    try:
        weights = torch.as_tensor(row)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"row = {row!r}: must be numbers, one weight or more") from None
    if weights.dim() != 1 or not weights.numel():
        raise UserError(f"row = shape {tuple(weights.shape)}: must be (T), one weight or more")
    wrong = [one for one in weights.tolist() if not (math.isfinite(one) and one >= 0)]
    if wrong:
        raise UserError(f"row = a weight of {wrong[0]}: must be finite and not below 0")
    return weights


@contextmanager
def patch(
    model: nn.Module,
    where: str | Value,
    tensor: torch.Tensor | None = None,
    positions: Iterable[int] | None = None,
) -> Iterator[None]:
    """Put an activation in the place of what a module returns.

    Args:
        model: A model of this package.
        where: Dotted path of the module (`blocks.0`, `blocks.1.attention`), or a value of a trace
            that one returned: `trace.one("blocks.0", "attended")`.
        tensor: What to put there (..., T, C); default: the value of the trace. Its batch is that
            of the model's input, or 1.
        positions: Where, from 0; default: all that the tensor has.

    Raises:
        UserError: If there is no such module or position, the value is not what a module
            returned, the tensor has another shape, or the model is compiled.
    """
    with changing(model, "patch") as change:
        if not isinstance(where, str | Value):
            raise UserError(
                f"where = {type(where).__name__}: must be a path, or a value of a trace"
            )
        path = where if isinstance(where, str) else _returned_by(where)
        paths = dict(model.named_modules())
        if path not in paths:
            raise unknown("module", path, paths)
        if tensor is None and isinstance(where, Value):
            tensor = where.tensor
        if tensor is None:
            raise UserError(f"tensor = None: must be given for module {path!r}")
        change.output(paths[path], _over(change, tensor, positions))
        yield


@contextmanager
def patch_head(
    model: nn.Module,
    layer: int,
    head: int,
    tensor: torch.Tensor,
    positions: Iterable[int] | None = None,
) -> Iterator[None]:
    """Put an activation in the place of what a head mixes.

    Of heads that are computed together, it is put into what the projection is given: in a trace,
    `joined` is then still the model's own, and `projected` the first value that shows the patch.

    Args:
        model: A model of this package.
        layer: Which block, from 0.
        head: Which head, from 0.
        tensor: What it mixes instead (B, T, D).
        positions: As in `patch`.

    Raises:
        UserError: If there is no such head or position, the tensor has another shape, or the
            model is compiled.
    """
    with changing(model, "patch_head") as change:
        one = heads.head(model, layer, head)
        edit = _over(change, tensor, positions)

        def joined(every: torch.Tensor) -> torch.Tensor:
            columns = one.columns(every.size(-1))
            with_patch = every.clone()
            with_patch[..., columns] = edit(every[..., columns])
            return with_patch

        if one.alone:
            change.output(one.module, edit)
        else:
            change.input(heads.projection(one), joined)
        yield


def _over(change: Change, tensor: torch.Tensor, positions: Iterable[int] | None) -> Edit:
    """Return what puts a tensor's positions (..., T, C) over those of an output."""
    if not isinstance(tensor, torch.Tensor):
        raise UserError(f"tensor = {type(tensor).__name__}: must be a torch.Tensor (..., T, C)")
    if tensor.dim() < 2:
        raise UserError(f"tensor = shape {tuple(tensor.shape)}: must be (..., T, C)")
    asked = range(tensor.size(-2)) if positions is None else [*positions]
    for position in asked:
        check_number("position", position, tensor.size(-2))

    def edit(output: torch.Tensor) -> torch.Tensor:
        T = output.size(-2)
        _check_shape(tensor, output)
        _check_given(change, max(asked, default=0), T)
        here = [position for position in asked if 0 <= position - change.start < T]
        patched = output.clone()
        rows = [position - change.start for position in here]
        patched[..., rows, :] = tensor[..., here, :].to(output)
        return patched

    return edit


def _check_shape(tensor: torch.Tensor, output: torch.Tensor) -> None:
    """Check that a tensor's sizes besides T are those of an output, or 1 for a batch."""
    own, out = [*tensor.shape], [*output.shape]
    own[-2] = out[-2]
    if own[0] == 1 and len(own) > 2:
        own[0] = out[0]
    if own != out:
        raise UserError(
            f"tensor = shape {tuple(tensor.shape)}: must be {tuple(output.shape)}, as what it is "
            "put in the place of, in all but the tokens"
        )


def _check_given(change: Change, position: int, tokens: int) -> None:
    """Check that a position is one of a pass; where a cache grows, its turn may still come."""
    if not change.growing and position >= tokens:
        raise UserError(
            f"position = {position}: the model is given {tokens} tokens; allowed: 0 to {tokens - 1}"
        )


def _returned_by(value: Value) -> str:
    """Return the path of the module whose output a value is: `y = self.norm(x)`, or a return.

    Raises:
        UserError: If the value is something else.
    """
    if (value.name, value.function) == ("return", "forward"):
        return value.module
    with suppress(SyntaxError):  # the head of a compound statement is none by itself
        match ast.parse(value.source).body:
            case [ast.Assign(targets=[ast.Name(id=value.name)], value=ast.Call(func=called))]:
                owner, _, path = ast.unparse(called).partition(".")
                if owner == "self":
                    return f"{value.module}.{path}".removeprefix(".")
    raise UserError(
        f"value {value.shown}: no module's output ({value.source!r}); allowed: what a module "
        "returned, or the path of one"
    )
