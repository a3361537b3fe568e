"""Generation: tokens a second, one text at a time and many, beside reading every weight once."""

from collections.abc import Callable, Iterator

import torch
from torch import nn

from playattention.bench.limits import synchronize
from playattention.bench.parts import Setting, laptop_models
from playattention.bench.parts.training import name_of
from playattention.bench.results import Figure, Found
from playattention.bench.sizes import multiplied_weights
from playattention.bench.spread import take_turns
from playattention.config import AnyModelConfig, ModelConfig
from playattention.generation import generate
from playattention.models import build_model
from playattention.models.single_tokens import lay_out_for_generation

PART = "generation"
PROMPT = 8
"""Tokens that each text starts from."""


def measure(setting: Setting) -> Iterator[Found | str]:
    """Measure each registered model at the small sizes, then the large one, drawn at random."""
    scale = setting.scale
    for name, config in laptop_models(scale).items():
        yield name
        label = f"{name} {config.n_layer}x{config.n_embd}"
        # Past its context a model computes the whole window for each token.
        roomy = config.model_copy(update={"seq_size": PROMPT + scale.written})
        yield from _model(label, roomy, scale.written, setting)
    if scale.large is not None:
        label = name_of(scale.large)
        yield label
        yield from _model(label, scale.large, scale.large_written, setting)


def _model(
    label: str, config: AnyModelConfig, tokens: int, setting: Setting
) -> Iterator[Found | str]:
    model = ready(config, setting.device)
    batches = (1, setting.scale.batch)
    turns = {batch: writing(model, batch, tokens, setting.device) for batch in batches}
    for batch, write in turns.items():
        write()
        seconds = take_turns({"write": write}, setting.scale.repetitions)["write"]
        speeds = [batch * tokens / taken for taken in seconds]
        texts = "1 text" if batch == 1 else f"{batch} texts"
        yield Figure(PART, f"{label}, {texts}", "tokens/s", speeds, needs(model, batch))


def ready(config: AnyModelConfig, device: torch.device) -> nn.Module:
    """Return a model as a run is opened for generation, its weights drawn at random."""
    torch.manual_seed(0)
    model = build_model(config).eval()
    lay_out_for_generation(model, alone=True)
    return model.to(device)


def writing(
    model: nn.Module, batch: int, tokens: int, device: torch.device
) -> Callable[[], object]:
    """Return what writes so many greedy tokens behind each of a batch of prompts."""
    config: ModelConfig = model.config  # type: ignore[assignment]  # a plain attribute of a module
    prompt = torch.randint(config.vocab_size, (batch, PROMPT), device=device)

    def write() -> None:
        generate(model, prompt, tokens, temperature=0.0)
        synchronize(device)

    return write


def needs(model: nn.Module, batch: int, cached: int = 0) -> dict[str, float]:
    """Return what each generated token takes at least.

    Every weight is read once a step, whatever the batch; of the table of positions one row. Each
    token is multiplied with every matrix, and reads what is cached of its own text.

    Args:
        model: What generates.
        batch: Texts at once, which share the reading.
        cached: Tokens before, in each text.
    """
    config: AnyModelConfig = model.config  # type: ignore[assignment]
    read = sum(weight.nbytes for weight in model.parameters())
    read -= sum(
        weight.nbytes - weight.nbytes // config.seq_size
        for name, weight in model.named_parameters()
        if "position" in name
    )
    size = next(model.parameters()).element_size()
    keys_and_values = 2 * config.n_layer * config.n_embd * cached * size
    return {
        "read": read / batch + keys_and_values,
        "fp32": 2.0 * multiplied_weights(config) + 4 * config.n_layer * config.n_embd * cached,
    }
