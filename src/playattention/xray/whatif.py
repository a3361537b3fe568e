"""Change one thing, run the model again, and have it back as it was.

    with ablate_heads(model, [(0, 1)]):
        trace = watch(model, idx)

Each is a context manager: at its end, after an error too, the model is the one from before. They
work inside of each other, in the order in which they were entered, in evaluation and training
mode, in a `watch` and in `generate`; a cache must begin and end inside. A model with a fused
branch takes the explicit one meanwhile. What the trace of a changed model shows is what ran: where
a value was put in the place of another, its statement shows the new one, and all that follows is
computed from it. `patching.py` puts values of another run in place.

Does not know how a model is built beyond the handles in `handles.py`.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, get_args

import torch
from torch import nn

from playattention.errors import UserError, unknown
from playattention.xray.anatomy import passed
from playattention.xray.checks import check_ids
from playattention.xray.handles import (
    attending,
    changing,
    check_number,
    chosen,
    layer,
    part,
)
from playattention.xray.heads import always, head, mixes_always, mixes_nothing

By = Literal["zero", "mean"]


@contextmanager
def ablate_heads(
    model: nn.Module,
    heads: Iterable[tuple[int, int]],
    by: By = "zero",
    over: torch.Tensor | None = None,
) -> Iterator[None]:
    """Take attention heads out: what they mix is zero, or the same mean at every position.

    zero: all of the head's `dropped` weights are, and so what is `mixed` from them. mean: every
    position looks only at itself, and finds the mean there; or, where the head is a module of its
    own, the module returns it.

    Args:
        model: A model of this package.
        heads: Which, as (layer, head), each from 0.
        by: "zero" or "mean" (Wang et al. 2022, arXiv 2211.00593, section 2.1).
        over: Token ids (B, T) over which the means are taken on entering, without dropout, one
            vector for each head.

    Raises:
        UserError: If there is no such head, `over` is missing, or the model is compiled.
    """
    with changing(model, "ablate_heads") as change:
        places = _places(heads)
        asked = [head(model, layer, number) for layer, number in places]
        _check_by(by, over)
        if over is None:
            for one in asked:
                mixes_nothing(change, one)
        else:
            paths = [f"blocks.{layer}.attention.projection" for layer, _ in places]
            joined = passed(model, over, [*dict.fromkeys(paths)]).inputs
            for one, path in zip(asked, paths, strict=True):
                mean = _mean(joined[path])
                mixes_always(change, one, mean[one.columns(mean.numel())])
        yield


@contextmanager
def ablate_feed_forward(
    model: nn.Module, layers: Iterable[int], by: By = "zero", over: torch.Tensor | None = None
) -> Iterator[None]:
    """Take feed-forwards out: what they compute is zero, or the same mean at every position.

    Their own values are still those that they would have computed; `computed` in the block is not.

    Args:
        model: A model of this package.
        layers: Which, from 0.
        by: As in `ablate_heads`.
        over: As in `ablate_heads`.

    Raises:
        UserError: If there is no such layer, `over` is missing, or the model is compiled.
    """
    with changing(model, "ablate_feed_forward") as change:
        asked = {
            f"blocks.{one}.feed_forward": part(model, one, "feed_forward")
            for one in chosen(model, layers)
        }
        _check_by(by, over)
        if over is None:
            for module in asked.values():
                change.output(module, torch.zeros_like)
        else:
            computed = passed(model, over, [*asked]).outputs
            for path, module in asked.items():
                change.output(module, always(_mean(computed[path])))
        yield


@contextmanager
def no_causal_mask(model: nn.Module, layers: Iterable[int] | None = None) -> Iterator[None]:
    """Let every token look at those that come later, too.

    Not with a cache, in which earlier tokens can't look at what has not come yet: generate with
    `use_cache=False`.

    Args:
        model: A model of this package.
        layers: In which blocks; default: in all.

    Raises:
        UserError: If there is no such layer, it has no mask, or the model is compiled.
    """
    with changing(model, "no_causal_mask", cached=False) as change:
        for number in chosen(model, layers):
            for module in _having("causal_mask", model, number):
                change.put(module, "causal_mask", torch.ones_like(module.causal_mask))  # type: ignore[arg-type]
        yield


@contextmanager
def attention_scale(
    model: nn.Module, value: float, layers: Iterable[int] | None = None
) -> Iterator[None]:
    """Multiply the scores by another number than 1 / sqrt(head size).

    Args:
        model: A model of this package.
        value: What to multiply by: 0 looks at all alike, a large one at the highest score alone.
        layers: In which blocks; default: in all.

    Raises:
        UserError: If there is no such layer, it has no scale, or the model is compiled.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"value = {value!r}: must be a finite number, such as 0.5")
    with changing(model, "attention_scale") as change:
        for number in chosen(model, layers):
            for module in _having("scale", model, number):
                change.put(module, "scale", value)
        yield


