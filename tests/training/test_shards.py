"""Training on shards is training: the same run as on their text, kept, refused and gone on with."""

import json
from pathlib import Path

import numpy as np
import pytest

from playattention.cli import main
from playattention.config import RunConfig
from playattention.data import fineweb_edu, load_corpus, text_shards
from playattention.errors import UserError
from playattention.training.loop import resume, train
from playattention.training.run import create_run, load_run, read_config, read_facts
from tests.data.fineweb import DOCUMENTS, write_parquet
from tests.data.test_shards import write_llmc
from tests.training.conftest import outcome

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def on_shards(gpt_config: RunConfig) -> RunConfig:
    """The small run, its text in shards of 1,000 characters."""
    corpus = load_corpus(gpt_config.data.dataset)
    text_shards.write(corpus, "char", Path("shards"), 1000)
    return gpt_config.updated(data={"dataset": "shards"})


@pytest.fixture
def on_fineweb(gpt_config: RunConfig) -> RunConfig:
    """The small run on a small FineWeb-Edu."""
    write_parquet(Path("src/a.parquet"), DOCUMENTS)
    fineweb_edu.make(fineweb_edu.HOME, source=Path("src"), shard_tokens=1000, workers=1, quiet=True)
    return gpt_config.updated(data={"dataset": "fineweb-edu", "tokenizer": "gpt2"})


def test_a_run_on_shards_is_the_run_on_their_text_bit_for_bit(
    gpt_config: RunConfig, on_shards: RunConfig
):
    text, shards = train(gpt_config, "text", quiet=True), train(on_shards, "shards", quiet=True)
    assert outcome(shards) == outcome(text)
    assert load_run("shards").tokenizer.state() == load_run("text").tokenizer.state()


def test_a_run_on_shards_goes_on_bit_for_bit(on_shards: RunConfig, monkeypatch, tmp_path: Path):
    """Also from another folder: it remembers where the shards are."""
    longer = on_shards.updated(train={"steps": 8, "schedule": "constant"})
    whole = outcome(train(longer, "whole", quiet=True))
    shorter = train(longer.updated(train={"steps": 4}), "parts", quiet=True).resolve()
    config = read_config(shorter)
    (shorter / "config.json").write_text(config.updated(train={"steps": 8}).model_dump_json())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume(shorter, quiet=True)
    assert outcome(shorter)["log"] == whole["log"]


def test_a_run_remembers_its_shards(on_shards: RunConfig):
    folder = create_run(on_shards)
    corpus = load_corpus("shards")
    assert json.loads((folder / "corpus.json").read_text()) == {
        "name": str(Path("shards").resolve()),
        "characters": None,
        "sha256": corpus.sha256,
        "train_tokens": len(corpus.train),
        "val_tokens": len(corpus.val),
        "floor": None,
    }
    assert read_config(folder).data.dataset == str(Path("shards").resolve())


def test_shards_that_have_changed_are_refused_in_one_line(on_shards: RunConfig, capsys):
    folder = create_run(on_shards, "mine")
    was = load_corpus("shards")
    (Path("shards") / "ingestion.json").unlink()
    was.train.shards[-1].path.unlink()
    now = load_corpus("shards")
    with pytest.raises(UserError) as error:
        resume(folder)
    assert str(error.value) == (
        f"{Path('shards').resolve()}: the shards have changed since logs/mine began "
        f"({was.length:,} tokens then, {now.length:,} now); start a new run"
    )


def test_shards_that_were_copied_elsewhere_are_the_same(on_shards: RunConfig):
    """A name is no part of what tells a set from another."""
    before = load_corpus("shards").sha256
    Path("shards").rename("copied")
    assert load_corpus("copied").sha256 == before


def test_another_tokenizer_than_that_of_the_shards_is_refused(on_shards: RunConfig):
    with pytest.raises(UserError, match="= gpt2: the shards in shards hold tokens of char; allow"):
        create_run(on_shards.updated(data={"tokenizer": "gpt2"}))
    assert not Path("logs").exists()


def test_fineweb_edu_is_trained_on_by_its_name(on_fineweb: RunConfig):
    folder = train(on_fineweb, "mine", quiet=True)
    facts = read_facts(folder)
    assert (facts.name, facts.val_tokens) == ("fineweb-edu", 1000)
    assert load_run("mine").tokenizer.name == "gpt2"
    assert load_run("mine").config.model.vocab_size == 50_257


@pytest.mark.parametrize("format_", [".npy", ".bin"])
def test_shards_of_another_project_are_trained_on(gpt_config: RunConfig, format_: str):
    ids = np.random.default_rng(0).integers(0, 50_257, 500).astype(np.uint16)
    Path("theirs").mkdir()
    for name in ("fineweb_val_000000", "fineweb_train_000001", "fineweb_train_000002"):
        path = Path("theirs", f"{name}{format_}")
        if format_ == ".npy":
            np.save(path, ids)
        else:
            write_llmc(path, ids)
    config = gpt_config.updated(data={"dataset": "theirs", "tokenizer": "gpt2"})
    facts = read_facts(train(config, "mine", quiet=True))
    assert (facts.train_tokens, facts.val_tokens) == (1000, 500)


def test_the_same_command_again_goes_on_however_the_folder_is_named(on_shards: RunConfig, capsys):
    train(on_shards, "mine", quiet=True)
    words = [
        "--resume",
        "mine",
        "--train.steps",
        "5",
        "--dataset",
        "../" + Path.cwd().name + "/shards",
    ]
    assert main(["train", "gpt", *words]) == 0
    assert capsys.readouterr().out.startswith("train.steps: 4 -> 5\n")
    assert main(["runs"]) == 0
    assert "shards" in capsys.readouterr().out


def test_an_unfinished_folder_is_refused_when_a_run_begins(on_fineweb: RunConfig):
    path = fineweb_edu.HOME / "ingestion.json"
    plan = json.loads(path.read_text())
    path.write_text(json.dumps({**plan, "shards": None}))
    with pytest.raises(UserError, match=r"^data/fineweb-edu: not finished, \d shards so far"):
        create_run(on_fineweb)
