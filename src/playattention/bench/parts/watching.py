"""X-ray: a forward pass with every value kept, beside the same one unwatched."""

from collections.abc import Callable, Iterator

import torch
from torch import nn

from playattention.bench.parts import Setting, laptop_models
from playattention.bench.parts.training import name_of
from playattention.bench.results import Figure, Found
from playattention.bench.sizes import flops_per_token
from playattention.bench.spread import take_turns
from playattention.config import AnyModelConfig
from playattention.models import build_model
from playattention.xray.watch import explicit_attention, memory, watch

PART = "xray"


def measure(setting: Setting) -> Iterator[Found | str]:
    """Watch each registered model at the small sizes, then the large one."""
    models: dict[str, AnyModelConfig] = {
        f"{name} {config.n_layer}x{config.n_embd}": config.model_copy(update={"dropout": 0.0})
        for name, config in laptop_models(setting.scale).items()
    }
    if setting.scale.large is not None:
        length = min(setting.scale.watched, setting.scale.large.seq_size)
        models[name_of(setting.scale.large)] = setting.scale.large.model_copy(
            update={"seq_size": length}
        )
    for name, config in models.items():
        yield name
        model, idx = prepared(config, 1)
        turns = {"watched": watching(model, idx), "not watched": _plain(model, idx)}
        take_turns(turns, 1)  # warm
        seconds = take_turns(turns, setting.scale.repetitions)
        least = {"watched": needs(model, idx), "not watched": {"fp32": operations(model, idx)}}
        for how, taken in seconds.items():
            label = f"{name}, {idx.numel()} tokens, {how}"
            yield Figure(PART, label, "ms", [1000 * one for one in taken], least[how])


def prepared(config: AnyModelConfig, batch: int) -> tuple[nn.Module, torch.Tensor]:
    """Return a model on the CPU, drawn at random, and texts that fill its context (B, T)."""
    torch.manual_seed(0)
    model = build_model(config).eval()
    return model, torch.randint(config.vocab_size, (batch, config.seq_size))


def watching(model: nn.Module, idx: torch.Tensor) -> Callable[[], object]:
    """Return what watches one forward pass."""
    return lambda: watch(model, idx)


def _plain(model: nn.Module, idx: torch.Tensor) -> Callable[[], object]:
    """Return the same forward pass, unwatched."""

    def forward() -> None:
        with explicit_attention(model), torch.no_grad():
            model(idx)

    return forward


def needs(model: nn.Module, idx: torch.Tensor) -> dict[str, float]:
    """Return what a watched pass takes at least: its operations, and all that it keeps written."""
    return {"fp32": operations(model, idx), "read": float(memory(model, idx) or 0)}


def operations(model: nn.Module, idx: torch.Tensor) -> float:
    """Return the operations of a forward pass over full contexts: a third of a training step's."""
    config: AnyModelConfig = model.config  # type: ignore[assignment]  # a plain attribute of a module
    return flops_per_token(config) / 3 * idx.numel()
