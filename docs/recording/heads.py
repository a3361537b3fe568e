"""All heads together: where each looks, how their results are joined, what each is worth."""

from itertools import product

import torch

from playattention import xray
from recording.attention import LAYER
from recording.opened import POSITION, QUESTION, Opened

SHOWN = 3
"""The channel of the projection whose sum is spelled out."""

NAME_HEADS = [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
"""Those that look at the name that was called (docs/xray.md)."""


def record(opened: Opened) -> dict[str, object]:
    """Return the four heads of a block at one position, their sum, and losses without heads."""
    attention = opened.block(LAYER).attention
    module = f"blocks.{LAYER}.attention"
    joined = opened.long.one(module, "joined").tensor[0, POSITION]
    weight, bias = attention.projection.weight, attention.projection.bias
    parts = (weight[SHOWN] * joined).view(4, -1).sum(-1)
    written = (weight.view(128, 4, 32) * joined.view(4, 32)).sum(-1).T
    return {
        "channel": SHOWN,
        "joined": joined,
        "mixed": joined.view(4, 32)[:, :4],
        "weight_row": weight[SHOWN],
        "parts": parts,
        "bias": bias[SHOWN].item(),
        "projected": opened.long.one(module, "projected").tensor[0, POSITION, SHOWN].item(),
        "written": written.norm(dim=-1),
        "looks": looks(opened),
        "loss": opened.loss(),
        "without_one": [[lost(opened, [(layer, head)]) for head in range(4)] for layer in range(4)],
        "without_block": [lost(opened, list(product([layer], range(4)))) for layer in range(4)],
        "edmund": edmund(opened),
    }


def looks(opened: Opened) -> list[list[object]]:
    """Return for each head what it looks at most from the empty line: place, token, share."""
    found: list[list[object]] = []
    for layer, head in product(range(4), range(4)):
        weights = opened.long.one(f"blocks.{layer}.attention.heads.{head}", "weights").tensor
        share, place = weights[0, POSITION].max(-1)
        found.append([layer, head, int(place), QUESTION[int(place)], share.item()])
    return found


def lost(opened: Opened, heads: list[tuple[int, int]]) -> float:
    """Return the validation loss without some heads."""
    with xray.ablate_heads(opened.model, heads):
        return opened.loss()


def edmund(opened: Opened) -> dict[str, float]:
    """Return how likely the right name is, with and without heads that look at the call."""
    ids = opened.ids(QUESTION)

    def likely() -> float:
        with torch.no_grad():
            return float(opened.model(ids)[0][0, POSITION].softmax(-1)[ids[0, POSITION + 1]])

    found = {"all": likely()}
    for name, heads in (("one", NAME_HEADS[1:2]), ("five", NAME_HEADS)):
        with xray.ablate_heads(opened.model, heads):
            found[name] = likely()
    return found
