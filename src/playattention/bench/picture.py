"""Results as a picture: shares of the machine's limits, and growth beside its theory.

Does not know how anything was measured.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from playattention.bench.results import FigureEntry, GrowthEntry, Results
from playattention.bench.table import machine, percent, short
from playattention.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"T": "#08519c", "width": "#d94801", "layers": "#238b45", "batch": "#6a51a3"}
MARKS = {"T": "o", "width": "s", "layers": "^", "batch": "D"}
PARTS = {
    "training": "#08519c",
    "loss": "#238b45",
    "generation": "#d94801",
    "ingestion": "#6a51a3",
    "xray": "#636363",
}


def draw(path: Path, results: Results) -> None:
    """Draw what there is: bars on top, three panels of growth below.

    Args:
        path: PNG or SVG, by its ending.
        results: What was measured.

    Raises:
        UserError: If the file can't be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second: only who draws waits

    shares = [one for one in results.figures if one.share is not None]
    panels = list(dict.fromkeys(one.what for one in results.growth))
    heights = [0.9 + 0.26 * len(shares)] * bool(shares) + [3.0] * bool(panels)
    figure = Figure(figsize=(9, 0.6 + sum(heights or [1.0])), layout="constrained")
    figure.suptitle(f"{machine(results)}, {results.date[:10]}", fontsize=10, parse_math=False)
    if heights:
        rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        if shares:
            _bars(rows[0].subplots(), shares)
        if panels:
            columns = rows[-1].subplots(1, len(panels), squeeze=False, sharey=True)[0]
            for axes, what in zip(columns, panels, strict=True):
                _growth(axes, what, [one for one in results.growth if one.what == what])
            columns[0].set_ylabel("times the smallest size's time")
            columns[0].add_artist(columns[0].legend(fontsize=8, frameon=False))
            ways = [columns[-1].plot([], [], style, color="black")[0] for style in ("-", "--")]
            columns[-1].legend(ways, ("measured", "theory"), fontsize=8, frameon=False, loc=4)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def _bars(axes: "Axes", shares: list[FigureEntry]) -> None:
    """Draw each share as a bar, its quartiles as a line, its median as a number."""
    places = range(len(shares))
    values = [_share(one, one.median) for one in shares]
    axes.barh(places, values, color=[PARTS.get(one.part, "#969696") for one in shares])
    for place, one in enumerate(shares):
        ends = [_share(one, one.lower_quartile), _share(one, one.upper_quartile)]
        axes.plot(ends, (place, place), color="black", linewidth=1)
        told = f"{percent(values[place])}  {short(one.median)} {one.unit}"
        axes.text(max(*ends, values[place]) + 0.01, place, told, va="center", fontsize=8)
    axes.set_yticks(list(places), [one.name for one in shares], fontsize=8, parse_math=False)
    axes.set_xlim(0, max(1.0, *values) * 1.2)
    ticks = [0, 0.25, 0.5, 0.75, 1.0]
    axes.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("share of the machine's limit (median, quartiles)")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    known = [part for part in PARTS if any(one.part == part for one in shares)]
    for part in known:
        axes.barh([0], [0], color=PARTS[part], label=part)
    if known:
        axes.legend(fontsize=8, frameon=False, loc="lower right")


def _share(figure: FigureEntry, number: float) -> float:
    """Return the share of the limit that a number would be."""
    assert figure.limit is not None
    return number / figure.limit if figure.unit.endswith("/s") else figure.limit / number


def _growth(axes: "Axes", what: str, several: list[GrowthEntry]) -> None:
    """Draw time over size, both as multiples of the smallest, on logarithmic axes."""
    for one in several:
        style: dict[str, Any] = {"color": COLOURS.get(one.axis, "black"), "linewidth": 1.2}
        sizes = [size / one.sizes[0] for size in one.sizes]
        name = f"{one.axis}: {one.sizes[0]} to {one.sizes[-1]}"
        measured = [time / one.medians[0] for time in one.medians]
        theory = [time / one.theory[0] for time in one.theory]
        axes.plot(sizes, measured, label=name, marker=MARKS.get(one.axis, "."), ms=4, **style)
        axes.plot(sizes, theory, linestyle="--", alpha=0.6, **style)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda size, _: f"{size:g}")
    axes.yaxis.set_major_formatter(lambda time, _: f"{time:g}")
    axes.set_title(what, fontsize=10)
    axes.set_xlabel("times the smallest size")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
