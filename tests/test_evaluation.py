"""The validation loss: every token once, and how far chance may have moved it."""

import copy
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from playattention.config import GPT2Config, GPTConfig
from playattention.evaluation import evaluate, mean_loss, window_losses, window_starts
from playattention.models import build_model

V, T = 11, 8
SIZES = {"vocab_size": V, "seq_size": T, "n_embd": 12, "n_head": 2, "n_layer": 2}
LENGTHS = [9, 10, 16, 17, 18, 40, 41]
"""Of splits: those of 9, 17 and 41 tokens fill whole windows, with one to start from."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other take longer than sums this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=[GPTConfig, GPT2Config])
def model(request: pytest.FixtureRequest) -> nn.Module:
    """A model that is sure of itself, and mostly wrong: its losses differ a lot."""
    torch.manual_seed(0)
    made = build_model(request.param(**SIZES, dropout=0.4)).eval()
    for weight in made.parameters():
        nn.init.normal_(weight, std=0.7)
    return made


def tokens_of(length: int, seed: int = 0) -> np.ndarray:
    """Return random token ids."""
    return np.random.default_rng(seed).integers(V, size=length).astype(np.uint16)


@torch.no_grad()
def plain_losses(model: nn.Module, tokens: np.ndarray) -> list[list[float]]:
    """Return each window's losses, token by token, in float64 and one forward pass for each.

    Token i is predicted in window (i - 1) // T, from those before it there; the last window
    reaches back as far as it needs to be whole.
    """
    exact = copy.deepcopy(model).double().eval()
    windows: list[list[float]] = [[] for _ in range(math.ceil((len(tokens) - 1) / T))]
    for place in range(1, len(tokens)):
        window = (place - 1) // T
        start = min(window * T, len(tokens) - 1 - T)
        before = torch.tensor([tokens[start:place].tolist()])
        scores = exact(before)[0][0, -1].numpy()
        loss = np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[tokens[place]]
        windows[window].append(float(loss))
    return windows


class Watched(nn.Module):
    """Every token equally likely; remembers each batch that it saw, and under which autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[torch.Tensor] = []
        self.autocast: list[bool] = []

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return equal scores."""
        self.seen.append(idx)
        self.autocast.append(torch.is_autocast_enabled("cpu"))
        return self.weight.expand(*idx.shape, V), None


@pytest.mark.parametrize("length", LENGTHS)
def test_the_loss_is_the_mean_over_every_token_after_the_first(model: nn.Module, length: int):
    tokens = tokens_of(length)
    losses = [loss for window in plain_losses(model, tokens) for loss in window]
    found = evaluate(model, tokens, T)
    assert found.tokens == len(losses) == length - 1
    assert found.loss == pytest.approx(np.mean(losses), abs=1e-5)


@pytest.mark.parametrize("length", [41, 46])
def test_the_standard_error_is_that_of_a_ratio_of_window_sums(model: nn.Module, length: int):
    """Cochran 1977, Sampling Techniques, 2.11: the windows are the draws, the last one shorter."""
    windows = plain_losses(model, tokens_of(length))
    n, total = len(windows), sum(len(window) for window in windows)
    mean = sum(map(sum, windows)) / total
    squares = sum((sum(window) - mean * len(window)) ** 2 for window in windows)
    by_hand = math.sqrt(n / (n - 1) * squares) / total
    assert evaluate(model, tokens_of(length), T).standard_error == pytest.approx(by_hand, rel=1e-4)


def test_over_equal_windows_the_standard_error_is_the_textbooks(model: nn.Module):
    """The standard deviation of the windows' means, by the square root of their number."""
    means = [np.mean(window) for window in plain_losses(model, tokens_of(10 * T + 1))]
    textbook = np.std(means, ddof=1) / math.sqrt(10)
    found = evaluate(model, tokens_of(10 * T + 1), T)
    assert found.standard_error == pytest.approx(textbook, rel=1e-4)


def test_one_window_tells_nothing_of_chance(model: nn.Module):
    assert math.isnan(evaluate(model, tokens_of(T + 1), T).standard_error)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_batch_size_changes_nothing(model: nn.Module, length: int):
    whole = evaluate(model, tokens_of(length), T)
    for batch_size in (1, 2, 3, 1000):
        found = evaluate(model, tokens_of(length), T, batch_size=batch_size)
        assert found.tokens == whole.tokens
        assert found.loss == pytest.approx(whole.loss, abs=1e-6)
        assert found.standard_error == pytest.approx(whole.standard_error, abs=1e-6, nan_ok=True)


def test_a_batch_has_as_many_windows_as_were_asked_for():
    model = Watched()
    evaluate(model, tokens_of(10 * T + 1), T, batch_size=4)
    assert [idx.shape for idx in model.seen] == [(4, T), (4, T), (2, T)]


