"""`benchmarks/gpu.py` measures a GPU or says that there is none; its code has been executed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def benchmark(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is at hand")
def test_without_a_gpu_it_says_so_in_one_line_and_writes_nothing(own_folder: Path):
    done = benchmark("--output", str(own_folder / "gpu.json"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "gpu.py: no CUDA GPU is at hand; nothing was measured, nothing written\n"
    assert not list(own_folder.iterdir())


def test_a_rehearsal_is_never_written_where_results_are():
    done = benchmark("--rehearse")
    assert (done.returncode, done.stdout) == (1, "")
    assert "a rehearsal gives no results" in done.stderr


@pytest.mark.slow
def test_a_rehearsal_goes_through_all_of_it_on_a_cpu(text_file: Path):
    """All but the figures: the same functions, at toy sizes."""
    output = text_file.parent / "rehearsal.json"
    words = ["--rehearse", "--steps", "2", "--curve", "5", "--text", str(text_file)]
    done = benchmark(*words, "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    results = json.loads(output.read_text())
    assert results["what"] == "a rehearsal on a CPU: no results"
    assert {"fp32", "bf16", "fp16", "bf16, compiled"} <= set(results["correctness"])
    assert results["correctness"]["fp16"]["steps_done"] == 5
    assert results["ladder"]["rows"][0]["memory"] > 0
    assert list(results["gpt2"])[:2] == ["batch 2", "batch 4"]
    assert list(results["shakespeare"]["val_losses"]) == ["0", "3", "6"]