def no_scale(model: nn.Module, layers: Iterable[int] | None = None) -> AbstractContextManager[None]:
    """Leave the scores as they are: `attention_scale` of 1, with its arguments and errors."""
    return attention_scale(model, 1.0, layers)


@contextmanager
def no_positions(model: nn.Module) -> Iterator[None]:
    """Add zeros in the place of the position embedding; where queries and keys turn, do not turn.

    Args:
        model: A model of this package.

    Raises:
        UserError: If it has neither positions to add nor to turn by, or is compiled.
    """
    with changing(model, "no_positions") as change:
        children = dict(model.named_children())
        rotations = [module for module in model.modules() if _turns(module)]
        if "position_embedding" in children:
            change.output(children["position_embedding"], torch.zeros_like)
        elif not rotations:
            raise unknown("module", "position_embedding", children)
        for module in rotations:  # by an angle of zero
            change.put(module, "cosines", torch.ones_like(module.cosines))  # type: ignore[arg-type]
            change.put(module, "sines", torch.zeros_like(module.sines))  # type: ignore[arg-type]
        yield


@contextmanager
def no_residual(
    model: nn.Module,
    number: int,
    sublayer: Literal["attention", "feed_forward"] = "attention",
) -> Iterator[None]:
    """Let a sublayer's result take the place of the stream that it would be added to.

    attention: the block is given zeros for its `x`, while its norm still reads the stream; so
    `x_attended = x + attended` is `attended`. feed_forward: what the block returns is `computed`.

    Args:
        model: A model of this package.
        number: Which block, from 0.
        sublayer: Whose input is not added.

    Raises:
        UserError: If there is no such layer or sublayer, or the model is compiled.
    """
    with changing(model, "no_residual") as change:
        block, inner = layer(model, number), part(model, number, sublayer)
        kept: dict[str, torch.Tensor] = {}

        def keep(output: torch.Tensor) -> torch.Tensor:
            kept["result"] = output
            return output

        def blank(x: torch.Tensor) -> torch.Tensor:
            kept["x"], kept["blank"] = x, torch.zeros_like(x)
            return kept["blank"]

        def real(x: torch.Tensor) -> torch.Tensor:
            return kept["x"] if x is kept.get("blank") else x

        def forget(output: torch.Tensor) -> torch.Tensor:
            result = kept.get("result", output)
            kept.clear()
            return result

        if sublayer == "feed_forward":
            change.output(inner, keep)
        else:
            change.input(block, blank)
            for child in block.children():
                change.input(child, real, first=True)
        change.output(block, forget)
        yield


def swap_tokens(idx: torch.Tensor, first: int, second: int) -> torch.Tensor:
    """Return token ids with two positions exchanged.

    A function of the ids, not a change of the model: so that a trace of them, its labels and its
    losses are those of the text that ran.

    Args:
        idx: Token ids (B, T).
        first: A position, from 0.
        second: Another.

    Raises:
        UserError: If there is no such position, or these are no token ids (B, T).
    """
    check_ids(idx)
    for field, position in (("first", first), ("second", second)):
        check_number(field, position, idx.size(1))
    order = [*range(idx.size(1))]
    order[first], order[second] = second, first
    return idx[:, order]


def _places(heads: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return heads as pairs of layer and head."""
    asked = [*heads] if isinstance(heads, Iterable) else [heads]
    for place in asked:
        if not isinstance(place, tuple | list) or len(place) != 2:
            raise UserError(f"heads = {heads!r}: must be pairs (layer, head), such as [(0, 1)]")
    return [(layer, number) for layer, number in asked]


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Return the mean over sequences and tokens: (B, T, ...) -> (...)."""
    return values.mean(dim=(0, 1))


def _check_by(by: str, over: torch.Tensor | None) -> None:
    if by not in get_args(By):
        raise unknown("ablation", by, get_args(By))
    if (by == "mean") != (over is not None):
        raise UserError(
            f"by = {by!r}: with over = {'None' if over is None else 'token ids'}; allowed: "
            "'mean' over token ids (B, T), 'zero' over none"
        )


def _turns(module: nn.Module) -> bool:
    return {"cosines", "sines"} <= dict(module.named_buffers(recurse=False)).keys()


def _having(name: str, model: nn.Module, number: int) -> list[nn.Module]:
    """Return the modules of a block that attend and have an attribute or buffer."""
    found = [
        module
        for module in attending(model, number)
        if name in vars(module) or name in dict(module.named_buffers(recurse=False))
    ]
    if not found:
        raise UserError(f"layer {number}: its attention has no {name!r}; allowed: a model with one")
    return found
