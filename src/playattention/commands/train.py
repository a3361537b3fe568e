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
    init: str | None = None
    """What a new run begins from: gpt2, gpt2-medium, ..., a local folder of such, or a run."""

    def run(self) -> None:
        """Train, then say where everything lies."""
        from playattention.training.distributed import joined, on_first, rank, ranks

        with joined(self.config.train.device):
            self.config.check_ranks(ranks())
            folder, told = on_first(self._open)
            if rank() == 0:
                print(*told, f"run folder: {folder}", sep="\n", flush=True)
            if done := _steps_done(folder):
                told_end = f"it has done all of its {done:,} steps; --train.steps N extends it"
                if rank() == 0:
                    print(told_end, flush=True)
            self._go_on(folder)
            if rank() == 0:
                _say_what_lies_where(folder)

    def _open(self) -> tuple[Path, list[str]]:
        """Return the run's folder, new or not, and what to tell about it."""
        from playattention.training import probe
        from playattention.training.changes import apply_changes
        from playattention.training.folder import read_json
        from playattention.training.run import create_run, exists, find_run, read_config
        from playattention.training.start import check_goes_on, create_run_from, find_start

        told = []
        going_on = self.resume
        if going_on is None and self.name and exists(self.name):
            going_on = self.name
        if going_on is not None:
            folder = find_run(going_on)
            _refuse_what_can_not_fit(self.config)
            if self.init is not None:
                check_goes_on(folder, self.init)
            told = apply_changes(folder, self.config)
        elif self.init is not None:
            _refuse_what_can_not_fit(self.config)
            folder = create_run_from(find_start(self.init), self.config, self.name)
        else:
            try:
                _refuse_what_can_not_fit(self.config)
            except UserError:
                _check_data(self.config)  # a context longer than the text: that is the mistake
                raise
            folder = create_run(self.config, self.name)
        if going_on is None and (folder / "probe.json").exists():
            told.append(probe.told(read_json(folder / "probe.json")))
        kept = read_config(folder).train
        wants_compile = self.config.train.compile == "on" or (
            self.config.train.compile == "auto" and kept.device == "cuda"
        )
        if wants_compile and kept.compile == "off":
            told.append("torch.compile: no C++ compiler found, going on without")
        return folder, told

    def _go_on(self, folder: Path) -> None:
        from playattention.training import loop
        from playattention.training.checkpoint import saved_steps

        try:
            loop.resume(folder)
        except loop.TrainingStoppedError as stopped:
            raise StoppedError(str(stopped), exit_code=130) from None
        except loop.TrainingDivergedError as diverged:
            raise StoppedError(str(diverged), exit_code=1) from None
        except KeyboardInterrupt:  # before the first step, or a second one that did not wait
            resume = f"playattention train {self.config.model.name} --resume {quote(str(folder))}"
            saved = max(saved_steps(folder), default=0)
            raise StoppedError(
                f"stopped at once, last saved at step {saved}; go on with: {resume}", exit_code=130
            ) from None


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


def train_default(
    name: str,
    resume: str | None,
    run: str | None,
    preset: str | None = None,
    init: str | None = None,
) -> Train:
    """Return what the options of `train` fall back on.

    Args:
        name: The recipe.
        resume: The run that must exist and goes on.
        run: The run that goes on if it exists.
        preset: A released size of GPT-2.
        init: What a new run begins from, which gives its sizes and its tokenizer.

    Raises:
        UserError: If there is no such recipe, size, run or start, or it is of another recipe.
    """
    config = recipe(name)
    goes_on = False
    if resume is not None or run:
        from playattention.training.run import exists, find_run, read_config

        if resume is not None or exists(run or ""):
            goes_on = True
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
    if init is not None and not goes_on:
        config = _as_start(config, init, preset)
    if name != "gpt2":
        return Train(config)
    if preset is not None and init is None:
        config = config.model_copy(update={"model": GPT2Config.preset(preset)})
    return TrainGPT2(config)


def _as_start(config: RunConfig, init: str, preset: str | None) -> RunConfig:
    """Return a recipe with the sizes and the tokenizer of the weights that it begins from."""
    from playattention.training.start import find_start

    if preset is not None:
        raise UserError(f"preset = {preset}: {init} has sizes of its own; allowed: leave it out")
    start = find_start(init)
    if start.model.name != config.model.name:
        raise UserError(
            f"train {config.model.name}: {init} holds weights of {start.model.name}; "
            f"allowed: train {start.model.name}"
        )
    data = config.data.model_copy(update={"tokenizer": start.tokenizer.name})
    return config.model_copy(update={"model": start.model, "data": data})


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


def _check_data(config: RunConfig) -> None:
    """Tell what is wrong with the data set, or with a context that it has no room for."""
    from playattention.data import load_corpus, split

    corpus = load_corpus(config.data.dataset)
    tokenizer = corpus.tokenizer(config.data.tokenizer)
    split(corpus, tokenizer, config.data, config.model.seq_size)


def _steps_done(folder: Path) -> int:
    """Return how many steps a run has done if these are all; else 0."""
    from playattention.training.checkpoint import saved_steps
    from playattention.training.run import read_config, read_facts

    done = max(saved_steps(folder), default=0)
    return done if done >= read_config(folder).steps(read_facts(folder).train_tokens) else 0


def _say_what_lies_where(folder: Path) -> None:
    from playattention.training.report import read_samples
    from playattention.training.run import LOGS, read_config, read_facts

    samples, config = read_samples(folder), read_config(folder)
    steps = config.steps(read_facts(folder).train_tokens)
    name = quote(folder.name if folder.parent == LOGS else str(folder))
    dataset = quote(config.data.dataset)
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
  playattention generate {name} --temperature 0.8
  playattention train {config.model.name} --resume {name} --train.steps {2 * steps}
  playattention train gpt --model.n-layer 2 --train.steps 500 --dataset {dataset}""")
