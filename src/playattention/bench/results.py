"""What `playattention bench` measured: figures, growth, the machine; as one JSON file.

Does not know how anything is measured, nor the terminal.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from playattention.bench.memory import GIB
from playattention.bench.spread import Spread, exponent
from playattention.errors import UserError, one_line


@dataclass(frozen=True)
class Figure:
    """Something measured again and again."""

    part: str
    """Which part of the bench."""
    name: str
    unit: str
    """Of each number: "tokens/s", "ms", "s" or "%"."""
    raw: list[float]
    """Every repetition, in their order."""
    needs: dict[str, float] = field(default_factory=dict)
    """What one token (of a rate) or one repetition (of a time) takes at least: operations or bytes
    by limit."""
    limit: float | None = None
    """What it could be at most, or at least (a time), where that is no limit of `needs`."""
    note: str = ""
    """What must be read with it."""

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit.endswith("/s")


@dataclass(frozen=True)
class Growth:
    """How the time of something grows with one size."""

    what: str
    """step, token or watch."""
    axis: str
    """What grows: T, width, layers or batch."""
    sizes: list[int]
    raw: list[list[float]]
    """Milliseconds of each size (sizes, repetitions)."""
    needs: list[dict[str, float]]
    """Of each size: operations or bytes by limit."""


@dataclass(frozen=True)
class Missing:
    """Something that was to be measured and was not."""

    name: str
    reason: str


Found = Figure | Growth | Missing


def facts(threads: int | None, device: str) -> dict[str, Any]:
    """Return what a figure must be read with: the machine, its load, the versions.

    Args:
        threads: That torch uses on the CPU.
        device: Where the models compute.
    """
    from playattention.training.distributed import machine  # noqa: PLC0415 - imports torch

    try:
        load = [round(one, 2) for one in os.getloadavg()]
    except (AttributeError, OSError):  # Windows has none
        load = None
    return {
        **machine(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "threads": threads,
        "computes_on": device,
        "load_before": load,
    }


def dated() -> str:
    """Return the time of now as results carry it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class FigureEntry(BaseModel):
    """A figure as it lies in the file, its spread and its share beside."""

    model_config = ConfigDict(extra="ignore")
    part: str
    name: str
    unit: str
    median: float
    lower_quartile: float
    upper_quartile: float
    raw: list[float]
    limit: float | None = None
    share: float | None = None
    """Of the limit, 0 to 1: twice as fast at most where it is one half."""
    note: str = ""


class GrowthEntry(BaseModel):
    """Growth as it lies in the file, with the exponents that fit it and its theory."""

    model_config = ConfigDict(extra="ignore")
    what: str
    axis: str
    sizes: list[int]
    medians: list[float]
    """Milliseconds."""
    theory: list[float]
    """Milliseconds at the machine's limits."""
    exponent: float
    """Of the power of the size that the medians follow best."""
    at_the_end: float
    """The same for the two largest sizes."""
    theory_exponent: float
    theory_at_the_end: float
    raw: list[list[float]]


class LimitEntry(BaseModel):
    """A limit of the machine; the fastest reading counts."""

    model_config = ConfigDict(extra="ignore")
    name: str
    best: float
    """Operations or bytes a second."""
    raw: list[float]


class Results(BaseModel):
    """All that one run of the bench measured."""

    model_config = ConfigDict(extra="ignore")
    date: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    limits: list[LimitEntry]
    figures: list[FigureEntry]
    growth: list[GrowthEntry]
    seconds: dict[str, float]
    """Each part took so long."""
    missing: dict[str, str]
    """What was not measured, and why."""


def entry(figure: Figure, least: float | None) -> FigureEntry:
    """Return a figure with its spread and share.

    Args:
        figure: What was measured.
        least: The seconds that its `needs` take at the machine's limits; None: not known.
    """
    limit = figure.limit
    if limit is None and least:
        limit = {"ms": 1000 * least, "s": least}.get(figure.unit, 1 / least)
    spread = Spread.of(figure.raw)
    share = None
    if limit is not None:
        share = spread.median / limit if figure.is_rate else limit / spread.median
    return FigureEntry(**asdict(figure) | asdict(spread) | {"limit": limit, "share": share})


def growth_entry(growth: Growth, least: Sequence[float]) -> GrowthEntry:
    """Return growth with its exponents.

    Args:
        growth: What was measured, at two sizes or more.
        least: The seconds that each size takes at the machine's limits.
    """
    medians = [Spread.of(raw).median for raw in growth.raw]
    sizes = growth.sizes
    return GrowthEntry(
        what=growth.what,
        axis=growth.axis,
        sizes=sizes,
        medians=medians,
        theory=[1000 * seconds for seconds in least],
        exponent=exponent(sizes, medians),
        at_the_end=exponent(sizes[-2:], medians[-2:]),
        theory_exponent=exponent(sizes, least),
        theory_at_the_end=exponent(sizes[-2:], least[-2:]),
        raw=growth.raw,
    )


def write(path: Path, results: Results) -> None:
    """Write results as JSON, by one rename: a kill leaves the last ones whole.

    Raises:
        UserError: If the file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps(results.model_dump(), indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def read(path: Path) -> Results:
    """Return what `write` wrote.

    Raises:
        UserError: If there is no such file, or it holds no results of this bench.
    """
    try:
        return Results.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); allowed: a file that `playattention bench`"
            " wrote"
        ) from None
    except ValidationError as error:
        raise UserError(
            f"{path}: no results of `playattention bench` ({one_line(error, Results)})"
        ) from None