def test_a_batch_on_a_cpu_has_1024_tokens_unless_told_otherwise():
    model = Watched()
    evaluate(model, tokens_of(2501), 500)
    assert [idx.shape for idx in model.seen] == [(2, 500), (2, 500), (1, 500)]


def test_ids_above_two_bytes_count_like_others(model: nn.Module):
    wide = evaluate(model, tokens_of(40).astype(np.uint32), T)
    assert wide == evaluate(model, tokens_of(40), T)


def test_where_every_token_is_equally_likely_the_loss_is_the_log_of_their_number():
    found = evaluate(Watched(), tokens_of(100), T)
    assert found.loss == pytest.approx(math.log(V), abs=1e-6)
    assert found.standard_error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode(model: nn.Module, training: bool):
    made = copy.deepcopy(model).train(training)
    evaluate(made, tokens_of(40), T)
    assert all(module.training == training for module in made.modules())


def test_dropout_is_off(model: nn.Module):
    """A model that is training gives the figure of one that is not, each time."""
    found = evaluate(model, tokens_of(100), T)
    training = copy.deepcopy(model).train()
    assert evaluate(training, tokens_of(100), T) == found
    assert evaluate(training, tokens_of(100), T) == found


def test_no_random_number_is_drawn(model: nn.Module):
    """So that a training goes on as it would have without an evaluation."""
    before = torch.get_rng_state()
    evaluate(copy.deepcopy(model).train(), tokens_of(100), T)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_forward_pass_runs_in_the_context_that_was_given():
    model = Watched()
    evaluate(model, tokens_of(40), T, batch_size=2, autocast=torch.autocast("cpu", torch.bfloat16))
    evaluate(model, tokens_of(T + 1), T)
    assert model.autocast == [True, True, True, False]


def test_the_windows_that_are_kept_are_those_at_even_distances():
    """Of 100 windows of ten tokens, 250 tokens fill every fourth."""
    assert window_starts(1001, 10, max_tokens=250).tolist() == list(range(0, 1000, 40))


def test_a_smaller_share_of_a_split_counts_the_windows_that_are_kept(model: nn.Module):
    windows = plain_losses(model, tokens_of(10 * T + 1))
    found = evaluate(model, tokens_of(10 * T + 1), T, max_tokens=5 * T + 3)
    assert found.tokens == 5 * T
    assert found.loss == pytest.approx(np.mean(windows[::2]), abs=1e-5)


def test_a_split_of_as_many_tokens_as_are_allowed_is_read_whole(model: nn.Module):
    """Also where its last window is a part of one."""
    whole = evaluate(model, tokens_of(44), T)
    assert evaluate(model, tokens_of(44), T, max_tokens=43) == whole
    assert evaluate(model, tokens_of(44), T, max_tokens=10**6) == whole


@pytest.mark.parametrize("allowed", [T, 3 * T - 1, 3 * T, 41, 42])
def test_no_more_tokens_are_counted_than_are_allowed(allowed: int):
    """Of 43, the last of which is a window of its own."""
    found = evaluate(Watched(), tokens_of(44), T, max_tokens=allowed)
    assert allowed - T < found.tokens <= allowed


@settings(deadline=None)
@given(seq_size=st.integers(1, 50), further=st.integers(1, 3000), max_tokens=st.integers(1, 4000))
def test_kept_windows_lie_evenly_over_the_split(seq_size: int, further: int, max_tokens: int):
    n_tokens = seq_size + further
    everything = window_starts(n_tokens, seq_size)
    assert everything.tolist() == list(range(0, n_tokens - 1, seq_size))
    kept = window_starts(n_tokens, seq_size, max_tokens)
    if max_tokens >= n_tokens - 1:
        assert kept.tolist() == everything.tolist()
        return
    assert len(kept) == max(1, max_tokens // seq_size)
    assert kept[0] == 0
    assert set(kept.tolist()) <= set(everything.tolist())
    gaps = np.diff([*kept, len(everything) * seq_size]) // seq_size
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_shares_of_the_windows_add_up_to_the_whole(model: nn.Module, ranks: int):
    """Each makes as many forward passes as the others, so that none waits for ever."""
    tokens = tokens_of(41)
    counter = iter(range(10**6))
    hook = model.register_forward_hook(lambda *_: next(counter) and None)
    parts, passes = [], []
    for rank in range(ranks):
        before = next(counter)
        parts.append(window_losses(model, tokens, T, batch_size=2, rank=rank, ranks=ranks))
        passes.append(next(counter) - before)
    hook.remove()
    assert len(set(passes)) == 1
    assert mean_loss(sum(parts)) == evaluate(model, tokens, T, batch_size=2)
    assert all((part[:, 1] > 0).sum() <= 2 * -(-3 // ranks) for part in parts)
