"""X-ray's results as pictures: `picture(result)` gives a matplotlib figure, which notebooks show.

Dark tells more, as on paper; where numbers have two signs, blue is above zero and red below. Does
not know how the results were found.
"""

import inspect
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from playattention.errors import UserError, unknown
from playattention.xray.across import Across, Difference
from playattention.xray.adamw import AdamWStep, Update
from playattention.xray.attention import weights_of
from playattention.xray.backward import Backward
from playattention.xray.charts import (
    BELOW,
    PLAIN,
    as_array,
    bars,
    canvas,
    heat,
    readable,
    small_maps,
    ticks,
)
from playattention.xray.explanation import Explanation
from playattention.xray.ledger import Ledger
from playattention.xray.lens import LogitLens, Losses
from playattention.xray.roles import HeadRoles
from playattention.xray.tables import shown
from playattention.xray.trace import Trace
from playattention.xray.values import Value

MOST_BARS = 40
"""Of the values and weights that have a gradient, how many are drawn."""


def picture(result: object, **options: Any) -> Figure:
    """Draw a result of X-ray.

    Args:
        result: A trace (all its attention maps), a value, a ledger, a logit lens, losses, head
            roles, an explanation, a way back, an AdamW step, a run's traces or a difference.
        options: `labels`, how the tokens are shown: of a value, a trace and a run's traces;
            `index`, the place along a value's first dimensions; `module` and `name`, which value
            of a run's traces; `last`, how many positions of a logit lens, default 24.

    Raises:
        UserError: If there is no picture of such a thing, or not with such an option.
    """
    drawn = _picture.dispatch(type(result))
    if drawn is _picture.dispatch(object):
        raise UserError(f"result = {type(result).__name__}: has no picture")
    known = [*inspect.signature(drawn).parameters][1:]
    for name in options:
        if name not in known:
            kind = type(result).__name__
            if not known:
                raise UserError(f"{name}: the picture of a {kind} takes no options")
            raise unknown(f"option of the picture of a {kind}", name, known)
    return drawn(result, **options)


@singledispatch
def _picture(_result: object, **_options: Any) -> Figure:
    raise NotImplementedError  # `picture` tells it


@_picture.register
def _(result: Value, index: Sequence[int] = (), labels: Sequence[str] | None = None) -> Figure:
    numbers = result.tensor[tuple(index)]
    while numbers.dim() > 2:  # the first of each: a batch, a head
        index, numbers = (*index, 0), numbers[0]
    array = as_array(numbers).reshape(-1, numbers.shape[-1] if numbers.dim() else 1)
    rows, columns = array.shape
    figure, axes = canvas(0.2 * columns + 1.8, 0.2 * rows + 1.4)
    heat(figure, axes, array)
    names = _fitting(labels, rows, columns)
    ticks(axes, "x", names if len(names) == columns else [])
    ticks(axes, "y", names if len(names) == rows else [])
    if len(names) == rows == columns:
        axes.set_xlabel("looked at")
        axes.set_ylabel("who looks")
    cell = f"[{', '.join(map(str, index))}]" if index else ""
    axes.set_title(f"{result.shown}{cell}", fontsize=9)
    return figure


@_picture.register
def _(result: Trace, labels: Sequence[str] | None = None) -> Figure:
    maps = weights_of(result)
    if not maps:
        raise UserError("result = Trace: keeps no attention weights; watch without modules=")
    named = {f"{layer}.{head}": found[0] for (layer, head), found in maps.items()}
    n_head = max(head for _, head in maps) + 1
    return small_maps(named, _fitting(labels, len(result.labels)) or result.labels, n_head)


@_picture.register
def _(
    result: Across,
    module: str = "",
    name: str = "weights",
    index: Sequence[int] = (),
    labels: Sequence[str] | None = None,
) -> Figure:
    values = result.one(module, name)
    maps = {}
    for step, value in values.items():
        numbers = value.tensor[tuple(index)]
        while numbers.dim() > 2:
            numbers = numbers[0]
        maps[f"step {step:,}"] = numbers.reshape(-1, numbers.shape[-1])
    own = next(iter(result)).labels
    return small_maps(maps, _fitting(labels, len(own)) or own, 6)


@_picture.register
def _(result: Ledger) -> Figure:
    names = [entry.name for entry in result.entries]
    amounts = [entry.amount for entry in result.entries]
    title = f"logit of {shown(result.token, result.decode)} at position {result.position}"
    return bars(
        [*names, "remainder"],
        [*amounts, result.remainder],
        f"{title}: {result.logit:.4f}",
        "part of the logit",
    )


@_picture.register
def _(result: LogitLens, last: int = 24) -> Figure:
    probabilities, ids = (found[:, 0, -last:, 0] for found in result.top())
    stages, positions = ids.shape
    figure, axes = canvas(0.44 * positions + 2.0, 0.4 * stages + 1.2)
    heat(figure, axes, as_array(probabilities), "probability of the likeliest")
    for stage in range(stages):
        for position in range(positions):
            share = float(probabilities[stage, position])
            text = shown(int(ids[stage, position]), result.decode, 8).strip("'")
            axes.text(
                position,
                stage,
                readable(text),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if share > 0.55 else "black",
            )
    texts = [shown(id_, result.decode, 8) for id_ in result.idx[0, -last:].tolist()]
    ticks(axes, "x", texts)
    ticks(axes, "y", result.stages)
    axes.set_xlabel("token read; each cell is the likeliest next one")
    return figure


