"""The command line: what is asked for is done, and each mistake is one line with exit code 2."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from playattention import __version__
from playattention.cli import main
from playattention.commands import COMMANDS
from playattention.training import RECIPES

TRAIN = ["train", "gpt", "--dataset", "text.txt"]


class Terminal(io.StringIO):
    """What Python takes for a terminal with colours."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def mistake(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the message of a command line that is refused: one line, and nothing else."""
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("playattention: ")
    assert told.err.count("\n") == 1
    return told.err.removeprefix("playattention: ").removesuffix("\n")


# Help.


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(words: list[str], capsys):
    assert main(words) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert all(f"playattention {name} " in told.out for name in COMMANDS)
    assert all(f"playattention train {name} " in told.out for name in RECIPES)


def test_help_imports_neither_torch_nor_matplotlib():
    code = (
        "import sys; from playattention.cli import main; main(['--help'])\n"
        "print(sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["train", "gpt"], ["--run", "--resume", "--model.n-embd", "--dataset", "--train.steps"]),
        (["train", "gpt2"], ["--preset", "--model.flash-attention", "--train.tokens-per-step"]),
        (["generate"], ["RUN", "PROMPT", "--temperature", "--no-cache"]),
        (["data"], ["NAME", "--from"]),
        (["runs"], ["--help"]),
        (["learn"], ["ACTION", "--give-up", "watch", "solution N"]),
    ],
)
def test_each_command_tells_its_options(words: list[str], options: list[str], capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"usage: playattention {' '.join(words)}")
    assert [option for option in options if option not in told.out] == []


def test_help_of_train_without_a_recipe_names_the_recipes(capsys):
    assert main(["train", "--help"]) == 0
    assert capsys.readouterr().out == (
        "playattention train RECIPE --help, where RECIPE is one of: gpt, gpt2, modern\n"
    )


