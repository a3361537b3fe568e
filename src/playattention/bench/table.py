"""Results as text, at most 80 columns wide: figures, growth, and machines beside each other.

Does not know how anything was measured.
"""

from collections.abc import Iterable, Iterator, Sequence

from playattention.bench.parts import LIMITS, MEANINGS
from playattention.bench.results import FigureEntry, LimitEntry, Results

GIGA = 1e9
LIMIT_NAMES = {
    "fp32": ("matrix product, fp32", "GFLOP/s"),
    "bf16": ("matrix product, bf16", "GFLOP/s"),
    "read": ("memory read", "GB/s"),
    "vector": ("memory read by matrix x vector", "GB/s"),
}
"""Limit -> its name, and the unit it is shown in."""
NAME = 37
"""Columns of a name."""
MOST_COMPARED = 3
"""Machines that have room beside each other."""
NOISE = "~"
"""Marks a figure that is noisy."""
NOISY = 0.25
"""Quartiles further apart than this share of the median: other programs were at work."""


def lines(results: Results, parts: Iterable[str] = MEANINGS) -> Iterator[str]:
    """Yield the table of one machine.

    Args:
        results: What was measured.
        parts: Which of them are shown.
    """
    wanted = set(parts)
    yield f"{machine(results)}, {results.date[:10]}"
    head = f"{'median':>9} {'quartiles':>17} {'unit':<8}{'share':>6}"
    for part, meaning in MEANINGS.items():
        figures = [one for one in results.figures if one.part == part]
        if part not in wanted or not (figures or part == LIMITS):
            continue
        yield ""
        yield f"{meaning:<{NAME}} {head}"
        yield from (_row(*limit_row(limit)) for limit in (results.limits if part == LIMITS else []))
        yield from (_row(*figure_row(figure), mark=_mark(figure)) for figure in figures)
    if "growth" in wanted:
        yield from growth_lines(results)
    yield from _notes(results, wanted)


def machine(results: Results) -> str:
    """Return the machine in one line."""
    facts = results.machine
    where = facts["device"] if facts.get("computes_on") == "cuda" else facts["processor"]
    version = facts["torch"].partition("+")[0]
    return f"{where[:32]}, {facts['threads']} thread(s), torch {version}"


def limit_row(limit: LimitEntry) -> tuple[str, float, tuple[float, float], str, float | None]:
    """Return a limit's name, fastest reading, slowest and fastest, unit."""
    name, unit = LIMIT_NAMES[limit.name]
    best = limit.best / GIGA
    return name, best, (min(limit.raw) / GIGA, best), unit, None


def figure_row(figure: FigureEntry) -> tuple[str, float, tuple[float, float], str, float | None]:
    """Return a figure's name, median, quartiles, unit, share of its limit."""
    quartiles = figure.lower_quartile, figure.upper_quartile
    return figure.name, figure.median, quartiles, figure.unit, figure.share


def _row(
    name: str,
    median: float,
    quartiles: tuple[float, float],
    unit: str,
    share: float | None,
    *,
    mark: str = " ",
) -> str:
    between = f"{short(quartiles[0])}-{short(quartiles[1])}"
    told = "" if share is None else percent(share)
    name = name if len(name) <= NAME else f"{name[: NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
    return f"{name:<{NAME}} {short(median):>9} {between:>17}{mark}{unit:<8}{told:>6}".rstrip()


def short(number: float) -> str:
    """Return a number with three digits or more, as many as say something."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.3g}"


def percent(share: float) -> str:
    """Return a share in percent, with a digit more where it is small."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def growth_lines(results: Results) -> Iterator[str]:
    """Yield the exponents: how the time grows with each size, beside what arithmetic says."""
    if not results.growth:
        return
    yield ""
    yield f"{MEANINGS['growth']:<28}{'sizes':<14}{'size to the power of':>22}{'at the end':>14}"
    yield f"{'':<42}{'measured  theory':>22}{'meas.  theory':>14}"
    for one in results.growth:
        sizes = f"{one.sizes[0]}-{one.sizes[-1]}"
        whole = f"{one.exponent:.2f}{one.theory_exponent:8.2f}"
        end = f"{one.at_the_end:.2f}{one.theory_at_the_end:8.2f}"
        yield f"{one.what + ' over ' + one.axis:<28}{sizes:<14}{whole:>22}{end:>14}"


def _notes(results: Results, wanted: set[str]) -> Iterator[str]:
    """Yield what must be read with the table."""
    yield ""
    yield "share: of the machine's limit; 50 % means twice as fast at most"
    yield "limits: the fastest reading of the run, slowest to fastest beside it"
    for one in results.figures:
        if one.part in wanted and one.note:
            yield f"{one.name}: {one.note}"
    for name, reason in results.missing.items():
        yield f"not measured: {name} ({reason})"
    shown = [one for one in results.figures if one.part in wanted]
    if noisy := [one for one in shown if _mark(one) == NOISE]:
        yield f"{NOISE} {len(noisy)} of {len(shown)}: quartiles over a quarter of the median apart;"
        yield "  close other programs before you believe small differences"


def _mark(figure: FigureEntry) -> str:
    apart = figure.upper_quartile - figure.lower_quartile
    return NOISE if apart > NOISY * figure.median else " "


def comparison(several: Sequence[Results], parts: Iterable[str] = MEANINGS) -> Iterator[str]:
    """Yield a table with a column for each machine: its median, and the share of its own limit.

    Args:
        several: Results, at most MOST_COMPARED.
        parts: Which of them are shown.
    """
    width = 17 if len(several) < MOST_COMPARED else 15
    for number, one in enumerate(several):
        yield f"{chr(ord('A') + number)}: {machine(one)}, {one.date[:10]}"
    yield ""
    letters = (chr(ord("A") + number) for number in range(len(several)))
    left = 80 - width * len(several)
    yield f"{'median, share of its own limit':<{left}}" + "".join(f"{x:>{width}}" for x in letters)
    wanted = [part for part in MEANINGS if part in set(parts)]
    for part in wanted:
        tables = [_cells(one, part) for one in several]
        for name in dict.fromkeys(name for table in tables for name in table):
            unit = next(table[name][1] for table in tables if name in table)
            cells = "".join(f"{table.get(name, ('-', ''))[0]:>{width}}" for table in tables)
            words = f"{name}, {unit}"
            yield f"{words[: left - 1]:<{left}}{cells}".rstrip()


def _cells(results: Results, part: str) -> dict[str, tuple[str, str]]:
    """Return a machine's figures of a part: name -> median and share, unit."""
    cells = {}
    if part == LIMITS:
        for limit in results.limits:
            name, best, _, unit, _ = limit_row(limit)
            cells[name] = (f"{short(best)}      ", unit)
    if part == "growth":
        for one in results.growth:
            words = f"x^{one.exponent:.2f} ({one.theory_exponent:.2f})"
            cells[f"{one.what} over {one.axis}"] = (words, "power of the size (theory)")
    for figure in results.figures:
        if figure.part == part:
            share = "" if figure.share is None else percent(figure.share)
            cells[figure.name] = (f"{short(figure.median)} {share:>5}", figure.unit)
    return cells
