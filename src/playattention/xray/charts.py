"""What pictures are drawn with: maps of numbers with a legend of their true range, bars, tokens.

Knows numbers and names, and nothing of X-ray.
"""

import io
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WEIGHTS, SIGNED = "Purples", "RdBu"
"""ColorBrewer's: readable with every colour vision, and when printed grey."""
ABOVE, BELOW, PLAIN = "#2166ac", "#b2182b", "#54278f"
MOST_LABELS = 64
"""Tokens beyond which an axis has none."""


class Picture(Figure):
    """A figure that a notebook shows by itself, with or without pyplot."""

    def _repr_png_(self) -> bytes:
        written = io.BytesIO()
        self.savefig(written, format="png")
        return written.getvalue()


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure, of a size in inches that is held within bounds."""
    figure = Picture(
        figsize=(min(max(width, 3.0), 16.0), min(max(height, 2.0), 16.0)),
        dpi=120,
        layout="constrained",
    )
    axes = figure.subplots()
    return figure, axes


def heat(figure: Figure, axes: Axes, array: np.ndarray, told: str = "") -> None:
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


def small_maps(maps: dict[str, torch.Tensor], labels: Sequence[str], columns: int) -> Figure:
    """Draw small maps side by side, on one scale."""
    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    figure = Picture(
        figsize=(min(1.9 * columns + 0.8, 18), min(1.9 * rows + 0.8, 18)),
        dpi=120,
        layout="constrained",
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    arrays = {title: as_array(found) for title, found in maps.items()}
    signed = any((array[np.isfinite(array)] < 0).any() for array in arrays.values())
    largest = max(float(np.abs(array[np.isfinite(array)]).max()) for array in arrays.values())
    names = [readable(label) for label in labels]
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


def bars(
    names: Iterable[str], amounts: Sequence[float], title: str, told: str, *, log: bool = False
) -> Figure:
    """Draw a bar for each name, blue above zero and red below.

    Args:
        names: What the bars are called.
        amounts: How long each is.
        title: Of the figure.
        told: What the lengths are.
        log: Draws lengths that are far apart on a logarithmic scale.
    """
    names = [readable(name) for name in names]
    figure, axes = canvas(6.4, 0.21 * len(names) + 1.2)
    colours = [ABOVE if amount >= 0 else BELOW for amount in amounts]
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


def ticks(axes: Axes, which: str, names: Sequence[str]) -> None:
    """Put tokens on an axis, where there are not too many."""
    if 0 < len(names) <= MOST_LABELS:
        chosen = axes.xaxis if which == "x" else axes.yaxis
        rotated = 90 if which == "x" and max(map(len, names)) > 3 else 0
        chosen.set_ticks(
            range(len(names)), [readable(name) for name in names], fontsize=7, rotation=rotated
        )


def readable(text: str) -> str:
    """Return a text that matplotlib shows as it is: a dollar is no formula, a blank is seen."""
    seen = repr(text)[1:-1] if not text.isprintable() else text
    return (seen if seen.strip() else f"'{seen}'").replace("$", r"\$")


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as numpy has it."""
    return tensor.detach().float().cpu().numpy()
