"""`playattention runs`: what lies in logs/."""

import json
import shutil
from pathlib import Path

import pytest

from playattention.cli import main
from playattention.config import RunConfig
from playattention.training import report
from playattention.training.loop import train
from playattention.training.run import create_run
from tests.conftest import released


@pytest.fixture
def config(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A run that takes moments."""
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)
    return RunConfig(
        model={"name": "gpt", "n_layer": 1, "n_head": 1, "n_embd": 4, "seq_size": 4},
        data={"dataset": str(text_file)},
        train={"steps": 2, "batch_size": 2, "device": "cpu", "sample_tokens": 0},
    )


def listed(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """Return the words of each line."""
    assert main(["runs"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return [line.split() for line in told.out.splitlines()]


def test_without_runs_it_says_how_to_start_one(capsys):
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == ("no runs in logs/ yet; start one: playattention train gpt\n")


def test_each_run_is_a_line_with_how_far_it_is(config: RunConfig, capsys):
    """One that has not begun has no loss; a floor is told where it is known."""
    train(config, "done", quiet=True)
    begun = create_run(config, "begun")
    facts = json.loads((begun / "corpus.json").read_text())
    (begun / "corpus.json").write_text(json.dumps({**facts, "floor": 1.23456}))
    loss = report.read_log(Path("logs/done"))[-1].eval_val_loss
    assert listed(capsys) == [
        ["run", "data", "tokenizer", "step", "saved", "of", "val", "loss", "floor"],
        ["begun", "text.txt", "char", "0", "0", "2", "1.2346"],
        ["done", "text.txt", "char", "2", "2", "2", f"{loss:.4f}"],
    ]


def test_a_name_is_told_whole_and_as_it_is(config: RunConfig, capsys):
    """However long it is, and with the brackets that rich takes for styles."""
    names = ["gpt2_20260102_030405_cuda_" + "x" * 90, "[bold]a[b]", ":smile:"]
    for name in names:
        create_run(config, name)
    assert {line[0] for line in listed(capsys)[1:]} == set(names)


@pytest.mark.parametrize("file", ["config.json", "corpus.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": 3}', "\0\1"])
def test_a_run_that_can_not_be_read_is_told_below_the_others(
    config: RunConfig, file: str, content: str, capsys
):
    create_run(config, "whole")
    (create_run(config, "broken") / file).write_text(content)
    _, whole, broken = listed(capsys)
    assert whole[0] == "whole"
    assert broken[:2] == ["unreadable:", f"logs/broken/{file}:"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00[1]\n", b"step\nx\n", b"a\n" + b"1," * 9])
def test_a_log_that_can_not_be_read_is_no_obstacle(config: RunConfig, content: bytes, capsys):
    (create_run(config, "a") / "log.csv").write_bytes(content)
    assert listed(capsys)[1] == ["a", "text.txt", "char", "0", "0", "2"]


def test_imported_weights_are_listed_without_data_and_loss(config: RunConfig, capsys):
    released(Path("weights"))
    assert main(["import", "weights", "--run", "mine"]) == 0
    capsys.readouterr()
    assert listed(capsys)[1:] == [["mine", "(imported)", "gpt2", "0", "0"]]


def test_other_things_in_logs_are_not_listed(config: RunConfig, capsys):
    """Folders that are no runs, files, and what a kill left of a run that was being laid out."""
    folder = create_run(config, "a")
    Path("logs/notes").mkdir()
    Path("logs/readme.txt").write_text("mine")
    shutil.copytree(folder, "logs/.b.123.partial")
    assert [line[0] for line in listed(capsys)[1:]] == ["a"]


def test_a_text_that_is_gone_is_no_obstacle(config: RunConfig, capsys):
    """Only the files of the run are read."""
    create_run(config, "a")
    Path(config.data.dataset).unlink()
    assert listed(capsys)[1][:2] == ["a", "text.txt"]


def test_a_run_killed_between_two_saves_tells_what_is_kept(config: RunConfig, capsys):
    """What was logged since is lost: it goes on, and writes, from the weights that were saved."""
    folder = train(config.updated(train={"eval_every": 1}), "a", quiet=True)
    shutil.rmtree(folder / "checkpoints" / "step_00000002")
    assert listed(capsys)[1][3:6] == ["2", "1", "2"]
    assert main(["generate", "a", "the", "--tokens", "1", "--device", "cpu"]) == 0
    assert capsys.readouterr().err == (
        "logs/a has done 2 steps; the last saved, used here: step 1\n"
    )
