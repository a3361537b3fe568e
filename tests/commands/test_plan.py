"""`playattention plan`: what it says, at once and for any device."""

import re
import subprocess
import sys

import pytest

from playattention.cli import main
from playattention.commands import plan
from playattention.training.readings import GIB, Reading

GPT2 = ["plan", "gpt2"]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["plan", *words]) == 0
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    return out


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_plan_tells_weights_memory_work_disk_and_time(capsys):
    out = told(capsys, "gpt2", "--device", "h100", "--gpus", "8", "--tokens-per-second", "3744000")
    assert out.startswith("gpt2 on 8 x h100: compiled, flash attention\n")
    assert re.search(r"^all +124,475,904 *$", out, re.MULTILINE)
    assert re.search(r"^one device at its peak, GiB +fp32 +>bf16 +fp16$", out, re.MULTILINE)
    for part in ("weights, fp32", "weights, cast", "gradients, fp32", "AdamW's moments, fp32"):
        assert re.search(rf"^{part} +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d$", out, re.MULTILINE)
    assert re.search(r"^largest micro-batch that fits +\d+ +\d+ +\d+$", out, re.MULTILINE)
    assert "854,438,400 FLOPs a token = 6 N + 12 L C T (PaLM, appendix B)" in out
    assert "19,073 of 524,288 tokens = 9,999,745,024 tokens" in out
    assert "up to 4 checkpoints of 1.39 GiB" in out
    assert "989.0 TFLOP/s each (NVIDIA H100 data sheet (SXM), half its sparse)" in out
    assert re.search(r"^time +0:44:31 at 3,744,000 tokens/s, MFU 40\.4%$", out, re.MULTILINE)


def test_the_time_is_told_only_for_a_speed_that_is_given(capsys):
    assert "time      give --tokens-per-second N or --mfu SHARE" in told(
        capsys, "gpt2", "--device", "h100"
    )
    out = told(capsys, "gpt2", "--device", "a100-40gb", "--mfu", "0.48")
    speed = 0.48 * 312e12 / 854_438_400
    assert f"at {speed:,.0f} tokens/s, MFU 48.0%" in out


def test_what_does_not_fit_is_told_with_what_would(capsys):
    out = told(capsys, "gpt2", "--device", "t4")
    assert re.search(r"fits +batch_size = 16: 20\.\d\d of 14\.9 GiB", out)
    assert "no; --train.batch-size up to 8\n" in out
    assert "--train.grad-checkpointing with --train.batch-size up to 16" in out


def test_what_would_fit_is_told_with_or_between_and_fits_the_terminal(capsys):
    out = told(capsys, "gpt2", "--preset", "gpt2-xl", "--device", "t4")
    assert re.search(
        r"^          no; a smaller model \(--model.seq-size, --model.n-layer,\n"
        r" {14}--model.n-embd\)\n {10} or a larger device\n {10} or several with "
        r"--train.parallel fsdp$",
        out,
        re.MULTILINE,
    )


def test_options_are_those_of_train(capsys):
    words = ["gpt2", "--preset", "gpt2-xl", "--device", "h100", "--train.grad-checkpointing"]
    out = told(capsys, *words, "--model.no-flash-attention", "--train.batch-size", "4")
    assert "explicit attention, gradient checkpointing" in out
    assert "1,557,686,400" in out
    small = told(capsys, "gpt", "--model.n-layer", "2", "--device", "cpu")
    assert small.startswith("gpt on ")
    assert "one device at its peak, MiB" in small
    assert "output head" in small


def test_the_modern_models_plan_tells_its_weights_and_what_muon_remembers(capsys):
    out = told(capsys, "modern", "--device", "cpu")
    assert out.startswith("modern on ")
    assert ": not compiled, flash attention\n" in out
    assert "position embedding" not in out
    assert "norms" not in out
    assert re.search(r"^AdamW's, Muon's moments, fp32 +\d+\.\d\d", out, re.MULTILINE)


def test_shares_of_matrices_that_muon_would_turn_are_refused(capsys):
    words = ["--device", "h100", "--gpus", "2", "--train.parallel", "fsdp"]
    assert main(["plan", "modern", *words]) == 2
    assert "parallel = fsdp: leaves each of 2 ranks a share of a matrix" in capsys.readouterr().err


def test_without_a_device_it_is_the_one_at_hand(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan, "read_gpus", lambda: [Reading("NVIDIA H200", 0, 140 * GIB, 0.0)])
    out = told(capsys, "gpt2")
    assert out.startswith("gpt2 on h200: compiled")
    assert " of 140.0 GiB" in out
    monkeypatch.setattr(plan, "read_gpus", lambda: [Reading("NVIDIA X1", 0, 10 * GIB, 0.0)])
    assert told(capsys, "gpt2").startswith("gpt2 on NVIDIA X1: compiled")
    monkeypatch.setattr(plan, "read_gpus", list)
    assert "not compiled" in told(capsys, "gpt").splitlines()[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--device h10", r"unknown device 'h10' \(did you mean 'h100'\?\); allowed: t4, .*"),
        (
            "--device cpu --mfu 0.4",
            r"mfu = 0\.4: the peak of .* is not known; allowed: --tokens-.*",
        ),
        ("--device t4 --mfu 40", r"mfu = 40\.0: must be above 0 and at most 1"),
        ("--device t4 --tokens-per-second 0", r"tokens_per_second = 0\.0: must be above 0"),
        ("--device t4 --mfu 0.4 --tokens-per-second 9", r"mfu and tokens_per_second: both .*"),
        ("--device t4 --gpus 0", r"gpus = 0: must be 1 or more"),
        ("--device cpu --gpus 2", r"gpus = 2: this machine has no NVIDIA GPU; allowed: 1, or .*"),
        ("--device l4 --gpus 3", r"tokens_per_step = 524288: must be a multiple of .* nearest: .*"),
        ("--devise t4", r"unknown option of plan gpt2 '--devise' \(did you mean '--device'\?\).*"),
    ],
)
def test_a_mistake_is_one_line(words: str, message: str, capsys):
    assert main([*GPT2, *words.split()]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(f"playattention: {message}\n", said.err)


def test_a_plan_needs_no_torch():
    code = (
        "import sys; from playattention.cli import main; main(['plan', 'gpt2', '--device', 't4'])\n"
        "print(sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")
