"""What the pages say can be done is done here, with small data and small models."""

import hashlib
import linecache
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed.run import get_args_parser

from playattention import cli
from playattention.commands.train import Train
from playattention.data import tinyshakespeare
from playattention.training import report
from tests.conftest import TEXT
from tests.data.fineweb import DOCUMENTS, write_parquet

ROOT = Path(__file__).parents[1]
SMALL = """
--model.n-layer 1 --model.n-head 1 --model.n-embd 8 --model.seq-size 16 --train.batch-size 2
--train.tokens-per-step 32 --train.steps 2 --train.warmup-steps 1 --train.sample-tokens 2
--train.device cpu --train.threads 1 --data.eval-tokens 100
"""


def commands(page: str, heading: str = "") -> list[str]:
    """Return the commands of a page, or of one of its sections; not those that need the hub."""
    text = (ROOT / page).read_text(encoding="utf-8")
    part = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", part[1] if heading else text, re.DOTALL)
        for line in block.splitlines()
    ]
    return [
        line.split("#")[0].strip()
        for line in lines
        if line.startswith("playattention ") and "from the hub" not in line
    ]


@pytest.fixture
def small_data(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands name, small."""
    for folder in ("parquet", "DIR"):
        write_parquet(own_folder / folder / "000.parquet", DOCUMENTS * 30, rows_in_group=500)
    (own_folder / "my.txt").write_text(TEXT * 20)
    home = own_folder / tinyshakespeare.HOME
    home.parent.mkdir(parents=True)
    home.write_text(TEXT)
    monkeypatch.setattr(tinyshakespeare, "SHA256", hashlib.sha256(TEXT.encode()).hexdigest())
    theirs = own_folder / "edu_fineweb10B"
    theirs.mkdir()
    for name in ("edufineweb_val_000000.npy", "edufineweb_train_000001.npy"):
        np.save(theirs / name, np.arange(1000, dtype=np.uint16))
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)


@pytest.mark.parametrize(
    ("page", "heading", "at_least"),
    [("docs/data.md", "", 8), ("README.md", "Ten billion tokens", 4)],
)
def test_every_command_about_data_does_what_it_says(
    page: str, heading: str, at_least: int, small_data: None, capsys
):
    """In the order of the page, as one needs what another made."""
    threads = torch.get_num_threads()
    told = commands(page, heading)
    assert len(told) >= at_least
    for command in told:
        words = shlex.split(command)[1:]
        words += SMALL.split() if words[0] == "train" else []
        assert cli.main(words) == 0, (command, capsys.readouterr().err)
    torch.set_num_threads(threads)


def test_every_option_that_the_page_on_data_names_exists(capsys):
    named = set(re.findall(r"`(--[a-z][\w.-]*)", (ROOT / "docs/data.md").read_text()))
    with pytest.raises(SystemExit):
        cli.main(["data", "--help"])
    assert len(named) >= 6
    assert named - set(re.findall(r"--[a-z][\w.-]*", capsys.readouterr().out)) == set()


DISTRIBUTED = [
    block.replace("\\\n", " ")
    for page in ("docs/distributed.md", "README.md")
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    if "torchrun" in block
]


def test_the_command_for_two_processes_on_a_laptop_trains(own_folder: Path):
    """The one of the page that needs no GPU, as it stands there."""
    (command,) = [block for block in DISTRIBUTED if "--train.device cpu" in block]
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": here, "OMP_NUM_THREADS": "1"}
    subprocess.run(["bash", "-c", command], env=environment, check=True, capture_output=True)
    (run,) = Path("logs").iterdir()
    assert (run / "checkpoints" / "step_00000020").is_dir()
    assert '"ranks": 2' in (run / "machine.json").read_text()


@pytest.mark.parametrize("command", DISTRIBUTED)
def test_every_line_for_torchrun_is_understood(command: str, monkeypatch: pytest.MonkeyPatch):
    """Those for many GPUs can't be run here; torchrun and the command line can parse them."""
    started = []

    def run(self: Train) -> None:
        started.append(self)

    monkeypatch.setattr(Train, "run", run)
    (line,) = [line for line in command.splitlines() if "torchrun" in line]
    words = shlex.split(line[line.index("torchrun ") :])[1:]
    options, words = words[: words.index("playattention")], words[words.index("playattention") :]
    as_a_job = [word.replace("$SLURM_NNODES", "2") for word in options]
    parsed = get_args_parser().parse_args([*as_a_job, "playattention"])
    assert parsed.module
    assert cli.main(words[1:]) == 0
    assert len(started) == 1


def python_blocks(page: str) -> list[str]:
    """Return what a page shows in Python, block by block."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_every_command_and_line_about_xray_does_what_it_says(own_folder: Path, capsys):
    """On a run of the same names that has hardly learnt: its numbers are other ones."""
    threads = torch.get_num_threads()
    told = commands("docs/xray.md")
    assert len(told) >= 7
    small = f"{SMALL} --model.n-layer 3 --model.n-head 3 --model.n-embd 12 --model.seq-size 128"
    small += " --train.tokens-per-step 256"
    for command in told:
        words = shlex.split(command)[1:]
        words += small.split() if words[0] == "train" else []
        assert cli.main(words) == 0, (command, capsys.readouterr().err)
    assert Path("edmund.safetensors").exists()
    shared: dict[str, object] = {"__name__": "docs"}
    blocks = python_blocks("docs/xray.md")
    assert len(blocks) >= 9
    for number, block in enumerate(blocks):
        # As a notebook does it: a class typed in a cell has a source that can be read.
        name = f"<ipython-input-{number}-docs>"
        linecache.cache[name] = (len(block), None, block.splitlines(keepends=True), name)
        exec(compile(block, name, "exec"), shared)
    assert Path("formed.png").exists()
    torch.set_num_threads(threads)
