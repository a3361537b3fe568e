"""`playattention plan`: what a training needs and how long it takes, told before it starts."""

import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from rich.console import Console
from rich.table import Table
from tyro.conf import arg

from playattention.bench import plan
from playattention.bench.devices import DEVICES, Device, device, named
from playattention.bench.memory import GIB
from playattention.bench.sizes import flops_per_token, multiplied_weights, weights
from playattention.config import GPT2Config, GPTConfig, RunConfig
from playattention.errors import UserError
from playattention.training import recipe
from playattention.training.readings import main_memory, processor, read_gpus

Say = Callable[..., None]

MOST_COLUMNS = 100
"""Of a sentence, also in a terminal that is wider."""


@dataclass(frozen=True)
class Plan:
    """Tell what a training needs, before it starts. Options as of train, with its defaults."""

    config: Annotated[RunConfig, arg(name="")]
    device: str | None = None
    """h100, a100-80gb, rtx4090, ..., or cpu; default: the device at hand."""
    gpus: int = 1
    """How many of them share the work."""
    tokens_per_second: float | None = None
    """Speed of all devices together, for the time it takes; `playattention ladder` measures it."""
    mfu: float | None = None
    """The same as a share of the devices' peak, 0 to 1: model FLOPs utilisation."""

    def run(self) -> None:
        """Print it."""
        self._check()
        target, known = self._target()
        if self.mfu is not None and known is None:
            raise UserError(
                f"mfu = {self.mfu}: the peak of {target.name} is not known; allowed: "
                "--tokens-per-second, which `playattention ladder` measures"
            )
        config = plan.decided(self.config, target)
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        say = console.print
        many = f"{target.devices} x " if target.devices > 1 else ""
        say(f"{config.model.name} on {many}{target.name}: {_told(config)}\n")
        say(_weights(config))
        say()
        say(_memory(config, target))
        say()
        _say_what_fits(say, config, target)
        _say_work(say, config)
        self._say_time(say, config, target, known)

    def _check(self) -> None:
        if self.gpus < 1:
            raise UserError(f"gpus = {self.gpus}: must be 1 or more")
        if self.tokens_per_second is not None and self.tokens_per_second <= 0:
            raise UserError(f"tokens_per_second = {self.tokens_per_second}: must be above 0")
        if self.mfu is not None and not 0 < self.mfu <= 1:
            raise UserError(f"mfu = {self.mfu}: must be above 0 and at most 1")
        if self.mfu is not None and self.tokens_per_second is not None:
            raise UserError("mfu and tokens_per_second: both give the speed; allowed: one of them")

    def _target(self) -> tuple[plan.Target, Device | None]:
        """Return where the training is to run, and what its maker says of it, if that is known."""
        if self.device is not None and self.device.lower() != "cpu":
            known = device(self.device)
            return _known(known, known.memory, self.gpus), known
        gpus = [] if self.device else read_gpus()
        if gpus and gpus[0].memory_total is not None:
            reading, found = gpus[0], named(gpus[0].name)
            if found:
                return _known(found, gpus[0].memory_total, self.gpus), found
            # Unknown to the table: any GPU made since 2020 has bf16 in hardware.
            return plan.Target(reading.name, reading.memory_total or 0, True, True, self.gpus), None
        if self.gpus > 1:
            raise UserError(
                f"gpus = {self.gpus}: this machine has no NVIDIA GPU; allowed: 1, or --device "
                f"{', '.join(DEVICES)}"
            )
        return plan.Target(processor(), main_memory(), gpu=False, has_bf16=False), None

    def _say_time(
        self, say: Say, config: RunConfig, target: plan.Target, known: Device | None
    ) -> None:
        peak = known.peak(config.train.autocast, config.train.tf32) if known else None
        speed = self.tokens_per_second
        if self.mfu is not None and peak is not None:
            speed = plan.tokens_per_second(config, self.mfu, peak, target.devices)
        if known and peak:
            say(f"peak      {peak / 1e12:,.1f} TFLOP/s each ({known.source})")
        if speed is None:
            say("time      give --tokens-per-second N" + (" or --mfu SHARE" if known else ""))
            return
        share = speed * flops_per_token(config.model) / peak / target.devices if peak else None
        told = "" if share is None else f", MFU {share:.1%}"
        seconds = config.train.steps * config.tokens_per_step / speed
        say(f"time      {_duration(seconds)} at {speed:,.0f} tokens/s{told}")


def default(name: str, preset: str | None) -> Plan:
    """Return what the options of `plan` fall back on.

    Args:
        name: The recipe.
        preset: A released size of GPT-2.

    Raises:
        UserError: If there is no such recipe or size.
    """
    config = recipe(name)
    if name != "gpt2":
        return Plan(config)
    if preset is not None:
        config = config.model_copy(update={"model": GPT2Config.preset(preset)})
    return PlanGPT2(config)


@dataclass(frozen=True)
class PlanGPT2(Plan):
    """Tell what a training needs, before it starts. Options as of train, with its defaults."""

    preset: str | None = None
    """A released size: gpt2 (124M weights), gpt2-medium, gpt2-large or gpt2-xl."""


