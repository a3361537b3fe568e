"""X-ray's results as pictures: `picture(result)` gives a matplotlib figure, which notebooks show.

Dark tells more, as on paper; where numbers have two signs, blue is above zero and red below. Does
not know how the results were found.
"""

from collections.abc import Iterable, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from playattention.errors import UserError
from playattention.xray.across import Across, Difference
from playattention.xray.adamw import AdamWStep, Update
from playattention.xray.attention import weights_of
from playattention.xray.backward import Backward
from playattention.xray.explanation import Explanation
from playattention.xray.ledger import Ledger
from playattention.xray.lens import LogitLens, Losses
from playattention.xray.roles import HeadRoles
from playattention.xray.tables import shown
from playattention.xray.trace import Trace, Value

WEIGHTS, SIGNED = "Purples", "RdBu"
"""ColorBrewer's: readable with every colour vision, and when printed grey."""
MOST_LABELS = 48
"""Tokens beyond which an axis has numbers."""


@singledispatch
def picture(result: object, **_options: Any) -> Figure:
    """Draw a result of X-ray.

    Args:
        result: A trace (all its attention maps), a value, a ledger, a logit lens, losses, head
            roles, an explanation, a way back, an AdamW step, a run's traces or a difference.
        _options: `labels`, how the tokens are shown: of a value, a trace and a run's traces;
            `index`, the place along a value's first dimensions; `module` and `name`, which value
            of a run's traces.

    Raises:
        UserError: If there is no picture of such a thing.
    """
    raise UserError(f"result = {type(result).__name__}: has no picture")


@picture.register
def _(result: Value, index: Sequence[int] = (), labels: Sequence[str] | None = None) -> Figure:
    numbers = result.tensor[tuple(index)]
    while numbers.dim() > 2:  # the first of each: a batch, a head
        index, numbers = (*index, 0), numbers[0]
    array = _array(numbers).reshape(-1, numbers.shape[-1] if numbers.dim() else 1)
    rows, columns = array.shape
    figure, axes = _new(0.32 * columns + 1.6, 0.32 * rows + 1.4)
    _map(figure, axes, array)
    names = [*labels] if labels is not None else []
    _name(axes, "x", names if len(names) == columns else [])
    _name(axes, "y", names if len(names) == rows else [])
    if len(names) == rows == columns:
        axes.set_xlabel("looked at")
        axes.set_ylabel("who looks")
    cell = f"[{', '.join(map(str, index))}]" if index else ""
    axes.set_title(f"{result.title}{cell}", fontsize=9)
    return figure


@picture.register
def _(result: Trace, labels: Sequence[str] | None = None) -> Figure:
    maps = weights_of(result)
    if not maps:
        raise UserError("result = Trace: keeps no attention weights; watch without modules=")
    named = {f"{layer}.{head}": found[0] for (layer, head), found in maps.items()}
    n_head = max(head for _, head in maps) + 1
    return _maps(named, result.labels if labels is None else labels, n_head)


@picture.register
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
    return _maps(maps, labels if labels is not None else next(iter(result)).labels, 6)


@picture.register
def _(result: Ledger) -> Figure:
    names = [entry.name for entry in result.entries]
    amounts = [entry.amount for entry in result.entries]
    title = f"logit of {shown(result.token, result.decode)} at position {result.position}"
    return _bars(
        [*names, "remainder"],
        [*amounts, result.remainder],
        f"{title}: {result.logit:.4f}",
        "part of the logit",
    )


@picture.register
def _(result: LogitLens) -> Figure:
    probabilities, ids = (found[:, 0, :, 0] for found in result.top())
    stages, positions = ids.shape
    figure, axes = _new(0.62 * positions + 2.0, 0.4 * stages + 1.2)
    _map(figure, axes, _array(probabilities), "probability of the likeliest")
    for stage in range(stages):
        for position in range(positions):
            share = float(probabilities[stage, position])
            text = shown(int(ids[stage, position]), result.decode, 8)
            axes.text(
                position,
                stage,
                _plain(text),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if share > 0.55 else "black",
            )
    texts = [shown(id_, result.decode, 8) for id_ in result.idx[0].tolist()]
    _name(axes, "x", texts)
    _name(axes, "y", result.stages)
    axes.set_xlabel("token read; each cell is the likeliest next one")
    return figure


