"""Checkpoints: whole or not there, without code in them, and refused in one line if they lie."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.models import build_model
from playattention.training import checkpoint
from playattention.training.checkpoint import Progress, prune, restore, save, saved_steps
from playattention.training.loop import resume, train
from playattention.training.run import create_run, load_run, new_model, read_config
from tests.training.conftest import checkpoint_files, outcome

RUN = Path("run")


def trained_layer(seed: int = 0, steps: int = 2) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a small layer and its optimizer after some steps."""
    torch.manual_seed(seed)
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    for _ in range(steps):
        layer(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return layer, optimizer


def save_losses(losses: dict[int, float | None]) -> None:
    """Save a checkpoint with a validation loss at each of these steps."""
    for step, loss in losses.items():
        save(RUN, Progress(step, 10 * step, loss), *trained_layer())


# What a checkpoint holds.


def test_restore_puts_back_weights_moments_random_state_and_progress():
    """A twin that is restored makes the same next step, drawing the same numbers."""
    layer, optimizer = trained_layer()
    save(RUN, Progress(2, 20, 1.5), layer, optimizer)
    drawn = torch.randn(4, 3)
    layer(drawn).sum().backward()
    optimizer.step()

    twin, twin_optimizer = trained_layer(seed=1, steps=0)
    assert restore(RUN, 2, twin, twin_optimizer) == Progress(2, 20, 1.5)
    drawn_again = torch.randn(4, 3)
    assert torch.equal(drawn_again, drawn)
    twin(drawn_again).sum().backward()
    twin_optimizer.step()
    for weight, twin_weight in zip(layer.parameters(), twin.parameters(), strict=True):
        assert torch.equal(weight, twin_weight)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mappings")
def test_restored_moments_do_not_hang_on_the_file_which_will_be_deleted():
    save(RUN, Progress(2, 20, 1.5), *trained_layer())
    layer, optimizer = trained_layer()
    restore(RUN, 2, layer, optimizer)
    assert optimizer.state[layer.weight]
    assert str(checkpoint.folder_of(RUN, 2)) not in Path("/proc/self/maps").read_text()


def test_the_first_checkpoint_has_the_weights_that_the_seed_gives(config: RunConfig, no_plots):
    folder = train(config.updated(train={"steps": 1}))
    first = load_file(checkpoint.folder_of(folder, 0) / "model.safetensors")
    sizes = read_config(folder).model
    torch.manual_seed(config.train.seed)
    untrained = build_model(sizes).state_dict()
    assert first.keys() == untrained.keys()
    assert all(torch.equal(first[name], untrained[name]) for name in first)


def test_a_run_folder_holds_no_code(config: RunConfig):
    """Only text, pictures and safetensors, which are a JSON header and numbers."""
    folder = train(config.updated(train={"steps": 2}))
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in paths} == {".json", ".csv", ".png", ".txt", ".safetensors"}
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".png":
            assert content.startswith(b"\x89PNG")
        elif path.suffix == ".safetensors":
            size = int.from_bytes(content[:8], "little")
            header = json.loads(content[8 : 8 + size])
            end = max(entry["data_offsets"][1] for entry in header.values())
            assert len(content) == 8 + size + end
        else:
            content.decode()


# Which are kept.


@pytest.mark.parametrize(
    ("losses", "keep_every", "kept"),
    [
        ({0: 3.0, 5: 2.0, 10: 1.0, 15: 2.0, 20: 3.0}, None, [0, 10, 20]),
        ({0: 3.0, 5: 2.0, 10: 1.0, 15: 0.5, 20: 0.1}, None, [0, 20]),
        ({0: 1.0, 5: 2.0, 10: 3.0}, None, [0, 10]),
        ({0: 3.0, 5: 1.0, 10: 1.0, 15: 2.0}, None, [0, 5, 15]),
        ({0: 3.0, 5: 2.0, 7: None}, None, [0, 5, 7]),
        ({3: None}, None, [3]),
        ({0: 3.0, 5: 2.0, 10: 1.5, 15: 1.0, 20: 2.0, 25: 3.0}, 10, [0, 10, 15, 20, 25]),
    ],
)
def test_the_first_the_best_the_last_and_every_keep_every_th_are_kept(
    losses: dict[int, float | None], keep_every: int | None, kept: list[int]
):
    """A checkpoint between evaluations (a None) is never the best; of two alike, the earlier is."""
    save_losses(losses)
    prune(RUN, keep_every)
    assert saved_steps(RUN) == kept
    assert sorted(path.name for path in (RUN / "checkpoints").iterdir()) == [
        f"step_{step:08d}" for step in kept
    ]


