"""Runs that begin from weights at hand: imported, or fine-tuned bit for bit like any other."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from playattention import from_pretrained
from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.tokenizers import GPT2Tokenizer
from playattention.training import checkpoint, start
from playattention.training.loop import Trainer, TrainingStoppedError, resume, train
from playattention.training.run import load_run, read_config, read_facts
from playattention.training.start import create_run_from, find_start, import_run
from tests.conftest import TEXT, released
from tests.training.conftest import outcome

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder in the Hugging Face layout with GPT-2's vocabulary."""
    return released(tmp_path / "released")


def fine_tuning(init: str | Path, **changes: dict) -> RunConfig:
    """Settings of a small run that begins from weights."""
    begin = find_start(str(init))
    config = RunConfig(
        model=begin.model,
        data={"dataset": "text.txt", "tokenizer": begin.tokenizer.name, "eval_tokens": 100},
        train={
            "steps": 6,
            "batch_size": 2,
            "eval_every": 3,
            "warmup_steps": 2,
            "sample_tokens": 5,
            "device": "cpu",
            "threads": 1,
        },
    )
    return config.updated(**changes)


def fine_tune(init: str | Path, name: str, **changes: dict) -> Path:
    """Lay out a run that begins from weights."""
    return create_run_from(find_start(str(init)), fine_tuning(init, **changes), name)


# Imported.


def test_an_imported_run_holds_the_weights_and_their_tokenizer(weights: Path):
    folder = import_run(str(weights))
    assert folder == Path("logs/released")
    run = load_run("released")
    expected = from_pretrained(weights).state_dict()
    assert run.step == 0
    assert run.model.state_dict().keys() == expected.keys()
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, expected[name])
    assert isinstance(run.tokenizer, GPT2Tokenizer)
    assert run.config.model.seq_size == 16


def test_an_imported_run_remembers_where_it_came_from(weights: Path):
    origin = json.loads((import_run(str(weights), "mine") / "origin.json").read_text())
    other = released(weights.with_name("other"), seed=1)
    another = json.loads((import_run(str(other)) / "origin.json").read_text())
    assert (origin["source"], origin["step"]) == (str(weights), None)
    assert len(origin["sha256"]) == 64
    assert another["sha256"] != origin["sha256"]


def test_an_imported_run_has_no_text_to_train_on(weights: Path):
    folder = import_run(str(weights))
    told = (
        r"^logs/released: imported weights, with no text to train on; allowed: a new run that "
        r"begins from them: playattention train gpt2 --init logs/released$"
    )
    for use in (read_facts, Trainer, resume):
        with pytest.raises(UserError, match=told):
            use(folder)


def test_a_name_that_is_taken_is_left_alone(weights: Path):
    (import_run(str(weights)) / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"^logs/released: exists already; allowed: --run with "):
        import_run(str(weights))
    assert Path("logs/released/notes.txt").read_text() == "mine"


def test_a_vocabulary_that_is_not_gpt2s_is_refused(tmp_path: Path):
    small = released(tmp_path / "small", vocab_size=211)
    with pytest.raises(UserError, match=r"small: has 211 tokens; allowed: the 50257 of the gpt2 "):
        import_run(str(small))
    assert not Path("logs").exists()


