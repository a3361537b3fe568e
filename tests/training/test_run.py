"""A run's folder: what lies in it, what it is called, and how it is opened again."""

import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest
import torch

from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.tokenizers import CharTokenizer
from playattention.training import run
from playattention.training.distributed import decide, pick_device, start_worker
from playattention.training.loop import Trainer, resume, train
from playattention.training.run import create_run, find_run, load_run, load_splits, read_config
from tests.conftest import TEXT

pytestmark = pytest.mark.usefixtures("no_plots")


# The folder.


def test_a_run_without_a_name_is_called_after_recipe_time_and_device(config: RunConfig):
    before = datetime.now().replace(microsecond=0)
    folder = create_run(config)
    name = re.fullmatch(r"logs/(gpt2?|modern)_(\d{8}_\d{6})_cpu", folder.as_posix())
    assert name[1] == config.model.name
    assert before <= datetime.strptime(name[2], "%Y%m%d_%H%M%S") <= datetime.now()


class OneMoment(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, *_: object) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5)


def test_runs_that_start_in_one_second_get_folders_of_their_own(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "datetime", OneMoment)
    assert [create_run(gpt_config).as_posix() for _ in range(3)] == [
        "logs/gpt_20260102_030405_cpu",
        "logs/gpt_20260102_030405_cpu_2",
        "logs/gpt_20260102_030405_cpu_3",
    ]


