"""The table of a machine, and several machines beside each other."""

import re

import pytest

from playattention.bench import table
from playattention.bench.results import Figure, LimitEntry, Results, entry
from tests.bench.benched import RESULTS


def test_the_table_has_a_line_for_each_figure_with_its_share():
    lines = [*table.lines(RESULTS)]
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert re.search(r"^gpt 4x128 +100 +95\.0-105 tokens/s +50%$", text, re.MULTILINE)
    assert re.search(r"^a head's map +1\.6 +1\.55-1\.65 ms$", text, re.MULTILINE)
    assert re.search(r"^matrix product, fp32 +180 +150-180 GFLOP/s$", text, re.MULTILINE)
    assert re.search(r"^step over T +1-4 +1\.00 +1\.00 +1\.00 +1\.00$", text, re.MULTILINE)


def test_the_table_says_what_must_be_read_with_it():
    lines = [*table.lines(RESULTS)]
    assert "gpt to 2.2: 1 of 3 seeds did not" in lines
    assert "not measured: bf16 (emulated)" in lines
    assert "~ 1 of 3: quartiles over a quarter of the median apart;" in lines


def test_only_the_parts_that_are_wanted_are_shown():
    text = "\n".join(table.lines(RESULTS, ["page"]))
    assert "a head's map" in text
    assert "gpt" not in text
    assert "GFLOP/s" not in text
    assert "step over" not in text


def test_a_long_name_is_cut_where_a_number_would_be_moved():
    long = entry(Figure("page", "x" * 60, "ms", [123456.0, 234567.0]), None)
    lines = [*table.lines(RESULTS.model_copy(update={"figures": [long]}))]
    (row,) = [line for line in lines if line.startswith("xxx")]
    assert len(row) <= 80
    assert "\N{HORIZONTAL ELLIPSIS} " in row


def other() -> Results:
    """Return a machine twice as fast at everything, its limits too, with a figure of its own."""
    limits = [LimitEntry(name="fp32", best=360e9, raw=[360e9])]
    figures = [
        entry(Figure("training", "gpt 4x128", "tokens/s", [200.0], {"fp32": 1}), 0.0025),
        entry(Figure("training", "gpt3", "tokens/s", [7.0]), None),
    ]
    return RESULTS.model_copy(update={"limits": limits, "figures": figures})


@pytest.mark.parametrize("machines", [2, 3])
def test_machines_are_compared_by_the_shares_of_their_own_limits(machines: int):
    lines = [*table.comparison([RESULTS, other(), RESULTS][:machines])]
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    more = r" +100 +50%" * (machines - 2)
    assert re.search(rf"^gpt 4x128, tokens/s +100 +50% +200 +50%{more}$", text, re.MULTILINE)
    assert re.search(r"^gpt3, tokens/s +- +7", text, re.MULTILINE)
    assert re.search(r"^a head's map, ms +1\.6 +-", text, re.MULTILINE)
    assert re.search(r"^matrix product, fp32, GFLOP/s +180 +360", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0.0123, "0.0123"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12_345, "12,345"),
    ],
)
def test_numbers_have_as_many_digits_as_say_something(number: float, told: str):
    assert table.short(number) == told
