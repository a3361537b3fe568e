"""The way back: the gradient of every watched value and of every weight.

The loss and its gradients are those of a training step in the same mode: `adamw.py` spells out
what the optimizer makes of them. The model is left alone: no `.grad` is written, no weight
changes; its dropout, if it is in training mode, draws the random numbers of one forward pass.
Does not know optimizers.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from playattention.errors import UserError
from playattention.xray.checks import check_tokens, refuse_wrapped
from playattention.xray.trace import Trace
from playattention.xray.values import Value
from playattention.xray.watch import free_memory, run


@dataclass(frozen=True, eq=False)
class Backward:
    """A forward pass, and how the loss changes with each number in it."""

    trace: Trace
    """The forward pass."""
    loss: torch.Tensor
    """Mean cross-entropy in nats per token (), as the model computed it."""
    gradients: dict[str, torch.Tensor | None]
    """Of the weights, by their dotted names; None where the loss does not depend on one."""
    of_values: dict[Value, torch.Tensor | None]
    """Of each value of the trace; None: of whole numbers, and of what the loss does not need."""

    def of(self, module: str, name: str, occurrence: int = -1) -> torch.Tensor | None:
        """Return the gradient of a value, or None where it has none.

        Args, errors: as in `Trace.one`.
        """
        return self.of_values[self.trace.one(module, name, occurrence)]

    @property
    def norm(self) -> float:
        """The length of all weights' gradients together, which training may limit."""
        found = [gradient for gradient in self.gradients.values() if gradient is not None]
        return nn.utils.get_total_norm(found).item()

    def __repr__(self) -> str:
        values, weights = (
            [gradient for gradient in gradients.values() if gradient is not None]
            for gradients in (self.of_values, self.gradients)
        )
        return (
            f"<Backward: loss {self.loss.item():.4f}, gradients of {len(values)} values and "
            f"{len(weights)} weights, norm {self.norm:.3g}>"
        )


def backward(
    model: nn.Module,
    idx: torch.Tensor,
    targets: torch.Tensor,
    modules: Iterable[str] | str | None = None,
    *,
    limit: float | None = None,
) -> Backward:
    """Run a model forward and back, and return the gradient of every value and weight.

    Args:
        model: As in `watch`; returns its logits and loss. Left as it was.
        idx: Token ids (B, T).
        targets: The tokens that come next (B, T); those at -100 do not count.
        modules: As in `watch`; of weights, all have their gradients.
        limit: Most bytes that the values may take, and their gradients once more; default: a
            quarter of the memory that is free.

    Raises:
        UserError: As in `watch`, or if the model returns no loss that depends on its weights.
    """
    refuse_wrapped(model)
    check_tokens(model, idx, targets)
    asked = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    limit = free_memory(idx.device) / 4 if limit is None else limit
    with ExitStack() as hooks, torch.inference_mode(False), torch.enable_grad():
        listener = _Listener(hooks)
        hooks.callback(model.register_forward_hook(listener.end).remove)
        trace = run(model, idx, targets, modules, limit=limit, seen=listener.bound)
        loss = _loss(listener.returned)
        found = torch.autograd.grad(loss, [*asked.values()], allow_unused=True)
    of_weights = dict(zip(asked, found, strict=True))
    return Backward(
        trace,
        loss.detach(),
        {name: of_weights.get(name) for name, _ in model.named_parameters()},
        {value: listener.gradients.get(id(value.tensor)) for value in trace.values},
    )


class _Listener:
    """Hears the gradient of each tensor that a watch keeps, and what the model returns.

    By hooks, not by a look at the tensors in the end: what a model changes in place afterwards
    still gets the gradient of the numbers that are shown.
    """

    def __init__(self, hooks: ExitStack) -> None:
        self.gradients: dict[int, torch.Tensor] = {}
        """Of each tensor that was kept, by its id."""
        self.returned: object = None
        self._hooks = hooks
        self._kept: list[torch.Tensor] = []  # so that ids stay their own

    def bound(self, tensor: torch.Tensor, kept: torch.Tensor) -> None:
        if tensor.requires_grad:
            self._kept.append(kept)
            hook = tensor.register_hook(partial(self._hear, id(kept)))  # type: ignore[no-untyped-call]
            self._hooks.callback(hook.remove)

    def end(self, _model: nn.Module, _args: object, returned: object) -> None:
        self.returned = returned

    def _hear(self, number: int, gradient: torch.Tensor) -> None:
        self.gradients[number] = gradient


def _loss(returned: object) -> torch.Tensor:
    match returned:
        case (_, torch.Tensor() as loss) if loss.dim() == 0 and loss.requires_grad:
            return loss
    raise UserError(
        "model: returned no loss that its weights could lower; allowed: a model that returns "
        "(logits, loss), with weights that require gradients"
    )
