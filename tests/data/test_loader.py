"""The stream of training windows: what an epoch holds, and in which order."""

import tracemalloc
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from playattention.data.loader import WindowStream, _permuted, share

SEEDS = st.integers(0, 2**64 - 1)
KEYS = np.random.default_rng(0).integers(2**63, size=2000).tolist()
SAMPLINGS = ["permutation", "random"]


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """Numbers of tokens N and window sizes T, from the least that fits: N = T + 1."""
    seq_size = draw(st.integers(1, 40))
    return draw(st.integers(seq_size + 1, 400)), seq_size


def counting(n_tokens: int, seq_size: int, seed: int = 0, sampling: str = "permutation"):
    """Return a stream over tokens that are their own positions."""
    return WindowStream(np.arange(n_tokens, dtype=np.uint16), seq_size, seed, sampling)


def epoch_of(stream: WindowStream, epoch: int) -> npt.NDArray[np.int64]:
    """Return an epoch's windows (W, T)."""
    idx, _ = stream.batch(epoch * stream.windows_per_epoch, stream.windows_per_epoch)
    return idx.numpy()


def order_of(stream: WindowStream, epoch: int) -> npt.NDArray[np.int64]:
    """Return the order in which an epoch visits its windows: a permutation of 0 to W - 1."""
    return np.argsort(np.argsort(epoch_of(stream, epoch)[:, 0]))


def spread(counts: npt.NDArray[np.int64]) -> float:
    """Return chi-square against equal counts, in standard deviations from its mean."""
    expected = counts.sum() / len(counts)
    degrees = len(counts) - 1
    return float((((counts - expected) ** 2 / expected).sum() - degrees) / (2 * degrees) ** 0.5)


# Batches, whatever the sampling.


@pytest.mark.parametrize("sampling", SAMPLINGS)
@settings(deadline=None)
@given(
    size=sizes(),
    seed=SEEDS,
    asked=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), min_size=2, max_size=8),
)
def test_a_batch_depends_on_its_position_alone(
    sampling: str, size: tuple[int, int], seed: int, asked: list[tuple[int, int]]
):
    """Not on what was asked before: forwards, backwards, or the same once more."""
    stream = counting(*size, seed, sampling)
    for position, count in asked:
        expected, _ = counting(*size, seed, sampling).batch(position, count)
        assert torch.equal(stream.batch(position, count)[0], expected)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@settings(deadline=None)
@given(size=sizes(), seed=SEEDS, position=st.integers(0, 10**6), count=st.integers(1, 20))
def test_the_targets_are_the_tokens_that_follow(
    sampling: str, size: tuple[int, int], seed: int, position: int, count: int
):
    """Also of a window over the end of the split, which goes on at its beginning."""
    n_tokens, seq_size = size
    idx, targets = counting(n_tokens, seq_size, seed, sampling).batch(position, count)
    assert idx.shape == targets.shape == (count, seq_size)
    assert torch.equal(targets, (idx + 1) % n_tokens)
    assert torch.equal(idx[:, 1:], targets[:, :-1])


