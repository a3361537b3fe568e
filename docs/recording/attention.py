"""One head on both texts, number by number, and what it does without its scale or its mask."""

from itertools import product

import torch

from playattention import xray
from recording.opened import POSITION, QUESTION, Opened

LAYER, HEAD = 1, 1
MODULE = f"blocks.{LAYER}.attention.heads.{HEAD}"


def record(opened: Opened) -> dict[str, object]:
    """Return the head's values, and losses of the changed model."""
    short = {
        name: opened.short.one(MODULE, name).tensor[0]
        for name in ("query", "key", "value", "scores", "scaled", "masked", "weights", "mixed")
    }
    row = opened.long.one(MODULE, "weights").tensor[0, POSITION, : POSITION + 1]
    best = row.topk(8)
    head = opened.head(LAYER, HEAD)
    return {
        "layer": LAYER,
        "head": HEAD,
        "scale": head.scale,
        **short,
        "input": opened.short.one(f"blocks.{LAYER}", "attention_input").tensor[0],
        "query_weight_row": head.query.weight[0],
        "looks_at": [
            [place, QUESTION[place], share]
            for share, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ],
        "looks_at_rest": 1 - best.values.sum().item(),
        "random": random_scores(),
        "without": without(opened),
    }


def random_scores() -> list[dict[str, float]]:
    """Return scores of random queries and keys by head size: their spread, the largest weight."""
    chance, found = torch.Generator().manual_seed(1), []
    for size in (8, 32, 64, 128):
        query, key = (torch.randn(2000, size, generator=chance) for _ in range(2))
        scores = query @ key[:128].T
        scaled = scores * size**-0.5
        found.append(
            {
                "head_size": size,
                "std": scores.std().item(),
                "scaled_std": scaled.std().item(),
                "largest": scores.softmax(-1).max(-1).values.mean().item(),
                "scaled_largest": scaled.softmax(-1).max(-1).values.mean().item(),
            }
        )
    return found


def without(opened: Opened) -> dict[str, object]:
    """Return validation losses of the model with one thing changed, in all blocks."""
    model = opened.model
    changes = {
        "scale": xray.no_scale(model),
        "mask": xray.no_causal_mask(model),
        "positions": xray.no_positions(model),
        "every_head": xray.ablate_heads(model, list(product(range(4), range(4)))),
    }
    losses: dict[str, object] = {"nothing": opened.loss()}
    for name, change in changes.items():
        with change:
            losses[name] = opened.loss()
    return losses
