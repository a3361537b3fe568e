"""What torch's layers and losses compute, and which of a module's weights and settings they use.

`LAYERS` holds the modules by their class in torch; a new one is one function with `@layer`. Does
not know a model's own classes: what those do stands in their source.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch

from playattention.xray.arithmetic import activations
from playattention.xray.arithmetic.cells import (
    Computed,
    Input,
    Leaf,
    Node,
    Step,
    UnknownError,
)
from playattention.xray.arithmetic.norms import layer_norm, rms_norm
from playattention.xray.arithmetic.operations import OPERATIONS, elementwise, operation
from playattention.xray.arithmetic.products import linear


class Module(Protocol):
    """A module as the trace knows it."""

    def weight(self, name: str) -> Node | None:
        """Return a parameter or buffer, None if there is none of the name."""

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a number, text or None that it was made with."""


Handler = Callable[..., Node]
LAYERS: dict[str, Handler] = {}
"""Name of a class of torch.nn -> what it computes."""


def layer(*names: str) -> Callable[[Handler], Handler]:
    """Return a decorator that registers a handler under these classes' names."""

    def register(handler: Handler) -> Handler:
        LAYERS.update(dict.fromkeys(names, handler))
        return handler

    return register


def _plain(name: str) -> Handler:
    def handler(_module: Module, input: Node) -> Node:
        return OPERATIONS[name](input)

    return handler


LAYERS.update(
    {
        kind: _plain(name)
        for kind, name in {
            "ReLU": "relu",
            "SiLU": "silu",
            "Tanh": "tanh",
            "Sigmoid": "sigmoid",
        }.items()
    }
)


@layer("Linear")
def linear_layer(module: Module, input: Node) -> Node:
    """`nn.Linear`."""
    return linear(input, needed(module, "weight"), module.weight("bias"))


@layer("LayerNorm")
def layer_norm_layer(module: Module, input: Node) -> Node:
    """`nn.LayerNorm`; its shape is that of its weight."""
    weight, eps = module.weight("weight"), module.setting("eps")
    shape = None if weight is None else weight.shape
    return layer_norm(input, shape, weight, module.weight("bias"), eps)


@layer("RMSNorm")
def rms_norm_layer(module: Module, input: Node) -> Node:
    """`nn.RMSNorm`; its shape is that of its weight."""
    weight = module.weight("weight")
    return rms_norm(input, None if weight is None else weight.shape, weight, module.setting("eps"))


@layer("GELU")
def gelu_layer(module: Module, input: Node) -> Node:
    """`nn.GELU`."""
    return activations.gelu(input, module.setting("approximate", "none"))


@layer("LeakyReLU")
def leaky_relu_layer(module: Module, input: Node) -> Node:
    """`nn.LeakyReLU`."""
    return activations.leaky_relu(input, module.setting("negative_slope"))


@layer("ELU")
def elu_layer(module: Module, input: Node) -> Node:
    """`nn.ELU`."""
    return activations.elu(input, module.setting("alpha"))


@layer("Softplus")
def softplus_layer(module: Module, input: Node) -> Node:
    """`nn.Softplus`."""
    return activations.softplus(input, module.setting("beta"), module.setting("threshold"))


@layer("Identity")
def identity_layer(_module: Module, input: Node) -> Node:
    """`nn.Identity`."""
    return input


@operation("embedding")
def embedding(input: Node, weight: Node) -> Node:
    """Look up a token's row."""

    def looked_up(cells: torch.Tensor) -> torch.Tensor:
        rows = input.numbers(cells[..., :-1]).long()
        return torch.stack([rows, cells[..., -1]], dim=-1)

    inputs = (
        Input("row", input, lambda cells: cells[..., :-1]),
        Input("entry", weight, looked_up),
    )
    return Computed(
        Step(
            "lookup",
            f"row {input.text} of {weight.text}",
            (*input.shape, weight.shape[1]),
            inputs,
            lambda _rows, entries: entries,
            lambda rows, _entries: {"row": int(rows)},
        )
    )


@layer("Embedding")
def embedding_layer(module: Module, input: Node) -> Node:
    """`nn.Embedding`."""
    if module.setting("max_norm") is not None:
        raise UnknownError("an embedding with max_norm")
    return embedding(input, needed(module, "weight"))


