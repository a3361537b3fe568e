"""One optimizer step of our models against Hugging Face's GPT-2 of the same size, on a CPU.

`python benchmarks/training.py` prints a table and writes `benchmarks/results/training.json`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import tyro
from torch import nn
from transformers import GPT2LMHeadModel as TheirModel

from hugging_face import copy_weights, their_model
from measure import RESULTS, at_least_one, compare, show, write
from playattention.bench.limits import product_speed
from playattention.bench.spread import take_turns
from playattention.config import GPT2Config, GPTConfig, TrainConfig
from playattention.models.model_gpt import GPTModel
from playattention.models.model_gpt2 import GPT2Model
from playattention.training.optimizer import build_optimizer

OURS = ("GPT2Model", "GPTModel")

Loss = Callable[[torch.Tensor, torch.Tensor], Any]
"""Token ids and targets, both (B, T) -> the mean cross-entropy, a tensor."""


@dataclass(frozen=True)
class Options:
    """What is measured, and how often."""

    repetitions: int = 15
    """Turns of each model."""
    steps: int = 20
    """Optimizer steps in a turn."""
    threads: int | None = None
    """CPU threads; default: what PyTorch chooses."""
    seed: int = 1337
    """Decides weights and batches."""
    output: Path = RESULTS / "training.json"
    """Where the results go."""


def main(options: Options) -> None:
    """Measure, write and print."""
    at_least_one(repetitions=options.repetitions, steps=options.steps, threads=options.threads)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    sizes = GPT2Config(
        vocab_size=65, seq_size=64, n_embd=128, n_head=4, n_layer=4, vocab_multiple=1
    )
    models = build_models(sizes)
    recipe = TrainConfig()
    shape = (options.steps, 2, recipe.batch_size, sizes.seq_size)
    batches = torch.randint(sizes.vocab_size, shape)
    check_same_loss(models, batches[0])

    turns = {name: turn(model, loss, recipe, batches) for name, (model, loss) in models.items()}
    for warm_up in turns.values():
        warm_up()
    seconds = take_turns(turns, options.repetitions)
    per_step = {
        name: [1000 * taken / options.steps for taken in raw] for name, raw in seconds.items()
    }
    limit = product_speed(torch.device("cpu"), torch.float32)
    work = operations(sizes, recipe.batch_size)
    pairs = [(ours, theirs) for ours in OURS for theirs in turns if theirs not in OURS]
    results = {
        "what": "one optimizer step: forward, backward, clip to norm 1, AdamW, zero_grad",
        "unit": "milliseconds per step",
        "settings": {
            "model": sizes.model_dump(),
            "batch_size": recipe.batch_size,
            "optimizer": "torch.optim.AdamW(fused=True), matrices decay",
            "dtype": "float32",
            "device": "cpu",
            "repetitions": options.repetitions,
            "steps": options.steps,
            "seed": options.seed,
        },
        "weights": {name: count(model) for name, (model, _) in models.items()},
        "limit": {"operations_per_step": work, "operations_per_second": limit},
        **compare(per_step, pairs, shortest=1000 * work / limit),
    }
    show(write(options.output, results))


def build_models(sizes: GPT2Config) -> dict[str, tuple[nn.Module, Loss]]:
    """Return the contestants: name -> model, and what gives its loss.

    All but `GPTModel`, which is another architecture, start from the same weights.
    """
    fused = their_model(sizes)
    eager = their_model(sizes, attention="eager")
    tuned = their_model(sizes, activation="gelu_pytorch_tanh")
    for other in (eager, tuned):
        other.load_state_dict(fused.state_dict())
    gpt2 = GPT2Model(sizes)
    copy_weights(fused, gpt2)
    gpt = GPTModel(
        GPTConfig(**sizes.model_dump(exclude={"name", "flash_attention", "vocab_multiple"}))
    )
    return {
        "GPT2Model": (gpt2, our_loss(gpt2)),
        "GPTModel": (gpt, our_loss(gpt)),
        "Hugging Face": (fused, their_loss(fused)),
        "Hugging Face, eager": (eager, their_loss(eager)),
        "Hugging Face, fused GELU": (tuned, their_loss(tuned)),
    }


def our_loss(model: nn.Module) -> Loss:
    """Return what gives our model's loss."""
    return lambda idx, targets: model(idx, targets)[1]


def their_loss(model: TheirModel) -> Loss:
    """Return what gives their model's loss, on the same targets as ours.

    Their own `labels=` would shift the targets once more, and a cache would be kept for nothing:
    this is the fastest way to use the model.
    """

    def loss(idx: torch.Tensor, targets: torch.Tensor) -> Any:
        logits = model(input_ids=idx, use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return loss


def check_same_loss(models: dict[str, tuple[nn.Module, Loss]], batch: torch.Tensor) -> None:
    """Make sure that the contestants do the same work.

    Raises:
        AssertionError: If, from the same weights, theirs and our GPT-2 differ in loss.
    """
    _, expected = models["Hugging Face"]
    for name, (_, loss) in models.items():
        if name != "GPTModel":
            torch.testing.assert_close(loss(*batch), expected(*batch), msg=f"{name}: another loss")


def turn(
    model: nn.Module, loss: Loss, recipe: TrainConfig, batches: torch.Tensor
) -> Callable[[], None]:
    """Return what a model does in a turn: one step per batch, as in the training loop."""
    model.train()
    weights = list(model.parameters())
    optimizer = build_optimizer(model, recipe)

    def steps() -> None:
        for idx, targets in batches:
            loss(idx, targets).backward()
            nn.utils.clip_grad_norm_(weights, recipe.grad_clip)
            optimizer.step()
            optimizer.zero_grad()

    return steps


def count(model: nn.Module) -> int:
    """Return how many weights a model has; a shared one counts once."""
    return sum(weight.numel() for weight in model.parameters())


def operations(sizes: GPT2Config, batch_size: int) -> int:
    """Return the operations of a step that no implementation can do without.

    Six for each weight of a matrix and token (Kaplan et al. 2020, section 2.1), and those of
    attention (Chowdhery et al. 2022, appendix B), of which the causal mask spares half.
    """
    L, C, T, V = sizes.n_layer, sizes.n_embd, sizes.seq_size, sizes.vocab_size
    per_token = 6 * (12 * L * C**2 + V * C) + 12 * L * T * C // 2
    return per_token * batch_size * T


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
