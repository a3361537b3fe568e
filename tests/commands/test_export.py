"""`playattention export`: a run as other programs read it."""

import re
from pathlib import Path

import pytest
import torch

from playattention.cli import main
from playattention.config import RunConfig
from playattention.training import report
from playattention.training.loop import train
from playattention.training.run import load_run


@pytest.fixture
def run(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of GPT-2 over characters."""
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)
    config = RunConfig(
        model={"name": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 8, "seq_size": 8},
        data={"dataset": "text.txt"},
        train={"steps": 2, "batch_size": 2, "device": "cpu", "threads": 1, "sample_tokens": 0},
    )
    threads = torch.get_num_threads()
    yield train(config, "mine", quiet=True)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("step", [0, 2])
def test_what_it_tells_to_do_in_python_works(run: Path, step: int, capsys):
    """The code that it prints loads the model of that step and its tokenizer."""
    assert main(["export", "mine", "--to", "out", "--step", str(step)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"out: step {step} of logs/mine\nin Python:\n")
    code = re.sub(r"^  ", "", told.out.split("in Python:\n")[1], flags=re.MULTILINE)
    found: dict = {}
    exec(code, found)
    loaded = load_run("mine", step)
    ids = loaded.tokenizer.encode("The lamp")
    assert found["tokenizer"]("The lamp")["input_ids"] == ids
    with torch.no_grad():
        logits = found["model"](torch.tensor([ids])).logits
        expected, _ = loaded.model(torch.tensor([ids]))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


def test_a_full_folder_is_one_line(run: Path, capsys):
    assert main(["export", "mine", "--to", "logs"]) == 2
    assert capsys.readouterr().err == (
        "playattention: logs: is not empty; allowed: a new folder, or an empty one\n"
    )
