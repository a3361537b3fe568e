"""A run of the bench: what was measured is kept, whatever happens then."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from playattention.bench import limits, results, run
from playattention.bench.parts import Setting
from playattention.bench.results import Figure, Found, Growth, Missing
from playattention.bench.run import REFERENCE, Bench
from playattention.errors import UserError
from tests.bench.benched import TINY

CPU = torch.device("cpu")
FILE = Path("bench.json")


@pytest.fixture(autouse=True)
def limit_readings(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that get faster with each reading: 1, 2, 3, ... operations a second."""

    def take(self: limits.Limits) -> None:
        taken = self.readings.setdefault("fp32", [])
        taken.append(len(taken) + 1.0)

    monkeypatch.setattr(limits.Limits, "take", take)


def bench(monkeypatch: pytest.MonkeyPatch, **parts: object) -> tuple[Bench, list[str]]:
    """Return a bench of made-up parts, begun, and what it told."""
    told: list[str] = []
    monkeypatch.setattr(run, "measure", lambda name: parts[name])
    made = Bench(TINY, CPU, FILE, told.append)
    made.begin()
    return made, told


def quick(_: Setting) -> Iterator[Found | str]:
    yield "first"
    yield Figure("loader", "a", "ms", [500.0], {"fp32": 1.0})
    assert [one.name for one in results.read(FILE).figures] == ["a"]  # there already
    yield Growth("step", "T", [1, 2], [[1.0], [2.0]], [{"fp32": 1.0}, {"fp32": 2.0}])
    yield Missing("b", "there was none")


def test_each_figure_is_on_the_disk_before_the_next_is_measured(monkeypatch: pytest.MonkeyPatch):
    made, told = bench(monkeypatch, loader=quick)
    made.measure(["loader"])
    found = results.read(FILE)
    assert (found.figures[0].name, found.growth[0].exponent) == ("a", pytest.approx(1.0))
    assert found.missing == {"b": "there was none"}
    assert told == ["limits", "loader", "loader: first"]
    assert set(found.seconds) == {"limits", "loader"}
    assert found.machine["torch"] == torch.__version__


def test_shares_are_of_the_fastest_reading_of_the_whole_run(monkeypatch: pytest.MonkeyPatch):
    """The limit is read again after the part, and was then twice as fast."""
    made, _ = bench(monkeypatch, loader=quick)
    made.measure(["loader"])
    assert results.read(FILE).limits[0].raw == [1.0, 2.0]
    assert results.read(FILE).figures[0].share == 1.0


def test_a_part_that_fails_is_missing_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch):
    def failing(_: Setting) -> Iterator[Found | str]:
        yield "now"
        raise UserError("no compiler")

    made, _ = bench(monkeypatch, page=failing, loader=quick)
    made.measure(["page", "loader"])
    found = results.read(FILE)
    assert found.missing["page"] == "no compiler"
    assert [one.name for one in found.figures] == ["a"]


def test_what_was_measured_before_a_ctrl_c_is_kept_and_the_scratch_folder_is_gone(
    monkeypatch: pytest.MonkeyPatch,
):
    folders: list[Path] = []

    def stopped(setting: Setting) -> Iterator[Found | str]:
        folders.append(setting.folder)
        yield Figure("page", "b", "ms", [1.0])
        raise KeyboardInterrupt

    made, _ = bench(monkeypatch, loader=quick, page=stopped)
    with pytest.raises(KeyboardInterrupt):
        made.measure(["loader", "page"])
    assert [one.name for one in results.read(FILE).figures] == ["a", "b"]
    assert not folders[0].exists()


def test_the_limits_alone_are_read_as_often_as_asked(monkeypatch: pytest.MonkeyPatch):
    made, _ = bench(monkeypatch)
    made.scale = type(TINY)(repetitions=4, seeds=1)
    made.measure([])
    assert results.read(FILE).limits[0].raw == [1.0, 2.0, 3.0, 4.0]


def test_the_time_is_told_by_repetitions_seeds_and_the_machines_speed(
    monkeypatch: pytest.MonkeyPatch,
):
    made, _ = bench(monkeypatch)
    made.limits.readings["fp32"] = [REFERENCE / 2]
    made.scale = type(TINY)(repetitions=4, seeds=3, seconds={"page": 1.0, "loss": 10.0})
    assert made.expected(["page", "loss"]) == 2 * (4 * 1.0 + 3 * 10.0)
