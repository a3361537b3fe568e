"""One attention head of a model, whether it is a module of its own or computed with the others.

Does not know which change is wanted, nor how it is taken back.
"""

from dataclasses import dataclass

import torch
from torch import nn

from playattention.errors import UserError, unknown
from playattention.xray.handles import Change, Edit, attending, check_number, part


@dataclass(frozen=True, eq=False)
class Head:
    """An attention head: a module of its own, or a place in one that computes all."""

    attention: nn.Module
    """The block's attention, which joins the heads."""
    module: nn.Module
    """What attends: has the scale, the mask and the dropout on the weights."""
    number: int
    """Which head of its block."""
    n_head: int
    """Heads in the block."""

    @property
    def alone(self) -> bool:
        """Whether the module is this head alone."""
        return self.module is not self.attention

    @property
    def dropout(self) -> nn.Module:
        """What the weights pass on their way to the values.

        Raises:
            UserError: If there is none, or more than one that may be it.
        """
        children = dict(self.module.named_children())
        found = {name: child for name, child in children.items() if isinstance(child, nn.Dropout)}
        if len(found) > 1:  # another is for what was projected
            found = {name: child for name, child in found.items() if "attention" in name}
        if len(found) != 1:
            raise UserError(
                f"{type(self.module).__name__}: has no one dropout on its weights; allowed: a "
                "nn.Dropout, or where there are several, one with 'attention' in its name"
            )
        return next(iter(found.values()))

    def of(self, weights: torch.Tensor) -> torch.Tensor:
        """Return this head's weights (B, T, S) from those of its module."""
        return weights if self.alone else weights[:, self.number]

    def into(self, weights: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Return the weights of its module with others (B, T, S) for this head."""
        if self.alone:
            return own
        every = weights.clone()
        every[:, self.number] = own
        return every

    def columns(self, channels: int) -> slice:
        """Return which are its own of the channels that all heads fill side by side."""
        size = channels // self.n_head
        return slice(self.number * size, (self.number + 1) * size)


def head(model: nn.Module, layer: int, number: int) -> Head:
    """Return a head of a block.

    Raises:
        UserError: If there is none of that number.
    """
    attention, modules = part(model, layer, "attention"), attending(model, layer)
    if modules == [attention]:
        modules = [attention] * _n_head(model, attention)
    check_number("head", number, len(modules))
    return Head(attention, modules[number], number, len(modules))


def mixes_nothing(change: Change, head: Head) -> None:
    """Let a head drop all its weights, so that it mixes zeros."""

    def none(weights: torch.Tensor) -> torch.Tensor:
        return head.into(weights, torch.zeros_like(head.of(weights)))

    change.output(head.dropout, none)


def mixes_always(change: Change, head: Head, mean: torch.Tensor) -> None:
    """Let a head mix the same vector (D) at every position.

    Of heads that are computed together, it is the values of this one that become the vector, and
    every position looks at itself alone, so that all that follows can be seen in a trace.
    """
    if head.alone:
        change.output(head.module, always(mean))
        return
    made, first = _values(head)

    def vector(output: torch.Tensor) -> torch.Tensor:
        every = output.clone()
        every[..., first : first + mean.numel()] = mean.to(output)
        return every

    def itself(weights: torch.Tensor) -> torch.Tensor:
        T, S = weights.shape[-2:]
        looks = torch.eye(S, dtype=weights.dtype, device=weights.device)[S - T :]  # (T, S)
        return head.into(weights, looks.expand_as(head.of(weights)))

    change.output(made, vector)
    change.output(head.dropout, itself)


def projection(head: Head) -> nn.Module:
    """Return what the joined heads of a block pass.

    Raises:
        UserError: If there is no module of that name.
    """
    children = dict(head.attention.named_children())
    if "projection" not in children:
        raise unknown("module of attention", "projection", children)
    return children["projection"]


def always(vector: torch.Tensor) -> Edit:
    """Return what gives the same vector for every token."""

    def edit(output: torch.Tensor) -> torch.Tensor:
        return vector.to(output).expand_as(output)

    return edit


def _values(head: Head) -> tuple[nn.Linear, int]:
    """Return what makes a head's values, and at which of its outputs they begin."""
    children = dict(head.module.named_children())
    for name, parts in (("value", 1), ("query_key_value", 3)):
        made = children.get(name)
        if isinstance(made, nn.Linear):
            size = made.out_features // parts  # the values are the last part
            return made, (parts - 1) * size + head.columns(size).start
    raise unknown("module of attention", "value", children)


def _n_head(model: nn.Module, attention: nn.Module) -> int:
    """Return how many heads a module computes: it may say so itself, and its model's sizes do."""
    sizes = getattr(model, "config", None)
    found = getattr(attention, "n_head", None) or getattr(sizes, "n_head", None)
    if not isinstance(found, int):
        raise UserError(f"{type(attention).__name__}: does not tell its heads; allowed: an n_head")
    return found
