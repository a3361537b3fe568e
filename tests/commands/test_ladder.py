"""`playattention ladder`: the table, the files, and a loud end where a switch does nothing."""

import json
import re
from pathlib import Path

import pytest
import torch

from playattention.bench import ladder as measured
from playattention.bench.switches import RUNGS
from playattention.cli import main
from playattention.commands import ladder
from playattention.training.readings import GIB, Reading

WORDS = """
--model.n-layer 1 --model.n-head 2 --model.n-embd 32 --model.seq-size 16 --train.batch-size 2
--train.device cpu --train.threads 1 --steps 2
"""
SIZES = WORDS.split()
ROW = r"^([ +|]) (.+?)  +[\d.]+ +[\d.]+-[\d.]+ +[\d,]+ +\d+ MiB +\d+% *([\d.]*)"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> object:
    """Leave out what is compiled and the measured peak, which take most of the time."""
    peak = measured.Peak({"fp32": 2e9, "tf32": 2e9, "bf16": 1e9}, "made up")
    monkeypatch.setattr(measured, "measured_peak", lambda _: peak)
    rungs = tuple(rung for rung in RUNGS if rung.name != "torch.compile")
    monkeypatch.setattr(measured, "RUNGS", rungs)
    monkeypatch.setenv("COLUMNS", "80")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_the_table_has_every_rung_and_fits_80_columns(capsys):
    assert main(["ladder", "gpt2", *SIZES, "--output", "made"]) == 0
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert out.startswith("gpt2: 1 layers, 2 heads, 32 wide, 2 x 16 tokens, vocabulary ")
    rows = re.findall(ROW, out, re.MULTILINE)
    assert [(mark, name) for mark, name, _ in rows] == [
        (" ", "nothing (float32)"),
        ("|", "autocast bf16"),
        ("+", "flash attention"),
        ("+", "padded vocabulary"),
        ("+", "fused AdamW"),
        ("|", "gradient checkpointing"),
    ]
    assert [bool(ratio) for *_, ratio in rows] == [False] + [True] * 5
    assert "not on this device: TF32 (NVIDIA GPUs from compute capability 8.0 on)" in out
    assert "flash attention ran as scaled_dot_product_flash_attention_for_cpu" in out


def test_the_files_hold_the_table_and_the_machine(capsys):
    assert main(["ladder", "gpt", *SIZES]) == 0
    results = json.loads(Path("logs/ladder/ladder.json").read_text())
    assert [row["switch"] for row in results["rows"]] == [
        "nothing (float32)",
        "autocast bf16",
        "fused AdamW",
        "gradient checkpointing",
    ]
    assert {one["switch"] for one in results["missing"]} >= {"flash attention", "TF32"}
    assert results["machine"]["threads"] == 1
    assert results["machine"]["torch"] == torch.__version__
    assert "load" in results["machine"]
    assert Path("logs/ladder/ladder.png").stat().st_size > 1000


def test_the_modern_model_climbs_all_but_the_padding(capsys):
    assert main(["ladder", "modern", *SIZES]) == 0
    rows = re.findall(ROW, capsys.readouterr().out, re.MULTILINE)
    assert [name for _, name, _ in rows] == [
        "nothing (float32)",
        "autocast bf16",
        "flash attention",
        "fused AdamW",
        "gradient checkpointing",
    ]


def test_a_switch_that_does_nothing_exits_1(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measured, "witness", lambda *_: {"products": ["fp64"]})
    assert main(["ladder", "gpt2", *SIZES]) == 1
    assert re.fullmatch(
        r"playattention: ladder: autocast off did not take effect: expected \['fp32'\], "
        r"saw \['fp64'\]\n",
        capsys.readouterr().err,
    )


def test_full_sizes_are_for_gpus_and_a_batch_that_fits_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ladder, "read_gpus", list)
    laptop = ladder.default("gpt2", None).config
    assert (laptop.model.n_embd, laptop.model.vocab_size) == (192, 5_003)
    assert ladder.default("gpt2", "gpt2-medium").config.model.n_embd == 1024
    assert ladder.default("gpt", None).config.model.n_embd == 128
    for gigabytes, batch_size in ((80, 16), (16, None)):
        card = Reading("a GPU", 0, gigabytes * GIB, 0.0)
        monkeypatch.setattr(ladder, "read_gpus", lambda card=card: [card])
        config = ladder.default("gpt2", None).config
        assert (config.model.n_embd, config.model.seq_size) == (768, 1024)
        assert config.train.batch_size == (batch_size or config.train.batch_size)
        assert 1 <= config.train.batch_size <= 16
    assert config.train.batch_size < 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("gpt3", r"unknown recipe 'gpt3' .*"),
        ("gpt2 --steps 0", r"steps = 0: must be 1 or more"),
        ("gpt2 --output text", r"text: cannot be written \(.*\)"),
        ("gpt2 --train.device tpu", r"invalid choice 'tpu' .*"),
    ],
)
def test_a_mistake_is_one_line(words: str, message: str, capsys):
    Path("text").write_text("a file where a folder is needed")
    recipe, *rest = words.split()
    assert main(["ladder", recipe, *(SIZES if "output" in words else []), *rest]) == 2
    assert re.fullmatch(f"playattention: {message}\n", capsys.readouterr().err)
