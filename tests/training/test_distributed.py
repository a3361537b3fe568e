"""Several processes that torchrun starts train as one does: the same windows, the same losses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.training import checkpoint
from playattention.training.loop import resume
from playattention.training.run import create_run
from tests.conftest import TEXT
from tests.training.conftest import log_rows

RANKED = Path(__file__).with_name("ranked.py")
SETTINGS = {
    "model": {
        "name": "gpt2",
        "n_layer": 2,
        "n_head": 2,
        "n_embd": 16,
        "seq_size": 16,
        "vocab_size": 50_257,
    },
    "train": {
        "steps": 20,
        "batch_size": 2,
        "tokens_per_step": 128,
        "eval_every": 10,
        "warmup_steps": 3,
        "sample_tokens": 5,
        "device": "cpu",
        "threads": 1,
    },
}

pytestmark = pytest.mark.timeout(600)


def new_run(name: str, **train: object) -> Path:
    """Lay out a run; nothing is trained yet."""
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    config = RunConfig(**SETTINGS, data={"dataset": "text.txt", "eval_tokens": 400})
    return create_run(config.updated(train=train), name)


def torchrun(folder: Path, *options: object, ranks: int = 2, restarts: int = 0) -> Path:
    """Train a run in several processes; return the folder of their notes."""
    notes = folder / "notes"
    notes.mkdir(exist_ok=True)
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    line += [f"--nproc_per_node={ranks}", f"--max-restarts={restarts}"]
    line += [RANKED, folder.absolute(), notes.absolute(), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, line)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return notes


def windows(notes: Path, rank: int | None = None) -> dict[int, list[int]]:
    """Return step -> where its windows start, sorted: of one rank or of all."""
    taken: dict[int, list[int]] = {}
    for path in notes.glob("*.jsonl" if rank is None else f"{rank}.jsonl"):
        for step, starts in map(json.loads, path.read_text().splitlines()):
            taken.setdefault(step, []).extend(starts)
    return {step: sorted(starts) for step, starts in taken.items() if step}


def losses(folder: Path) -> dict[str, list[float]]:
    """Return the columns of a run's log: losses, their evaluation, gradient norms."""
    rows = log_rows(folder)
    names = ["train_loss", "eval_train_loss", "eval_val_loss", "gradient_norm"]
    return {name: [float(row[name]) for row in rows if row[name]] for name in names}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs lie that the tests compare with."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def alone(folder: Path) -> Path:
    """A run of one process, undisturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run = new_run("alone")
        torchrun(run, ranks=1)
        return run.absolute()


@pytest.fixture(scope="module")
def both(folder: Path) -> Path:
    """The same run on two ranks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run = new_run("both")
        torchrun(run)
        return run.absolute()


def test_two_ranks_have_the_losses_of_one(alone: Path, both: Path):
    for name, expected in losses(alone).items():
        np.testing.assert_allclose(losses(both)[name], expected, rtol=1e-6, err_msg=name)


def test_two_ranks_take_the_windows_of_one_half_each(alone: Path, both: Path):
    assert windows(both / "notes") == windows(alone / "notes")
    for step, starts in windows(both / "notes", rank=0).items():
        assert len(starts) == 4
        assert not set(starts) & set(windows(both / "notes", rank=1)[step])


def test_a_process_of_torchrun_alone_is_a_plain_process(alone: Path):
    """Bit for bit: the same checkpoints."""
    run = new_run("plain")
    resume(run, quiet=True)
    for step in checkpoint.saved_steps(run):
        for file in ("model.safetensors", "training.safetensors"):
            there = checkpoint.folder_of(alone, step) / file
            assert (checkpoint.folder_of(run, step) / file).read_bytes() == there.read_bytes()


def test_sharded_weights_have_the_losses_of_whole_ones(alone: Path):
    run = new_run("sharded", parallel="fsdp")
    torchrun(run)
    for name, expected in losses(alone).items():
        np.testing.assert_allclose(losses(run)[name], expected, atol=1e-5, rtol=0, err_msg=name)


