"""What a machine can do at most, by measuring it."""

from typing import Any

import pytest
import torch

from playattention.bench import limits
from playattention.bench.limits import Limits, product_speed

CPU = torch.device("cpu")


def test_no_product_larger_than_the_time_allows_is_tried(monkeypatch: pytest.MonkeyPatch):
    sides = []

    def seconds(work: Any, device: torch.device) -> float:
        sides.append(work.args[0].size(0))
        return 2 * sides[-1] ** 3 / 1e9  # a device of 1 GFLOP/s

    monkeypatch.setattr(limits, "_seconds", seconds)
    assert product_speed(CPU, torch.float32, seconds=0.5) == pytest.approx(1e9)
    assert set(sides) == {256, 512}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix of 1 MiB in place of 512, and products of the smallest size alone."""
    monkeypatch.setattr(limits, "ROWS", 64)
    monkeypatch.setattr(
        limits, "product_speed", lambda device, dtype: product_speed(device, dtype, seconds=0.0001)
    )


def test_each_reading_takes_every_limit(small: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "has_fast_bf16", lambda _: True)
    found = Limits(CPU)
    found.take()
    found.take()
    assert {name: len(raw) for name, raw in found.readings.items()} == dict.fromkeys(
        ("fp32", "bf16", "read", "vector"), 2
    )
    assert min(min(raw) for raw in found.readings.values()) > 1e6
    assert found.missing == {}


def test_slow_bf16_is_no_limit_and_said_to_be_missing(small: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "has_fast_bf16", lambda _: False)
    found = Limits(CPU)
    found.take()
    assert "bf16" not in found.readings
    assert "slower" in found.missing["bf16"]


def test_bf16_is_fast_where_its_small_product_is_the_faster(monkeypatch: pytest.MonkeyPatch):
    for faster in (True, False):
        taken = iter([1.0] * 3 + [0.5 if faster else 400.0] * 3)
        monkeypatch.setattr(limits, "_seconds", lambda *_, taken=taken: next(taken))
        assert limits.has_fast_bf16(CPU) is faster


def test_the_fastest_reading_and_the_slower_of_two_needs_decide():
    found = Limits(CPU, {"fp32": [50.0, 100.0], "read": [10.0, 5.0]})
    assert found.least({"fp32": 200.0}) == 2.0
    assert found.least({"fp32": 200.0, "read": 40.0}) == 4.0
    assert found.least({"bf16": 200.0}) == 2.0


@pytest.mark.parametrize(("summing", "vector"), [(2.0, 1.0), (1.0, 2.0)])
def test_memory_is_read_as_the_faster_of_two_ways_reads_it(
    summing: float, vector: float, small: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "summing_speed", lambda _: summing)
    monkeypatch.setattr(limits, "vector_product_speed", lambda _: vector)
    found = Limits(CPU)
    found.take()
    assert (found.readings["read"], found.readings["vector"]) == ([2.0], [vector])
