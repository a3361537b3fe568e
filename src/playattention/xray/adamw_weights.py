"""Which weights AdamW updates in a training: all of them, or all that Muon does not turn.

Knows settings and optimizers, no model.
"""

from collections.abc import Iterable
from typing import Any

from torch import nn

from playattention.config import TrainConfig
from playattention.errors import UserError, unknown
from playattention.training.optimizer import build_optimizer

_TOLD = 6
"""Names of weights that an error tells."""


def adamw_groups(
    model: nn.Module, config: TrainConfig, names: Iterable[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the optimizer's settings of each weight that AdamW updates, by its name.

    Args:
        model: The weights are its parameters.
        config: With which optimizer they are trained.
        names: Which weights; default: all that AdamW updates.

    Raises:
        UserError: If there is no weight of a name, or Muon turns it.
    """
    weights = dict(model.named_parameters())
    group_of = {
        id(weight): group
        for group in build_optimizer(model, config).param_groups
        for weight in group["params"]
    }
    groups = {name: group_of[id(weight)] for name, weight in weights.items()}
    own = {name: group for name, group in groups.items() if not group.get("turned")}
    if names is None:
        return own
    asked = [*names]
    for name in asked:
        if name not in weights:
            raise unknown("weight", name, weights)
        if name not in own:
            more = f" and {len(own) - _TOLD} more" if len(own) > _TOLD else ""
            raise UserError(
                f"weight {name!r}: with optimizer = muon it takes no step of AdamW, but is turned; "
                f"allowed: what AdamW updates, {', '.join([*own][:_TOLD])}{more}"
            )
    return {name: own[name] for name in asked}
