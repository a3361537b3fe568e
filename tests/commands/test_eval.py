"""`playattention eval`: figures of a run, with their standard errors."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from playattention.cli import main
from playattention.config import RunConfig
from playattention.data import hellaswag
from playattention.data.hellaswag import load_items
from playattention.evaluation import choose
from playattention.training import report
from playattention.training.loop import train
from playattention.training.run import load_run
from tests.conftest import TEXT, released

LINE = {
    "ind": 1,
    "ctx": "The lamp is on",
    "endings": ["the table.", "the chair. It is", "a door", "the bed."],
    "label": 0,
}


@pytest.fixture(autouse=True)
def one_thread() -> object:
    """Put the number of threads back that a run sets for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over characters, called mine."""
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)
    config = RunConfig(
        model={"name": "gpt", "n_layer": 1, "n_head": 2, "n_embd": 8, "seq_size": 8},
        data={"dataset": "text.txt"},
        train={
            "steps": 4,
            "batch_size": 2,
            "eval_every": 2,
            "device": "cpu",
            "threads": 1,
            "sample_tokens": 0,
        },
    )
    return train(config, "mine", quiet=True)


def told(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return what eval prints."""
    assert main(["eval", *map(str, words), "--device", "cpu"]) == 0
    written = capsys.readouterr()
    assert written.err == ""
    return written.out


@pytest.mark.parametrize("step", [0, 4])
def test_the_loss_is_that_of_the_log_over_the_whole_split(run: Path, step: int, capsys):
    """With its standard error; perplexity and bits per byte follow, as a character is a byte."""
    out = told(capsys, "mine", "--step", step)
    row = next(row for row in report.read_log(run) if row.step == step)
    n_val = len(TEXT) - int(0.9 * len(TEXT)) - 1
    assert out == (
        f"logs/mine, step {step}, on {n_val} of the {n_val} tokens for validation of "
        f"{Path('text.txt').resolve()}\n"
        f"loss           {row.eval_val_loss:.4f} ± {row.eval_val_standard_error:.4f} nats per "
        "token\n"
        f"perplexity     {math.exp(row.eval_val_loss):,.2f}\n"
        f"bits per byte  {row.eval_val_loss / math.log(2):.4f} ({n_val} bytes of UTF-8)\n"
    )


def test_another_text_and_fewer_tokens_can_be_asked_for(run: Path, capsys):
    Path("other.txt").write_text(TEXT[:2000])
    whole = told(capsys, "mine", "--dataset", "other.txt")
    assert "on 199 of the 199 tokens for validation of " in whole
    part = told(capsys, "mine", "--dataset", "other.txt", "--max-tokens", 40)
    assert "on 40 of the 199 tokens for validation of " in part
    assert whole.splitlines()[1] != part.splitlines()[1]


def test_imported_weights_need_a_text(text_file: Path, capsys):
    released(Path("weights"))
    assert main(["import", "weights"]) == 0
    capsys.readouterr()
    out = told(capsys, "weights", "--dataset", "text.txt")
    loss, bits = (float(re.search(rf"{name} +([\d.]+)", out)[1]) for name in ("loss", "per byte"))
    n_tokens = int(re.search(r"on ([\d,]+) of", out)[1].replace(",", ""))
    n_bytes = int(re.search(r"\(([\d,]+) bytes", out)[1].replace(",", ""))
    assert bits == pytest.approx(loss * n_tokens / n_bytes / math.log(2), abs=1e-3)
    assert main(["eval", "weights"]) == 2
    assert capsys.readouterr().err.startswith(
        "playattention: logs/weights: imported weights, with no text of their own; allowed: "
    )


# HellaSwag.


@pytest.fixture
def items() -> Path:
    """A made sample in HellaSwag's schema."""
    lines = [json.dumps({**LINE, "label": label}) for label in (0, 1, 2, 3, 0, 1)]
    Path("items.jsonl").write_text("\n".join(lines) + "\n")
    return Path("items.jsonl")


@pytest.mark.parametrize("limit", [[], ["--limit", 4]])
def test_hellaswag_tells_both_accuracies(items: Path, limit: list[object], capsys):
    released(Path("weights"))
    main(["import", "weights"])
    capsys.readouterr()
    out = told(capsys, "weights", "--task", "hellaswag", "--from", "items.jsonl", *limit)
    loaded = load_run("weights")
    asked = load_items(items)[: limit[1] if limit else None]
    found = choose(loaded.model, loaded.tokenizer, asked, 16)
    assert out == (
        f"logs/weights, step 0, on {len(asked)} items of HellaSwag (the whole has 10,042)\n"
        f"accuracy             {100 * found.accuracy:.2f}% ± {100 * found.standard_error:.2f}%\n"
        f"normalized accuracy  {100 * found.normalized_accuracy:.2f}% ± "
        f"{100 * found.normalized_standard_error:.2f}%  (by the mean loss of the ending's tokens)\n"
        "chance               25.00%\n"
    )


def test_a_run_over_characters_names_what_it_can_not_read(run: Path, items: Path, capsys):
    Path("items.jsonl").write_text(json.dumps({**LINE, "ctx": "A 3 m pole"}) + "\n")
    words = ["eval", "mine", "--task", "hellaswag", "--from", "items.jsonl"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("playattention: item 0: unknown character '3' at position 2; allowed: ")
    assert error.count("\n") == 1


# Mistakes.


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--limit 3", "limit = 3: allowed with --task hellaswag alone"),
        ("--from x", "from = x: allowed with --task hellaswag alone"),
        ("--task hellaswag --dataset x", "dataset = x: allowed without --task alone"),
        ("--task hellaswag --max-tokens 9", "max_tokens = 9: allowed without --task alone"),
        ("--task hellaswag --limit 0", "limit = 0: must be 1 or more"),
        ("--task hellaswag --from x.jsonl", "--from x.jsonl: cannot be read (No such file or dire"),
        ("--max-tokens -1", "max_tokens = -1: must be 1 or more"),
        ("--dataset nowhere", "unknown data set 'nowhere'; allowed: "),
        ("--step 3", "step = 3: logs/mine has no such checkpoint; allowed: "),
    ],
)
def test_a_mistake_is_one_line(run: Path, words: str, expected: str, capsys):
    assert main(["eval", "mine", *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"playattention: {expected}")
    assert error.count("\n") == 1


def test_the_known_file_is_used_where_it_lies(items: Path, monkeypatch, capsys):
    monkeypatch.setattr(hellaswag, "ITEMS", 6)
    hellaswag.HOME.parent.mkdir(parents=True)
    items.rename(hellaswag.HOME)
    released(Path("weights"))
    main(["import", "weights"])
    capsys.readouterr()
    out = told(capsys, "weights", "--task", "hellaswag")
    assert out.startswith("logs/weights, step 0, on 6 items of HellaSwag\naccuracy  ")
