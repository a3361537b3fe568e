"""A feed-forward layer at one position, unit by unit, and what the model is without it."""

import torch
import torch.nn.functional as F

from playattention import xray
from recording.opened import POSITION, QUESTION, Opened

LAYER = 3
CONTEXT = 24
"""Characters shown before a place where a unit is active."""


def record(opened: Opened) -> dict[str, object]:
    """Return hidden units, what the strongest write, where they are active, and losses without."""
    layer = opened.block(LAYER).feed_forward
    given = opened.long.one(f"blocks.{LAYER}", "feed_forward_input").tensor[0, POSITION]
    hidden = opened.long.one(f"blocks.{LAYER}.feed_forward", "hidden").tensor[0, POSITION]
    written = units(opened)
    best = written.topk(6).indices
    unit = int(best[0])
    row = layer.expand.weight[unit]
    products = given * row
    activated = opened.long.one(f"blocks.{LAYER}.feed_forward", "activated").tensor[0, POSITION]
    contracted = opened.long.one(f"blocks.{LAYER}.feed_forward", "contracted").tensor[0, POSITION]
    return {
        "layer": LAYER,
        "unit": unit,
        "given": given,
        "expand_row": row,
        "bias": layer.expand.bias[unit].item(),
        "positive": products.clamp(min=0).sum().item(),
        "negative": products.clamp(max=0).sum().item(),
        "largest_products": [
            [int(place), given[place].item(), row[place].item(), products[place].item()]
            for place in products.abs().topk(5).indices
        ],
        "hidden": hidden[unit].item(),
        "units": [[int(u), hidden[u].item(), written[u].item()] for u in best],
        "not_active": [[int(u), hidden[u].item()] for u in hidden.topk(3, largest=False).indices],
        "written_all": written.sum().item(),
        "active": int((activated > 0).sum()),
        "channel": [
            layer.contract.bias[0].item(),
            (layer.contract.weight[0] * activated).sum().item(),
            contracted[0].item(),
        ],
        "strongest": strongest(opened, unit),
        "shares": shares(opened),
        "without": without(opened),
        "loss": opened.loss(),
        "curves": curves(),
    }


def units(opened: Opened) -> torch.Tensor:
    """Return what each hidden unit adds to the logit of the true next character (4C).

    The final norm is taken as it acts at this position: minus the mean, over the spread, times
    its gain. Then each unit's part is a plain product, and the parts add up.
    """
    model, x = opened.model, opened.long.find("", "x")[-1].tensor[0, POSITION]
    token = opened.ids(QUESTION)[0, POSITION + 1]
    spread = (x.var(correction=0) + model.final_norm.eps).sqrt()
    asked = model.head.weight[token] * model.final_norm.weight
    asked = (asked - asked.mean()) / spread
    layer = opened.block(LAYER).feed_forward
    activated = opened.long.one(f"blocks.{LAYER}.feed_forward", "activated").tensor[0, POSITION]
    return (asked @ layer.contract.weight * activated).detach()


def _hidden(opened: Opened, idx: torch.Tensor, layer: int) -> torch.Tensor:
    trace = xray.watch(opened.model, idx, modules=[f"blocks.{layer}.feed_forward"])
    return trace.one(f"blocks.{layer}.feed_forward", "hidden").tensor


def strongest(opened: Opened, unit: int) -> list[list[object]]:
    """Return the places of 32 validation windows where a unit is most active: text, value, next."""
    idx, targets = opened.validation(32)
    hidden = _hidden(opened, idx, LAYER)[:, CONTEXT:, unit]
    decode = opened.run.tokenizer.decode
    found: list[list[object]] = []
    for place in hidden.flatten().topk(8).indices.tolist():
        row, column = divmod(place, hidden.size(1))
        end = column + CONTEXT
        before = decode(idx[row, end - CONTEXT + 1 : end + 1].tolist())
        following = decode(targets[row, end : end + 6].tolist())
        found.append([before, hidden[row, column].item(), following])
    return found


def shares(opened: Opened) -> list[dict[str, float]]:
    """Return for each block how many hidden units are above 0, and how many never are."""
    idx, _ = opened.validation(32)
    found = []
    for layer in range(4):
        above = _hidden(opened, idx, layer) > 0
        found.append(
            {
                "active": above.float().mean().item(),
                "never": int((~above.flatten(0, 1).any(0)).sum()),
            }
        )
    return found


def without(opened: Opened) -> dict[str, object]:
    """Return validation losses without one block's layer, and without all."""
    losses = []
    for layers in ([0], [1], [2], [3], [0, 1, 2, 3]):
        with xray.ablate_feed_forward(opened.model, layers):
            losses.append(opened.loss())
    return {"one": losses[:4], "all": losses[4]}


def curves() -> list[list[float]]:
    """Return x, ReLU, GELU and GELU's tanh form at a few places."""
    x = torch.tensor([-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    return torch.stack([x, F.relu(x), F.gelu(x), F.gelu(x, approximate="tanh")], 1).tolist()