def test_help_has_the_terminals_colours_and_is_told_once(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    assert "\x1b[" in terminal.getvalue()
    assert terminal.getvalue().count("usage:") == 1


@pytest.mark.parametrize("name", ["play", "learn", "export", "gpu"])
def test_the_usage_line_of_help_fits_80_columns(name: str, monkeypatch: pytest.MonkeyPatch, capsys):
    """And has all that it has in a wide terminal."""
    told = []
    for columns in ("80", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(SystemExit):
            main([name, "--help"])
        told.append(capsys.readouterr().out.split("\n\n")[0])
    assert max(map(len, told[0].splitlines())) <= 80
    assert told[0].split() == told[1].split()


def test_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


# Mistakes.

MISTAKES = {
    # Commands, recipes and options that are not there: the nearest is named.
    "trian": r"unknown command 'trian' \(did you mean 'train'\?\); allowed: train, generate, .*",
    "--bogus": r"unknown command '--bogus'; allowed: train, .*",
    "train gtp": r"unknown recipe 'gtp' \(did you mean 'gpt'\?\); allowed: gpt, gpt2, modern",
    "train --train.steps 3": r"train: which recipe\? allowed: gpt, gpt2, modern, or --resume RUN",
    "train gpt --model.n_embed 3": r"unknown option of train gpt '--model.n_embed' \(did you mean "
    r"'--model.n-embd'\?\); allowed: --model.n-embd, .* or one of \d+ in all",
    "train gpt --preset gpt2": r"unknown option of train gpt '--preset'.*; allowed: .*",
    "train gpt2 --preset gpt3": r"unknown preset 'gpt3' .*; allowed: gpt2, gpt2-medium, .*",
    "generate a b c": r"unknown option of generate 'c'; allowed: --help, --tokens, .*",
    "runs all": r"unknown option of runs 'all'; allowed: --help",
    # Values that an option does not take.
    "train gpt --train.steps": r"Missing value for argument '--train.steps'\. .*",
    "train gpt --train.steps many": r"Error parsing --train.steps: .*'many'; allowed: INT .*",
    "train gpt --train.steps 1e3": r"Error parsing --train.steps: .*'1e3'; allowed: INT .*",
    "train gpt --train.learning-rate x": r"Error parsing --train.learning-rate: .*'x'; allowed: "
    r"FLOAT \(see playattention train gpt --help\)",
    "train gpt --train.schedule square": r"invalid choice 'square' for argument "
    r"'--train.schedule'\. Expected one of \('cosine', 'linear', 'constant'\)\. .*",
    "train gpt --train.betas 0.9": r"Missing value for argument '--train.betas'\. Expected 2 .*",
    "generate": r"generate needs RUN \(the run: its name below logs/, or a path\) "
    r"\(see playattention generate --help\)",
    "xray": r"xray needs RUN \(the run: its name .*\) and TEXT \(what the model reads\) \(see .*",
    "export": r"export needs RUN \(the run: .*\) and --to PATH \(the folder to .*\) \(see .*",
    "export a": r"export needs --to PATH \(the folder to write: .*\) \(see .*",
    "data": r"data needs NAME \(playhouse, .* shards\) \(see playattention data --help\)",
    "eval": r"eval needs RUN \(the run: .*\) \(see playattention eval --help\)",
    "import": r"import needs SOURCE \(gpt2, .*\) \(see playattention import --help\)",
    "generate a --seed x": r"Error parsing --seed: .*'x'.*; allowed: \{None\}\|INT .*",
    # Settings out of their range.
    "train gpt --model.n-embd 17": r"n_embd = 17: must be divisible by n_head = 4; nearest: 16 or "
    r"20, or n_head = 1",
    "train gpt --model.n-embd 0": r"n_embd = 0: input should be greater than or equal to 1",
    "train gpt --model.dropout nan": r"dropout = nan: input should be a finite number",
    "train gpt --train.steps -1": r"steps = -1: input should be greater than or equal to 1",
    "train gpt --train.seed -1": r"seed = -1: input should be greater than or equal to 0",
    "train gpt --train.betas 0.9 1.5": r"betas = \(0\.9, 1\.5\): each must be at least 0 and below "
    r"1",
    "train gpt --train.learning-rate 1e-9": r"min_learning_rate = 0\.0001: must not be above "
    r"learning_rate = 1e-09",
    "train gpt --train.tokens-per-step 1000": r"tokens_per_step = 1000: must be a multiple of "
    r"batch_size x seq_size = 12 x 64 = 768; nearest: 768 or 1536",
    # Texts.
    "train gpt --dataset tinyshakespear": r"unknown data set 'tinyshakespear' \(did you mean "
    r"'tinyshakespeare'\?\); allowed: playhouse, tinyshakespeare, fineweb-edu, the path of a "
    r"text file, or of a folder of shards",
    "train gpt --dataset nosuch.txt": r"nosuch\.txt: no such file; allowed: playhouse, .*, the "
    r"path of a text file, or of a folder of shards",
    "train gpt --dataset no/such": r"no/such: no such file; allowed: playhouse, .*",
    "data nosuch.txt": r"nosuch\.txt: no such file; allowed: .*",
    "train gpt --dataset empty": r"empty: the file is empty; allowed: UTF-8 text",
    "train gpt --dataset binary": r"binary: a binary file \(a zero byte at 2\); allowed: .*",
    "train gpt --dataset latin": r"latin: not UTF-8 \(byte 0xe9 at 3\); allowed: UTF-8 text",
    "train gpt --dataset short": r"seq_size = 64: the training split of \S+/short has 45 tokens, "
    r"and a window takes seq_size \+ 1; allowed: up to 44",
    "train gpt --dataset letter": r"\S+/letter: its training split has 0 tokens, too few .*",
    "train gpt --dataset text.txt --model.seq-size 900": r"seq_size = 900: the validation split of "
    r"\S+ has 619 tokens, and a window takes seq_size \+ 1; allowed: up to 618",
    "train gpt --dataset text.txt --tokenizer chr": r"unknown tokenizer 'chr' \(did you mean "
    r"'char'\?\); allowed: char, gpt2",
    "data nothing": r"unknown data set 'nothing'; allowed: playhouse, .*",
    "data text.txt --from copy": r"--from copy: only tinyshakespeare and fineweb-edu take a source",
    # The course.
    "learn run --train.steps 5": r"unknown option of learn '--train.steps' \(did you mean "
    r"'--steps'\?\); allowed: .*",
    "learn chek": r"unknown action of learn 'chek' \(did you mean 'check'\?\); allowed: list, .*",
    "learn check causal_msk": r"unknown exercise 'causal_msk' \(did you mean 'causal_mask'\?\); .*",
    "learn check 99": r"exercise = 99: there is none of this number; allowed: .*\b6\b.*",
    "learn check": r"learn check: which exercise\? allowed: a number or a name that .* lists",
    "learn check 6": r"exercises/e06_causal_mask.py: is not there; playattention learn start "
    r"causal_mask puts it there",
    "learn solution 6": r"solution of causal_mask: yours is not right yet; allowed: after a pass, "
    r"or with --give-up",
    "learn watch 6": r"learn watch: takes no exercise; allowed: leave it out",
    # Runs that are not there.
    "train gpt --resume nothing": r"run 'nothing': no folder with a config.json there or in logs/; "
    r"allowed: a run that `playattention runs` lists, or a path",
    "train --resume nothing": r"run 'nothing': no folder .*",
    "train --run nothing": r"run 'nothing': no folder .*",
    "train gpt --resume=": r"run '': no folder .*",
    "generate nothing": r"run 'nothing': no folder .*",
}


@pytest.fixture
def texts(text_file: Path) -> None:
    """Files that nothing can be trained on, beside one that can."""
    Path("empty").write_bytes(b"")
    Path("binary").write_bytes(b"ab\0cd" * 100)
    Path("latin").write_bytes("café".encode("latin-1") * 100)
    Path("short").write_text("0123456789" * 5)
    Path("letter").write_text("a")


@pytest.mark.parametrize(("words", "message"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_one_line_that_says_what_is_allowed(
    words: str, message: str, texts: None, capsys
):
    """And nothing was done: no folder was made."""
    assert re.fullmatch(message, mistake(words.split(), capsys))
    assert not Path("logs").exists()
    assert not Path("data").exists()


@pytest.mark.parametrize("columns", ["40", "80", "200"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "terminal"])
@pytest.mark.parametrize(
    "words",
    [
        "train gpt --train.schedule square",
        "train gpt --train.steps many",
        "train gpt --model.n-embd 17",
        "train gpt --train.stepz 3",
        "generate",
    ],
)
def test_a_mistake_is_told_alike_wherever_the_output_goes(
    words: str, encoding: str, columns: str, monkeypatch: pytest.MonkeyPatch, capsys
):
    """In a terminal, wide or narrow, in a pipe, and where there is no UTF-8."""
    expected = mistake(words.split(), capsys)
    output = Terminal() if encoding == "terminal" else io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    assert mistake(words.split(), capsys) == expected
    assert len(expected) > 50


def test_a_mistake_leaves_the_terminal_and_exits_as_it_should():
    """The same in a process of its own, with the output in a terminal as Linux makes them."""
    pty = pytest.importorskip("pty")
    reading, terminal = pty.openpty()
    line = [sys.executable, "-m", "playattention", "train", "gpt", "--model.n-embd", "17"]
    done = subprocess.run(line, check=False, stdout=terminal, stderr=subprocess.PIPE, text=True)
    os.close(terminal)
    os.close(reading)
    assert done.returncode == 2
    assert done.stderr == (
        "playattention: n_embd = 17: must be divisible by n_head = 4; "
        "nearest: 16 or 20, or n_head = 1\n"
    )


# Pipes and keys.


def test_a_reader_that_has_left_ends_a_command_quietly():
    """As `playattention --help | true` does; `head` leaves in the same way."""
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "playattention", "--help"]
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        line, check=False, stdout=writing, stderr=subprocess.PIPE, text=True, env=usual
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_before_there_is_anything_to_save_exits_130(monkeypatch, capsys):
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("playattention.cli.command_class", interrupted)
    assert main(["runs"]) == 130
    assert capsys.readouterr() == ("", "playattention: stopped\n")
