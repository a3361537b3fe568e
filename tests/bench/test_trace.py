"""A trace holds what was done: which operations, in which formats, with how much memory."""

import pytest
import torch

from playattention.bench.trace import Operation, trace


def test_a_trace_names_each_operation_with_its_shapes_and_formats():
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    (product,) = trace(lambda: left @ right).products
    assert product == Operation("aten::mm", ((3, 5), (5, 7)), frozenset({"fp32"}))


def test_a_trace_tells_the_format_that_autocast_chose():
    def product() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.ones(4, 4) @ torch.ones(4, 4)

    assert [one.formats for one in trace(product).products] == [{"bf16"}]


@pytest.mark.parametrize("keep", [False, True])
def test_the_peak_is_what_lived_at_once(keep: bool):
    def work() -> None:
        first = torch.zeros(1_000_000)
        if not keep:
            del first
        torch.zeros(500_000)

    assert trace(work).peak == (6_000_000 if keep else 4_000_000)


def test_what_lived_before_does_not_count_even_if_it_is_freed():
    held = [torch.zeros(1_000_000)]
    assert trace(held.clear).peak == 0
