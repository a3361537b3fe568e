"""What a watch sees: values, the calls that made them, and the modules that these belong to.

Does not know how they are seen, kept or shown.
"""

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor that a statement bound to a name, or that a function returned."""

    module: str
    """Dotted path of the module whose code ran; "" is the model itself."""
    name: str
    """The variable in the source, `mixed[0]` for an element; `return` for what was returned."""
    occurrence: int
    """How often this name was bound in this module before: 0 for the first."""
    function: str
    """Name of the function that ran."""
    call: int
    """Which of the trace's calls ran."""
    file: str
    """Path of the source."""
    line: int
    """First line of the statement, from 1."""
    source: str
    """Text of the whole statement."""
    tensor: torch.Tensor
    """What was bound, exactly; not to be changed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's sizes."""
        return tuple(self.tensor.shape)

    @property
    def variable(self) -> str:
        """The name without the place in a list: `mixed` for `mixed[0]`."""
        return self.name.partition("[")[0]

    @property
    def title(self) -> str:
        """Module, name and occurrence in one word: `blocks.0.attention:weights`, `:logits`."""
        number = f"#{self.occurrence}" if self.occurrence else ""
        return f"{self.module}:{self.name}{number}"

    @property
    def shown(self) -> str:
        """The title as it is printed: `logits` for `:logits`, which the model itself bound."""
        return self.title.removeprefix(":")

    def __repr__(self) -> str:
        return f"<{self.shown} {self.shape} {Path(self.file).name}:{self.line} {self.source!r}>"


@dataclass(frozen=True, eq=False)
class Call:
    """One run of one function."""

    module: str
    """Dotted path of the module that it belongs to, or from which it was called."""
    function: str
    """Its name."""
    file: str
    """Path of its source."""
    line: int
    """Line of its `def`."""
    arguments: dict[str, torch.Tensor]
    """Tensors it was given: parameter -> value; `mixed[0]` for an element of a list."""
    caller: int | None
    """Number of the call it was called from; None: from outside of the model's source."""


@dataclass(frozen=True)
class Part:
    """What is known of a module besides its weights."""

    kind: str
    """Its class: `torch.nn.modules.linear.Linear`."""
    settings: dict[str, bool | int | float | str | None]
    """Its attributes that are no tensors: `eps`, `p`, `scale`, `training`."""
    changed: str = ""
    """What changed its input or output from outside meanwhile: `no_positions`, `a hook`."""
