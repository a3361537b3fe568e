"""What a CUDA GPU does with this code: the ladder, GPT-2 124M, Tiny Shakespeare, and is it right?

`python benchmarks/gpu.py` prints the figures and writes `benchmarks/results/gpu.json`. Without a
GPU it says so and writes nothing; `--rehearse` goes through the same code on a CPU at toy sizes,
for the code's sake: its figures are no results.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playattention.bench.trace import QUIET

os.environ.update({name: os.environ.get(name, level) for name, level in QUIET.items()})

import torch
import tyro

from measure import RESULTS, at_least_one, write
from playattention.bench import plan
from playattention.bench.ladder import Ladder, Missing, Peak, Row, measured_peak
from playattention.bench.ladder_files import Result, as_json
from playattention.bench.memory import GIB, peak
from playattention.bench.sizes import flops_per_token
from playattention.bench.spread import Spread
from playattention.bench.step import Step
from playattention.config import (
    DataConfig,
    GPT2Config,
    GPTConfig,
    RunConfig,
    TrainConfig,
)
from playattention.errors import UserError
from playattention.training.loop import train
from playattention.training.report import read_log
from playattention.training.run import read_config

GOAL = 1.4697
"""nanoGPT's validation loss for these sizes, of its README: 3 minutes on one A100."""
TOLERANCE = 0.05
"""Nats that a loss curve in 16 bits may leave that in float32 by, over its first steps."""
GPT2_STEP = {
    "autocast": "bf16",
    "compile": "on",
    "tf32": True,
    "fused_adamw": True,
    "tokens_per_step": None,
}


@dataclass(frozen=True)
class Options:
    """What is measured."""

    steps: int = 30
    """Timed steps of each measurement."""
    curve: int = 50
    """Steps of each loss curve that is compared."""
    text: str = "tinyshakespeare"
    """The data set of the training, or the path of a copy of its text."""
    rehearse: bool = False
    """Go through it on the CPU at toy sizes; the figures are no results."""
    output: Path = RESULTS / "gpu.json"
    """Where the results go."""


@dataclass(frozen=True)
class Sizes:
    """Of the models that are measured."""

    gpt2: GPT2Config
    batch_size: int
    shakespeare: RunConfig
    curve: GPT2Config


def main(options: Options) -> None:
    """Measure, write and print."""
    at_least_one(steps=options.steps, curve=options.curve)
    if not (torch.cuda.is_available() or options.rehearse):
        raise SystemExit("gpu.py: no CUDA GPU is at hand; nothing was measured, nothing written")
    if options.rehearse and options.output == RESULTS / "gpu.json":
        raise SystemExit("gpu.py: a rehearsal gives no results; allowed: --output elsewhere")
    device = torch.device("cpu" if options.rehearse else "cuda")
    sizes = toy_sizes(options.text) if options.rehearse else full_sizes(options.text)
    here = measured_peak(device)
    results = {
        "what": "a rehearsal on a CPU: no results" if options.rehearse else "one CUDA GPU",
        "device": "cpu" if options.rehearse else torch.cuda.get_device_name(device),
        "correctness": correctness(sizes, device, options.curve),
        "ladder": climb(sizes, device, here, options.steps),
        "gpt2": gpt2_step(sizes, device, here, options.steps),
        "shakespeare": shakespeare(sizes.shakespeare),
    }
    show(write(options.output, results))


def full_sizes(text: str) -> Sizes:
    """Return GPT-2 124M, and nanoGPT's sizes and recipe for Tiny Shakespeare."""
    run = RunConfig(
        model=GPTConfig(n_layer=6, n_head=6, n_embd=384, seq_size=256, dropout=0.2),
        data=DataConfig(dataset=text),
        train=TrainConfig(steps=5000, batch_size=64, eval_every=250, device="cuda"),
    )
    curve = GPT2Config(n_layer=4, n_head=8, n_embd=512, seq_size=256)
    return Sizes(GPT2Config.preset("gpt2"), 16, run, curve)


