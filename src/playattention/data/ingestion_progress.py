"""How far the making of shards has come, told in the terminal.

Does not know how shards are made; it is told numbers.
"""

import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 30
"""Where there is no terminal for a bar that moves."""

SECONDS_BETWEEN_LOOKS = 0.2
"""At the clock and the disk."""


class IngestionProgress:
    """A bar with tokens a second, the time that is left and the disk that is left.

    Args:
        out: The folder that is written to.
        source_bytes: Size of the whole source.
        expected: About how many tokens there will be; None: told by how far the source is read.
        tokens: There already.
        shards: There already.
        quiet: Say nothing.
    """

    def __init__(
        self,
        out: Path,
        source_bytes: int,
        expected: int | None,
        tokens: int,
        shards: int,
        *,
        quiet: bool = False,
    ) -> None:
        self._out, self._expected = out, expected
        self._source_bytes, self._read = source_bytes, 0.0
        self._before, self._tokens, self._shards = tokens, tokens, shards
        self._console = Console(quiet=quiet, highlight=False, emoji=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.fields[told]}"),
            BarColumn(bar_width=None),
            console=self._console,
            disable=not self._console.is_terminal or quiet,
            transient=True,
        )
        self._task = self._bar.add_task("shards", total=1.0, told="starting")
        self._began = self._said = self._looked = time.monotonic()
        self._warned = False

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def pass_over(self, weight: float) -> None:
        """Count bytes of the source whose tokens are there already."""
        self._read += weight

    def move(self, weight: float, tokens: int, shards: int) -> None:
        """Tell that some more bytes of the source were read, and how much there is now."""
        self._read += weight
        self._tokens, self._shards = tokens, shards
        now = time.monotonic()
        if now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        told = self._told(now)
        self._bar.update(self._task, completed=self._tokens / self._whole(), told=told)
        if not self._console.is_terminal and now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            self._console.print(told, markup=False)

    def _whole(self) -> float:
        """Return about how many tokens there will be."""
        by_source = self._tokens * self._source_bytes / max(self._read, 1.0)
        return max(1.0, min(by_source, self._expected or by_source))

    def _told(self, now: float) -> str:
        rate = (self._tokens - self._before) / max(now - self._began, 1e-9)
        left = max(0.0, self._whole() - self._tokens)
        free = shutil.disk_usage(self._out).free
        if 2 * left > free and not self._warned:  # two bytes a token
            self._warned = True
            self._console.print(
                f"the disk may be too small: about {2 * left / 1e9:.2f} GB are still to come",
                markup=False,
            )
        return (
            f"{self._shards:,} shards, {self._tokens / 1e6:,.1f}M tokens, {rate:,.0f} tokens/s, "
            f"{_clock(left / rate) if rate else '?'} left, {free / 1e9:,.1f} GB of disk left"
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
