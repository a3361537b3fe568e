"""What number formats do to a trained model's own values: gradients, scores, a forward pass."""

from typing import Any

import torch

from playattention import load_run, xray
from playattention.data.loader import WindowStream
from playattention.training.run import Run, find_run, load_splits
from recording.opened import Opened

QUESTION = "Hester:\nWho stole the *Pumpkin*, Edmund?\n\nEdmund:\n"
HEAD = "blocks.1.attention.heads.1"
TILE = 16
"""Rows and columns of the pieces that products are cut into on page 12."""
PLACE = (15, 3)
SCALE = 2**16
"""Where PyTorch's GradScaler begins."""
PARTS = (
    "",
    "blocks.0",
    "blocks.0.attention",
    "blocks.0.attention.heads.0",
    "blocks.0.feed_forward",
)


def record(opened: Opened, name: str = "plays") -> dict[str, Any]:
    """Return the figures of page 12 that come from a model."""
    del opened  # it is opened anew: gradients are left in its weights
    run = load_run(name)
    return {"gradients": _vanished(run), "tile": _tile(run), "autocast": _autocast(run)}


def _vanished(run: Run) -> dict[str, Any]:
    """Return the shares of a batch's gradients that a format turns into 0."""
    splits = load_splits(find_run(run.path), run.config, run.tokenizer)
    batch = WindowStream(splits.train, run.config.model.seq_size, seed=1).batch(0, 12)
    run.model(*batch)[1].backward()
    gradients = [weight.grad for weight in run.model.parameters() if weight.grad is not None]
    every = torch.cat([gradient.flatten() for gradient in gradients])
    run.model.zero_grad()
    found = every[every != 0]

    def zeros(dtype: torch.dtype, scale: int = 1) -> float:
        return ((found * scale).to(dtype) == 0).double().mean().item()

    small = found.abs() < torch.finfo(torch.float16).tiny
    return {
        "count": every.numel(),
        "not_zero": found.numel(),
        "median": found.abs().median().item(),
        "largest": found.abs().max().item(),
        "fp16_zero": zeros(torch.float16),
        "fp16_scaled_zero": zeros(torch.float16, SCALE),
        "fp16_infinite": (found * SCALE).half().isinf().double().mean().item(),
        "fp16_subnormal": small.double().mean().item(),
        "bf16_zero": zeros(torch.bfloat16),
    }


def _tile(run: Run) -> dict[str, Any]:
    """Return one score of a head as tensor cores compute it: tile by tile."""
    trace = xray.watch(run.model, torch.tensor([run.tokenizer.encode(QUESTION)]))
    query, key = (trace.one(HEAD, part).tensor[0, :TILE] for part in ("query", "key"))
    left, right = query.bfloat16(), key.bfloat16().T
    exact = left.double() @ right.double()
    sums = {"fp32": summed(left, right, torch.float32), "bf16": summed(left, right, torch.bfloat16)}
    row, column = PLACE
    products = (left[row].double() * right[:, column].double()).tolist()
    return {
        "head": HEAD,
        "head_size": query.size(1),
        "tokens": QUESTION[:TILE],
        "query": left[row].tolist(),
        "key": right[:, column].tolist(),
        "products": products,
        "parts": [sum(products[first : first + TILE]) for first in range(0, len(products), TILE)],
        "unrounded": (query.double() @ key.double().T)[row, column].item(),
        "exact": exact[row, column].item(),
        **{key: found[row, column].item() for key, found in sums.items()},
        **{
            f"{key}_largest_error": (found.double() - exact).abs().max().item()
            for key, found in sums.items()
        },
        "largest": exact.abs().max().item(),
    }


def summed(left: torch.Tensor, right: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a product whose sum is rounded to a format after each term."""
    total = torch.zeros(left.size(0), right.size(1), dtype=dtype)
    for place in range(left.size(1)):
        term = left[:, place : place + 1].float() * right[place : place + 1].float()
        total = (total.float() + term).to(dtype)
    return total


def _autocast(run: Run) -> dict[str, Any]:
    """Return the format of each value of a forward pass under autocast to bf16, on this CPU."""
    ids = torch.tensor([run.tokenizer.encode(QUESTION)])
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        trace = xray.watch(run.model, ids[:, :-1], ids[:, 1:])
    return {
        f"{value.module}:{value.name}": str(value.tensor.dtype).removeprefix("torch.")
        for value in trace
        if value.module in PARTS and value.tensor.is_floating_point()
    }