def test_an_import_that_fails_leaves_nothing(weights: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(UserError) as error:
        import_run(str(weights))
    assert str(error.value) == (
        "logs/released: cannot be created ([Errno 28] No space left on device)"
    )
    assert list(Path("logs").iterdir()) == []


# Fine-tuned.


@pytest.mark.parametrize("kind", ["released", "imported", "trained"])
def test_the_first_weights_are_those_it_begins_from(weights: Path, text_file: Path, kind: str):
    """Padded or not, they are as they were before the first step."""
    if kind == "released":
        init, expected = weights, from_pretrained(weights).state_dict()
    else:
        imported = import_run(str(weights))
        init = fine_tune(weights, "first") if kind == "trained" else imported
        if kind == "trained":
            resume(init, quiet=True)
        expected = load_run(init).model.state_dict()
    folder = fine_tune(init, "second")
    resume(folder, quiet=True)
    first, last = (load_run(folder, step).model.state_dict() for step in (0, 6))
    assert all(torch.equal(first[name], value) for name, value in expected.items())
    assert not torch.equal(last["token_embedding.weight"], first["token_embedding.weight"])


def test_it_begins_from_the_last_checkpoint_of_a_run(weights: Path, text_file: Path):
    folder = fine_tune(weights, "first")
    resume(folder, quiet=True)
    assert find_start("first").origin.step == 6
    second = fine_tune("first", "second")
    assert json.loads((second / "origin.json").read_text())["source"] == str(folder.resolve())
    assert Trainer(second).evaluate()[1].loss == pytest.approx(Trainer(folder).evaluate()[1].loss)


def test_a_run_over_characters_keeps_its_vocabulary(text_file: Path):
    """Also on a text that has fewer of them; one that has others is refused."""
    model = {"name": "gpt", "n_layer": 1, "n_head": 1, "n_embd": 8, "seq_size": 8}
    small = {"steps": 2, "batch_size": 2, "device": "cpu", "threads": 1, "sample_tokens": 0}
    first = RunConfig(model=model, data={"dataset": "text.txt"}, train=small)
    train(first, "first", quiet=True)
    Path("other.txt").write_text("The lamp is on the bed.\n" * 20)
    begin = find_start("first")
    config = first.updated(model=begin.model.model_dump(), data={"dataset": "other.txt"})
    folder = create_run_from(begin, config, "second")
    resume(folder, quiet=True)
    assert load_run("second").tokenizer.state() == load_run("first").tokenizer.state()
    Path("other.txt").write_text("Quartz.\n" * 40)
    with pytest.raises(UserError, match=r"^unknown character 'Q' at position 0; allowed: "):
        create_run_from(begin, config, "third")


def test_dropout_attention_and_padding_are_free(weights: Path, text_file: Path):
    model = {"dropout": 0.1, "flash_attention": False, "vocab_multiple": 1}
    folder = fine_tune(weights, "a", model=model)
    assert load_weights(folder)["token_embedding.weight"].size(0) == 50_257
    assert read_config(folder).model.dropout == 0.1


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return a run's first weights."""
    return start.first_model(folder, read_config(folder)).state_dict()


# Killed and resumed.


def test_a_stopped_fine_tune_ends_like_one_that_never_stopped(
    weights: Path, text_file: Path, press_ctrl_c
):
    changes = {"model": {"dropout": 0.1}}
    resume(fine_tune(weights, "whole", **changes), quiet=True)
    press_ctrl_c(2)
    folder = fine_tune(weights, "halved", **changes)
    with pytest.raises(TrainingStoppedError):
        resume(folder, quiet=True)
    shutil.rmtree(weights)  # no longer needed: the run has weights of its own
    resume(folder, quiet=True)
    assert outcome(folder) == outcome(Path("logs/whole"))


def test_killed_before_its_first_checkpoint_it_begins_from_the_same_weights(
    weights: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
):
    resume(fine_tune(weights, "whole"), quiet=True)
    folder = fine_tune(weights, "killed")
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            resume(folder, quiet=True)
    assert checkpoint.saved_steps(folder) == []
    resume(folder, quiet=True)
    assert outcome(folder) == outcome(Path("logs/whole"))


def change_a_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    values = {name: value.clone() for name, value in load_file(path).items()}
    values["transformer.ln_f.bias"][3] += 1e-6
    save_file(values, path)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (change_a_weight, "its weights are others now"),
        (shutil.rmtree, "holds neither model.safetensors nor "),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"{"), "missing or damaged"),
    ],
)
def test_without_a_checkpoint_weights_that_have_changed_are_told(
    weights: Path, text_file: Path, harm, told: str
):
    folder = fine_tune(weights, "a")
    harm(weights)
    with pytest.raises(UserError) as error:
        resume(folder, quiet=True)
    assert str(error.value).startswith(f"logs/a: begins from {weights}, but ")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"source": 3, "place": 4}'])
def test_a_damaged_origin_is_named(weights: Path, text_file: Path, content: str):
    folder = fine_tune(weights, "a")
    (folder / "origin.json").write_text(content)
    with pytest.raises(UserError, match=r"^logs/a/origin\.json: missing or damaged \("):
        resume(folder, quiet=True)


# Names.


def test_a_run_goes_before_a_folder_of_its_name(weights: Path, text_file: Path):
    """As after `playattention export mine --to mine`; a path tells them apart."""
    import_run(str(weights), "mine")
    released(Path("mine"), seed=1)
    assert find_start("mine").origin.source == str(Path("logs/mine").resolve())
    assert find_start("./mine").origin.source == str(Path("mine").resolve())


# Mistakes.


def test_what_is_neither_weights_nor_a_run_is_told():
    with pytest.raises(UserError, match=r"^run 'gpt3': no folder .*; or gpt2, gpt2-medium, "):
        find_start("gpt3")


def test_a_run_without_a_checkpoint_has_nothing_to_begin_from(weights: Path, text_file: Path):
    fine_tune(weights, "a")
    with pytest.raises(UserError, match=r"^logs/a: has no checkpoint to begin from; --resume "):
        find_start("a")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": {"n_layer": 3}}, "model.n_layer = 3: the weights of {} have 1; allowed: leave "),
        ({"model": {"seq_size": 8}}, "model.seq_size = 8: the weights of {} have 16; allowed: "),
        ({"data": {"tokenizer": "char"}}, "tokenizer = char: the weights of {} know gpt2 tokens; "),
        ({"model": {"name": "gpt", "flash_attention": None}}, ""),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_refused(
    weights: Path, text_file: Path, changes: dict, told: str
):
    begin = find_start(str(weights))
    if told:
        config = fine_tuning(weights, **changes)
    else:
        told = "train gpt: {} holds weights of gpt2; allowed: train gpt2"
        config = RunConfig(model={"name": "gpt"}, data={"dataset": "text.txt"})
    with pytest.raises(UserError) as error:
        create_run_from(begin, config, "a")
    assert str(error.value).startswith(told.format(weights))
    assert not Path("logs").exists()


def test_padding_of_a_run_can_not_be_changed(weights: Path, text_file: Path):
    import_run(str(weights), "mine")
    with pytest.raises(UserError, match=r"^model\.vocab_multiple = 1: the weights of .* have 128"):
        fine_tune("mine", "a", model={"vocab_multiple": 1})


def test_a_text_too_short_for_the_weights_leaves_no_folder(weights: Path, text_file: Path):
    text_file.write_text(TEXT[:40])
    with pytest.raises(UserError, match=r"^seq_size = 16: the training split of "):
        fine_tune(weights, "a")
    assert not Path("logs").exists()