def toy_sizes(text: str) -> Sizes:
    """Return sizes at which a CPU goes through everything in a minute or two."""
    tiny = GPT2Config(n_layer=1, n_head=2, n_embd=32, seq_size=32, vocab_size=211)
    run = RunConfig(
        model=GPTConfig(n_layer=1, n_head=2, n_embd=16, seq_size=16),
        data=DataConfig(dataset=text, eval_tokens=500),
        train=TrainConfig(steps=6, batch_size=2, eval_every=3, sample_tokens=0, device="cpu"),
    )
    return Sizes(tiny, 2, run, tiny)


def climb(sizes: Sizes, device: torch.device, here: Peak, steps: int) -> dict[str, Any]:
    """Return the ladder, as `playattention ladder` writes it."""
    config = RunConfig(
        model=sizes.gpt2, train=TrainConfig(batch_size=sizes.batch_size, device=device.type)
    )
    rows, missing = [], []
    for found in Ladder(device, here, steps).climb(config):
        if isinstance(found, Missing):
            missing.append(found)
        elif isinstance(found, Row):
            rows.append(found)
    return as_json(Result(config, {}, here, rows, missing))


def gpt2_step(sizes: Sizes, device: torch.device, here: Peak, steps: int) -> dict[str, Any]:
    """Return speed and memory of the fastest settings, over growing batches that fit."""
    on_cuda = device.type == "cuda"
    memory = torch.cuda.get_device_properties(device).total_memory if on_cuda else GIB
    target = plan.Target(device.type, memory, gpu=on_cuda, has_bf16=True)
    base = RunConfig(model=sizes.gpt2, train=TrainConfig(batch_size=1, device=device.type))
    base = base.updated(train=GPT2_STEP)
    most = min(plan.largest_batch(base, target), 8 * sizes.batch_size)
    found = {}
    batch_size = sizes.batch_size
    while batch_size <= most:
        config = base.updated(train={"batch_size": batch_size})
        found[f"batch {batch_size}"] = _speed_and_memory(config, device, here, steps)
        batch_size *= 2
    return found


def _speed_and_memory(
    config: RunConfig, device: torch.device, here: Peak, steps: int
) -> dict[str, Any]:
    on_cuda = device.type == "cuda"
    before = torch.cuda.memory_allocated(device) if on_cuda else 0
    torch._dynamo.reset()  # it compiles a function for so many sizes and then no more
    step = Step(config, device)
    for _ in range(3):
        step()
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    milliseconds = []
    for _ in range(steps):
        started = time.perf_counter()
        step()
        milliseconds.append(1000 * (time.perf_counter() - started))
    spread = Spread.of(milliseconds)
    speed = 1000 * config.tokens_per_step / spread.median
    measured = torch.cuda.max_memory_allocated(device) - before if on_cuda else None
    planned = peak(config, gpu=on_cuda).total
    return {
        "milliseconds": asdict(spread),
        "tokens_per_second": speed,
        "mfu": speed * flops_per_token(config.model) / here.of(config),
        "memory": measured,
        "planned_memory": planned,
        "planned / measured": planned / measured if measured else None,
    }