def test_a_process_that_takes_the_name_meanwhile_is_not_in_the_way(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    """Another run of the same second appears after the name was chosen, before it is taken."""
    monkeypatch.setattr(run, "datetime", OneMoment)
    monkeypatch.setattr(os, "getpid", iter(range(9)).__next__)
    machine, others = run.machine, []

    def overtaken() -> dict:
        if not others:
            others.append(None)
            others.append(create_run(gpt_config))
        return machine()

    monkeypatch.setattr(run, "machine", overtaken)
    own = create_run(gpt_config)
    assert others[1].name == "gpt_20260102_030405_cpu"
    assert own.name == "gpt_20260102_030405_cpu_2"
    assert sorted(path.name for path in Path("logs").iterdir()) == [others[1].name, own.name]


@pytest.mark.parametrize(
    ("name", "folder"), [("mine", "logs/mine"), ("deep/mine", "deep/mine"), ("./mine", "mine")]
)
def test_a_name_lies_below_logs_and_a_path_where_it_says(
    gpt_config: RunConfig, name: str, folder: str
):
    assert create_run(gpt_config, name) == Path(folder)
    assert (Path(folder) / "config.json").is_file()


def test_a_folder_that_is_something_else_is_not_overwritten(gpt_config: RunConfig):
    Path("logs/mine").mkdir(parents=True)
    Path("logs/mine/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"^logs/mine: cannot be created \(Directory not empty\)$"):
        create_run(gpt_config, "mine")
    assert [path.name for path in Path("logs").iterdir()] == ["mine"]
    assert Path("logs/mine/thesis.txt").read_text() == "years of work"


def test_a_file_in_the_place_of_logs_is_told_in_one_line(gpt_config: RunConfig):
    Path("logs").write_text("in the way")
    with pytest.raises(UserError, match=r"^logs/mine: cannot be created \(.+\)$"):
        create_run(gpt_config, "mine")


def test_settings_that_do_not_fit_the_data_leave_no_folder(gpt_config: RunConfig):
    with pytest.raises(UserError, match="seq_size = 4000"):
        create_run(
            gpt_config.updated(model={"seq_size": 4000}, train={"tokens_per_step": None}), "mine"
        )
    assert not Path("logs").exists()


# What it remembers.


def test_a_run_remembers_what_auto_was_decided_to_be(gpt_config: RunConfig):
    folder = create_run(gpt_config.updated(train={"device": "auto", "threads": None}))
    stored = read_config(folder)
    assert stored.train.device == pick_device("auto").type
    assert stored.train.threads == torch.get_num_threads()
    assert "auto" not in stored.train.model_dump().values()
    assert stored.train.tokens_per_step == 16
    assert stored.model.vocab_size == len(set(TEXT))


def test_a_run_remembers_its_text_and_its_tokenizer(gpt_config: RunConfig):
    folder = create_run(gpt_config)
    facts = json.loads((folder / "corpus.json").read_text())
    assert facts == {
        "name": gpt_config.data.dataset,
        "characters": len(TEXT),
        "sha256": "91f608f72959b58343348c1e3322d37e93a4c845c1c0bc7fef1e7b185077f1df",
        "train_tokens": int(0.9 * len(TEXT)),
        "val_tokens": len(TEXT) - int(0.9 * len(TEXT)),
        "floor": None,
    }
    assert run.read_tokenizer(folder).state() == CharTokenizer(TEXT).state()


def test_a_run_goes_on_from_another_folder(
    gpt_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The text's path is kept whole, so it is found from anywhere."""
    folder = create_run(gpt_config.updated(data={"dataset": "text.txt"}), "mine").resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Trainer(folder).step == 0


@pytest.mark.parametrize(
    "text", [TEXT + "x", TEXT[:-1], TEXT.replace("lamp", "limp"), "ab" * 3, "unknown: {}" * 99]
)
def test_a_text_that_has_changed_is_told_in_one_line(gpt_config: RunConfig, text: str):
    """Also where the changed text has other characters, or is too short for any window."""
    folder = create_run(gpt_config, "mine")
    Path(gpt_config.data.dataset).write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        resume(folder)
    assert str(error.value) == (
        f"{gpt_config.data.dataset}: the text has changed since logs/mine began "
        f"({len(TEXT):,} characters then, {len(text):,} now); start a new run"
    )


def test_a_text_that_is_gone_is_told_in_one_line(gpt_config: RunConfig):
    folder = create_run(gpt_config, "mine")
    Path(gpt_config.data.dataset).unlink()
    with pytest.raises(
        UserError, match=rf"^{gpt_config.data.dataset}: no such file; allowed: playhouse"
    ):
        resume(folder)


def test_a_vocabulary_that_the_text_does_not_have_is_refused(gpt_config: RunConfig):
    with pytest.raises(UserError, match=r"^vocab_size = 99: the char tokenizer has 26 tokens here"):
        create_run(gpt_config.updated(model={"vocab_size": 99}))


def test_the_splits_of_a_run_are_the_text(gpt_config: RunConfig):
    folder = create_run(gpt_config)
    tokenizer = run.read_tokenizer(folder)
    splits = load_splits(folder, read_config(folder), tokenizer)
    assert tokenizer.decode(splits.train.tolist()) + tokenizer.decode(splits.val.tolist()) == TEXT


# Opening it.


def test_load_run_returns_what_was_trained(config: RunConfig):
    """The model is the trainer's, ready to be used: on the CPU, without dropout."""
    folder = create_run(config, "mine")
    resume(folder)
    loaded, trainer = load_run("mine"), Trainer(folder)
    assert (loaded.path, loaded.step, loaded.config) == (folder, 20, trainer.config)
    assert not loaded.model.training
    expected = trainer.model.state_dict()
    assert expected.keys() == loaded.model.state_dict().keys()
    for name, weight in loaded.model.state_dict().items():
        assert weight.device.type == "cpu"
        assert torch.equal(weight, expected[name])
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("The lamp")) == "The lamp"


@pytest.mark.parametrize("name", ["mine", "logs/mine", Path("logs") / "mine"])
def test_a_run_is_found_by_its_name_and_by_its_path(gpt_config: RunConfig, name: str | Path):
    create_run(gpt_config, "mine")
    assert find_run(name).resolve() == Path("logs/mine").resolve()
    assert find_run(Path("logs/mine").resolve()).resolve() == Path("logs/mine").resolve()


def test_a_run_that_is_missing_is_told_with_the_nearest_name(gpt_config: RunConfig):
    create_run(gpt_config, "mine")
    with pytest.raises(UserError) as error:
        find_run("mien")
    assert str(error.value) == (
        "run 'mien': no folder with a config.json there or in logs/ (did you mean 'mine'?); "
        "allowed: a run that `playattention runs` lists, or a path"
    )


def test_a_run_without_a_checkpoint_is_told_how_to_get_one(gpt_config: RunConfig):
    create_run(gpt_config, "mine")
    with pytest.raises(UserError, match=r"^logs/mine: has no checkpoint yet; --resume logs/mine"):
        load_run("mine")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_run_whose_files_are_damaged_is_refused_in_one_line(gpt_config: RunConfig, name: str):
    path = train(gpt_config, "mine") / name
    path.write_text("{")
    with pytest.raises(UserError) as error:
        load_run("mine")
    assert str(error.value).startswith(f"logs/mine/{name}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("config.json", '{"model": {"name": "gpt", "n_embed": 3}}', "unknown setting"),
        ("config.json", '{"model": {"name": "gpt3"}}', "gpt3"),
        ("tokenizer.json", '{"name": "chars"}', "unknown tokenizer 'chars'"),
        ("tokenizer.json", '{"name": "char"}', r"tokenizer.json: missing or damaged"),
        ("corpus.json", '{"name": "text"}', "missing"),
    ],
)
def test_a_file_of_a_run_that_says_something_else_is_told(
    gpt_config: RunConfig, name: str, content: str, told: str
):
    folder = create_run(gpt_config, "mine")
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=told) as error:
        resume(folder)
    assert "\n" not in str(error.value)


# Where it computes.


def test_a_device_that_is_not_here_is_told_with_those_that_are():
    missing = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(UserError, match=rf"^device = '{missing}': .* allowed: auto, .*cpu$"):
        pick_device(missing)


def test_on_a_cpu_auto_means_no_autocast_and_no_compiling(gpt_config: RunConfig):
    decided = decide(gpt_config.train)
    assert decided == {"device": "cpu", "threads": 1, "autocast": "off", "compile": "off"}


def test_compiling_that_was_asked_for_needs_a_compiler(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    asked = gpt_config.updated(train={"compile": "on"}).train
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert decide(asked)["compile"] == "off"


def test_a_worker_uses_as_many_threads_as_the_run_began_with(gpt_config: RunConfig):
    start_worker(gpt_config.updated(train={"threads": 2}).train)
    assert torch.get_num_threads() == 2
    start_worker(gpt_config.train)
    assert torch.get_num_threads() == 1


def test_bf16_runs_the_matrix_products_in_bfloat16(gpt_config: RunConfig):
    worker = start_worker(gpt_config.updated(train={"autocast": "bf16"}).train)
    with worker.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with start_worker(gpt_config.train).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
