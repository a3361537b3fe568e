"""`playattention train`: new runs, runs that go on, and how each ending is told."""

import json
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
import torch

from playattention.cli import main
from playattention.training import checkpoint, loop, report
from playattention.training.checkpoint import saved_steps
from playattention.training.loop import Trainer
from playattention.training.report import read_log
from playattention.training.run import read_config
from tests.conftest import TEXT, released

SIZES = """
--model.n-layer 1 --model.n-head 2 --model.n-embd 8 --model.seq-size 8 --tokenizer char
--data.eval-tokens 100 --train.steps 4 --train.batch-size 2 --train.tokens-per-step 16
--train.eval-every 2 --train.warmup-steps 2 --train.sample-tokens 5 --train.device cpu
--train.threads 1
"""


@pytest.fixture(autouse=True)
def one_thread() -> object:
    """Put the number of threads back that a run sets for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the plots out, which take longer than a small run."""
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)


def train(*words: str, recipe: str = "gpt") -> int:
    """Start a small run."""
    return main(["train", recipe, "--dataset", "text.txt", *SIZES.split(), *words])


@pytest.fixture
def run(text_file: Path, capsys) -> Path:
    """A finished run, called a."""
    assert train("--run", "a") == 0
    capsys.readouterr()
    return Path("logs/a")


def refused(capsys) -> str:
    """Return the one line of an error."""
    told = capsys.readouterr().err
    assert told.startswith("playattention: ")
    assert told.count("\n") == 1
    return told.removeprefix("playattention: ").removesuffix("\n")


# A new run.


@pytest.mark.parametrize("recipe", ["gpt", "gpt2", "modern"])
def test_train_says_where_everything_lies_and_what_to_try_next(
    recipe: str, text_file: Path, capsys
):
    assert train(recipe=recipe) == 0
    told = capsys.readouterr()
    assert told.err == ""
    folder = re.match(r"run folder: (logs/\S+)\n", told.out)[1]
    assert re.fullmatch(rf"logs/{recipe}_\d{{8}}_\d{{6}}_cpu", folder)
    assert "---- what the model writes at step 0\n" in told.out
    assert "---- what the model writes at step 4\n" in told.out
    for name in ("losses.png", "training_metrics_summary.png", "log.csv", "checkpoints"):
        assert f"  {name}  " in told.out
    commands = re.findall(r"^  playattention (.+)$", told.out, re.MULTILINE)
    assert len(commands) == 3
    assert main([*commands[0].split(), "--tokens", "3", "--device", "cpu", "The"]) == 0
    assert main([*commands[1].split(), "--train.device", "cpu"]) == 0  # goes on: twice the steps
    assert read_log(Path(folder))[-1].step == 8


def test_a_finished_run_that_is_resumed_says_so(text_file: Path, capsys):
    assert train("--run", "a") == 0
    capsys.readouterr()
    assert main(["train", "--resume", "a"]) == 0
    assert "it has done all of its 4 steps; --train.steps N extends it\n" in capsys.readouterr().out


def test_a_context_longer_than_the_text_is_told_before_its_memory(text_file: Path, capsys):
    """Both would be refused; the first is the mistake."""
    line = ["train", "gpt", "--dataset", str(text_file), "--model.seq-size", "100000000"]
    assert main(line) == 2
    assert refused(capsys).startswith("seq_size = 100000000: the training split of ")
    assert not Path("logs").exists()


@pytest.mark.parametrize("name", ["a b", "folder/a b"])
def test_what_to_try_next_works_for_a_name_with_a_blank(text_file: Path, capsys, name: str):
    assert train("--run", name) == 0
    generate = re.search(r"^  playattention (generate .+)$", capsys.readouterr().out, re.MULTILINE)
    assert main([*shlex.split(generate[1]), "--tokens", "3", "--device", "cpu", "The"]) == 0


def test_an_option_of_the_command_line_reaches_the_run(text_file: Path):
    assert train("--run", "a", "--train.betas", "0.5", "0.75", "--train.grad-clip", "0") == 0
    settings = read_config(Path("logs/a")).train
    assert (settings.betas, settings.grad_clip, settings.steps) == ((0.5, 0.75), 0.0, 4)