@pytest.mark.slow
def test_a_run_goes_on_over_two_then_one_then_two_ranks(alone: Path):
    """A checkpoint knows no number of ranks; sharded once, too."""
    run = new_run("moved")
    torchrun(run, "--stop", 7)
    torchrun(run, "--stop", 13, ranks=1)
    configuration = RunConfig.from_json((run / "config.json").read_bytes())
    changed = configuration.updated(train={"parallel": "fsdp"})
    (run / "config.json").write_text(changed.model_dump_json())
    notes = torchrun(run)
    assert 7 in checkpoint.saved_steps(run) or windows(notes)  # went on, did not start anew
    assert windows(notes) == windows(alone / "notes")
    for name, expected in losses(alone).items():
        np.testing.assert_allclose(losses(run)[name], expected, atol=1e-5, rtol=0, err_msg=name)
    ends = [
        load_file(checkpoint.folder_of(path, 20) / "model.safetensors") for path in (run, alone)
    ]
    for name, weight in ends[1].items():
        torch.testing.assert_close(ends[0][name], weight, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("kill", ["1:7:update", "0:10:save", "0:14:update"])
def test_a_killed_rank_costs_only_what_came_after_the_last_checkpoint(both: Path, kill: str):
    """Torchrun starts all ranks again, and they end where the undisturbed ones did."""
    run = new_run("killed")
    notes = torchrun(run, "--kill", kill, restarts=1)
    assert (notes / "died").exists()
    assert log_rows(run) == log_rows(both)
    for file in ("model.safetensors", "training.safetensors"):
        there = checkpoint.folder_of(both, 20) / file
        assert (checkpoint.folder_of(run, 20) / file).read_bytes() == there.read_bytes()


MUON = {"optimizer": "muon", "steps": 8, "eval_every": 8}


@pytest.mark.slow
def test_two_ranks_that_turn_matrices_have_the_losses_and_weights_of_one():
    """DDP gives each the whole gradient, so both take the same orthogonal step."""
    one, two = new_run("muon alone", **MUON), new_run("muon both", **MUON)
    torchrun(one, ranks=1)
    torchrun(two)
    for name, expected in losses(one).items():
        np.testing.assert_allclose(losses(two)[name], expected, rtol=1e-5, err_msg=name)
    ends = [load_file(checkpoint.folder_of(run, 8) / "model.safetensors") for run in (one, two)]
    for name, weight in ends[0].items():
        torch.testing.assert_close(ends[1][name], weight, atol=1e-5, rtol=0)


def test_shares_of_matrices_can_not_be_turned():
    config = RunConfig(**SETTINGS).updated(train={"optimizer": "muon", "parallel": "fsdp"})
    config.check_ranks(1)
    config.updated(train={"parallel": "ddp"}).check_ranks(2)
    with pytest.raises(UserError) as error:
        config.check_ranks(2)
    assert str(error.value) == (
        "parallel = fsdp: leaves each of 2 ranks a share of a matrix, and optimizer = muon turns "
        "whole ones; allowed: parallel = ddp, or optimizer = adamw"
    )


@pytest.mark.parametrize(
    ("ranks", "told"),
    [
        (3, "nearest: batch_size = 2 or 4; tokens_per_step = 144 or 288"),
        (8, "nearest: batch_size = 1; tokens_per_step = 256"),
        (16, "nearest: tokens_per_step = 512"),
    ],
)
def test_a_step_that_does_not_divide_among_the_ranks_is_refused(ranks: int, told: str):
    tokens = 16 * {3: 12, 8: 8, 16: 8}[ranks]
    config = RunConfig(**SETTINGS).updated(train={"tokens_per_step": tokens})
    if ranks == 3:
        config = config.updated(train={"batch_size": 3, "tokens_per_step": 16 * 12})
    with pytest.raises(UserError) as error:
        config.check_ranks(ranks)
    assert told in str(error.value)