def test_a_run_keeps_what_keep_every_asks_for(gpt_config: RunConfig, no_plots):
    folder = train(gpt_config.updated(train={"steps": 7, "eval_every": 1, "keep_every": 3}))
    assert saved_steps(folder) == [0, 3, 6, 7]


def test_a_users_own_copy_of_a_checkpoint_is_left_alone():
    save_losses({0: 3.0, 5: 2.0})
    own = RUN / "checkpoints" / "step_00000005_copy"
    shutil.copytree(checkpoint.folder_of(RUN, 5), own)
    save_losses({10: 1.0})
    prune(RUN, None)
    checkpoint.sweep(RUN)
    assert saved_steps(RUN) == [0, 10]
    assert own.is_dir()


# Disks.


def test_a_save_that_fails_leaves_the_earlier_checkpoints_and_nothing_half(monkeypatch):
    save_losses({0: 3.0})
    before = checkpoint_files(RUN)
    write = checkpoint.save_file

    def full_disk(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if path.name == "training.safetensors":
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        write(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(UserError) as told:
        save(RUN, Progress(5, 50, 2.0), *trained_layer())
    assert str(told.value) == (
        "run: cannot be saved ([Errno 28] No space left on device); the last good checkpoint is "
        "run/checkpoints/step_00000000; free or name another disk, then --resume run"
    )
    assert checkpoint_files(RUN) == before
    assert [path.name for path in (RUN / "checkpoints").iterdir()] == ["step_00000000"]


ON_A_SMALL_DISK = """
import resource, sys
from playattention.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(["train", "--resume", sys.argv[2]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file sizes")
def test_a_full_disk_ends_a_run_in_one_line_and_with_space_it_goes_on(gpt_config: RunConfig):
    """The system refuses to write the 35 kB of moments, in a process of its own."""
    config = gpt_config.updated(model={"n_embd": 16}, train={"eval_every": 1})
    undisturbed = outcome(train(config, "undisturbed"))
    folder = create_run(config, "small")
    line = [sys.executable, "-c", ON_A_SMALL_DISK, "30000", folder]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "logs/small: cannot be saved (" in done.stderr
    assert "the last good checkpoint is logs/small/checkpoints/step_00000000;" in done.stderr
    assert saved_steps(folder) == [0]
    resume(folder)
    assert outcome(folder) == undisturbed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("name", ["log.csv", "generated_samples.txt", "losses.png"])
def test_a_full_disk_is_told_in_one_line_whichever_file_it_meets(
    gpt_config: RunConfig, name: str, monkeypatch: pytest.MonkeyPatch
):
    """/dev/full takes no byte; the file that was there before is still whole."""
    folder = train(gpt_config, "a", quiet=True)
    before = outcome(folder)
    target = folder / (name if name.endswith("png") else f".{name}.partial")
    target.unlink(missing_ok=True)
    target.symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"^logs/a: cannot be saved \(\[Errno 28\] .*step_00000004"):
        resume(folder, quiet=True)
    assert outcome(folder) == before
    target.unlink()
    resume(folder, quiet=True)
    assert outcome(folder) == before


def test_a_file_in_the_place_of_the_checkpoints_is_told_in_one_line(gpt_config: RunConfig):
    folder = create_run(gpt_config, "a")
    (folder / "checkpoints").write_text("in the way")
    with pytest.raises(UserError, match=r"^logs/a: cannot be saved \(.*\); none is saved; .*$"):
        resume(folder, quiet=True)
    (folder / "checkpoints").unlink()
    resume(folder, quiet=True)
    assert saved_steps(folder) == [0, 4]


# Damage and lies.


@pytest.fixture
def run(gpt_config: RunConfig, no_plots: None) -> Path:
    """A finished run."""
    return train(gpt_config, "a", quiet=True)


@pytest.mark.parametrize("file", ["model.safetensors", "training.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut in half", "empty", "missing", "a pickle", "noise"])
def test_a_damaged_checkpoint_is_refused_with_the_way_back(run: Path, file: str, damage: str):
    path = checkpoint.folder_of(run, 4) / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "a pickle":
        torch.save(nn.Linear(2, 2), path)
    else:
        half = content[: len(content) // 2]
        path.write_bytes({"cut in half": half, "empty": b"", "noise": b"\xff" * 99}[damage])
    told = f"{path}: missing or damaged ("
    with pytest.raises(UserError) as error:
        resume(run, quiet=True)
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(f"delete {path.parent} to go on from the checkpoint before")
    shutil.rmtree(path.parent)
    resume(run, quiet=True)
    assert path.read_bytes() == content


class Trap:
    """A pickle of this makes a file when it is loaded."""

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("trapped"),))


def test_a_pickle_in_the_place_of_weights_is_never_run(run: Path):
    torch.save(Trap(), "trap.pt")
    torch.load("trap.pt", weights_only=False)
    Path("trapped").unlink()
    shutil.copy("trap.pt", checkpoint.folder_of(run, 4) / "model.safetensors")
    for use in (load_run, resume):
        with pytest.raises(UserError, match="missing or damaged"):
            use(run)
    assert not Path("trapped").exists()


@pytest.mark.parametrize("file", ["model.safetensors", "training.safetensors"])
def test_a_file_of_another_model_is_refused_with_what_differs(
    run: Path, file: str, gpt_config: RunConfig
):
    """Moments of other sizes must not reach the update, which would read foreign memory."""
    other = train(gpt_config.updated(model={"n_embd": 4}), "other", quiet=True)
    path = checkpoint.folder_of(run, 4) / file
    shutil.copy(checkpoint.folder_of(other, 4) / file, path)
    with pytest.raises(UserError) as error:
        resume(run, quiet=True)
    message = str(error.value)
    assert message.startswith(f"{path}: of another model than config.json says: ")
    assert "token_embedding.weight" in message
    assert "4" in message
    assert "8" in message
    assert "\n" not in message


def test_moments_that_are_missing_are_not_taken_for_zeros(run: Path):
    shutil.copy(
        checkpoint.folder_of(run, 0) / "training.safetensors",
        checkpoint.folder_of(run, 4) / "training.safetensors",
    )
    with pytest.raises(UserError, match=r"token_embedding\.weight .* its moments are missing"):
        resume(run, quiet=True)


def test_weights_that_are_not_all_there_are_refused(run: Path):
    path = checkpoint.folder_of(run, 4) / "model.safetensors"
    weights = load_file(path)
    del weights["final_norm.bias"]
    save_file(weights, path)
    with pytest.raises(UserError, match=r"of another model .*final_norm\.bias"):
        load_run(run)


def test_a_checkpoint_of_a_loaded_run_can_be_chosen(run: Path):
    """Step 0 has not learnt anything: its model is the seed's."""
    first, last = load_run(run, step=0), load_run(run)
    assert (first.step, last.step) == (0, 4)
    untrained = new_model(first.config).state_dict()
    assert all(torch.equal(first.model.state_dict()[name], untrained[name]) for name in untrained)
    changed = last.model.state_dict()["head.weight"] - untrained["head.weight"]
    assert math.isfinite(changed.norm())
    assert changed.norm() > 0
    with pytest.raises(UserError, match=r"^step = 3: logs/a has no such checkpoint; allowed: \[0"):
        load_run(run, step=3)
