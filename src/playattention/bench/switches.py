"""The speed switches, one rung of a ladder each, and the proof that a step really used them.

A switch that is set and has no effect is worse than one that is off: so a step's trace is held
against all its settings. Does not know clocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._dynamo.utils import counters

from playattention.bench.sizes import table_rows
from playattention.bench.trace import Trace
from playattention.config import GPT2Config, GPTConfig, RunConfig
from playattention.training.distributed import decide

FUSED_ATTENTION = "scaled_dot_product"
"""In the names of all attention in one operation."""
UNFUSED = "aten::_scaled_dot_product_attention_math"
"""PyTorch's way to go step by step where it has no kernel for what was asked."""


class SwitchError(RuntimeError):
    """A switch did not take effect; the message is one line with what was seen instead."""


@dataclass(frozen=True)
class Rung:
    """One switch of the ladder."""

    name: str
    train: dict[str, Any] = field(default_factory=dict)
    """What it changes in the training settings."""
    model: dict[str, Any] = field(default_factory=dict)
    """What it changes in the model's."""
    side: bool = False
    """Measured beside: the next rung does not stand on it."""


GROUND = Rung(
    "nothing (float32)",
    {
        "autocast": "off",
        "tf32": False,
        "compile": "off",
        "fused_adamw": False,
        "grad_checkpointing": False,
        "parallel": "ddp",
    },
    {"flash_attention": False, "vocab_multiple": 1},
)
RUNGS = (
    GROUND,
    Rung("TF32", {"tf32": True}),
    Rung("autocast bf16", {"autocast": "bf16"}),
    Rung("autocast fp16", {"autocast": "fp16"}, side=True),
    Rung("torch.compile", {"compile": "on"}),
    Rung("flash attention", model={"flash_attention": True}),
    Rung("padded vocabulary", model={"vocab_multiple": 128}),
    Rung("fused AdamW", {"fused_adamw": True}),
    Rung("gradient checkpointing", {"grad_checkpointing": True}, side=True),
)
"""Each on top of those before that are no side rungs."""


def climbed(config: RunConfig, rung: Rung) -> RunConfig:
    """Return settings with a rung's switches set."""
    fields = type(config.model).model_fields
    model = {name: value for name, value in rung.model.items() if name in fields}
    return config.updated(model=model, train=rung.train)


def missing(rung: Rung, config: RunConfig, device: torch.device) -> str | None:
    """Return in words why a machine or a model lacks a switch; None: it has it."""
    gpu = device.type == "cuda"
    capable = gpu and torch.cuda.get_device_capability(device) >= (8, 0)
    lacking = rung.model.keys() - type(config.model).model_fields.keys()
    if rung is not GROUND and lacking:
        return f"{config.model.name} has no such setting"
    if rung.train.get("tf32") and not capable:
        return "NVIDIA GPUs from compute capability 8.0 on"
    if rung.train.get("autocast") == "fp16" and not gpu:
        return "a format for GPUs"
    if rung.train.get("autocast") == "bf16" and gpu and not capable:
        return "this GPU has no bf16 in hardware (compute capability 8.0 on)"
    wanted = config.train.model_copy(update={"compile": "on", "device": device.type})
    if rung.train.get("compile") == "on" and decide(wanted)["compile"] == "off":
        return "no C++ compiler was found"
    return None


def verify(config: RunConfig, seen: dict[str, Any]) -> None:
    """Check that a step used all its switches, and none that is off.

    Args:
        config: The step's settings, all decided.
        seen: What `witness` found.

    Raises:
        SwitchError: If one did not take effect.
    """
    for switch, expected, found in _expectations(config, seen):
        if found != expected:
            raise SwitchError(f"{switch} did not take effect: expected {expected}, saw {found}")


def witness(config: RunConfig, trace: Trace, device: torch.device) -> dict[str, Any]:
    """Return what a step's trace says about each switch.

    Args:
        config: The step's settings, for the sizes to look for.
        trace: Of one step.
        device: Where it ran.
    """
    formats = {name for product in trace.products for name in product.formats}
    head = (config.model.n_embd, table_rows(config.model))
    forward = {name for name in trace.names(FUSED_ATTENTION) if "backward" not in name}
    kernels = {name for name in forward if name.startswith("aten::_") and "fused" not in name}
    seen: dict[str, Any] = {
        "products": sorted(formats),
        "attention": sorted(name.removeprefix("aten::_") for name in kernels - {UNFUSED}),
        "vocabulary": any(head in product.shapes for product in trace.products),
        "fused AdamW": trace.count("aten::_fused_adamw_") > 0,
        "number of products": len(trace.products) + sum(trace.count(name) for name in forward),
        "graphs": len(trace.names("Torch-Compiled Region")),
        "graph breaks": sum(counters["graph_break"].values()),
    }
    if device.type == "cuda":
        seen["TF32 rounds"] = _rounds(device)
        seen["kernels"] = sorted(trace.kernels)
    return seen


def _expectations(config: RunConfig, seen: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each switch with what is expected of it and what was seen."""
    train, model = config.train, config.model
    formats = {"off": ["fp32"], "bf16": ["bf16"], "fp16": ["fp16"]}
    # Muon's own products are in the weights' format, whatever the model's are in.
    own = ["fp32"] if train.optimizer == "muon" else []
    yield f"autocast {train.autocast}", sorted({*formats[train.autocast], *own}), seen["products"]
    yield "fused_adamw", train.fused_adamw, seen["fused AdamW"]
    graphs = (1 if train.compile == "on" else 0, 0)
    yield "compile (graphs, breaks)", graphs, (seen["graphs"], seen["graph breaks"])
    if not isinstance(model, GPTConfig):
        yield "flash_attention", model.flash_attention, bool(seen["attention"])
    if isinstance(model, GPT2Config) and model.vocab_multiple > 1:
        # Not asked of an unpadded table: a compiler may pad the product itself.
        yield f"vocab_multiple {model.vocab_multiple}", True, seen["vocabulary"]
    if "TF32 rounds" in seen:
        yield "tf32", train.tf32, seen["TF32 rounds"]
    if train.grad_checkpointing and "products without checkpointing" in seen:
        more = seen["number of products"] > seen["products without checkpointing"]
        yield "grad_checkpointing (more products than without)", True, more


def _rounds(device: torch.device) -> bool:
    """Tell whether a GPU rounds the operands of float32 products: to 10 bits of 23, so it shows."""
    draws = torch.Generator(device).manual_seed(0)
    left, right = (torch.randn(512, 512, device=device, generator=draws) for _ in range(2))
    exact = left.double() @ right.double()
    error = ((left @ right).double() - exact).abs().max() / exact.abs().max()
    return error.item() > 5e-5  # float32 itself: about 1e-6