def _known(found: Device, memory: int, devices: int) -> plan.Target:
    return plan.Target(found.key, memory, True, found.has_bf16, devices)


def _told(config: RunConfig) -> str:
    """Return in words what decides the memory."""
    train = config.train
    words = ["compiled" if train.compile == "on" else "not compiled"]
    if not isinstance(config.model, GPTConfig):
        words.append(f"{'flash' if config.model.flash_attention else 'explicit'} attention")
    if train.grad_checkpointing:
        words.append("gradient checkpointing")
    return ", ".join(words)


def _weights(config: RunConfig) -> Table:
    parts = weights(config.model)
    shared = isinstance(config.model, GPT2Config)
    table = Table("weights", box=None, pad_edge=False)
    table.add_column("number", justify="right")
    table.add_column("share", justify="right")
    for part, number in parts.items():
        name = f"{part}, the output head too" if shared and "token" in part else part
        table.add_row(name, f"{number:,}", f"{number / sum(parts.values()):.1%}")
    table.add_row("all", f"{sum(parts.values()):,}", "", end_section=True)
    return table


def _memory(config: RunConfig, target: plan.Target) -> Table:
    """Return the memory of one device at its peak, in each format of the matrix products."""
    formats = {
        name: config.updated(train={"autocast": autocast})
        for autocast, name in plan.FORMATS.items()
    }
    moments = [plan.needed(one, target) for one in formats.values()]
    unit, divisor = ("GiB", GIB) if moments[0].total >= GIB else ("MiB", 2**20)
    table = Table(f"one device at its peak, {unit}", box=None, pad_edge=False)
    for (name, one), _ in zip(formats.items(), moments, strict=True):
        mark = ">" if one == config else ""
        table.add_column(f"{mark}{name}", justify="right", min_width=9)
    for part in moments[0].parts:
        sizes = [moment.parts[part] for moment in moments]
        if any(sizes):
            meaning = MEANINGS[part]
            if config.train.optimizer == "muon":
                meaning = meaning.replace("AdamW's moments", "AdamW's, Muon's moments")
            table.add_row(meaning, *(f"{size / divisor:.2f}" for size in sizes))
    table.add_row("all", *(f"{moment.total / divisor:.2f}" for moment in moments))
    batches = [f"{plan.largest_batch(one, target):,}" for one in formats.values()]
    table.add_row("largest micro-batch that fits", *batches)
    return table


MEANINGS = {
    "weights": "weights, fp32",
    "weight copies": "weights, cast",
    "gradients": "gradients, fp32",
    "optimizer": "AdamW's moments, fp32",
    "activations": "activations",
    "logits": "logits and loss",
    "working": "working",
    "sharing": "exchange with others",
}
"""The rows of the memory table."""


def _say_what_fits(say: Say, config: RunConfig, target: plan.Target) -> None:
    moment = plan.needed(config, target)
    size = f"{moment.total / GIB:.2f} of {target.memory / GIB:.1f} GiB ({moment.name})"
    say(f"fits      batch_size = {config.train.batch_size}: {size}")
    try:
        plan.check_fits(config, target)
    except UserError as refused:
        for number, way in enumerate(str(refused).split("allowed: ")[1].split(", or ")):
            first = " " * 10 + (" or " if number else "no; ")
            width = min(shutil.get_terminal_size((80, 24)).columns, MOST_COLUMNS)
            say(
                textwrap.fill(
                    way,
                    width,
                    initial_indent=first,
                    subsequent_indent=" " * 14,
                    break_on_hyphens=False,
                )
            )
    else:
        close = moment.total * (1 + plan.MARGIN) > target.memory
        say("          " + ("perhaps: the estimate is good to 10 %" if close else "yes"))


def _say_work(say: Say, config: RunConfig) -> None:
    model, steps = config.model, config.train.steps
    tokens = steps * config.tokens_per_step
    per_token = flops_per_token(model)
    say(f"work      {per_token:,} FLOPs a token = 6 N + 12 L C T (PaLM, appendix B)")
    say(f"          N = {multiplied_weights(model):,}: the blocks' matrices and the output head;")
    say("          forward and backward, attention with the half that the mask spares")
    if config.train.epochs is not None:
        say(f"steps     epochs = {config.train.epochs:g} will decide them, once the data is there")
    say(f"steps     {steps:,} of {config.tokens_per_step:,} tokens = {tokens:,} tokens")
    say(f"          {tokens * per_token:.3g} FLOPs")
    kept = plan.checkpoints_kept(config, steps)
    one = plan.checkpoint_bytes(config)
    say(f"disk      up to {kept} checkpoints of {_size(one)}, one of them being written;")
    say(f"          the tokens, each seen once: {_size(plan.data_bytes(config, tokens))}")


def _size(number: int) -> str:
    return f"{number / GIB:.2f} GiB" if number >= GIB / 10 else f"{number / 2**20:.1f} MiB"


def _duration(seconds: float) -> str:
    days, rest = divmod(round(seconds), 86_400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} day{'s' if days > 1 else ''} {clock}" if days else clock