def test_a_preset_sets_the_sizes_of_a_released_model(text_file: Path, monkeypatch):
    text_file.write_text(TEXT * 6)
    monkeypatch.setattr(loop, "resume", lambda _: None)
    monkeypatch.setattr("playattention.training.readings.main_memory", lambda: 2**40)
    assert main(["train", "gpt2", "--preset", "gpt2-medium", "--dataset", "text.txt"]) == 0
    (folder,) = Path("logs").iterdir()
    model = read_config(folder).model
    assert (model.n_layer, model.n_head, model.n_embd, model.seq_size) == (24, 16, 1024, 1024)


# A new run that begins from weights at hand.

FINE_TUNING = """
--dataset text.txt --data.eval-tokens 100 --train.steps 4 --train.batch-size 2
--train.tokens-per-step 32 --train.eval-every 2 --train.sample-tokens 5 --train.device cpu
--train.threads 1
"""


def fine_tune(*words: str) -> int:
    """Start a small run that begins from weights."""
    return main(["train", "gpt2", *FINE_TUNING.split(), *words])


def test_sizes_and_tokenizer_come_from_the_weights_it_begins_from(text_file: Path, capsys):
    """From a folder of the Hugging Face layout, then from the run that came of it."""
    folder = str(released(Path("weights")))
    assert fine_tune("--init", folder, "--run", "b", "--model.dropout", "0.1") == 0
    assert fine_tune("--init=b", "--run", "c") == 0
    for name in ("b", "c"):
        config = read_config(Path("logs") / name)
        model = config.model
        assert (model.n_layer, model.n_head, model.n_embd, model.seq_size) == (1, 2, 8, 16)
        assert config.data.tokenizer == "gpt2"
        assert saved_steps(Path("logs") / name)[-1] == 4
    assert [read_config(Path("logs") / each).model.dropout for each in "bc"] == [0.1, 0.1]


def test_a_run_of_gpt_is_fine_tuned_with_its_own_vocabulary(run: Path, capsys):
    Path("other.txt").write_text(TEXT[:600])
    words = [*SIZES.split(), "--dataset", "other.txt", "--run", "b"]
    assert main(["train", "gpt", "--init", "a", *words]) == 0
    assert (run / "tokenizer.json").read_bytes() == Path("logs/b/tokenizer.json").read_bytes()


def test_the_same_command_again_goes_on_with_the_fine_tune(text_file: Path, capsys):
    """Also where what it began from is gone; to begin it from elsewhere is refused."""
    first = released(Path("weights"))
    assert fine_tune("--init", str(first), "--run", "b") == 0
    shutil.rmtree(first)
    assert fine_tune("--init", str(first), "--run", "b", "--train.steps", "6") == 0
    assert saved_steps(Path("logs/b"))[-1] == 6
    capsys.readouterr()
    for words in (["--run", "b"], ["--resume", "b"]):
        assert fine_tune("--init", "gpt2", *words) == 2
        assert refused(capsys) == (
            f"init = gpt2: logs/b goes on, and it began from {first.resolve()}; allowed: leave it "
            "out, or --run with another name"
        )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("gpt2 --init weights --model.n-layer 3", "model.n_layer = 3: the weights of "),
        ("gpt2 --init weights --tokenizer char", "tokenizer = char: the weights of "),
        ("gpt2 --init weights --preset gpt2", "preset = gpt2: weights has sizes of its own; "),
        ("gpt --init weights", "train gpt: weights holds weights of gpt2; allowed: train gpt2"),
        ("gpt2 --init gpt3", "run 'gpt3': no folder with a config.json there or in logs/"),
        ("gpt2 --init a", "train gpt2: a holds weights of gpt; allowed: train gpt"),
        ("gpt --run a --init weights", "init = weights: logs/a goes on, and it began from drawn w"),
    ],
)
def test_a_start_that_does_not_fit_is_one_line(run: Path, words: str, told: str, capsys):
    released(Path("weights"))
    assert main(["train", *words.split(), "--dataset", "text.txt"]) == 2
    assert refused(capsys).startswith(told)
    assert [path.name for path in Path("logs").iterdir()] == ["a"]


def test_imported_weights_do_not_go_on_but_say_how_they_do(text_file: Path, capsys):
    released(Path("weights"))
    assert main(["import", "weights"]) == 0
    capsys.readouterr()
    for words in (["train", "--resume", "weights"], ["train", "gpt2", "--run", "weights"]):
        assert main(words) == 2
        assert refused(capsys) == (
            "logs/weights: imported weights, with no text to train on; allowed: a new run that "
            "begins from them: playattention train gpt2 --init logs/weights"
        )


# A run that goes on.