@_picture.register
def _(result: Losses) -> Figure:
    texts = [shown(id_, result.decode, 8) for id_ in result.targets[0].clamp(min=0).tolist()]
    counts = (result.targets[0] >= 0).tolist()
    numbers = result.loss[0].nan_to_num().tolist()
    kept = [place for place, counted in enumerate(counts) if counted]
    if not kept:
        raise UserError("result = Losses: no target counts, all are -100")
    figure, axes = canvas(0.3 * len(kept) + 1.4, 2.6)
    axes.bar(range(len(kept)), [numbers[place] for place in kept], color=PLAIN)
    axes.axhline(result.mean, color=BELOW, linewidth=1)
    axes.set_title(f"mean {result.mean:.4f}", fontsize=9)
    axes.set_ylabel("loss, nats")
    ticks(axes, "x", [texts[place] for place in kept])
    axes.set_xlabel("the token to predict")
    return figure


@_picture.register
def _(result: HeadRoles) -> Figure:
    heads = sorted({(role.layer, role.head) for role in result})
    patterns = result.patterns
    share = {(role.pattern, role.layer, role.head): role.share for role in result}
    shares = np.array([[share[name, *head] for head in heads] for name in patterns])
    figure, axes = canvas(0.36 * len(heads) + 2.2, 0.34 * len(patterns) + 1.4)
    heat(figure, axes, shares.clip(0, 1), "share of what chance leaves")
    for role in result.clear:
        place = heads.index((role.layer, role.head)), patterns.index(role.pattern)
        axes.plot(*place, marker="o", color="white", markersize=4, markeredgecolor="black")
    ticks(axes, "x", [f"{layer}.{head}" for layer, head in heads])
    ticks(axes, "y", patterns)
    axes.set_xlabel("block.head; a dot: clearly above chance")
    return figure


@_picture.register
def _(result: Explanation) -> Figure:
    terms: dict[int, float] = {}
    names: dict[int, str] = {}
    for operand in result.operands:
        if operand.term is not None and operand.number is not None:
            terms[operand.term] = terms.get(operand.term, 1.0) * operand.number
            names[operand.term] = f"{names.get(operand.term, '')} {operand}".strip()
    if not terms:
        rest = {str(one): one.number for one in result.operands if one.number is not None}
        return bars([*rest], [*rest.values()], repr(result).splitlines()[0], result.operation)
    kept = sorted(terms, key=lambda term: -abs(terms[term]))[:24]
    title = repr(result).splitlines()[0]
    largest = "" if len(kept) == len(terms) else f", the {len(kept)} largest of {len(terms)} terms"
    return bars(
        [names[term] for term in kept],
        [terms[term] for term in kept],
        title,
        f"{result.operation}{largest}",
    )


@_picture.register
def _(result: Backward) -> Figure:
    lengths = {
        value.shown: gradient.norm().item()
        for value, gradient in result.of_values.items()
        if gradient is not None
    }
    return _longest(lengths, "length of the gradient", f"loss {result.loss.item():.4f}")


@_picture.register
def _(result: AdamWStep) -> Figure:
    changes = {
        name: (update.new - update.weight).norm().item() / max(update.weight.norm().item(), 1e-12)
        for name, update in result.updates.items()
    }
    told = "length of the change, as a share of the weight's"
    return _longest(changes, told, f"learning rate {result.rate:.3g}")


@_picture.register
def _(result: Update) -> Figure:
    figure, axes = canvas(4.6, 3.0)
    axes.scatter(
        result.gradient.flatten(),
        (result.new - result.weight).flatten(),
        s=4,
        color=PLAIN,
        alpha=0.5,
    )
    axes.set_xlabel("gradient")
    axes.set_ylabel("change of the weight")
    axes.set_title(result.name, fontsize=9)
    return figure


@_picture.register
def _(result: Difference) -> Figure:
    kept = [*result.shares.items()][:24]
    title = f"the largest of {len(result)} differences"
    names, shares = [value.shown for value, _ in kept], [share for _, share in kept]
    return bars(names, shares, title, "share of the longer value")


def _fitting(labels: Sequence[str] | None, *sizes: int) -> list[str]:
    """Return labels, if there are as many as rows or columns; none for None."""
    if labels is not None and len(labels) not in sizes:
        allowed = " or ".join(dict.fromkeys(map(str, sizes)))
        raise UserError(f"labels = {len(labels)} texts: must be {allowed}, one for each token")
    return [*labels] if labels is not None else []


def _longest(lengths: dict[str, float], told: str, title: str) -> Figure:
    """Draw the longest of many, in the order that they have."""
    limit = sorted(lengths.values(), reverse=True)[:MOST_BARS][-1]
    kept = {name: length for name, length in lengths.items() if length >= limit}
    many = f", the {len(kept)} longest of {len(lengths)}" if len(kept) < len(lengths) else ""
    return bars([*kept], [*kept.values()], f"{title}{many}", told, log=True)
