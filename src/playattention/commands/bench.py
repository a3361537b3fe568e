"""`playattention bench`: what this machine does, beside what it could."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import Positional, arg

from playattention.bench.trace import QUIET
from playattention.commands import StoppedError
from playattention.errors import UserError, unknown
from playattention.training.readings import processor

FOLDER = Path("logs/bench")
ENDING = [signal.SIGINT, signal.SIGTERM, *([] if os.name == "nt" else [signal.SIGHUP])]
PICTURES = (".png", ".svg")


@dataclass(frozen=True)
class Bench:
    """Measure this machine: every part, or those that are named, as shares of its limits."""

    parts: Annotated[Positional[tuple[str, ...]], arg(metavar="[PART ...]")] = ()
    """limits, training, loss, generation, ingestion, loader, xray, page, growth; default: all."""
    quick: bool = False
    """Small models and few repetitions: about two minutes."""
    repetitions: int | None = None
    """Of each measurement; default: 5, with --quick 3."""
    seeds: int | None = None
    """Trainings of each recipe to the goal loss; default: 3, with --quick 1."""
    out: Path | None = None
    """The JSON file; default: below logs/bench/, named by processor and time."""
    plot: Path | None = None
    """The picture, .png or .svg; default: beside the JSON file."""
    compare: tuple[Path, ...] = ()
    """Measure nothing: show files of earlier runs side by side, of other machines too."""

    def run(self) -> None:
        """Measure, write and print; or compare."""
        self._check()
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        if self.compare:
            self._compare(console)
        else:
            self._measure(console)

    def _check(self) -> None:
        from playattention.bench.parts import LIMITS, PARTS
        from playattention.bench.table import MOST_COMPARED

        for name in self.parts:
            if name not in (LIMITS, *PARTS):
                raise unknown("part", name, [LIMITS, *PARTS])
        for field, number in (("repetitions", self.repetitions), ("seeds", self.seeds)):
            if number is not None and number < 1:
                raise UserError(f"{field} = {number}: must be 1 or more")
        if self.plot is not None and self.plot.suffix not in PICTURES:
            raise UserError(f"plot = {self.plot}: must end in {' or '.join(PICTURES)}")
        if len(self.compare) > MOST_COMPARED:
            raise UserError(f"compare: {len(self.compare)} files; allowed: 1 to {MOST_COMPARED}")

    def _compare(self, console: Console) -> None:
        """Print one file's table, or the medians and shares of several."""
        from playattention.bench import table
        from playattention.bench.parts import MEANINGS
        from playattention.bench.results import read

        several = [read(path) for path in self.compare]
        parts = self.parts or tuple(MEANINGS)
        alone = len(several) == 1
        shown = table.lines(several[0], parts) if alone else table.comparison(several, parts)
        for line in shown:
            console.print(line)

    def _measure(self, console: Console) -> None:
        """Measure, keep each figure at once, and show all; also what was there at a Ctrl-C."""
        os.environ.update({name: os.environ.get(name, level) for name, level in QUIET.items()})
        from playattention.bench import table
        from playattention.bench.parts import FULL, PARTS, QUICK
        from playattention.bench.picture import draw
        from playattention.bench.run import Bench as Measuring
        from playattention.training.distributed import pick_device

        scale = QUICK if self.quick else FULL
        times = self.repetitions or scale.repetitions
        scale = replace(scale, repetitions=times, seeds=self.seeds or scale.seeds)
        parts = [name for name in PARTS if not self.parts or name in self.parts]
        out = self.out or FOLDER / f"{_slug(processor())}_{datetime.now():%Y%m%d_%H%M%S}.json"
        stopped = False
        with console.status("") as status, _as_ctrl_c():
            bench = Measuring(scale, pick_device("auto"), out, status.update)
            try:
                bench.begin()
                console.print(_budget(bench.expected(parts)))
                bench.measure(parts)
            except KeyboardInterrupt:
                stopped = True
        if not bench.limits.readings:
            raise StoppedError("bench: stopped, nothing was measured", exit_code=130)
        found = bench.results()
        for line in table.lines(found):
            console.print(line)
        plot = self.plot or out.with_suffix(".png")
        draw(plot, found)
        console.print(f"\nwritten: {out}\n         {plot}")
        if stopped:
            raise StoppedError(f"bench: stopped; what was measured is in {out}", exit_code=130)


@contextmanager
def _as_ctrl_c() -> Iterator[None]:
    """Let the signals that end a process be as Ctrl-C: what was started must end, too."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _budget(seconds: float) -> str:
    """Return in words how long it will take."""
    if seconds < 1:
        return "some seconds"
    told = f"{seconds / 60:.0f} minute(s)" if seconds >= 90 else f"{seconds:.0f} seconds"
    return f"about {told} if nothing else runs; Ctrl-C keeps what was measured\n"


def _slug(processor_name: str) -> str:
    """Return a processor's name as a file's."""
    return re.sub(r"[^a-z0-9]+", "-", processor_name.lower()).strip("-")[:40] or "machine"
