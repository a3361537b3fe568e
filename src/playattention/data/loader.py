"""Windows of tokens to batches: a stream in which each batch's place is one integer.

Does not know where tokens come from, nor how many steps are made of them. The order is computed,
never stored: it takes no memory, and a run resumes anywhere in it.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from playattention.data import Tokens

Indices = npt.NDArray[np.uint64]

AHEAD = 1024
"""Windows whose places are computed at once: one by one, most of the time goes to calling numpy."""


class WindowStream:
    """Training windows in their order, cut out on demand.

    In "permutation", each epoch cuts the split, taken as a circle, into windows from a random
    offset on, and visits each once, in an order of its own: a remainder shorter than seq_size
    misses the epoch, and the offset changes which. In "random", every window starts anywhere, so
    that an epoch's worth of them leaves about 37 % of the positions out.

    Args:
        tokens: Token ids (N), at least seq_size + 1 of them.
        seq_size: T, tokens in a window.
        seed: Decides the order.
        sampling: "permutation" or "random".
    """

    def __init__(
        self,
        tokens: Tokens,
        seq_size: int,
        seed: int,
        sampling: Literal["permutation", "random"] = "permutation",
    ) -> None:
        self.tokens = tokens
        self.seq_size = seq_size
        self.seed = seed
        self.sampling = sampling
        self.windows_per_epoch = len(tokens) // seq_size
        self._first, self._starts = 0, np.empty(0, dtype=np.uint64)

    def batch(self, position: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the windows at position, position + 1, ... of the stream.

        Args:
            position: Windows that came before.
            count: B, how many to return.

        Returns:
            Token ids (B, T) and the tokens that follow each (B, T), int64.
        """
        offsets = np.arange(self.seq_size + 1, dtype=np.uint64)
        places = (self.starts(position, count)[:, None] + offsets) % np.uint64(len(self.tokens))
        windows = torch.from_numpy(self.tokens[places].astype(np.int64))
        return windows[:, :-1], windows[:, 1:]

    def starts(self, position: int, count: int) -> Indices:
        """Return where in the split each of these windows starts (count)."""
        begin = position - self._first
        if begin < 0 or begin + count > len(self._starts):
            ahead = max(count, min(AHEAD, self.windows_per_epoch))
            self._first, self._starts, begin = position, self._located(position, ahead), 0
        return self._starts[begin : begin + count]

    def _located(self, position: int, count: int) -> Indices:
        positions = np.arange(position, position + count, dtype=np.uint64)
        if self.sampling == "random":
            choices = len(self.tokens) - self.seq_size
            return _mixed(positions, self.seed) % np.uint64(choices)
        epochs, places = np.divmod(positions, np.uint64(self.windows_per_epoch))
        starts = np.empty_like(positions)
        for epoch in np.unique(epochs):
            now = epochs == epoch
            key, offset = _mixed(np.array([2 * epoch, 2 * epoch + 1], dtype=np.uint64), self.seed)
            windows = _permuted(places[now], self.windows_per_epoch, int(key))
            starts[now] = windows * np.uint64(self.seq_size) + offset % np.uint64(len(self.tokens))
        return starts % np.uint64(len(self.tokens))


def share(position: int, batch_size: int, count: int, rank: int, ranks: int) -> range:
    """Return where in the stream the micro-batches of one rank begin.

    The micro-batches of a step are dealt out one by one, so what a step learns from does not
    depend on how many ranks there are.

    Args:
        position: Windows that came before the step.
        batch_size: Windows in a micro-batch.
        count: Micro-batches in the step, over all ranks.
        rank: Which one, 0 to ranks - 1.
        ranks: How many there are; divides count.
    """
    end = position + count * batch_size
    return range(position + rank * batch_size, end, ranks * batch_size)


def _permuted(indices: Indices, size: int, key: int) -> Indices:
    """Return the images of indices under a permutation of 0 to size - 1, chosen by the key.

    A Feistel network permutes the next power of four; what falls outside is sent through again
    until it is inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", 3.3).
    """
    half = np.uint64(max(1, -(-(size - 1).bit_length() // 2)))
    mask = (np.uint64(1) << half) - np.uint64(1)
    images = indices.copy()
    outside = np.ones(len(images), dtype=bool)
    while outside.any():
        left, right = images[outside] >> half, images[outside] & mask
        for turn in range(6):
            left, right = right, left ^ (_mixed(right, key + turn) & mask)
        images[outside] = (left << half) | right
        outside = images >= np.uint64(size)
    return images


def _mixed(values: Indices, key: int) -> Indices:
    """Return 64 well-mixed bits for each value (SplitMix64; Steele, Lea and Flood 2014)."""
    golden = 0x9E3779B97F4A7C15
    bits = values + np.uint64((key + 1) * golden % 2**64)
    bits = bits * np.uint64(golden)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