@pytest.mark.parametrize("words", ["gpt --run a", "gpt --resume a", "--resume logs/a", "--run=a"])
def test_a_run_of_that_name_goes_on(run: Path, words: str, capsys):
    """With the settings it has: only what is given beside the name changes."""
    before = json.loads((run / "config.json").read_text())
    assert main(["train", *words.split(), "--train.steps", "8"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "train.steps: 4 -> 8"
    assert told[1].startswith("the cosine schedule now ends at step 8: the learning rate goes ")
    assert told[2] == "run folder: logs/a"
    assert [path.name for path in Path("logs").iterdir()] == ["a"]
    assert [row.step for row in read_log(run)] == list(range(9))
    before["train"]["steps"] = 8
    assert json.loads((run / "config.json").read_text()) == before


def test_a_new_name_starts_a_run_and_a_known_one_goes_on(run: Path):
    assert train("--run", "b") == 0
    assert train("--run", "b", "--train.steps", "6") == 0
    assert sorted(path.name for path in Path("logs").iterdir()) == ["a", "b"]
    assert (saved_steps(Path("logs/a"))[-1], saved_steps(Path("logs/b"))[-1]) == (4, 6)


def test_the_same_command_again_goes_on_also_from_another_folder(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The text is named as before, or by another path; another text is refused."""
    mine = str(tmp_path / "mine")
    assert train("--run", mine) == 0
    assert train("--run", mine) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert train("--run", mine, "--dataset", "../text.txt") == 0
    Path("text.txt").write_text(TEXT)
    assert train("--run", mine) == 2


def test_a_change_that_makes_another_run_is_refused_with_both_values(run: Path, capsys):
    assert main(["train", "gpt", "--run", "a", "--model.n-embd", "16"]) == 2
    assert refused(capsys) == (
        "model.n_embd = 16: logs/a has 8, and it can't change when a run goes on; "
        "allowed: train.* but seed, data.eval_tokens; or start a new run"
    )


def test_a_run_of_another_recipe_is_refused(run: Path, capsys):
    assert main(["train", "gpt2", "--resume", "a"]) == 2
    assert refused(capsys) == "train gpt2: logs/a is a run of gpt; allowed: train gpt"


def test_fewer_steps_than_are_done_are_refused_and_forgotten(run: Path, capsys):
    assert main(["train", "gpt", "--resume", "a", "--train.steps", "3"]) == 2
    assert refused(capsys) == "steps = 3: logs/a has done 4 already; allowed: more than that"
    assert main(["train", "gpt", "--resume", "a"]) == 0


def test_another_machine_is_announced(run: Path, capsys):
    facts = json.loads((run / "machine.json").read_text())
    (run / "machine.json").write_text(json.dumps({**facts, "torch": "1.0"}))
    assert main(["train", "--resume", "a"]) == 0
    assert capsys.readouterr().out.startswith(
        f"torch: 1.0 at the start, {torch.__version__} here: last bits may differ\nrun folder"
    )


def test_a_text_that_has_changed_is_one_line(run: Path, capsys):
    Path("text.txt").write_text(TEXT + "More.")
    assert main(["train", "--resume", "a"]) == 2
    assert "text.txt: the text has changed since logs/a began " in refused(capsys)


# Memory.


def test_a_training_that_can_not_fit_is_refused_before_it_begins(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    """With the need, what there is and what would fit; no folder is made, nothing is changed."""
    before = (run / "config.json").read_bytes()
    monkeypatch.setattr("playattention.training.readings.main_memory", lambda: 2**30)
    assert train("--run", "new", "--model.n-embd", "2048", "--model.n-layer", "24") == 2
    assert re.fullmatch(
        r"batch_size = 2: a step needs about 1\d\.\d GiB, and this machine has 1\.0 GiB; allowed: "
        r"a smaller model .*several with --train.parallel fsdp",
        refused(capsys),
    )
    assert [path.name for path in Path("logs").iterdir()] == ["a"]
    monkeypatch.setattr("playattention.training.readings.main_memory", lambda: 2**10)
    assert main(["train", "gpt", "--resume", "a", "--train.steps", "8"]) == 2
    assert "this machine has 0.0 GiB" in refused(capsys)
    assert (run / "config.json").read_bytes() == before


# Endings.


def test_ctrl_c_exits_130_and_tells_the_command_that_goes_on(
    text_file: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    update = Trainer.update

    def interrupted(trainer: Trainer) -> object:
        if trainer.step == 2:
            signal.raise_signal(signal.SIGINT)
        return update(trainer)

    monkeypatch.setattr(Trainer, "update", interrupted)
    assert train("--run", "a") == 130
    message = "stopped at step 3 of 4 and saved; go on with: playattention train gpt --resume "
    assert refused(capsys) == message + "logs/a"
    assert main(["train", "gpt", "--resume", "logs/a"]) == 0
    assert saved_steps(Path("logs/a"))[-1] == 4


def test_a_run_that_diverges_exits_1_with_the_last_good_checkpoint(text_file: Path, capsys):
    words = ["--train.learning-rate", "1e30", "--train.grad-clip", "0"]
    assert train("--run", "a", *words, "--train.steps", "9") == 1
    assert re.fullmatch(
        r"(loss|gradient norm|validation loss) = (nan|inf) at step \d, learning rate \S+e\+\d\d; "
        r"the last good checkpoint is logs/a/checkpoints/step_0000000\d; try a new run with a "
        r"lower --train\.learning-rate than 1e\+30",
        refused(capsys),
    )


# Damage.

FILES = [
    "config.json",
    "tokenizer.json",
    "corpus.json",
    "machine.json",
    "log.csv",
    "generated_samples.txt",
    "checkpoints/step_00000004/model.safetensors",
    "checkpoints/step_00000004/training.safetensors",
    "checkpoints/step_00000004/state.json",
]
ONLY_READ_BY_PEOPLE = {"log.csv", "generated_samples.txt"}


def test_the_files_below_are_all_that_a_run_reads(run: Path):
    last = {path for path in run.rglob("*") if path.is_file() and "step_00000000" not in str(path)}
    assert {str(path.relative_to(run)) for path in last} == set(FILES)


@pytest.mark.parametrize("damage", ["cut in half", "empty", "noise", "missing"])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_of_a_run_is_one_line_or_no_obstacle(
    run: Path, file: str, damage: str, capsys
):
    """What people alone read is written anew; of all else, the message names the file."""
    path = run / file
    content = path.read_bytes()
    half = content[: len(content) // 2]
    path.write_bytes({"cut in half": half, "noise": b"\xff\x00[1]\n" * 20}.get(damage, b""))
    if damage == "missing":
        path.unlink()
    code = main(["train", "gpt", "--resume", "a"])
    if file in ONLY_READ_BY_PEOPLE:
        assert code == 0
    elif (file, damage) == ("config.json", "missing"):
        assert code == 2
        assert refused(capsys).startswith("run 'a': no folder with a config.json")
    else:
        assert code == 2
        assert refused(capsys).startswith(f"logs/a/{file}: ")


def test_a_checkpoint_that_is_a_pickle_is_refused(run: Path, capsys):
    torch.save(torch.nn.Linear(2, 2), run / "checkpoints/step_00000004/model.safetensors")
    assert main(["train", "gpt", "--resume", "a"]) == 2
    assert re.fullmatch(
        r"logs/a/checkpoints/step_00000004/model\.safetensors: missing or damaged \(.*\); allowed: "
        r"files that a run wrote; delete .* to go on from the checkpoint before",
        refused(capsys),
    )


def test_weights_of_another_model_are_refused(run: Path, capsys):
    assert train("--run", "b", "--model.n-layer", "2") == 0
    last = "checkpoints/step_00000004"
    shutil.rmtree(run / last)
    shutil.copytree(Path("logs/b") / last, run / last)
    assert main(["train", "gpt", "--resume", "a"]) == 2
    assert "of another model than config.json says: " in refused(capsys)


def test_a_disk_that_can_not_be_written_is_one_line_and_nothing_is_lost(run: Path, capsys):
    saved = checkpoint.folder_of(run, 4)
    weights = (saved / "model.safetensors").read_bytes()
    saved.with_name(".step_00000006.partial").write_text("a file where a folder is needed")
    assert main(["train", "gpt", "--resume", "a", "--train.steps", "8"]) == 2
    assert re.fullmatch(
        r"logs/a: cannot be saved \(.*\); the last good checkpoint is logs/a/checkpoints/"
        r"step_00000004; free or name another disk, then --resume logs/a",
        refused(capsys),
    )
    assert (saved / "model.safetensors").read_bytes() == weights
    saved.with_name(".step_00000006.partial").unlink()
    assert main(["train", "gpt", "--resume", "a"]) == 0
    assert saved_steps(run)[-1] == 8