@picture.register
def _(result: Losses) -> Figure:
    texts = [shown(id_, result.decode, 8) for id_ in result.targets[0].clamp(min=0).tolist()]
    counts = (result.targets[0] >= 0).tolist()
    numbers = result.loss[0].nan_to_num().tolist()
    kept = [place for place, counted in enumerate(counts) if counted]
    figure, axes = _new(0.3 * len(kept) + 1.4, 2.6)
    axes.bar(range(len(kept)), [numbers[place] for place in kept], color="#54278f")
    axes.axhline(result.mean, color="#b2182b", linewidth=1)
    axes.set_title(f"mean {result.mean:.4f}", fontsize=9)
    axes.set_ylabel("loss, nats")
    _name(axes, "x", [texts[place] for place in kept])
    axes.set_xlabel("the token to predict")
    return figure


@picture.register
def _(result: HeadRoles) -> Figure:
    heads = sorted({(role.layer, role.head) for role in result})
    patterns = result.patterns
    share = {(role.pattern, role.layer, role.head): role.share for role in result}
    shares = np.array([[share[name, *head] for head in heads] for name in patterns])
    figure, axes = _new(0.36 * len(heads) + 2.2, 0.34 * len(patterns) + 1.4)
    _map(figure, axes, shares.clip(0, 1), "share of what chance leaves")
    for role in result.clear:
        place = heads.index((role.layer, role.head)), patterns.index(role.pattern)
        axes.plot(*place, marker="o", color="white", markersize=4, markeredgecolor="black")
    _name(axes, "x", [f"{layer}.{head}" for layer, head in heads])
    _name(axes, "y", patterns)
    axes.set_xlabel("block.head; a dot: clearly above chance")
    return figure


@picture.register
def _(result: Explanation) -> Figure:
    terms: dict[int, float] = {}
    names: dict[int, str] = {}
    for operand in result.operands:
        if operand.term is not None and operand.number is not None:
            terms[operand.term] = terms.get(operand.term, 1.0) * operand.number
            names[operand.term] = f"{names.get(operand.term, '')} {operand}".strip()
    if not terms:
        rest = {str(one): one.number for one in result.operands if one.number is not None}
        return _bars([*rest], [*rest.values()], repr(result).splitlines()[0], result.operation)
    kept = sorted(terms, key=lambda term: -abs(terms[term]))[:24]
    title = repr(result).splitlines()[0]
    largest = "" if len(kept) == len(terms) else f", the {len(kept)} largest of {len(terms)} terms"
    return _bars(
        [names[term] for term in kept],
        [terms[term] for term in kept],
        title,
        f"{result.operation}{largest}",
    )


@picture.register
def _(result: Backward) -> Figure:
    lengths = {
        value.title: gradient.norm().item()
        for value, gradient in result.of_values.items()
        if gradient is not None
    }
    return _bars(
        [*lengths],
        [*lengths.values()],
        f"loss {result.loss.item():.4f}",
        "length of the gradient",
        log=True,
    )


@picture.register
def _(result: AdamWStep) -> Figure:
    changes = {
        name: (update.new - update.weight).norm().item() / max(update.weight.norm().item(), 1e-12)
        for name, update in result.updates.items()
    }
    return _bars(
        [*changes],
        [*changes.values()],
        f"learning rate {result.rate:.3g}",
        "length of the change, as a share of the weight's",
        log=True,
    )


@picture.register
def _(result: Update) -> Figure:
    figure, axes = _new(4.6, 3.0)
    axes.scatter(
        result.gradient.flatten(),
        (result.new - result.weight).flatten(),
        s=4,
        color="#54278f",
        alpha=0.5,
    )
    axes.set_xlabel("gradient")
    axes.set_ylabel("change of the weight")
    axes.set_title(result.name, fontsize=9)
    return figure


