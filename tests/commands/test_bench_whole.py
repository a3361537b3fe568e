"""`playattention bench` from end to end, every part for real, at sizes of seconds."""

import json
from pathlib import Path

import pytest

from playattention.bench import limits, parts
from playattention.bench.parts import PARTS
from playattention.cli import main
from tests.bench.benched import TINY


@pytest.mark.slow
def test_the_whole_bench_measures_every_part(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(parts, "QUICK", TINY)
    monkeypatch.setattr(limits, "ROWS", 512)
    assert main(["bench", "--quick", "--out", "a.json"]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    results = json.loads(Path("a.json").read_text())
    assert set(results["missing"]) <= {"bf16"}
    assert {figure["part"] for figure in results["figures"]} == set(PARTS) - {"growth"}
    assert len(results["growth"]) == 12
    assert min(reading for limit in results["limits"] for reading in limit["raw"]) > 1e8
