"""A run that stops, however it stops, goes on bit for bit."""

import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from playattention.config import RunConfig
from playattention.training import checkpoint
from playattention.training.loop import TrainingStoppedError, resume, train
from playattention.training.run import create_run
from tests.training.conftest import checkpoint_files, log_rows, outcome

pytestmark = pytest.mark.usefixtures("no_plots")

CHANGES = {
    "plain": {},
    "accumulating": {"train": {"tokens_per_step": 192}, "data": {"sampling": "random"}},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("steps", [(10,), (1, 2, 13)], ids=str)
def test_a_run_stopped_by_ctrl_c_and_resumed_equals_the_undisturbed_one(
    config: RunConfig, changes: dict, steps: tuple[int, ...], press_ctrl_c
):
    """Weights, moments, random states, losses and samples, bitwise; 10 is a step of evaluation."""
    config = config.updated(**changes)
    undisturbed = outcome(train(config, "undisturbed"))

    press_ctrl_c(*steps)
    folder = create_run(config, "stopped")
    for step in steps:
        with pytest.raises(TrainingStoppedError, match=f"stopped at step {step} of 20 and saved"):
            resume(folder)
        assert checkpoint.saved_steps(folder)[-1] == step
    resume(folder)

    assert outcome(folder) == undisturbed


STOPS_ITSELF = """
import os, signal, sys
from playattention.cli import main
from playattention.training.loop import Trainer

def update(self, update=Trainer.update):
    if self.step == 9:
        os.kill(os.getpid(), signal.SIGINT)
    return update(self)

Trainer.update = update
sys.exit(main(["train", "--resume", sys.argv[1]]))
"""


def test_a_fresh_process_goes_on_from_where_ctrl_c_stopped_one(config: RunConfig):
    """Ctrl-C exits 130 and tells a command; typed as it stands, that ends the run, bitwise."""
    undisturbed = outcome(train(config, "undisturbed"))
    folder = create_run(config, "a run's")

    line = [sys.executable, "-c", STOPS_ITSELF, folder]
    stopped = subprocess.run(line, check=False, capture_output=True, text=True)

    assert (stopped.returncode, stopped.stderr.count("\n")) == (130, 1)
    told = "playattention: stopped at step 10 of 20 and saved; go on with: "
    assert stopped.stderr.startswith(told)
    command = shlex.split(stopped.stderr.removeprefix(told))
    assert command[0] == "playattention"
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
    assert outcome(folder) == undisturbed


def test_sigterm_stops_as_ctrl_c_does(gpt_config: RunConfig, press_ctrl_c):
    press_ctrl_c(3, number=signal.SIGTERM)
    with pytest.raises(TrainingStoppedError):
        train(gpt_config, "a")
    assert checkpoint.saved_steps(Path("logs/a"))[-1] == 3


def test_a_second_ctrl_c_does_not_wait_and_loses_only_what_is_not_saved(
    gpt_config: RunConfig, press_ctrl_c
):
    undisturbed = outcome(train(gpt_config, "undisturbed"))
    folder = create_run(gpt_config, "stopped")
    press_ctrl_c(4, times=2)
    with pytest.raises(KeyboardInterrupt):
        resume(folder)
    assert checkpoint.saved_steps(folder)[-1] == 2
    resume(folder)
    assert outcome(folder) == undisturbed


def test_the_signals_are_as_before_after_a_run(gpt_config: RunConfig, press_ctrl_c):
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    train(gpt_config, "ended")
    assert [signal.getsignal(number) for number in numbers] == before
    press_ctrl_c(3)
    with pytest.raises(TrainingStoppedError):
        train(gpt_config, "stopped")
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_run_trains_outside_the_main_thread(gpt_config: RunConfig):
    """Python takes signals in the main thread only, so there is no Ctrl-C to wait for."""
    worker = threading.Thread(target=train, args=(gpt_config, "a"))
    worker.start()
    worker.join()
    assert checkpoint.saved_steps(Path("logs/a"))[-1] == 4


def test_a_finished_run_that_is_resumed_stays_as_it_is(gpt_config: RunConfig):
    folder = train(gpt_config)
    before = outcome(folder)
    resume(folder)
    assert outcome(folder) == before


def test_a_run_without_its_last_checkpoint_goes_on_from_the_one_before(gpt_config: RunConfig):
    """Rows and samples of steps that are done again are not there twice."""
    folder = train(gpt_config.updated(train={"keep_every": 1}))
    before = outcome(folder)
    for path in checkpoint.folder_of(folder, 4).iterdir():
        path.unlink()
    checkpoint.folder_of(folder, 4).rmdir()
    resume(folder)
    assert outcome(folder) == before


@pytest.mark.parametrize(
    "changes",
    [{"train": {"sample_tokens": 0}}, {"train": {"eval_every": 7}}, {"data": {"eval_tokens": 9}}],
    ids=str,
)
def test_neither_samples_nor_evaluations_change_the_training(config: RunConfig, changes: dict):
    """The same weights, moments and random state at the end, and the same losses on the way."""
    one, other = train(config), train(config.updated(**changes))
    for name in ("model", "training"):
        file = f"checkpoints/step_00000020/{name}.safetensors"
        assert checkpoint_files(one)[file] == checkpoint_files(other)[file]
    losses = [[row["train_loss"] for row in log_rows(folder)] for folder in (one, other)]
    assert losses[0] == losses[1]


def test_the_seed_decides_the_run(gpt_config: RunConfig):
    """Two runs of one seed are alike to the last bit; of another seed, none is."""
    one, same = train(gpt_config), train(gpt_config)
    other = train(gpt_config.updated(train={"seed": 1}))
    assert outcome(one) == outcome(same)
    assert log_rows(one)[1] != log_rows(other)[1]
