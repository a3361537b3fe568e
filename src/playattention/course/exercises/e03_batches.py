"""Exercise 3: batches. Windows of tokens, and for each token the one that follows."""

import torch

from playattention.course.exercise import Exercise, Probe, Solution
from playattention.course.exercises.e03_batches_mistakes import MISTAKES, READ


def split_data(data: torch.Tensor, train_val_split: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens to learn from and the tokens to validate with: the front and the rest.

    Args:
        data: Token ids (N).
        train_val_split: Share of the tokens to learn from, such as 0.9; their number is rounded
            down.

    Returns:
        Two pieces of the data (int(train_val_split * N)) and (the rest), which share no token.
    """
    n_train = int(train_val_split * len(data))
    return data[:n_train], data[n_train:]


def get_batch(
    data: torch.Tensor, batch_size: int, seq_size: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch of windows that each start anywhere in the data, and the tokens that follow.

    Row b begins at a place of its own, drawn evenly from all places where a window and the token
    after it fit in: from 0 to N - T - 1. y[b, t] is the token that follows x[b, t] in the data.

    Args:
        data: Token ids (N), with N > T; stay as they are.
        batch_size: B, how many windows.
        seq_size: T, tokens in a window.
        generator: All that is drawn comes from it, so that a run can be repeated.

    Returns:
        x (B, T) and y (B, T), token ids.
    """
    starts = torch.randint(len(data) - seq_size, (batch_size,), generator=generator)
    x = torch.stack([data[start : start + seq_size] for start in starts])
    y = torch.stack([data[start + 1 : start + seq_size + 1] for start in starts])
    return x, y


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _data(size: int, seed: int) -> torch.Tensor:
    """Return tokens of which no two are the same, in no order: each tells where it stands."""
    return torch.randperm(size, generator=_generator(seed + 50)) + 10


def _places(tokens: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Return where in the data tokens stand; -1 for one that is not in it."""
    found = tokens[..., None] == data
    return found.int().argmax(-1).where(found.any(-1), -1)


def _windows(own: Solution, seed: int) -> torch.Tensor:
    """Return how far after the window's first token each token of x stands (B, T)."""
    data = _data(200, seed)
    x, _ = own.get_batch(data, 3, 4, _generator(seed))
    return _places(x, data) - _places(x, data)[:, :1]


def _shift(own: Solution, seed: int, batch_size: int = 3, seq_size: int = 4) -> torch.Tensor:
    """Return how far after each token of x that of y stands (B, T); 99 for further than T."""
    data = _data(2000, seed)
    x, y = own.get_batch(data, batch_size, seq_size, _generator(seed))
    shift = _places(y, data) - _places(x, data)
    return shift.where(shift.abs() <= seq_size, 99)


def _shift_told(got: torch.Tensor, _: torch.Tensor) -> str:
    """Say how far y is from x."""
    rows = got.tolist()
    return f"In the data, y[b, t] stands this far after x[b, t] (99: far away): {rows}; right is 1."


def _starts(own: Solution, seed: int, *sizes: int) -> list[object]:
    """Return where windows begin in 30 batches, each place once; "failed" where one failed.

    A single place in each batch, or the same batch each time, is told as that: which places these
    happen to be says nothing.

    Args:
        own: The solution.
        seed: Of data and draws.
        sizes: N, T and B.
    """
    N, T, B = sizes
    data, generator = _data(N, seed), _generator(seed)
    batches = [_tried(own, data, B, T, generator) for _ in range(30)]
    if len(set(batches)) == 1:
        return ["the same in each batch"]
    if all(len(set(batch)) == 1 for batch in batches):
        return ["one place a batch"]
    return sorted({start for batch in batches for start in batch}, key=str)


def _tried(own: Solution, data: torch.Tensor, *how: object) -> tuple[object, ...]:
    """Return where the rows of a batch begin, or ("failed",)."""
    try:
        x, y = own.get_batch(data, *how)
    except (RuntimeError, IndexError, ValueError):
        return ("failed",)
    return tuple(_places(x, data)[:, 0].tolist()) if x.shape == y.shape else ("failed",)


def _support(own: Solution, seed: int) -> list[list[object]]:
    """Return where windows begin, in data for 9 windows, for 2 and for a single one."""
    return [_starts(own, seed, *sizes) for sizes in ((14, 5, 7), (5, 3, 2), (4, 3, 2))]


def _frequencies(own: Solution, seed: int) -> object:
    """Return how often each third of the places is drawn."""
    starts = _tried(own, _data(14, seed), 900, 5, _generator(seed))
    if len(set(starts)) == 1:
        return "all the same"
    thirds = [sum(one in part for one in starts) for part in ((0, 1, 2), (3, 4, 5), (6, 7, 8))]
    return torch.tensor(thirds) / len(starts)


def _rows_differ(own: Solution, seed: int) -> dict[str, bool]:
    """Return whether the rows begin at different places, and these are not evenly spaced."""
    data = _data(200, seed)
    x, _ = own.get_batch(data, 6, 4, _generator(seed))
    steps = _places(x, data)[:, 0].diff().tolist()
    return {"at several places": any(steps), "not evenly spaced": len(set(steps)) > 1}


def _next_batch(own: Solution, seed: int) -> dict[str, bool]:
    """Return whether a second batch is the first again."""
    data, generator = _data(200, seed), _generator(seed)
    one, other = (own.get_batch(data, 6, 4, generator)[0] for _ in range(2))
    return {"the second batch is the first": torch.equal(one, other)}


def _repeated(own: Solution, seed: int) -> dict[str, bool]:
    """Return whether the same seed gives the same batch, and whether another seed does."""
    data = _data(200, seed)
    one, same, other = (
        own.get_batch(data, 6, 4, _generator(number))[0] for number in (seed, seed, seed + 1)
    )
    return {
        "same seed, same batch": torch.equal(one, same),
        "another seed, same batch": torch.equal(one, other),
    }


def _left_alone(own: Solution, seed: int) -> torch.Tensor:
    data = _data(2000, seed)
    own.split_data(data, 0.6)
    own.get_batch(data, 6, 4, _generator(seed))
    return data


EXERCISE = Exercise(
    number=3,
    name="batches",
    title="Batches",
    goal="""
A model learns to predict the next token at every position of a window at once. Set a part of the
data aside, to see later whether the model knows more than what it learned from; then cut batches of
windows out of the rest, at random places, with the token that follows each.
""",
    reference=(split_data, get_batch),
    probes=(
        Probe(
            "x and y have shape (B, T)",
            lambda own, seed: [
                list(one.shape) for one in own.get_batch(_data(200, seed), 3, 4, _generator(seed))
            ],
        ),
        Probe("a row of x is a piece of the data, its tokens in their order", _windows),
        Probe(
            "y[b, t] is the token that follows x[b, t] in the data", _shift, evidence=_shift_told
        ),
        Probe(
            "token ids stay whole numbers",
            lambda own, seed: [
                str(one.dtype) for one in own.get_batch(_data(200, seed), 3, 4, _generator(seed))
            ],
        ),
        Probe("the rows of a batch begin at places of their own", _rows_differ),
        Probe("the next batch is another one", _next_batch),
        Probe("the generator decides what is drawn", _repeated),
        Probe(
            "a single row, and a single token, make a batch",
            lambda own, seed: [_shift(own, seed, 1, 5), _shift(own, seed, 4, 1)],
        ),
        Probe("windows begin at every place from 0 to N - T - 1, and at no other", _support),
        Probe("all places are equally likely", _frequencies, tolerance=0.2),
        Probe(
            "the data are cut in two at the share asked for",
            lambda own, seed: list(own.split_data(_data(23, seed), 0.6)),
        ),
        Probe(
            "the number of tokens to learn from is rounded down",
            lambda own, seed: [
                [len(one) for one in own.split_data(_data(N, seed), 0.9)] for N in (19, 16, 1)
            ],
        ),
        Probe("the data stay as they were", _left_alone),
    ),
    hints=(
        "y is x moved on by one token; the last window ends one token before the data do, so that its last token has a next one.",
        "torch.randint(high, ...) never gives high itself. With N tokens there are N - T places to begin at.",
        "starts = torch.randint(len(data) - T, (B,), generator=generator); x stacks data[s : s + T], y stacks data[s + 1 : s + T + 1].",
    ),
    equivalents=(
        """
import torch


def split_data(data, train_val_split):
    n = int(len(data) * train_val_split)
    return tuple(data.tensor_split([n]))


def get_batch(data, batch_size, seq_size, generator):
    starts = torch.randint(0, len(data) - seq_size, (batch_size, 1), generator=generator)
    windows = data[starts + torch.arange(seq_size + 1)]
    return windows[:, :-1], windows[:, 1:]
""",
        """
import torch


def split_data(data, train_val_split):
    n = 0
    while n + 1 <= train_val_split * data.numel():
        n += 1
    return data.narrow(0, 0, n).clone(), data.narrow(0, n, data.numel() - n).clone()


def get_batch(data, batch_size, seq_size, generator):
    windows = data.unfold(0, seq_size + 1, 1)
    chosen = torch.empty(batch_size, seq_size + 1, dtype=data.dtype)
    for row in range(batch_size):
        share = torch.rand((), generator=generator).item()
        chosen[row] = windows[int(share * len(windows))]
    return chosen[:, :seq_size], chosen[:, 1:]
""",
        """
import torch
from torch.utils.data import DataLoader, RandomSampler


def split_data(data, train_val_split):
    n = int(train_val_split * len(data))
    return torch.split(data, [n, len(data) - n])


def get_batch(data, batch_size, seq_size, generator):
    pairs = [(data[s : s + seq_size], data[s + 1 :][:seq_size]) for s in range(len(data) - seq_size)]
    sampler = RandomSampler(pairs, replacement=True, num_samples=batch_size, generator=generator)
    xs, ys = zip(*(pairs[place] for place in sampler))
    return torch.stack(xs), torch.stack(ys)
""",
    ),
    mistakes=MISTAKES,
    read=READ,
)
