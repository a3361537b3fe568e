"""The run that is recorded, the texts it reads, and numbers ready for JSON."""

from functools import cached_property
from typing import Any

import torch
from torch import nn

from playattention import load_run, xray
from playattention.data import Splits
from playattention.models.model_gpt import AttentionHead, GPTModel, TransformerBlock
from playattention.training.run import load_splits
from playattention.xray import Trace

QUESTION = (
    "Hester:\nWho stole the *Pumpkin*, Edmund?\n\n"
    "Edmund:\nPeace, Hester, the *Pumpkin* waits above the pantry."
)
"""Two speeches: whoever is called speaks next, and the question's noun comes back."""

NAME = "Edmund?"
"""Seven tokens, so that whole matrices fit a page."""

POSITION = 41
"""In QUESTION: the empty line after the question, where the next speaker is to be told."""


class Opened:
    """A run, trained and untrained, and what it computes on the texts above.

    Args:
        name: The run's name below logs/, or its folder.
    """

    def __init__(self, name: str) -> None:
        self.run = load_run(name)
        self.model, self.untrained = _gpt(self.run.model), _gpt(load_run(name, step=0).model)

    def block(self, layer: int) -> TransformerBlock:
        """Return a block of the trained model."""
        block = self.model.blocks[layer]
        assert isinstance(block, TransformerBlock)
        return block

    def head(self, layer: int, head: int) -> AttentionHead:
        """Return an attention head of the trained model."""
        found = self.block(layer).attention.heads[head]
        assert isinstance(found, AttentionHead)
        return found

    @cached_property
    def splits(self) -> Splits:
        """Training and validation tokens."""
        return load_splits(self.run.path, self.run.config, self.run.tokenizer)

    @cached_property
    def short(self) -> Trace:
        """Every value of the forward pass over NAME."""
        return xray.watch(self.model, self.ids(NAME))

    @cached_property
    def long(self) -> Trace:
        """Every value of the forward pass over QUESTION."""
        return xray.watch(self.model, self.ids(QUESTION))

    def ids(self, text: str) -> torch.Tensor:
        """Return a text's token ids (1, T)."""
        return torch.tensor([self.run.tokenizer.encode(text)])

    def validation(self, windows: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return windows from the start of the validation split and their targets (B, T)."""
        T = self.run.config.model.seq_size
        ids = torch.tensor([int(id_) for id_ in self.splits.val[_places(windows * T + 1)]])
        return ids[:-1].view(windows, T), ids[1:].view(windows, T)

    def loss(self, windows: int = 64) -> float:
        """Return the model's mean loss as it is now, nats per token, over validation windows."""
        with torch.no_grad():
            return float(self.model(*self.validation(windows))[1])


def _gpt(model: nn.Module) -> GPTModel:
    assert isinstance(model, GPTModel)
    return model


def _places(count: int) -> Any:
    return torch.arange(count).numpy()


def plain(value: Any) -> Any:
    """Return tensors as lists, numbers with 7 digits, minus infinity as null: ready for JSON."""
    if isinstance(value, torch.Tensor):
        return plain(value.detach().tolist())
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if abs(value) < float("inf") else None
    return value
