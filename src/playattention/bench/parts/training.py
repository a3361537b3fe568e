"""Training: how long a command takes to its first step, and the tokens a second once it runs."""

import statistics
from collections.abc import Iterator
from pathlib import Path

from playattention.bench.parts import Setting, laptop_recipe
from playattention.bench.parts.processes import training, whole
from playattention.bench.results import Figure, Found
from playattention.bench.sizes import flops_per_token
from playattention.bench.spread import take_turns
from playattention.bench.step import Step
from playattention.config import GPT2Config, RunConfig, TrainConfig
from playattention.data import playhouse
from playattention.training import RECIPES
from playattention.training.distributed import decide
from playattention.training.run import read_config

PART = "training"
CHARACTERS = 200_000
"""Of a text that is enough for a short training."""


def measure(setting: Setting) -> Iterator[Found | str]:
    """Measure `playattention --help`, each recipe as a command, and a step of the large model."""
    yield "playattention --help"
    # The first fills the disk's cache.
    helped = [whole(["--help"], setting.folder) for _ in range(setting.scale.repetitions + 1)]
    yield Figure(PART, "playattention --help", "s", helped[1:])
    text = setting.folder / "text.txt"
    text.write_text(playhouse.write(CHARACTERS, seed=1), encoding="utf-8")
    for name in RECIPES:
        yield from _recipe(name, text, setting)
    if setting.scale.large is not None:
        yield f"{name_of(setting.scale.large)}, one step after another"
        yield _large(setting.scale.large, setting)


def _recipe(name: str, text: Path, setting: Setting) -> Iterator[Found | str]:
    """Measure a recipe as a user runs it: what a run decides for the machine is in it."""
    scale = setting.scale
    config = laptop_recipe(name, scale).updated(
        data={"dataset": str(text), "eval_tokens": 10_000},
        train={"steps": scale.steps, "eval_every": scale.steps, "sample_tokens": 0, "epochs": None},
    )
    firsts: list[float] = []
    speeds: list[float] = []
    for number in range(scale.repetitions):
        yield f"{name}, run {number + 1} of {scale.repetitions}"
        folder = setting.folder / f"{name}-{number}"
        rows = [(seconds, row) for seconds, row in training(config, folder) if row.step > 0]
        firsts.append(rows[0][0])
        kept = [row.tokens_per_second for _, row in rows[scale.steps // 3 :]]
        speeds.append(statistics.median(speed for speed in kept if speed is not None))
    decided = read_config(folder / "run")
    yield Figure(PART, f"{name}, first step done after", "s", firsts)
    yield Figure(PART, told(decided), "tokens/s", speeds, needs(decided))


def _large(model: GPT2Config, setting: Setting) -> Figure:
    """Measure steps of the large model in this process, a batch of one."""
    tokens = setting.scale.large_tokens
    config = RunConfig(
        model=model.model_copy(update={"seq_size": tokens}),
        train=TrainConfig(batch_size=1, device=setting.device.type),
    )
    decided = config.updated(train=decide(config.train))
    step = Step(decided, setting.device)
    step()  # makes the optimizer's moments, and compiles
    seconds = take_turns({"step": step}, setting.scale.repetitions)["step"]
    speeds = [tokens / taken for taken in seconds]
    name = f"{name_of(model)}, 1 x {tokens}"
    return Figure(PART, name, "tokens/s", speeds, needs(decided))


def name_of(model: GPT2Config) -> str:
    """Return how the large model is called."""
    return f"GPT-2 {model.n_layer}x{model.n_embd}"


def told(config: RunConfig) -> str:
    """Return a decided run in a few words: model, sizes, batch, format."""
    model, train = config.model, config.train
    words = [f"{model.name} {model.n_layer}x{model.n_embd}, {train.batch_size} x {model.seq_size}"]
    words += [train.autocast] if train.autocast != "off" else []
    words += ["compiled"] if train.compile == "on" else []
    return ", ".join(words)


def needs(config: RunConfig) -> dict[str, float]:
    """Return the operations of a training token, by the limit of the format they are done in."""
    name = "bf16" if config.train.autocast != "off" else "fp32"
    return {name: float(flops_per_token(config.model))}
