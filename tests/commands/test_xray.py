"""`playattention xray`: a model's own lines in a terminal."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from playattention import load_run, xray
from playattention.cli import main
from playattention.training.loop import train
from tests.conftest import TEXT

HEAD = "blocks.0.attention.heads.1"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A run of GPT that has learnt a little; no test writes to it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    from playattention.config import RunConfig

    config = RunConfig(
        model={"name": "gpt", "n_layer": 2, "n_head": 2, "n_embd": 8, "seq_size": 16},
        data={"dataset": str(folder / "text.txt")},
        train={"steps": 2, "batch_size": 2, "eval_every": 1, "sample_tokens": 0, "threads": 1},
    )
    threads = torch.get_num_threads()
    yield str(train(config, str(folder / "run"), quiet=True))
    torch.set_num_threads(threads)


def watched(run: str, text: str) -> xray.Trace:
    """Return what the command must show."""
    loaded = load_run(run)
    ids = loaded.tokenizer.encode(text)
    return xray.watch(loaded.model, torch.tensor([ids]), torch.tensor([[*ids[1:], -100]]))


def test_a_values_table_has_the_models_numbers_with_tokens_on_both_axes(run, capsys):
    assert main(["xray", run, "Anna:", "--module", HEAD, "--name", "weights"]) == 0
    out = capsys.readouterr().out
    weights = watched(run, "Anna:").one(HEAD, "weights").tensor[0]
    rows = [line.split() for line in out.splitlines()[-5:]]
    assert [row[0] for row in rows] == list("Anna:")
    assert out.splitlines()[-6].split() == list("Anna:")
    for row, expected in zip(rows, weights.tolist(), strict=True):
        assert row[1:] == [f"{number:.4f}" for number in expected]
    assert "weights = F.softmax(masked, dim=-1)" in out


def test_digits_give_the_full_number(run, capsys):
    line = ["xray", run, "Anna:", "--module", "", "--name", "loss", "--digits", "12"]
    assert main(line) == 0
    loss = watched(run, "Anna:").one("", "loss").tensor.item()
    assert f"{loss:.12f}" in capsys.readouterr().out


def test_lines_are_shown_as_they_ran(run, capsys):
    assert main(["xray", run, "Anna:", "--module", HEAD, "--line"]) == 0
    out = capsys.readouterr().out
    scaled = watched(run, "Anna:").one(HEAD, "scaled").tensor.flatten()
    assert "scaled = scores * self.scale  # (B, T, S)" in out
    assert f"scaled (1, 5, 5) {scaled[0]:.4f} {scaled[1]:.4f}" in out
    assert re.search(r"x \(1, 5, 8\)", out), "what the function was given"


def test_another_function_of_the_module_is_shown_by_name(run, capsys):
    assert main(["xray", run, "Anna:", "--module", HEAD, "--line", "--function", "backward"]) == 2
    assert "unknown function of module" in capsys.readouterr().err


def test_one_number_is_explained(run, capsys):
    line = ["xray", run, "Anna:", "--module", HEAD, "--name", "scores", "--explain"]
    assert main([*line, "--index", "0,4,2"]) == 0
    out = capsys.readouterr().out
    found = xray.explain(watched(run, "Anna:"), HEAD, "scores", (0, 4, 2))
    assert repr(found) in out
    assert "dot product" in out


def test_what_an_explanation_needs_is_told(run, capsys):
    line = ["xray", run, "Anna:", "--module", HEAD, "--name", "scores", "--explain"]
    assert main([*line, "--index", "0,4"]) == 2
    assert "index = 0,4: scores has the shape (1, 5, 5)" in capsys.readouterr().err
    assert main([*line, "--index", "0,4,5"]) == 2
    assert main([*line, "--index", "a"]) == 2
    assert main(["xray", run, "Anna:", "--explain"]) == 2
    assert "explain: needs --name" in capsys.readouterr().err


def test_the_trace_is_saved(run, own_folder, capsys):
    assert main(["xray", run, "Anna:", "--save", "trace.safetensors"]) == 0
    trace = xray.Trace.load(Path("trace.safetensors"))
    expected = watched(run, "Anna:")
    assert [value.title for value in trace] == [value.title for value in expected]
    assert trace.tokens == tuple("Anna:")
    assert f"{len(trace)} values" in capsys.readouterr().out


def test_the_overview_names_every_value_with_what_it_means(run, capsys):
    assert main(["xray", run, "Anna:"]) == 0
    out = capsys.readouterr().out
    assert "blocks.*.attention.heads.*" in out
    assert "mixed (x2)" in out, "the heads' results stand together"
    for value in watched(run, "Anna:"):
        assert value.variable in out
        assert xray.meaning(value).meaning.split(".")[0].split()[0] in out


def test_a_module_alone_lists_its_values_with_numbers(run, capsys):
    assert main(["xray", run, "Anna:", "--module", HEAD]) == 0
    out = capsys.readouterr().out
    query = watched(run, "Anna:").one(HEAD, "query").tensor.flatten()
    assert f"{query[0]:.4f} {query[1]:.4f}" in out
    assert "hidden" not in out


def test_a_name_that_several_modules_have_lists_them(run, capsys):
    assert main(["xray", run, "Anna:", "--name", "weights"]) == 0
    out = capsys.readouterr().out
    assert "4 values are called 'weights'; --module names one" in out
    assert "blocks.1.attention.heads.0: weights" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--module", "blocks.9"], "unknown module 'blocks.9'"),
        (["--module", HEAD, "--name", "wieghts"], "did you mean 'weights'"),
        (["--index", "1"], "index = 1: needs --name"),
        (["--line"], "line: needs --module"),
        (["--digits", "40"], "digits = 40: must be 0 to 17"),
        (["--step", "7"], "step = 7"),
    ],
)
def test_mistakes_are_told_in_one_line(run, capsys, words, message):
    assert main(["xray", run, "Anna:", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_what_would_be_ignored_is_told(run, capsys):
    whole = ["xray", run, "Anna:", "--module", HEAD]
    assert main([*whole, "--line", "--name", "weights"]) == 2
    assert main(["xray", run, "Anna:", "--name", "scores", "--explain", "--index", "0,0,0"]) == 2
    assert "4 values are called so" in capsys.readouterr().err
    assert main(["xray", run, "A", "--name", "loss"]) == 2
    assert "a text of one token has no next one" in capsys.readouterr().err


def test_every_module_of_a_pattern_has_its_own_numbers(run, capsys):
    assert main(["xray", run, "Anna:", "--module", "blocks.*.attention.heads.*"]) == 0
    out = capsys.readouterr().out
    for value in watched(run, "Anna:").find("blocks.*.attention.heads.*", "query"):
        assert f"{value.tensor[0, 0, 0]:.4f} {value.tensor[0, 0, 1]:.4f}" in out


def test_a_reader_that_leaves_is_no_mistake(run):
    line = [sys.executable, "-m", "playattention", "xray", run, "Anna:"]
    ours = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ours.stdout.read(1)
    ours.stdout.close()
    assert ours.stderr.read() == b""
    assert ours.wait() == 0
    ours.stderr.close()


def test_a_text_that_does_not_fit_is_told(run, capsys):
    assert main(["xray", run, "Anna:\nThe lamp is on"]) == 2
    assert "text = 20 tokens: the model takes seq_size = 16 at most" in capsys.readouterr().err
    assert main(["xray", run, ""]) == 2
    assert "text = ''" in capsys.readouterr().err
    assert main(["xray", run, "Zoë"]) == 2


def test_large_tables_leave_out_the_middle_and_all_shows_it(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    line = ["xray", run, "Anna:", "--module", "blocks.0.feed_forward", "--name", "hidden"]
    assert main(line) == 0
    short = capsys.readouterr().out
    assert main([*line, "--all"]) == 0
    whole = capsys.readouterr().out
    assert len(whole) > len(short)
    hidden = watched(run, "Anna:").one("blocks.0.feed_forward", "hidden").tensor[0, -1]
    assert all(f"{number:.4f}" in whole for number in hidden.tolist())
