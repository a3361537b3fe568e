"""`playattention gpu`: each figure with what it means, once or again and again."""

import re

import pytest

from playattention.cli import main
from playattention.commands import gpu
from playattention.training.readings import GIB, Holder, Reading

H100 = Reading(
    name="NVIDIA H100 80GB HBM3",
    memory_used=61 * GIB,
    memory_total=80 * GIB,
    utilisation=0.97,
    temperature=61,
    watts=655.2,
    watts_limit=700.0,
    holders=(Holder(4242, "python", 60 * GIB), Holder(7, "?", None)),
)


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_what_nvidia_smi_shows_is_shown_and_explained(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu, "read_gpus", lambda: [H100, H100])
    assert main(["gpu"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "GPU 0: NVIDIA H100 80GB HBM3" in out
    assert "GPU 1: NVIDIA H100 80GB HBM3" in out
    for figure in ("61.0 of 80.0 GiB (76%)", "97%", "61 °C, 655 of 700 W", "4242 python 60.0 GiB"):
        assert out.count(figure) == 2
    told = " ".join(re.sub(r"\s+", " ", out).split())
    assert "Share of the time in which" in told
    assert "MFU" in told


def test_what_is_not_told_is_said_to_be_so(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu, "read_gpus", lambda: [Reading("A part of a GPU", None, None, None)])
    assert main(["gpu"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^(?:memory|utilisation) +not told", out, re.MULTILINE)) == 2
    assert "not told, not told" in out
    assert re.search(r"^processes +none told", out, re.MULTILINE)


def test_without_a_gpu_the_cpu_is_shown_the_same_way(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu, "read_gpus", list)
    assert main(["gpu"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("No NVIDIA GPU was found; this is the CPU.\nCPU: ")
    assert re.search(r"^memory +\d+\.\d of \d+\.\d GiB \(\d+%\)", said.out, re.MULTILINE)
    assert re.search(r"^utilisation +\d+%", said.out, re.MULTILINE)
    assert re.search(r"^processes +\d+ \S+ .*GiB", said.out, re.MULTILINE)


def test_every_reads_anew_until_ctrl_c(capsys, monkeypatch: pytest.MonkeyPatch):
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 4:
            raise KeyboardInterrupt

    read = []
    monkeypatch.setattr(gpu, "read_gpus", lambda: read.append(1) or [H100])
    monkeypatch.setattr(gpu.time, "sleep", sleep)
    assert main(["gpu", "--every", "0.5"]) == 0
    assert waited == [0.5] * 4
    assert len(read) == 4
    assert "NVIDIA H100 80GB HBM3" in capsys.readouterr().out


@pytest.mark.parametrize("every", ["0", "-1", "1e9"])
def test_a_pace_that_makes_no_sense_is_one_line(every: str, capsys):
    assert main(["gpu", "--every", every]) == 2
    assert capsys.readouterr().err.endswith(": must be 0.1 to 3600 seconds\n")
