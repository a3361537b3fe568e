"""`playattention data`: a data set is put in place and described."""

import hashlib
from pathlib import Path

from playattention.cli import main
from playattention.data import tinyshakespeare
from tests.conftest import TEXT


def test_a_text_is_described(text_file: Path, capsys):
    assert main(["data", "text.txt"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.splitlines()[:3] == [
        f"{text_file.resolve()}: 6,186 characters, 26 distinct",
        f"sha256 {hashlib.sha256(TEXT.encode()).hexdigest()}",
        f"characters {''.join(sorted(set(TEXT)))!r}",
    ]
    assert f"\n{TEXT[:400]}...\n" in told.out
    assert told.out.endswith("\ntrain on it: playattention train gpt --dataset text.txt\n")


def test_a_copy_of_tiny_shakespeare_is_checked_and_put_in_place(tmp_path, monkeypatch, capsys):
    text = b"Speak, speak.\n" * 100
    monkeypatch.setattr(tinyshakespeare, "SHA256", hashlib.sha256(text).hexdigest())
    Path("copy.txt").write_bytes(text)
    assert main(["data", "tinyshakespeare", "--from", "copy.txt"]) == 0
    assert capsys.readouterr().out.startswith("tinyshakespeare: 1,400 characters, ")
    assert tinyshakespeare.HOME.read_bytes() == text


def test_another_text_is_not_taken_for_tiny_shakespeare(text_file: Path, capsys):
    assert main(["data", "tinyshakespeare", "--from", "text.txt"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("playattention: --from text.txt: not Tiny Shakespeare: 6,186 bytes")
    assert told.err.count("\n") == 1
    assert not Path("data").exists()
