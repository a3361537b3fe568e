"""A training told before it starts: what it is, what it needs, what fits, how long it takes.

Arithmetic over the settings, no torch. Does not know this machine: it is told a device's memory.
"""

import math
from dataclasses import dataclass
from typing import Literal

from playattention.bench.memory import GIB, Moment, evaluation_peak, peak
from playattention.bench.sizes import flops_per_token, remembered, weights
from playattention.config import GPTConfig, RunConfig
from playattention.errors import UserError
from playattention.settings import check_whole_matrices

MARGIN = 0.1
"""How far the estimate of the peak may be off, either way."""
Format = Literal["off", "bf16", "fp16"]
FORMATS: dict[Format, str] = {"off": "fp32", "bf16": "bf16", "fp16": "fp16"}
"""Of the matrix products: how `train.autocast` calls them, and how everybody does."""
VOCABULARIES = {"gpt2": 50_257, "char": 65}
"""Tokens by tokenizer; characters as in Tiny Shakespeare, other texts have a few more or less."""
BYTES_OF_A_NUMBER_ON_DISK = 4
"""Of a weight, and of what the optimizer remembers of it: in float32."""


@dataclass(frozen=True)
class Target:
    """Where a training is to run."""

    name: str
    memory: int
    """Bytes of one device."""
    gpu: bool
    has_bf16: bool
    """In hardware."""
    devices: int = 1


def decided(config: RunConfig, target: Target) -> RunConfig:
    """Return settings with "auto" decided for a target, and the tokenizer's vocabulary.

    Raises:
        UserError: If the devices can't share a step's tokens evenly, or the weights as asked.
    """
    train = config.train
    check_whole_matrices(train.optimizer, train.parallel, target.devices)
    autocast = train.autocast
    if autocast == "auto":
        autocast = "bf16" if target.gpu and target.has_bf16 else "off"
    compiled = train.compile
    if compiled == "auto":
        compiled = "on" if target.gpu else "off"
    micro_batches = train.batch_size * config.model.seq_size * target.devices
    tokens = train.tokens_per_step or micro_batches  # left open, it grows with the devices
    if tokens % micro_batches:
        below = tokens // micro_batches * micro_batches
        near = [str(size) for size in (below, below + micro_batches) if size]
        raise UserError(
            f"tokens_per_step = {tokens}: must be a multiple of batch_size x seq_size x devices = "
            f"{train.batch_size} x {config.model.seq_size} x {target.devices} = {micro_batches}; "
            f"nearest: {' or '.join(near)}"
        )
    untouched = type(config.model).model_fields["vocab_size"].default
    model = {}
    if config.model.vocab_size == untouched and config.data.tokenizer in VOCABULARIES:
        model = {"vocab_size": VOCABULARIES[config.data.tokenizer]}
    return config.updated(
        model=model, train={"autocast": autocast, "compile": compiled, "tokens_per_step": tokens}
    )


def with_batch(config: RunConfig, batch_size: int, target: Target) -> RunConfig:
    """Return settings with another micro-batch, accumulating gradients if they did before."""
    one = batch_size * config.model.seq_size * target.devices
    accumulates = config.grad_accum > target.devices
    return config.updated(
        train={"batch_size": batch_size, "tokens_per_step": one * (2 if accumulates else 1)}
    )


def needed(config: RunConfig, target: Target) -> Moment:
    """Return the memory that decided settings need of one device at their peak."""
    step = peak(config, gpu=target.gpu, devices=target.devices)
    evaluation = evaluation_peak(config, gpu=target.gpu, devices=target.devices)
    return max(step, evaluation, key=lambda moment: moment.total)


def largest_batch(config: RunConfig, target: Target) -> int:
    """Return the largest micro-batch that fits even if the estimate is 10 % too low; 0: none."""

    def fits(batch_size: int) -> bool:
        total = needed(with_batch(config, batch_size, target), target).total
        return total * (1 + MARGIN) <= target.memory

    too_large = 1
    while fits(too_large):
        too_large *= 2
    fitting = too_large // 2
    while too_large - fitting > 1:
        middle = (fitting + too_large) // 2
        fitting, too_large = (middle, too_large) if fits(middle) else (fitting, middle)
    return fitting


def even_batch(config: RunConfig, target: Target) -> int:
    """Return the largest micro-batch that fits and divides the tokens of a step; 0: none."""
    sequences = config.tokens_per_step // (config.model.seq_size * target.devices)
    most = min(largest_batch(config, target), sequences)
    return next((size for size in range(most, 0, -1) if sequences % size == 0), 0)


SMALLER = (
    "a smaller model (--model.seq-size, --model.n-layer, --model.n-embd), or a larger device, "
    "or several with --train.parallel fsdp"
)


def check_fits(config: RunConfig, target: Target) -> None:
    """Refuse a training that can't fit, before anything is allocated.

    Refused is only what does not fit if the estimate is 10 % too high.

    Args:
        config: Decided settings.
        target: Where it would run.

    Raises:
        UserError: With what it needs, what there is, and what would fit.
    """
    need = needed(config, target).total
    if need * (1 - MARGIN) <= target.memory:
        return
    raise UserError(
        f"batch_size = {config.train.batch_size}: a step needs about {need / GIB:.1f} GiB, and "
        f"{target.name} has {target.memory / GIB:.1f} GiB; allowed: "
        + (", or ".join(_what_fits(config, target)) or SMALLER)
    )


def _what_fits(config: RunConfig, target: Target) -> list[str]:
    """Return in words which changes would make a training fit."""
    found = []
    if batch := even_batch(config, target):
        found.append(f"--train.batch-size up to {batch}")
    ways = {"--train.grad-checkpointing": config.updated(train={"grad_checkpointing": True})}
    if not isinstance(config.model, GPTConfig):
        ways["--model.flash-attention"] = config.updated(model={"flash_attention": True})
    if target.devices > 1 and config.train.optimizer != "muon":
        ways["--train.parallel fsdp"] = config.updated(train={"parallel": "fsdp"})
    for option, changed in ways.items():
        more = even_batch(changed, target)
        if more > batch:
            found.append(f"{option} with --train.batch-size up to {more}")
    return found


def tokens_per_second(config: RunConfig, mfu: float, operations: float, devices: int) -> float:
    """Return the speed that follows from a share of the peak.

    Args:
        config: The run.
        mfu: Model FLOPs utilisation, 0 to 1.
        operations: One device's peak, in operations a second.
        devices: How many.
    """
    return mfu * operations * devices / flops_per_token(config.model)


def checkpoint_bytes(config: RunConfig) -> int:
    """Return the size of one checkpoint: weights and moments."""
    numbers = sum(weights(config.model).values()) + remembered(config.model, config.train)
    return BYTES_OF_A_NUMBER_ON_DISK * numbers


def checkpoints_kept(config: RunConfig, steps: int) -> int:
    """Return how many checkpoints lie on the disk at once: first, best, last, one being written."""
    saved = steps // config.train.eval_every
    every = config.train.keep_every
    more = steps // math.lcm(every, config.train.eval_every) if every else 0
    return min(3, saved + 1) + more + 1


def data_bytes(config: RunConfig, tokens: int) -> int:
    """Return the size of tokens on disk: two bytes each, four for a large vocabulary."""
    return tokens * (2 if config.model.vocab_size <= 2**16 else 4)
