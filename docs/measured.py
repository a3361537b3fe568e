"""What `playattention bench` measured, as the page about it shows it: from a file of results."""

from pathlib import Path

from playattention.bench import table
from playattention.bench.parts import LIMITS
from playattention.bench.results import Results, read

FILE = Path(__file__).parents[1] / "benchmarks/results/bench.json"
Table = tuple[list[str], list[list[object]]]


def bench() -> Results:
    """Return the results that the page is made from."""
    return read(FILE)


def part(name: str) -> Table:
    """Return a part's figures: median, quartiles, unit, share of the machine's limit."""
    found = bench()
    limits = [table.limit_row(one) for one in found.limits if name == LIMITS]
    figures = [table.figure_row(one) for one in found.figures if one.part == name]
    rows: list[list[object]] = [
        [
            what,
            table.short(median),
            f"{table.short(low)}-{table.short(high)}",
            unit,
            "" if share is None else table.percent(share),
        ]
        for what, median, (low, high), unit, share in (*limits, *figures)
    ]
    between = "slowest to fastest" if name == LIMITS else "quartiles"
    return [name, "fastest" if name == LIMITS else "median", between, "unit", "share"], rows


def growth() -> Table:
    """Return the exponents: what fits the measured times, and what fits the theory."""
    rows: list[list[object]] = [
        [
            f"{one.what} over {one.axis}",
            f"{one.sizes[0]} to {one.sizes[-1]}",
            f"{one.exponent:.2f}",
            f"{one.theory_exponent:.2f}",
            f"{one.at_the_end:.2f}",
            f"{one.theory_at_the_end:.2f}",
        ]
        for one in bench().growth
    ]
    head = ["time of a", "sizes", "measured", "theory", "measured, last two", "theory, last two"]
    return head, rows


def told() -> str:
    """Return the machine, the date and the load in words."""
    found = bench()
    load = found.machine.get("load_before")
    busy = f"; {load[0]:g} processes wanted its cores when the run began" if load else ""
    times = f"{found.settings['repetitions']} repetitions of each"
    return f"{table.machine(found)}, {found.date[:10]}, {times}{busy}"


def minutes() -> float:
    """Return how long the whole run took."""
    return sum(bench().seconds.values()) / 60
