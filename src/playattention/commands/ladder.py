"""`playattention ladder`: what each speed switch brings on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.table import Table
from tyro.conf import arg

from playattention.bench import plan
from playattention.bench.memory import GIB
from playattention.bench.trace import QUIET
from playattention.commands import StoppedError
from playattention.config import GPT2Config, RunConfig
from playattention.errors import UserError
from playattention.training import recipe
from playattention.training.readings import processor, read_gpus

if TYPE_CHECKING:
    from playattention.bench.ladder import Missing, Peak, Row

LAPTOP: dict[str, dict[str, Any]] = {
    "model": {"n_layer": 3, "n_head": 6, "n_embd": 192, "seq_size": 256, "vocab_size": 5_003},
    "train": {"batch_size": 4, "tokens_per_step": None},
}
"""GPT-2's sizes where there is no GPU: every switch shows, and two cores need minutes. The
vocabulary is a prime number, as padding changes nothing where it is even already."""


@dataclass(frozen=True)
class Ladder:
    """Switch on one speed setting after another and measure each. Options as of train."""

    config: Annotated[RunConfig, arg(name="")]
    steps: int = 10
    """Timed steps of each rung."""
    output: Path = Path("logs/ladder")
    """Folder for ladder.json and ladder.png."""

    def run(self) -> None:
        """Climb, print the table, write the files."""
        if self.steps < 1:
            raise UserError(f"steps = {self.steps}: must be 1 or more")
        os.environ.update({name: os.environ.get(name, level) for name, level in QUIET.items()})
        import torch

        from playattention.bench import ladder, ladder_files
        from playattention.bench.switches import SwitchError
        from playattention.training.distributed import machine, pick_device
        from playattention.training.stopping import stoppable

        if self.config.train.threads is not None:
            torch.set_num_threads(self.config.train.threads)
        device = pick_device(self.config.train.device)
        on_cuda = device.type == "cuda"
        name = torch.cuda.get_device_name(device) if on_cuda else processor()
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        threads = torch.get_num_threads()
        _say_what(console, self.config, name, None if on_cuda else threads)
        peak = ladder.measured_peak(device)

        def say(_: str) -> None:
            console.print("stopping after this row (again: at once)")

        rows: list[Row] = []
        missing: list[Missing] = []
        try:
            # Torch's compiler runs callbacks that would swallow a KeyboardInterrupt.
            with console.status("") as status, stoppable(say, alone=True) as asked:
                for found in ladder.Ladder(device, peak, self.steps).climb(self.config):
                    if isinstance(found, ladder.Missing):
                        missing.append(found)
                    else:
                        rows.append(found)
                    status.update(f"{found.switch} done")
                    if asked.is_set():
                        raise StoppedError("ladder: stopped, nothing is written", exit_code=130)
        except SwitchError as error:
            raise StoppedError(f"ladder: {error}", exit_code=1) from None
        _say_result(console, rows, missing, peak)
        facts = {**machine(), "device_name": name, "threads": threads, "load": _load()}
        result = ladder_files.Result(self.config, facts, peak, rows, missing)
        ladder_files.write(self.output, result)
        console.print(f"\nwritten: {self.output / 'ladder.json'}, {self.output / 'ladder.png'}")


@dataclass(frozen=True)
class LadderGPT2(Ladder):
    """Switch on one speed setting after another and measure each. Options as of train."""

    preset: str | None = None
    """A released size: gpt2 (124M weights), gpt2-medium, gpt2-large or gpt2-xl."""


def default(name: str, preset: str | None) -> Ladder:
    """Return what the options of `ladder` fall back on: full sizes on a GPU, small ones elsewhere.

    Args:
        name: The recipe.
        preset: A released size of GPT-2.

    Raises:
        UserError: If there is no such recipe or size.
    """
    config = recipe(name).updated(train={"tokens_per_step": None})
    gpus = read_gpus()
    if name != "gpt2":
        return Ladder(config, steps=30 if gpus else 10)
    if preset is not None:
        config = config.model_copy(update={"model": GPT2Config.preset(preset)})
    elif not gpus:
        config = config.updated(**LAPTOP)
    if gpus and gpus[0].memory_total is not None:
        config = _with_a_batch_that_fits(config, gpus[0].memory_total)
    return LadderGPT2(config, steps=30 if gpus else 10)


def _with_a_batch_that_fits(config: RunConfig, memory: int) -> RunConfig:
    """Return settings with a batch that fits also with nothing switched on, float32."""
    ground = config.updated(
        model={"flash_attention": False},
        train={"autocast": "off", "compile": "off", "fused_adamw": False},
    )
    target = plan.Target("the GPU at hand", memory, gpu=True, has_bf16=True)
    batch = min(config.train.batch_size, plan.largest_batch(ground, target))
    return config.updated(train={"batch_size": max(1, batch), "tokens_per_step": None})


def _say_what(console: Console, config: RunConfig, name: str, threads: int | None) -> None:
    model, train = config.model, config.train
    console.print(
        f"{model.name}: {model.n_layer} layers, {model.n_head} heads, {model.n_embd} wide, "
        f"{train.batch_size} x {model.seq_size} tokens, vocabulary {model.vocab_size:,}"
    )
    console.print(name + (f", {threads} thread(s)" if threads else "") + _told_load() + "\n")


def _say_result(
    console: Console, rows: "list[Row]", missing: "list[Missing]", peak: "Peak"
) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("switch", no_wrap=True)
    for title in ("ms/step", "quartiles", "tokens/s", "memory", "MFU", "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        lower, upper = row.quartiles
        table.add_row(
            ("| " if row.side else "+ " if row.faster else "  ") + row.switch,
            _short(row.median),
            f"{_short(lower)}-{_short(upper)}",
            f"{row.tokens_per_second:,.0f}",
            _size(row.memory),
            f"{row.mfu:.0%}",
            f"{median(row.faster):.2f}" if row.faster else "",
        )
    console.print(table)
    console.print("\n+ on top of the last row with + (or the first); | beside it, not kept")
    console.print("ratio: times the speed of the row it stands on, steps done in turns")
    rates = ", ".join(f"{name} {rate / 1e9:,.0f}" for name, rate in peak.operations.items())
    console.print(f"MFU: share of the peak, GFLOP/s: {rates}")
    console.print(f"     ({peak.source})")
    if any(upper - lower > row.median / 4 for row in rows for lower, upper in [row.quartiles]):
        console.print("noisy: a row's quartiles lie more than a quarter of it apart; close other")
        console.print("       programs or take more --steps before you believe small ratios")
    for one in missing:
        console.print(f"not on this device: {one.switch} ({one.reason})")
    kernels = {name for row in rows for name in row.seen["attention"]}
    if kernels:
        console.print(f"flash attention ran as {', '.join(sorted(kernels))}")
    console.print("each switch was seen at work in the operations of a traced step")


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:.0f}"


def _size(number: int) -> str:
    return f"{number / GIB:.1f} GiB" if number >= GIB else f"{number / 2**20:.0f} MiB"


def _load() -> list[float] | None:
    """Return how many processes wanted to run in the last minutes, where the system tells."""
    try:
        return [round(load, 2) for load in os.getloadavg()]
    except (AttributeError, OSError):  # Windows has none
        return None


def _told_load() -> str:
    load: Any = _load()
    return f", load {load[0]:.1f} before the start" if load else ""
