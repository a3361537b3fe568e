"""Figures with their shares, growth with its exponents, and the file that holds them."""

import json
import re
from pathlib import Path

import pytest

from playattention.bench import results
from playattention.bench.results import Figure, Growth, Results, entry, growth_entry
from playattention.errors import UserError
from tests.bench.benched import RESULTS


@pytest.mark.parametrize(
    ("unit", "raw", "limit", "share"),
    [
        ("tokens/s", [100.0, 120.0, 140.0], 200.0, 0.6),
        ("ms", [10.0, 20.0, 30.0], 5.0, 0.25),
        ("s", [0.02, 0.01, 0.03], 0.005, 0.25),
    ],
)
def test_a_share_is_of_the_time_that_the_limits_allow(
    unit: str, raw: list[float], limit: float, share: float
):
    """5 milliseconds for each: 200 a second."""
    found = entry(Figure("training", "a", unit, raw, {"fp32": 1.0}), least=0.005)
    assert found.limit == pytest.approx(limit)
    assert found.share == pytest.approx(share)
    assert found.raw == raw


def test_a_figures_own_limit_counts_where_it_has_one():
    found = entry(Figure("ingestion", "a", "tokens/s", [3.0], limit=4.0), least=None)
    assert (found.limit, found.share) == (4.0, 0.75)
    assert entry(Figure("page", "a", "ms", [3.0]), least=None).share is None


def test_growth_has_the_exponents_of_its_medians_and_of_its_theory():
    """A constant overhead hides the square at small sizes; the largest show it."""
    sizes = [1, 10, 1000, 10_000]
    growth = Growth("watch", "T", sizes, [[100 + 1e-3 * size**2] * 3 for size in sizes], [{}] * 4)
    found = growth_entry(growth, [1e-6 * size**2 for size in sizes])
    assert [found.theory_exponent, found.theory_at_the_end] == pytest.approx([2.0, 2.0])
    assert found.exponent < 1.5
    assert found.at_the_end == pytest.approx(2.0, abs=0.05)
    assert found.theory[1] == pytest.approx(0.1)


def test_what_is_written_is_read_back(own_folder: Path):
    path = own_folder / "new" / "bench.json"
    results.write(path, RESULTS)
    assert results.read(path) == RESULTS
    assert [file.name for file in path.parent.iterdir()] == ["bench.json"]
    assert json.loads(path.read_text())["figures"][0]["raw"] == [90.0, 100.0, 110.0]


def test_the_machine_is_in_the_facts():
    facts = results.facts(3, "cpu")
    assert {"processor", "cores", "memory_gib", "torch", "system", "load_before"} <= set(facts)
    assert (facts["threads"], facts["computes_on"]) == (3, "cpu")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"file: cannot be read \(.*\); allowed: a file that `playattention bench` wrote"),
        ("no JSON", r"file: no results of `playattention bench` \(.*\)"),
        ('{"date": "today"}', r"file: no results of `playattention bench` \(.*machine.*\)"),
    ],
)
def test_what_is_no_results_is_refused_in_one_line(
    content: str | None, message: str, own_folder: Path
):
    if content is not None:
        Path("file").write_text(content)
    with pytest.raises(UserError) as refused:
        results.read(Path("file"))
    assert re.fullmatch(message, str(refused.value))


def test_a_place_that_cannot_be_written_is_told(own_folder: Path):
    Path("text").write_text("a file where a folder is needed")
    with pytest.raises(UserError, match=r"bench.json: cannot be written \(.+\)"):
        results.write(Path("text") / "bench.json", Results.model_validate(RESULTS))
