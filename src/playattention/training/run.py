"""A run's folder: what it is made of, where it lies, and how it is opened again.

    logs/gpt_20260102_030405_cpu/
      config.json       every setting, with what "auto" was decided to be
      tokenizer.json    the vocabulary
      corpus.json       which text, its hash, its splits, its entropy where that is known
      origin.json       where the first weights came from, if they were not drawn: see start.py
      machine.json      where the run began
      probe.json        what was tried there before "auto" was decided, if anything was: probe.py
      checkpoints/      see checkpoint.py;  code/: models/own.py;  the other files: report.py

Does not know how training goes.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from playattention.config import RunConfig
from playattention.data import Corpus, Splits, load_corpus, split
from playattention.data.shard_folder import ShardFolder
from playattention.errors import UserError
from playattention.models import build_model
from playattention.models.single_tokens import lay_out_for_generation
from playattention.models.undrawn import Undrawn
from playattention.tokenizers import Tokenizer, tokenizer_class
from playattention.training import checkpoint
from playattention.training.distributed import decide, machine
from playattention.training.folder import appearing, code_of, read_json, write_json
from playattention.training.probe import micro_batch_seconds, probe
from playattention.training.tracker import check_tracker

LOGS = Path("logs")

NO_TEXT = ""
"""The data set of a run that is weights alone, which some other program trained."""


@dataclass(frozen=True)
class CorpusFacts:
    """What a run remembers of its text, or of its shards."""

    name: str
    characters: int | None
    """None: it lies in shards."""
    sha256: str
    train_tokens: int
    val_tokens: int
    floor: float | None
    """Entropy of the validation text in nats per token; None: not known."""


@dataclass(frozen=True)
class Run:
    """A trained model with what is needed to use it."""

    path: Path
    config: RunConfig
    tokenizer: Tokenizer
    model: nn.Module
    """On the CPU, in evaluation mode."""
    step: int
    """Optimizer steps that the weights have seen."""


def load_run(path: str | Path, step: int | None = None) -> Run:
    """Return a run's model, tokenizer, settings and step; it computes and writes at full speed.

    Args, errors: as in `read_run`.
    """
    run = read_run(path, step)
    lay_out_for_generation(run.model)
    return run


def read_run(path: str | Path, step: int | None = None) -> Run:
    """Return a run's model, tokenizer, settings and step, the weights as they are stored.

    Args:
        path: The run's folder, or its name below `logs/`.
        step: Which checkpoint; default: the last.

    Raises:
        UserError: If the run or checkpoint is missing, damaged or of another model, or see code_of.
    """
    folder = find_run(path)
    config = read_config(folder)
    steps = checkpoint.saved_steps(folder)
    if not steps:
        raise UserError(f"{folder}: has no checkpoint yet; --resume {folder} trains it")
    chosen = steps[-1] if step is None else step
    if chosen not in steps:
        raise UserError(f"step = {step}: {folder} has no such checkpoint; allowed: {steps}")
    with Undrawn():
        model = build_model(config.model, code_of(folder, LOGS))
    checkpoint.load_weights(folder, chosen, model)
    return Run(folder, config, read_tokenizer(folder), model.eval(), chosen)


def find_run(name: str | Path) -> Path:
    """Return the folder of a run.

    Args:
        name: A folder, or a name below `logs/`.

    Raises:
        UserError: If there is none; names the nearest and how to list them.
    """
    if found := _folders(name):
        return found[0]
    names = [path.name for path in all_runs()]
    near = get_close_matches(str(name), names, n=1, cutoff=0.3)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    raise UserError(
        f"run '{name}': no folder with a config.json there or in {LOGS}/{hint}; "
        "allowed: a run that `playattention runs` lists, or a path"
    )


def all_runs() -> list[Path]:
    """Return the folders of the runs in `logs/`, by name; not what a kill left half laid out."""
    return sorted(path.parent for path in LOGS.glob("[!.]*/config.json"))


def exists(name: str | Path) -> bool:
    """Tell whether there is a run of this name or in this folder."""
    return bool(_folders(name))


def create_run(
    config: RunConfig,
    name: str | None = None,
    tokenizer: Tokenizer | None = None,
    origin: dict[str, Any] | None = None,
) -> Path:
    """Lay out the folder of a new run; it appears whole.

    Args:
        config: What the user asked for.
        name: The folder's name below `logs/`, or a path; default: recipe, time and device.
        tokenizer: The one that the first weights know; default: the one of the text.
        origin: Where the first weights come from; default: they are drawn.

    Raises:
        UserError: If the settings do not fit the data, or the folder can't be written.
    """
    check_tracker(config.train.tracker)
    asked, decided = config, decide(config.train)
    corpus = load_corpus(config.data.dataset)
    found = corpus.tokenizer(config.data.tokenizer)
    tokenizer = tokenizer or found
    _check_vocab_size(config, tokenizer)
    config = config.updated(
        model={"vocab_size": tokenizer.vocab_size},
        data={"dataset": corpus.name},
        train={**decided, "tokens_per_step": config.tokens_per_step},
    )
    splits = split(corpus, tokenizer, config.data, config.model.seq_size)
    probed = probe(asked, config, config.steps(len(splits.train)), micro_batch_seconds)
    config = config.updated(train={"autocast": probed.autocast, "threads": probed.threads})
    folder = new_folder(config, name)
    try:
        with appearing(folder) as partial:
            write_files(partial, config, tokenizer, origin)
            if probed.trials:
                write_json(partial / "probe.json", probed.facts())
            write_json(partial / "corpus.json", asdict(_facts(corpus, splits)))
    except OSError as error:
        if name is None and folder.exists():  # another process began in the same second
            return create_run(asked, None, tokenizer, origin)
        raise UserError(f"{folder}: cannot be created ({error.strerror})") from None
    return folder


def write_files(
    folder: Path, config: RunConfig, tokenizer: Tokenizer, origin: dict[str, Any] | None
) -> None:
    """Write what every run has, with a text to train on or without."""
    write_settings(folder / "config.json", config)
    write_json(folder / "tokenizer.json", tokenizer.state())
    write_json(folder / "machine.json", machine())
    if origin is not None:
        write_json(folder / "origin.json", origin)


def read_config(folder: Path) -> RunConfig:
    """Return a run's settings.

    Raises:
        UserError: If config.json is missing or damaged.
    """
    try:
        return RunConfig.from_json((folder / "config.json").read_bytes())
    except (OSError, UserError) as error:
        raise UserError(f"{folder / 'config.json'}: {error}") from None


def read_tokenizer(folder: Path) -> Tokenizer:
    """Return a run's tokenizer.

    Raises:
        UserError: If tokenizer.json is missing or damaged.
    """
    state = read_json(folder / "tokenizer.json")
    try:
        return tokenizer_class(state["name"]).from_state(state)
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder / 'tokenizer.json'}: missing or damaged ({error})") from None


def read_facts(folder: Path) -> CorpusFacts:
    """Return what a run remembers of its text.

    Raises:
        UserError: If it has none, or corpus.json is missing or damaged.
    """
    config = read_config(folder)
    if config.data.dataset == NO_TEXT:
        raise UserError(
            f"{folder}: imported weights, with no text to train on; allowed: a new run that begins "
            f"from them: playattention train {config.model.name} --init {folder}"
        )
    try:
        return CorpusFacts(**read_json(folder / "corpus.json"))
    except TypeError as error:
        raise UserError(f"{folder / 'corpus.json'}: {error}") from None


def load_splits(folder: Path, config: RunConfig, tokenizer: Tokenizer) -> Splits:
    """Return a run's tokens.

    Raises:
        UserError: If the text is no longer the one that the run began with.
    """
    facts = read_facts(folder)
    corpus = load_corpus(config.data.dataset)
    if corpus.sha256 != facts.sha256:
        if facts.characters is None:
            what, size = "shards have", f"{facts.train_tokens + facts.val_tokens:,} tokens"
        else:
            what, size = "text has", f"{facts.characters:,} characters"
        raise UserError(
            f"{corpus.name}: the {what} changed since {folder} began "
            f"({size} then, {corpus.length:,} now); start a new run"
        )
    return split(corpus, tokenizer, config.data, config.model.seq_size)


def new_model(config: RunConfig, folder: Path | None = None) -> nn.Module:
    """Return a model with first weights that follow from the run's seed, of the run's own code."""
    torch.manual_seed(config.train.seed)
    return build_model(config.model, folder and code_of(folder, LOGS))


def _folders(name: str | Path) -> list[Path]:
    """Return the folders that a name may mean and that are runs."""
    return [path for path in (LOGS / name, Path(name)) if (path / "config.json").is_file()]


def _check_vocab_size(config: RunConfig, tokenizer: Tokenizer) -> None:
    asked = config.model.vocab_size
    untouched = type(config.model).model_fields["vocab_size"].default
    if asked not in (untouched, tokenizer.vocab_size):
        raise UserError(
            f"vocab_size = {asked}: the {config.data.tokenizer} tokenizer has "
            f"{tokenizer.vocab_size} tokens here; allowed: leave it out"
        )


def new_folder(config: RunConfig, name: str | None) -> Path:
    """Return where a new run goes."""
    if name is not None:
        return LOGS / name if Path(name).name == name else Path(name)
    base = f"{config.model.name}_{datetime.now():%Y%m%d_%H%M%S}_{config.train.device}"
    folder, number = LOGS / base, 2
    while folder.exists():
        folder, number = LOGS / f"{base}_{number}", number + 1
    return folder


def _facts(corpus: Corpus | ShardFolder, splits: Splits) -> CorpusFacts:
    return CorpusFacts(
        name=corpus.name,
        characters=len(corpus.text) if isinstance(corpus, Corpus) else None,
        sha256=corpus.sha256,
        train_tokens=len(splits.train),
        val_tokens=len(splits.val),
        floor=splits.floor,
    )


def write_settings(path: Path, config: RunConfig) -> None:
    """Write a run's settings, for people to read, too."""
    path.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