@pytest.mark.parametrize("sampling", SAMPLINGS)
@settings(deadline=None)
@given(
    size=sizes(),
    seed=SEEDS,
    position=st.integers(0, 1000) | st.integers(0, 10**15),
    first=st.integers(0, 30),
    second=st.integers(0, 30),
)
def test_the_stream_is_the_same_however_it_is_cut(
    *, sampling: str, size: tuple[int, int], seed: int, position: int, first: int, second: int
):
    """Within an epoch and across: a run may go on from anywhere, with any batch size."""
    stream = counting(*size, seed, sampling)
    whole = stream.batch(position, first + second)
    halves = zip(stream.batch(position, first), stream.batch(position + first, second), strict=True)
    for together, (left, right) in zip(whole, halves, strict=True):
        assert torch.equal(together, torch.cat([left, right]))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_one_batch_over_many_epochs_is_those_epochs_in_turn(sampling: str):
    stream = counting(50, 8, 3, sampling)
    idx, _ = stream.batch(0, 5 * stream.windows_per_epoch)
    assert np.array_equal(idx.numpy(), np.concatenate([epoch_of(stream, e) for e in range(5)]))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_same_seed_gives_the_same_windows(sampling: str):
    first, second = (counting(1000, 7, 42, sampling).batch(5, 100)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("other", [1, 2, 2**32, 2**63, 2**64 - 1])
def test_another_seed_gives_another_order(sampling: str, other: int):
    first = counting(5000, 5, 0, sampling).starts(0, 1000)
    second = counting(5000, 5, other, sampling).starts(0, 1000)
    assert (first == second).mean() < 0.02


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_ids_of_either_width_become_int64_unchanged(dtype: type):
    largest = np.iinfo(dtype).max
    tokens = np.array([0, 1, largest - 1, largest] * 10, dtype=dtype)
    idx, targets = WindowStream(tokens, 4, seed=0).batch(0, 10)
    assert idx.dtype == targets.dtype == torch.int64
    assert set(idx.flatten().tolist()) == {0, 1, largest - 1, largest}


def test_tokens_on_disk_are_read_where_they_lie(tmp_path):
    tokens = np.arange(1000, dtype=np.uint16)
    tokens.tofile(tmp_path / "tokens.bin")
    mapped = np.memmap(tmp_path / "tokens.bin", dtype=np.uint16, mode="r")
    for there, here in zip(
        WindowStream(mapped, 9, seed=1).batch(0, 20),
        WindowStream(tokens, 9, seed=1).batch(0, 20),
        strict=True,
    ):
        assert torch.equal(there, here)


# Permutation.


@settings(deadline=None)
@given(size=sizes(), seed=SEEDS, epoch=st.integers(0, 50) | st.integers(0, 10**12))
def test_an_epoch_holds_every_token_once_but_a_remainder_shorter_than_a_window(
    size: tuple[int, int], seed: int, epoch: int
):
    n_tokens, seq_size = size
    seen = epoch_of(counting(n_tokens, seq_size, seed), epoch)
    times = np.bincount(seen.ravel(), minlength=n_tokens)
    assert times.max() == 1
    assert (times == 0).sum() == n_tokens % seq_size
    # What is missing lies in one piece of the circle: windows follow each other without a gap.
    assert ((times == 1) & (np.roll(times, 1) == 0)).sum() <= 1


@settings(deadline=None)
@given(size=sizes(), seed=SEEDS)
def test_the_windows_of_an_epoch_follow_each_other_from_its_offset(
    size: tuple[int, int], seed: int
):
    n_tokens, seq_size = size
    starts = epoch_of(counting(n_tokens, seq_size, seed), 0)[:, 0]
    assert any(
        set((starts - start) % n_tokens) == set(range(0, len(starts) * seq_size, seq_size))
        for start in starts
    )


def test_each_epoch_begins_at_another_offset():
    """So that windows start anywhere, and the remainder that misses out is another each time."""
    stream = counting(103, 10)
    offsets = {int(epoch_of(stream, epoch)[:, 0].min()) % 10 for epoch in range(60)}
    assert offsets == set(range(10))
    starts = stream.starts(0, 5000)
    assert set(starts.tolist()) == set(range(103))


def test_over_some_epochs_every_token_is_read_about_equally_often():
    stream = counting(103, 10)
    idx, _ = stream.batch(0, 400 * stream.windows_per_epoch)
    times = np.bincount(idx.flatten().numpy(), minlength=103)
    assert times.min() > 370  # of 400 epochs, each of which misses 3 tokens of 103
    assert times.max() <= 400


def test_each_epoch_has_an_order_of_its_own():
    stream = counting(10_000, 10)
    orders = [order_of(stream, epoch) for epoch in range(10)]
    for earlier, later in pairwise(orders):
        assert (earlier == later).mean() < 0.01
        assert abs(np.corrcoef(earlier, later)[0, 1]) < 0.1


def test_an_order_looks_like_chance():
    """1,000 windows: no trend, steps of a third of the way, neighbours about twice.

    The standard error of a rank correlation is 1/sqrt(1000) = 0.032; over 20 seeds, 0.007.
    """
    orders = [order_of(counting(7000, 7, seed), 0) for seed in range(20)]
    trends = [np.corrcoef(order, np.arange(1000))[0, 1] for order in orders]
    follows = [np.corrcoef(order[:-1], order[1:])[0, 1] for order in orders]
    steps = [np.abs(np.diff(order)).mean() / 1000 for order in orders]
    neighbours = [(np.abs(np.diff(order)) == 1).sum() for order in orders]
    assert max(map(abs, trends)) < 0.12
    assert max(map(abs, follows)) < 0.12
    assert abs(np.mean(trends)) < 0.03
    assert abs(np.mean(follows)) < 0.03
    assert np.mean(steps) == pytest.approx(1 / 3, abs=0.01)
    assert np.mean(neighbours) == pytest.approx(2, abs=1.5)


def test_a_place_far_out_is_found_at_once():
    stream = counting(1003, 10, seed=7)
    position = 10**12 // stream.windows_per_epoch * stream.windows_per_epoch
    idx, _ = stream.batch(position, stream.windows_per_epoch)
    assert len(set(idx.flatten().tolist())) == 1000
    assert torch.equal(stream.batch(10**12, 3)[0], stream.batch(10**12 - 1, 4)[0][1:])


# _permuted.


@pytest.mark.parametrize("key", [0, 1, 12345, 2**64 - 1])
def test_a_permutation_is_one_at_every_size(key: int):
    for size in range(1, 301):
        images = _permuted(np.arange(size, dtype=np.uint64), size, key)
        assert np.array_equal(np.sort(images), np.arange(size)), size


@pytest.mark.parametrize("size", [2, 3, 5, 16, 17])
def test_each_index_goes_everywhere_equally_often(size: int):
    images = np.array([_permuted(np.arange(size, dtype=np.uint64), size, key) for key in KEYS])
    for index in (0, size // 2, size - 1):
        assert spread(np.bincount(images[:, index].astype(int), minlength=size)) < 5


def test_all_orders_of_four_are_equally_likely():
    counts: dict[tuple[int, ...], int] = {}
    for key in KEYS:
        order = tuple(_permuted(np.arange(4, dtype=np.uint64), 4, key).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert spread(np.array(list(counts.values()))) < 5


def test_a_permutation_of_any_size_takes_no_memory():
    """Of a million million indices, five."""
    tracemalloc.start()
    try:
        images = _permuted(np.arange(5, dtype=np.uint64), 10**12, key=3)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(set(images.tolist())) == 5
    assert int(images.max()) < 10**12
    assert peak < 100_000


def test_the_images_of_some_indices_are_those_among_all():
    everything = _permuted(np.arange(1000, dtype=np.uint64), 1000, key=9)
    wanted = np.array([999, 3, 3, 500], dtype=np.uint64)
    assert np.array_equal(_permuted(wanted, 1000, key=9), everything[wanted])


# Random.


@settings(deadline=None)
@given(size=sizes(), seed=SEEDS, position=st.integers(0, 10**12))
def test_a_random_window_ends_before_the_last_token(
    size: tuple[int, int], seed: int, position: int
):
    """The last token is a target only: a window and what follows it lie within the split."""
    n_tokens, seq_size = size
    starts = counting(n_tokens, seq_size, seed, "random").starts(position, 200)
    assert int(starts.max()) + seq_size <= n_tokens - 1


@settings(deadline=None)
@given(size=sizes(), seed=SEEDS)
def test_random_windows_start_everywhere_that_one_fits(size: tuple[int, int], seed: int):
    n_tokens, seq_size = size
    starts = counting(n_tokens, seq_size, seed, "random").starts(0, 40 * n_tokens)
    assert set(starts.tolist()) == set(range(n_tokens - seq_size))


@pytest.mark.parametrize("seed", range(5))
def test_random_windows_start_everywhere_equally_often(seed: int):
    starts = counting(60, 8, seed, "random").starts(0, 20_000)
    assert abs(spread(np.bincount(starts.astype(int), minlength=52))) < 4


def test_random_windows_do_not_depend_on_those_before():
    starts = counting(60_000, 8, 0, "random").starts(0, 20_000).astype(float)
    assert abs(np.corrcoef(starts[:-1], starts[1:])[0, 1]) < 0.03


def test_an_epoch_of_random_windows_leaves_out_a_share_of_1_over_e():
    missed = []
    for seed in range(10):
        stream = counting(50_000, 50, seed, "random")
        missed.append(1 - len(np.unique(epoch_of(stream, 0))) / 50_000)
    assert np.mean(missed) == pytest.approx(np.exp(-1), abs=0.01)


@given(
    position=st.integers(0, 10**12),
    batch_size=st.integers(1, 16),
    each=st.integers(1, 8),
    ranks=st.integers(1, 64),
)
def test_the_ranks_share_a_step_without_gap_or_overlap(
    position: int, batch_size: int, each: int, ranks: int
):
    """Each has the same number of micro-batches; together they are those of one rank alone."""
    count = each * ranks
    shares = [share(position, batch_size, count, rank, ranks) for rank in range(ranks)]
    assert {len(mine) for mine in shares} == {each}
    together = sorted(first for mine in shares for first in mine)
    assert together == list(share(position, batch_size, count, 0, 1))
    assert together == list(range(position, position + count * batch_size, batch_size))
