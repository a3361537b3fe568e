"""What is told on the way: how fast, how long still, how much of the disk is left."""

from collections import namedtuple
from pathlib import Path

import pytest

from playattention.data import ingestion_progress
from playattention.data.ingestion_progress import IngestionProgress

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that shows what it is set to, and a disk with 5 GB left."""
    now = [100.0]
    monkeypatch.setattr(ingestion_progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ingestion_progress.shutil, "disk_usage", lambda _: Usage(0, 0, 5 * 10**9))
    return now


def begin(expected: int | None = None, tokens: int = 0, quiet: bool = False) -> IngestionProgress:
    """Begin with a source of 1,000 MB, 2 MB for each million tokens."""
    return IngestionProgress(
        Path(), 10**9, expected, tokens=tokens, shards=tokens // 10**6, quiet=quiet
    )


def test_without_a_terminal_a_line_is_told_now_and_then(clock: list[float], capsys):
    with begin(expected=100 * 10**6) as progress:
        for second in range(1, 41):
            clock[0] = 100 + second
            progress.move(2 * 10**6, second * 10**6, second)
    assert capsys.readouterr().out == (
        "30 shards, 30.0M tokens, 1,000,000 tokens/s, 0:01:10 left, 5.0 GB of disk left\n"
    )


def test_where_the_number_of_tokens_is_not_known_the_source_tells_how_long(
    clock: list[float], capsys
):
    """An eighth of the source is read: 75 million tokens of 600 million."""
    with begin() as progress:
        clock[0] = 150
        progress.move(125 * 10**6, 75 * 10**6, 75)
    assert "1,500,000 tokens/s, 0:05:50 left" in capsys.readouterr().out


def test_what_was_there_before_does_not_count_as_fast(clock: list[float], capsys):
    with begin(expected=100 * 10**6, tokens=50 * 10**6) as progress:
        progress.pass_over(100 * 10**6)
        clock[0] = 140
        progress.move(20 * 10**6, 60 * 10**6, 60)
    assert "60.0M tokens, 250,000 tokens/s, 0:02:40 left" in capsys.readouterr().out


def test_a_disk_that_will_be_too_small_is_told_once(clock: list[float], capsys):
    """4 billion tokens take 8 GB."""
    with begin() as progress:
        for second in (40, 80, 120):
            clock[0] = 100 + second
            progress.move(10**6, second * 10**5, 1)
    told = capsys.readouterr().out
    assert told.count("the disk may be too small: about 7.99 GB are still to come\n") == 1


def test_quiet_is_silent(clock: list[float], capsys):
    with begin(expected=10**8, quiet=True) as progress:
        clock[0] = 200
        progress.move(10**6, 10**6, 1)
    assert capsys.readouterr() == ("", "")
