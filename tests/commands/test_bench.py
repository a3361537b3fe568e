"""`playattention bench`: the table, the files, a Ctrl-C that keeps them, files side by side."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from playattention.bench import limits, parts, run
from playattention.bench.parts import PARTS, Setting
from playattention.bench.results import Figure, Found, write
from playattention.cli import main
from tests.bench.benched import RESULTS, TINY


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts and limits that take no time."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(parts, "QUICK", TINY)
    monkeypatch.setattr(parts, "FULL", TINY)

    def take(self: limits.Limits) -> None:
        for name in ("fp32", "read", "vector"):
            self.readings.setdefault(name, []).append(1e11)

    monkeypatch.setattr(limits.Limits, "take", take)

    def measure(name: str) -> object:
        def part(setting: Setting) -> Iterator[Found | str]:
            yield Figure(name, f"of {name}", "ms", [4.0] * setting.scale.repetitions, {"fp32": 2e8})

        return part

    monkeypatch.setattr(run, "measure", measure)


def test_all_parts_are_measured_and_the_files_hold_them(capsys):
    assert main(["bench", "--repetitions", "2", "--seeds", "4"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert re.match(r"about .*; Ctrl-C keeps what was measured\n", out)
    found, picture = sorted(Path("logs/bench").iterdir())
    assert (found.suffix, picture.suffix) == (".json", ".png")
    assert re.fullmatch(r"[a-z0-9-]+_\d{8}_\d{6}", found.stem)
    assert picture.stat().st_size > 1000
    results = json.loads(found.read_text())
    assert [figure["part"] for figure in results["figures"]] == list(PARTS)
    assert all(figure["raw"] == [4.0, 4.0] for figure in results["figures"])
    assert (results["settings"]["repetitions"], results["settings"]["seeds"]) == (2, 4)
    assert {"processor", "memory_gib", "torch", "threads"} <= set(results["machine"])
    for name in PARTS:
        assert re.search(rf"^of {name} +4 +4-4 ms +50%$", out, re.MULTILINE)


def test_only_the_parts_that_are_named_are_measured_in_their_order(capsys):
    assert main(["bench", "page", "loader", "--out", "a.json", "--plot", "b.svg"]) == 0
    results = json.loads(Path("a.json").read_text())
    assert [figure["part"] for figure in results["figures"]] == ["loader", "page"]
    assert Path("b.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_ctrl_c_keeps_what_was_measured(number: int, capsys, monkeypatch: pytest.MonkeyPatch):
    """As does a SIGTERM, after which nothing may go on that the bench had started."""
    whole, before = run.measure, signal.getsignal(number)

    def measure(name: str) -> object:
        if name == "page":
            signal.raise_signal(number)
        return whole(name)

    monkeypatch.setattr(run, "measure", measure)
    assert main(["bench", "loader", "page", "growth", "--out", "a.json"]) == 130
    told = capsys.readouterr()
    assert told.err == "playattention: bench: stopped; what was measured is in a.json\n"
    assert "of loader" in told.out
    assert [one["part"] for one in json.loads(Path("a.json").read_text())["figures"]] == ["loader"]
    assert Path("a.png").exists()
    assert signal.getsignal(number) is before


def test_a_ctrl_c_before_the_first_reading_writes_nothing(capsys, monkeypatch: pytest.MonkeyPatch):
    def stopped(_: limits.Limits) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(limits.Limits, "take", stopped)
    assert main(["bench"]) == 130
    assert capsys.readouterr().err == "playattention: bench: stopped, nothing was measured\n"
    assert not Path("logs").exists()


def test_files_are_shown_side_by_side_and_nothing_is_measured(capsys):
    for name in ("here.json", "there.json"):
        write(Path(name), RESULTS)
    assert main(["bench", "--compare", "here.json", "there.json"]) == 0
    both = capsys.readouterr().out
    assert re.search(r"^gpt 4x128, tokens/s +100 +50% +100 +50%$", both, re.MULTILINE)
    assert main(["bench", "page", "--compare", "here.json"]) == 0
    alone = capsys.readouterr().out
    assert "a head's map" in alone
    assert "gpt 4x128" not in alone
    assert sorted(path.name for path in Path().iterdir()) == ["here.json", "there.json"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("trainig", r"unknown part 'trainig' \(did you mean 'training'\?\); allowed: limits, .*"),
        ("--repetitions 0", "repetitions = 0: must be 1 or more"),
        ("--seeds -1", "seeds = -1: must be 1 or more"),
        ("--plot a.gif", r"plot = a\.gif: must end in \.png or \.svg"),
        ("--compare a b c d", "compare: 4 files; allowed: 1 to 3"),
        ("--compare none.json", r"none\.json: cannot be read \(.*\); allowed: a file that .*"),
        ("--out text/a.json", r"text/a\.json: cannot be written \(.*\)"),
        ("--quik", r"unknown option of bench '--quik' \(did you mean '--quick'\?\).*"),
    ],
)
def test_a_mistake_is_one_line(words: str, message: str, capsys):
    Path("text").write_text("a file where a folder is needed")
    assert main(["bench", *words.split()]) == 2
    assert re.fullmatch(f"playattention: {message}\n", capsys.readouterr().err)


def test_its_help_and_its_mistakes_need_no_torch():
    code = (
        "import sys\nfrom playattention.cli import main\nassert main(['bench', 'x']) == 2\n"
        "print(sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