@operation("dropout")
def dropout(
    input: Node,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    made: torch.Tensor | None = None,
) -> Node:
    """Pass everything outside of training; in training, what was kept is read off the result.

    Args:
        input: What went in.
        p: Which part is dropped.
        training: Whether any is.
        inplace: No matter, as each value is kept as it was.
        made: The result, where the statement names it.
    """
    del inplace
    if not training or p == 0:
        why = "p = 0" if training else "not in training"
        return elementwise(f"dropout, {why}: unchanged", "{0}", torch.clone, [("operand", input)])
    if made is None:
        raise UnknownError("dropout draws at random, and its result has no name of its own here")
    kept = Leaf("kept", made != 0)

    def compute(part: torch.Tensor, passes: torch.Tensor) -> torch.Tensor:
        return torch.where(passes != 0, part / (1 - p), 0.0)

    def facts(_part: torch.Tensor, passes: torch.Tensor) -> dict[str, Any]:
        return {"p": p, "kept": bool(passes)}

    operands = [("operand", input), ("drawn at random", kept)]
    return elementwise("dropout", f"{{0}} / (1 - {p:g}) if kept, else 0", compute, operands, facts)


@layer("Dropout")
def dropout_layer(module: Module, input: Node, made: torch.Tensor | None = None) -> Node:
    """`nn.Dropout`."""
    return dropout(input, module.setting("p"), module.setting("training"), made=made)


@operation("cross_entropy")
def cross_entropy(
    input: Node,
    target: Node,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Node:
    """Mean surprise of the targets: log of the summed exponentials, less the target's logit.

    With label smoothing, less as much of the mean of all logits, in the target's place.
    """
    if len(input.shape) != 2 or len(target.shape) != 1 or reduction not in ("mean", "sum"):
        raise UnknownError(f"a cross-entropy of {input.shape} and {target.shape}, {reduction}")
    targets = target.whole().cpu().long()
    counted = (targets != ignore_index).nonzero().flatten()
    scores = input.whole()
    maxima = scores[counted].amax(-1).double() if len(counted) else scores.new_zeros(0).double()
    log_sums = _of_rows(scores, counted, partial(torch.logsumexp, dim=-1))
    means = _of_rows(scores, counted, torch.mean) if label_smoothing else 0.0 * log_sums

    def surprises(logits: torch.Tensor) -> torch.Tensor:
        return log_sums - (1 - label_smoothing) * logits - label_smoothing * means

    def compute(_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        total = surprises(logits).sum(-1)
        return total / len(counted) if reduction == "mean" else total

    def facts(_ids: torch.Tensor, logits: torch.Tensor) -> dict[str, Any]:
        losses = surprises(logits)
        at = [cell for _, cell in target.origins(counted.unsqueeze(-1))]  # before it was flattened
        return {
            "counted": len(counted),
            "position": tuple(at),
            "maximum": tuple(maxima.tolist()),
            "log-sum": tuple(log_sums.tolist()),
            **({"mean logit": tuple(means.tolist())} if label_smoothing else {}),
            "loss": tuple(losses.tolist()),
        }

    own = torch.stack([counted, targets[counted]], dim=-1)
    inputs = (
        Input("target", target, lambda cells: _every(cells, counted.unsqueeze(-1))),
        Input("target's logit", input, lambda cells: _every(cells, own)),
    )
    mean = "mean of " * (reduction == "mean") + "Σ " * (reduction == "sum")
    formula = f"{mean}ln Σ exp({input.text}) - {input.text} at the target"
    if label_smoothing:
        formula += f" * {1 - label_smoothing:g} - mean logit * {label_smoothing:g}"
    return Computed(Step("cross-entropy", formula, (), inputs, compute, facts))


def _every(cells: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return the same places for each cell."""
    return places.expand(*cells.shape[:-1], *places.shape)


def _of_rows(
    scores: torch.Tensor, places: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Return what a function makes of some rows, in float64.

    A row at a time: all of GPT-2's logits in float64 would be a second copy, twice as large.
    """
    found = [float(function(scores[place].double())) for place in places.tolist()]
    return torch.tensor(found, dtype=torch.float64)


@operation("arange")
def arange(start: Any, end: Any = None, step: Any = 1, **_where: Any) -> Node:
    """Count."""
    first, last = (0, start) if end is None else (start, end)
    places = Leaf("place", torch.arange(len(range(first, last, step))))
    operands = [("place", places), ("first", first), ("step", step)]
    formula = "{0}" if (first, step) == (0, 1) else "{1} + {0} * {2}"
    return elementwise("count", formula, lambda i, a, b: a + i * b, operands)


def needed(module: Module, name: str) -> Node:
    """Return a weight that a layer can't be without.

    Raises:
        UnknownError: If the trace does not have it.
    """
    found = module.weight(name)
    if found is None:
        raise UnknownError(f"the trace has no weight {name!r} here")
    return found
