"""One run of the bench: part after part, what was measured kept after each figure.

Does not know the terminal: it tells what it does next.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from playattention.bench import results
from playattention.bench.limits import Limits
from playattention.bench.parts import LIMITS, Scale, Setting, measure
from playattention.bench.results import Figure, Found, Growth, LimitEntry, Results
from playattention.errors import UserError

REFERENCE = 180e9
"""Operations a second of the machine that `Scale.seconds` were taken on."""


class Bench:
    """Measures parts, and keeps in a file what was found.

    Args:
        scale: How much is measured.
        device: Where the models compute.
        path: The file.
        tell: Is told what is measured next.
    """

    def __init__(
        self, scale: Scale, device: torch.device, path: Path, tell: Callable[[str], None]
    ) -> None:
        self.scale, self.device, self.path, self.tell = scale, device, path, tell
        self.limits = Limits(device)
        self.figures: list[Figure] = []
        self.growth: list[Growth] = []
        self.missing: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.facts = results.facts(torch.get_num_threads(), device.type)
        self.date = results.dated()

    def begin(self) -> None:
        """Take the machine's limits a first time, and write the file.

        Raises:
            UserError: If it can't be written.
        """
        began = time.perf_counter()
        self.tell(LIMITS)
        self.limits.take()
        self._keep(LIMITS, began)

    def expected(self, parts: Sequence[str]) -> float:
        """Return about how many seconds parts will take here, by the speed of a matrix product."""
        scale = self.scale
        times = {name: scale.seeds if name == "loss" else scale.repetitions for name in parts}
        there = sum(scale.seconds[name] * times[name] for name in parts if name != LIMITS)
        return there * REFERENCE / max(self.limits.readings["fp32"])

    def measure(self, parts: Sequence[str]) -> None:
        """Measure parts, each figure written as soon as it is there; begun before.

        A part that fails is missing in the results, with the reason; the others go on.

        Args:
            parts: Names of PARTS; "limits", if it is all, are taken a few times more.
        """
        own = [name for name in parts if name != LIMITS]
        for name in own:
            began = time.perf_counter()
            self.tell(name)
            with TemporaryDirectory(prefix="playattention-bench-") as folder:
                try:
                    self._part(name, Setting(self.scale, self.device, Path(folder)))
                except UserError as error:
                    self.missing[name] = str(error)
            self.limits.take()  # neighbours come and go: the fastest reading counts
            self._keep(name, began)
        for _ in range(0 if own else self.scale.repetitions - 1):
            began = time.perf_counter()
            self.limits.take()
            self._keep(LIMITS, began)

    def _part(self, name: str, setting: Setting) -> None:
        for found in measure(name)(setting):
            if isinstance(found, str):
                self.tell(f"{name}: {found}")
            else:
                self._found(found)
                results.write(self.path, self.results())

    def _found(self, found: Found) -> None:
        if isinstance(found, Figure):
            self.figures.append(found)
        elif isinstance(found, Growth):
            self.growth.append(found)
        else:
            self.missing[found.name] = found.reason

    def _keep(self, part: str, began: float) -> None:
        taken = time.perf_counter() - began
        self.seconds[part] = round(self.seconds.get(part, 0.0) + taken, 1)
        results.write(self.path, self.results())

    def results(self) -> Results:
        """Return all that was measured so far, as shares of the fastest limits so far."""
        least = self.limits.least
        return Results(
            date=self.date,
            machine=self.facts,
            settings=asdict(self.scale),
            limits=[
                LimitEntry(name=name, best=max(raw), raw=raw)
                for name, raw in self.limits.readings.items()
            ],
            figures=[
                results.entry(one, least(one.needs) if one.needs else None) for one in self.figures
            ],
            growth=[
                results.growth_entry(one, [least(needs) for needs in one.needs])
                for one in self.growth
            ],
            seconds=self.seconds,
            missing={**self.missing, **self.limits.missing},
        )
