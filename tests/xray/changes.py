"""Changes of a model that the tests of what-ifs share, and what they read off a trace."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import nn

from playattention.errors import UserError
from playattention.xray import whatif
from playattention.xray.patching import patch, patch_head, replace_attention
from playattention.xray.trace import Trace

CHANNELS, HEAD_SIZE = 12, 4

Change = Callable[[nn.Module, torch.Tensor], AbstractContextManager[None]]


def noise(*shape: int) -> torch.Tensor:
    """Return numbers that no model computes."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


CHANGES: dict[str, Change] = {
    "heads zero": lambda model, _: whatif.ablate_heads(model, [(0, 1), (1, 0), (1, 2)]),
    "heads mean": lambda model, idx: whatif.ablate_heads(model, [(1, 0), (0, 2)], "mean", idx),
    "feed-forward zero": lambda model, _: whatif.ablate_feed_forward(model, [1]),
    "feed-forward mean": lambda model, idx: whatif.ablate_feed_forward(model, [0], "mean", idx),
    "no mask": lambda model, _: whatif.no_causal_mask(model),
    "no scale": lambda model, _: whatif.no_scale(model),
    "scale": lambda model, _: whatif.attention_scale(model, 3.0, layers=[1]),
    "no positions": lambda model, _: whatif.no_positions(model),
    "no residual, attention": lambda model, _: whatif.no_residual(model, 0, "attention"),
    "no residual, feed-forward": lambda model, _: whatif.no_residual(model, 1, "feed_forward"),
    "attention row": lambda model, _: replace_attention(model, 0, 1, 3, [0.1, 0.6, 0.0, 0.3]),
    "patch": lambda model, _: patch(model, "blocks.0", noise(1, 5, CHANNELS), [1, 3]),
    "patch all": lambda model, _: patch(model, "blocks.1.attention", noise(2, 5, CHANNELS)),
    "patch head": lambda model, _: patch_head(model, 0, 2, noise(1, 5, HEAD_SIZE), [0, 4]),
}


def logits(model: nn.Module, idx: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(idx)[0]


def everything(model: nn.Module) -> list[object]:
    """Return all that a model holds: which objects, in which order, and the weights' numbers."""
    held: list[object] = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            inner = list(value.items()) if isinstance(value, dict) else []
            held.append((path, name, id(value), [(key, id(one)) for key, one in inner]))
    numbers = [*model.parameters(), *model.buffers()]
    return [*held, *[(weight._version, weight.tolist()) for weight in numbers]]


def joined_by(trace: Trace, layer: int, head: int) -> torch.Tensor:
    """Return a head's part (B, T, D) of what a block's attention joined."""
    joined = trace.one(f"blocks.{layer}.attention", "joined").tensor
    return joined[..., head * HEAD_SIZE : (head + 1) * HEAD_SIZE]


def mixed_by(trace: Trace, layer: int, head: int) -> torch.Tensor:
    """Return what a head mixed (B, T, D), as the trace shows it."""
    found = trace.find(f"blocks.{layer}.attention", "mixed")
    return found[-1].tensor[:, head] if found[-1].name == "mixed" else found[head].tensor


def later_changes(model: nn.Module, idx: torch.Tensor) -> list[int]:
    """Return the positions whose logits change with the last token."""
    other = idx.clone()
    other[:, -1] = (other[:, -1] + 1) % 11
    differ = (logits(model, idx) != logits(model, other)).any(dim=-1)
    return [t for t in range(idx.size(1)) if bool(differ[:, t].all())]


def check_refused(model: nn.Module, idx: torch.Tensor, change: Change, told: str) -> None:
    """Check that a change is refused in one line that says this, and that nothing is left of it."""
    held = everything(model)
    with pytest.raises(UserError) as error, change(model, idx):
        logits(model, idx)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert everything(model) == held
