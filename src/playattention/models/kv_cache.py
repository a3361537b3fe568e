"""Keys and values kept between generation steps, so that each token is looked at once.

Knows neither models nor sampling: an attention module hands in what is new and gets back all.
"""

import torch
from torch import nn


class KVCache:
    """What each attention module has seen so far, in buffers that are laid out once.

    Args:
        capacity: Most tokens it can hold, in practice the model's seq_size.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._buffers: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def nbytes(self) -> int:
        """Memory of all buffers, used or not yet."""
        return sum(kept.nbytes for pair in self._buffers.values() for kept in pair)

    def append(
        self, attention: nn.Module, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep an attention module's new keys and values; return them behind all earlier ones.

        Args:
            attention: Whose they are.
            key: New keys (..., T, D).
            value: New values (..., T, D).

        Returns:
            Keys and values (..., S, D), where S = length + T.
        """
        if attention not in self._buffers:
            shape = (*key.shape[:-2], self.capacity, key.shape[-1])
            self._buffers[attention] = (key.new_empty(shape), value.new_empty(shape))
        keys, values = self._buffers[attention]
        end = self.length + key.shape[-2]
        keys[..., self.length : end, :] = key
        values[..., self.length : end, :] = value
        return keys[..., :end, :], values[..., :end, :]

    def repeat(self, times: int) -> None:
        """Go on with several texts from each that was seen so far; those of one stand together."""
        for attention, (keys, values) in self._buffers.items():
            pair = (keys.repeat_interleave(times, dim=0), values.repeat_interleave(times, dim=0))
            self._buffers[attention] = pair

    def advance(self, tokens: int) -> None:
        """Count tokens that every attention module has now appended; the model calls it once."""
        self.length += tokens

    def clear(self) -> None:
        """Forget every token; the buffers stay."""
        self.length = 0
