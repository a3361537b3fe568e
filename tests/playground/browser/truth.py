"""The model itself, beside the page: its values, straight from a watch in the test."""

from dataclasses import dataclass
from functools import cached_property

import torch

from playattention.training.run import Run
from playattention.xray.trace import Trace
from playattention.xray.watch import watch

IGNORED = -100


@dataclass(frozen=True)
class Truth:
    """What the model makes of a text."""

    run: Run
    text: str

    @cached_property
    def ids(self) -> list[int]:
        """The text's tokens."""
        return list(self.run.tokenizer.encode(self.text))

    @cached_property
    def trace(self) -> Trace:
        """Everything that came to be."""
        targets = torch.tensor([[*self.ids[1:], IGNORED]])
        return watch(self.run.model, torch.tensor([self.ids]), targets)

    def value(self, title: str) -> torch.Tensor:
        """Return a value by its title, module:name#occurrence."""
        path, _, occurrence = title.partition("#")
        module, _, name = path.partition(":")
        return self.trace.one(module, name, int(occurrence or 0)).tensor

    def key(self, key: str) -> torch.Tensor:
        """Return a value by what the URL calls it, module:name:occurrence."""
        path, _, occurrence = key.rpartition(":")
        return self.value(f"{path}#{occurrence}")

    @cached_property
    def maps(self) -> torch.Tensor:
        """The attention weights of all heads (L, H, T, T)."""
        sizes = self.run.config.model
        rows = [
            torch.stack(
                [
                    self.value(f"blocks.{l}.attention.heads.{h}:weights")[0]
                    for h in range(sizes.n_head)
                ]
            )
            for l in range(sizes.n_layer)  # noqa: E741
        ]
        return torch.stack(rows)

    @cached_property
    def logits(self) -> torch.Tensor:
        """The scores (T, V), in float64."""
        return self.value(":logits")[0].double()

    @cached_property
    def losses(self) -> torch.Tensor:
        """What each next token cost (T - 1), in nats."""
        logs = self.logits.log_softmax(-1)
        return -logs[torch.arange(len(self.ids) - 1), torch.tensor(self.ids[1:])]