def correctness(sizes: Sizes, device: torch.device, steps: int) -> dict[str, Any]:
    """Return loss curves in each format, from the same weights on the same batch.

    Raises:
        AssertionError: If one leaves that of float32, or fp16's scaler never found its scale.
    """
    formats: dict[str, dict[str, Any]] = {
        "fp32": {},
        "bf16": {"autocast": "bf16"},
        "fp16": {"autocast": "fp16"},
        "fp32, compiled": {"compile": "on"},
        "bf16, compiled": {"autocast": "bf16", "compile": "on"},
    }
    if device.type == "cuda":
        formats["tf32"] = {"tf32": True}
    plain = {"autocast": "off", "compile": "off", "tf32": False, "learning_rate": 3e-4}
    found: dict[str, Any] = {}
    for name, changes in formats.items():
        settings = TrainConfig(batch_size=8, device=device.type)
        config = RunConfig(model=sizes.curve, train=settings).updated(train={**plain, **changes})
        torch._dynamo.reset()
        step = Step(config, device)
        losses = [step() for _ in range(steps)]
        found[name] = {"losses": losses}
        if changes.get("autocast") == "fp16":
            found[name]["scale"] = step.scaler.get_scale()
            done = min(state["step"].item() for state in step.optimizer.state.values())
            found[name]["steps_done"] = done
            assert done > steps / 2, "fp16: the scaler skipped most steps"
    exact = found["fp32"]["losses"]
    for name, curve in found.items():
        losses = curve["losses"]
        if name == "fp16":  # the first steps, which it skipped to find its scale, changed nothing
            done = int(curve["steps_done"])
            losses = losses[steps - done :]
        curve["off_by"] = max(
            abs(loss - right) for loss, right in zip(losses, exact, strict=name != "fp16")
        )
        assert curve["off_by"] < TOLERANCE, f"{name}: {curve['off_by']} off float32's losses"
        assert losses[-1] < losses[0], f"{name}: the loss does not fall"
    return found


def shakespeare(config: RunConfig) -> dict[str, Any]:
    """Return how long training takes to nanoGPT's validation loss, evaluation and saving apart."""
    with elsewhere():
        try:
            started = time.perf_counter()
            folder = train(config, quiet=True)
        except UserError as error:  # the text can't be had
            return {"not measured": str(error)}
        whole = time.perf_counter() - started
        rows = read_log(folder)
        decided = read_config(folder)
    seconds, reached = 0.0, None
    for row in rows:
        seconds += (row.milliseconds or 0) / 1000
        if reached is None and row.eval_val_loss is not None and row.eval_val_loss <= GOAL:
            reached = {"step": row.step, "seconds": seconds, "val_loss": row.eval_val_loss}
    losses = {row.step: row.eval_val_loss for row in rows if row.eval_val_loss is not None}
    return {
        "goal": GOAL,
        "reached": reached,
        "best_val_loss": min(losses.values()),
        "val_losses": losses,
        "seconds_of_training": seconds,
        "seconds_with_evaluation_and_saving": whole,
        "config": decided.model_dump(),
    }


@contextmanager
def elsewhere() -> Iterator[None]:
    """Leave no run behind: logs go to a folder that is deleted, the data stays where it is."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        if (here / "data").is_dir():
            (Path(folder) / "data").symlink_to(here / "data")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def show(results: dict[str, Any]) -> None:
    """Print the figures, at most 80 columns wide."""
    print(f"{results['what']}: {results['device']}, torch {results['machine']['torch']}\n")
    print(f"{'switch':<26}{'ms':>9}{'tokens/s':>12}{'GiB':>8}{'planned':>9}{'MFU':>7}{'ratio':>7}")
    for row in results["ladder"]["rows"]:
        ratio = row["faster"]["median"]
        print(
            f"{row['switch']:<26}{row['milliseconds']['median']:>9.1f}"
            f"{row['tokens_per_second']:>12,.0f}{row['memory'] / GIB:>8.2f}"
            f"{row['planned_memory'] / row['memory']:>9.2f}{row['mfu']:>7.1%}"
            f"{'' if ratio is None else f'{ratio:.2f}':>7}"
        )
    for name, one in results["gpt2"].items():
        told = one["planned / measured"]
        print(
            f"\nGPT-2, {name}: {one['milliseconds']['median']:.1f} ms, "
            f"{one['tokens_per_second']:,.0f} tokens/s, MFU {one['mfu']:.1%}\n"
            f"    memory planned / measured: {'-' if told is None else f'{told:.3f}'}"
        )
    for name, curve in results["correctness"].items():
        print(f"{name + ':':<16} at most {curve['off_by']:.1e} nats off float32's losses")
    text = results["shakespeare"]
    print(f"\nTiny Shakespeare to {GOAL}: {text.get('reached') or text.get('not measured', 'no')}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
