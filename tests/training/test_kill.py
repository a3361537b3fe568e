"""kill -9 at any moment: a run can always be resumed, and ends as if it had not been killed.

One process imports torch and forks a child for each life of a run, so that a life starts at once
and is a process of its own, which SIGKILL ends wherever it is.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from playattention.config import RunConfig
from playattention.training import checkpoint
from playattention.training.loop import train
from playattention.training.run import create_run
from tests.training.conftest import outcome

forks = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")

FORKS = """
import json, os, random, signal, sys, time, traceback
import matplotlib.figure, matplotlib.backends.backend_agg
from pathlib import Path
import torch
from playattention.training import checkpoint, loop, report

torch.set_num_threads(1)  # threads do not survive a fork
weight = torch.nn.Parameter(torch.ones(1))
weight.grad = torch.ones(1)
torch.optim.AdamW([weight], fused=True).step()  # imports much, once for all lives

run = Path(sys.argv[1])
left = run / "checkpoints"

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def life(prepare, wait=lambda child: None):
    # Let a child train; return where it began, how it ended, and what lies there afterwards.
    began, tell = os.pipe()
    child = os.fork()
    if not child:
        try:
            start = loop.Trainer.__init__
            def starting(self, folder):
                start(self, folder)
                os.write(tell, str(self.step).encode())
            loop.Trainer.__init__ = starting
            prepare()
            loop.resume(run, quiet=True)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(tell)
    wait(child)
    _, status = os.waitpid(child, 0)
    step = os.read(began, 20).decode()
    names = sorted(path.name for path in left.iterdir()) if left.exists() else []
    print(json.dumps({
        "began": int(step) if step else None,
        "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
        "code": os.waitstatus_to_exitcode(status),
        "saved": checkpoint.saved_steps(run),
        "partial": [name for name in names if name.startswith(".")],
    }))
"""

AT_RANDOM_MOMENTS = """
chance = random.Random(20)

def kill_later(child):
    # After none, one or two more checkpoints, and then some time.
    last = max(checkpoint.saved_steps(run), default=-1)
    for _ in range(chance.randrange(3)):
        while max(checkpoint.saved_steps(run), default=-1) <= last:
            time.sleep(0.001)
        last = max(checkpoint.saved_steps(run))
    time.sleep(chance.uniform(0.0, 0.2))
    os.kill(child, signal.SIGKILL)

def between_two_files():
    save = checkpoint.save_file
    def half_a_checkpoint(tensors, path):
        save(tensors, path)
        if checkpoint.saved_steps(run)[-1] > first:
            die()
    checkpoint.save_file = half_a_checkpoint

for number in range(10):
    if number == 5:
        first = checkpoint.saved_steps(run)[-1]
        life(between_two_files)
    else:
        life(lambda: None, kill_later)
life(lambda: None)
"""

AT_EACH_WRITE = """
report.draw_plots = lambda *_: None

def killed_at(number):
    # The first, second, ... time that a file is written, renamed or deleted, just before.
    def prepare():
        done = 0
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        changes = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "safetensors"}
        def count(event, args):
            nonlocal done
            if event in changes or (event == "open" and isinstance(args[2], int)
                                    and args[2] & writing):
                done += 1
                if done == number:
                    die()
        sys.addaudithook(count)
        save = checkpoint.save_file  # written in Rust, which tells the hook nothing
        def save_file(*args):
            sys.audit("safetensors")
            save(*args)
        checkpoint.save_file = save_file
    return prepare

for number in range(1, int(sys.argv[2]) + 1):
    life(killed_at(number))
life(lambda: None)
"""


def lives(script: str, *arguments: object) -> list[dict]:
    """Run a script that forks lives; return what it tells of each."""
    line = [sys.executable, "-W", "ignore", "-c", FORKS + script, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [json.loads(life) for life in done.stdout.splitlines()]


def nothing_saved_was_lost(told: list[dict]) -> bool:
    """Tell whether each life began where the last checkpoint before it was."""
    before = [max(life["saved"], default=0) for life in told]
    began = [life["began"] for life in told[1:]]
    return all(step in (None, saved) for step, saved in zip(began, before[:-1], strict=True))


@forks
@pytest.mark.slow
def test_a_run_killed_at_ten_random_moments_ends_as_if_undisturbed(
    gpt_config: RunConfig, no_plots: None
):
    """One of them is inside a save, which leaves half a checkpoint that is swept away."""
    config = gpt_config.updated(train={"steps": 120, "eval_every": 2}, model={"dropout": 0.1})
    undisturbed = outcome(train(config, "undisturbed"))
    folder = create_run(config, "killed")

    told = lives(AT_RANDOM_MOMENTS, folder)

    assert [life["killed"] for life in told] == [True] * 10 + [False]
    assert told[5]["partial"] != []
    assert told[-1]["partial"] == []
    assert nothing_saved_was_lost(told)
    assert outcome(folder) == undisturbed


@forks
def test_a_run_killed_before_each_of_its_writes_ends_as_if_undisturbed(
    gpt_config: RunConfig, no_plots: None
):
    """The first lives end before the first checkpoint, the last ones while an old one is deleted.

    Each comes one write further than the one before it, so that every write is once the last.
    """
    config = gpt_config.updated(train={"steps": 30, "eval_every": 1}, model={"dropout": 0.1})
    undisturbed = outcome(train(config, "undisturbed"))
    folder = create_run(config, "killed")

    told = lives(AT_EACH_WRITE, folder, 30)

    assert [life["killed"] for life in told] == [True] * 30 + [False]
    assert told[0]["saved"] == []
    assert 10 <= max(told[-2]["saved"]) < 30
    assert nothing_saved_was_lost(told)
    assert told[-1]["partial"] == []
    assert outcome(folder) == undisturbed


@pytest.mark.parametrize("laid_out", [0, 1, 2, 3])
def test_a_run_killed_while_its_folder_is_laid_out_is_no_run(
    gpt_config: RunConfig, laid_out: int, monkeypatch: pytest.MonkeyPatch
):
    """What is left is neither listed nor in the way of a run of the same name."""
    from playattention.training import run

    class KilledError(BaseException):
        pass

    files = iter(range(4))

    def write_text(*args: object, **settings: object) -> None:
        if next(files) == laid_out:
            raise KilledError
        write(*args, **settings)

    write = Path.write_text
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(Path, "write_text", write_text)
        create_run(gpt_config, "a")
    assert run.all_runs() == []
    assert create_run(gpt_config, "a") == Path("logs/a")
    assert run.all_runs() == [Path("logs/a")]


def test_what_a_kill_left_of_a_checkpoint_is_swept_and_never_taken_for_one(gpt_config: RunConfig):
    folder = train(gpt_config, "a", quiet=True)
    before = outcome(folder)
    whole = checkpoint.folder_of(folder, 4)
    partial = whole.with_name(".step_00000005.partial")
    partial.mkdir()
    (partial / "model.safetensors").write_bytes((whole / "model.safetensors").read_bytes())
    assert checkpoint.saved_steps(folder) == [0, 4]
    checkpoint.sweep(folder)
    assert not partial.exists()
    assert outcome(folder) == before
