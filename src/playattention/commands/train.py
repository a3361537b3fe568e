"""`playattention train`: a new run, or one that goes on."""

import os
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Annotated

from tyro.conf import arg

from playattention.commands import StoppedError
from playattention.config import GPT2Config, RunConfig
from playattention.errors import UserError
from playattention.training import RECIPES, recipe


@dataclass(frozen=True)
class Train:
    """Train a model. Each option's default is the recipe's, or that of the run that goes on."""

    config: Annotated[RunConfig, arg(name="")]
    name: Annotated[str | None, arg(name="run")] = None
    """Name of the run, below logs/, or a path; a run of that name goes on."""
    resume: str | None = None
    """Run that goes on from its last checkpoint; options given beside it change it."""

    def run(self) -> None:
        """Train, then say where everything lies."""
        from playattention.training import loop
        from playattention.training.changes import apply_changes
        from playattention.training.run import create_run, exists, find_run, read_config

        _refuse_what_can_not_fit(self.config)
        going_on = self.resume
        if going_on is None and self.name and exists(self.name):
            going_on = self.name
        if going_on is not None:
            folder = find_run(going_on)
            for line in apply_changes(folder, self.config):
                print(line)
        else:
            folder = create_run(self.config, self.name)
        kept = read_config(folder).train
        wants_compile = self.config.train.compile == "on" or (
            self.config.train.compile == "auto" and kept.device == "cuda"
        )
        if wants_compile and kept.compile == "off":
            print("torch.compile: no C++ compiler found, going on without")
        print(f"run folder: {folder}", flush=True)
        try:
            loop.resume(folder)
        except loop.TrainingStoppedError as stopped:
            raise StoppedError(str(stopped), exit_code=130) from None
        except loop.TrainingDivergedError as diverged:
            raise StoppedError(str(diverged), exit_code=1) from None
        except KeyboardInterrupt:  # before the first step, or a second one that did not wait
            resume = f"playattention train {self.config.model.name} --resume {quote(str(folder))}"
            raise StoppedError(f"stopped at once; go on with: {resume}", exit_code=130) from None
        _say_what_lies_where(folder)


@dataclass(frozen=True)
class TrainGPT2(Train):
    """Train a model. Each option's default is the recipe's, or that of the run that goes on."""

    preset: str | None = None
    """A released size: gpt2 (124M weights), gpt2-medium, gpt2-large or gpt2-xl."""


def recipe_of(resume: str | None, run: str | None) -> str:
    """Return the recipe of the run that goes on, where the user did not name one.

    Raises:
        UserError: If no run is named, or it is missing.
    """
    from playattention.training.run import find_run, read_config

    name = resume or run
    if name is None:
        raise UserError(f"train: which recipe? allowed: {', '.join(RECIPES)}, or --resume RUN")
    return read_config(find_run(name)).model.name


def train_default(name: str, resume: str | None, run: str | None, preset: str | None) -> Train:
    """Return what the options of `train` fall back on.

    Args:
        name: The recipe.
        resume: The run that must exist and goes on.
        run: The run that goes on if it exists.
        preset: A released size of GPT-2.

    Raises:
        UserError: If there is no such recipe, size or run, or the run is of another recipe.
    """
    config = recipe(name)
    if resume is not None or run:
        from playattention.training.run import exists, find_run, read_config

        if resume is not None or exists(run or ""):
            folder = find_run(run or "" if resume is None else resume)
            config = read_config(folder)
            if config.model.name != name:
                raise UserError(
                    f"train {name}: {folder} is a run of {config.model.name}; "
                    f"allowed: train {config.model.name}"
                )
            if preset is not None:
                raise UserError(
                    f"preset = {preset}: {folder} goes on at its own sizes; allowed: leave it out"
                )
    if name != "gpt2":
        return Train(config)
    if preset is not None:
        config = config.model_copy(update={"model": GPT2Config.preset(preset)})
    return TrainGPT2(config)


def _refuse_what_can_not_fit(config: RunConfig) -> None:
    """Tell before anything is allocated that a training needs more memory than there is.

    Raises:
        UserError: With what would fit.
    """
    import torch

    from playattention.bench import plan
    from playattention.training.distributed import decide, pick_device
    from playattention.training.readings import main_memory

    device = pick_device(config.train.device)
    devices = int(os.environ.get("WORLD_SIZE", "1"))  # as torchrun sets it
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
        target = plan.Target("this GPU", memory, gpu=True, has_bf16=True, devices=devices)
    else:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        memory = main_memory() // here
        target = plan.Target("this machine", memory, gpu=False, has_bf16=False, devices=devices)
    decided = config.updated(train=decide(config.train))
    plan.check_fits(plan.decided(decided, target), target)


def _say_what_lies_where(folder: Path) -> None:
    from playattention.training.report import read_samples

    samples = read_samples(folder)
    for step in sorted({*sorted(samples)[:1], *sorted(samples)[-1:]}):
        print(f"\n---- what the model writes at step {step}\n{samples[step].strip()[:300]}")
    print(f"""
in {folder}:
  losses.png                    the losses, step by step
  training_metrics_summary.png  learning rate, gradient norm, time, tokens per second
  log.csv                       the same as numbers
  generated_samples.txt         what the model wrote on the way
  checkpoints                   its weights at the first, the best and the last step
try next:
  playattention generate {folder.name} --temperature 0.8
  playattention train gpt --model.n-layer 2 --train.steps 500 --dataset playhouse""")