@picture.register
def _(result: Difference) -> Figure:
    kept = [*result.shares.items()][:24]
    title = f"the largest of {len(result)} differences"
    names, shares = [value.title for value, _ in kept], [share for _, share in kept]
    return _bars(names, shares, title, "share of the longer value")


def _new(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(
        figsize=(min(max(width, 3.0), 16.0), min(max(height, 2.0), 16.0)),
        dpi=120,
        layout="constrained",
    )
    axes = figure.subplots()
    return figure, axes


def _map(figure: Figure, axes: Axes, array: np.ndarray, told: str = "") -> None:
    """Draw numbers as colours, with a legend of their true range."""
    finite = array[np.isfinite(array)]
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    signed = bool((finite < 0).any())
    image = axes.imshow(
        array,
        cmap=SIGNED if signed else WEIGHTS,
        aspect="auto",
        vmin=-largest if signed else 0.0,
        vmax=largest or 1.0,
    )
    figure.colorbar(image, ax=axes, label=told, fraction=0.04)


def _maps(maps: dict[str, torch.Tensor], labels: Sequence[str], columns: int) -> Figure:
    """Draw small maps side by side, on one scale."""
    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    figure = Figure(
        figsize=(min(1.9 * columns + 0.8, 18), min(1.9 * rows + 0.8, 18)),
        dpi=120,
        layout="constrained",
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    arrays = {title: _array(found) for title, found in maps.items()}
    signed = any((array[np.isfinite(array)] < 0).any() for array in arrays.values())
    largest = max(float(np.abs(array[np.isfinite(array)]).max()) for array in arrays.values())
    names = [_plain(label) for label in labels]
    image = None
    for axes, (title, array) in zip(grid.flat, arrays.items(), strict=False):
        image = axes.imshow(
            array,
            cmap=SIGNED if signed else WEIGHTS,
            aspect="auto",
            vmin=-largest if signed else 0.0,
            vmax=largest,
        )
        axes.set_title(title, fontsize=8)
        few = len(names) <= 16 and len(names) == array.shape[1]
        axes.set_xticks(range(len(names)) if few else [], names if few else [], fontsize=5)
        few = few and len(names) == array.shape[0]
        axes.set_yticks(range(len(names)) if few else [], names if few else [], fontsize=5)
    for axes in grid.flat[len(maps) :]:
        axes.set_axis_off()
    if image is not None:
        figure.colorbar(image, ax=grid, fraction=0.02)
    return figure


def _bars(
    names: Iterable[str], amounts: Sequence[float], title: str, told: str, *, log: bool = False
) -> Figure:
    names = [_plain(name) for name in names]
    figure, axes = _new(6.4, 0.21 * len(names) + 1.2)
    colours = ["#2166ac" if amount >= 0 else "#b2182b" for amount in amounts]
    axes.barh(range(len(names)), amounts, color=colours)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    if log:
        axes.set_xscale("log")
    else:
        axes.axvline(0, color="black", linewidth=0.6)
    axes.set_xlabel(told, fontsize=8)
    axes.set_title(title, fontsize=9)
    return figure


def _name(axes: Axes, which: str, names: Sequence[str]) -> None:
    """Put tokens on an axis, where there are not too many."""
    if 0 < len(names) <= MOST_LABELS:
        chosen = axes.xaxis if which == "x" else axes.yaxis
        rotated = 90 if which == "x" and max(map(len, names)) > 3 else 0
        chosen.set_ticks(
            range(len(names)), [_plain(name) for name in names], fontsize=7, rotation=rotated
        )


def _plain(text: str) -> str:
    """Return a text that matplotlib shows as it is: a dollar is no formula, a blank is seen."""
    seen = repr(text)[1:-1] if not text.isprintable() else text
    return (seen if seen.strip() else f"'{seen}'").replace("$", r"\$")


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
