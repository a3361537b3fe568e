"""Fair turns and honest statistics."""

import pytest

from playattention.bench.spread import Spread, exponent, paired_ratio, take_turns


def test_a_spread_keeps_every_measurement_and_its_quartiles():
    spread = Spread.of([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (spread.minimum, spread.lower_quartile, spread.median) == (1, 2, 3)
    assert (spread.upper_quartile, spread.maximum) == (4, 5)
    assert spread.raw == [4.0, 1.0, 3.0, 2.0, 5.0]
    assert Spread.of([7.0]).lower_quartile == Spread.of([7.0]).upper_quartile == 7.0


def test_each_repetition_begins_with_the_next_contestant():
    order: list[str] = []
    names = ("a", "b", "c")
    contestants = {name: lambda name=name: order.append(name) for name in names}
    seconds = take_turns(contestants, 3)
    assert "".join(order) == "abcbcacab"
    assert {name: len(times) for name, times in seconds.items()} == dict.fromkeys(names, 3)


def test_ratios_are_of_the_same_repetition():
    """Everything became ten times slower half-way: no ratio noticed."""
    assert paired_ratio([1.0, 10.0], [2.0, 20.0]).raw == [0.5, 0.5]


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, 0.5])
def test_the_exponent_of_a_power_law_is_found(power: float):
    sizes = [64, 128, 256, 1024]
    assert exponent(sizes, [3.0 * size**power for size in sizes]) == pytest.approx(power)
