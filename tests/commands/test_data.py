"""`playattention data`: a data set is put in place and described."""

import hashlib
from pathlib import Path

import pytest

from playattention.cli import main
from playattention.data import ingestion, load_corpus, tinyshakespeare
from tests.conftest import TEXT
from tests.data.fineweb import DOCUMENTS, stream, tokens_of, write_parquet


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


# Shards.


def refused(capsys) -> str:
    """Return the one line of an error."""
    told = capsys.readouterr().err
    assert told.startswith("playattention: ")
    assert told.count("\n") == 1
    return told.removeprefix("playattention: ").removesuffix("\n")


@pytest.mark.parametrize(("tokenizer", "recipe"), [("char", "gpt"), ("gpt2", "gpt2")])
def test_a_text_is_written_as_shards(text_file: Path, tokenizer: str, recipe: str, capsys):
    words = ["data", "text.txt", "--shards", "--tokenizer", tokenizer, "--shard-tokens", "1_000"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert f"\ntrain on it: playattention train {recipe} --dataset data/text-{tokenizer}\n" in told
    assert "Anna:\nThe lamp is on the table." in told
    assert "bytes of text a token" in told
    assert main(["data", f"data/text-{tokenizer}", "--verify"]) == 0
    assert "every token is as it was written\n" in capsys.readouterr().out


def test_tiny_shakespeare_is_written_as_shards_of_gpt2(tmp_path, monkeypatch, capsys):
    text = b"Speak, speak.\n" * 100
    monkeypatch.setattr(tinyshakespeare, "SHA256", hashlib.sha256(text).hexdigest())
    Path("copy.txt").write_bytes(text)
    assert main(["data", "tinyshakespeare", "--from", "copy.txt", "--shards"]) == 0
    assert "train gpt2 --dataset data/tinyshakespeare-gpt2\n" in capsys.readouterr().out
    names = sorted(path.name for path in Path("data/tinyshakespeare-gpt2").glob("*.tokens"))
    assert names == ["tinyshakespeare_train_000001.tokens", "tinyshakespeare_val_000000.tokens"]


def test_fineweb_edu_is_made_from_files_at_hand(tmp_path, capsys):
    write_parquet(tmp_path / "src/a.parquet", [*DOCUMENTS, None])
    words = ["--from", "src", "--shard-tokens", "1_000", "--max-tokens", "3_500", "--workers", "1"]
    assert main(["data", "fineweb-edu", *words]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith("fineweb-edu: 3,500 tokens of gpt2\n")
    assert "\ntraining: 2,500 tokens in 3 shards, " in told.out
    assert told.out.endswith("train on it: playattention train gpt2 --dataset fineweb-edu\n")
    assert stream(load_corpus("fineweb-edu")) == tokens_of(DOCUMENTS)[:3500]


def test_what_was_mended_or_left_out_is_told(tmp_path, capsys):
    (tmp_path / "src").mkdir()
    lines = [f'{{"text": "{text}"}}'.replace("\n", "\\n") for text in DOCUMENTS]
    content = "\n".join([*lines, '{"text": ""}', '{"text": null}', r'{"text": "\ud800"}'])
    Path("src/a.jsonl").write_text(content)
    words = ["--from", "src", "--shard-tokens", "1000", "--workers", "1", "--out", "out"]
    assert main(["data", "fineweb-edu", *words]) == 0
    told = capsys.readouterr().out
    assert "empty documents, kept: 1\n" in told
    assert "documents without a text, left out: 1\n" in told
    assert "that are no Unicode, each replaced by U+FFFD: 1\n" in told
    assert told.endswith("train on it: playattention train gpt2 --dataset out\n")


def test_ctrl_c_exits_130(tmp_path, monkeypatch, capsys):
    write_parquet(tmp_path / "src/a.parquet", DOCUMENTS)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ingestion, "encode_all", interrupted)
    words = ["--from", "src", "--shard-tokens", "1000", "--workers", "1"]
    assert main(["data", "fineweb-edu", *words]) == 130
    assert refused(capsys).startswith("stopped; 0 shards are finished in data/fineweb-edu, and the")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["playhouse", "--subset", "default"], "--subset default: playhouse does not take it;"),
        (
            ["text.txt", "--workers", "2"],
            "--workers 2: text.txt does not take it; allowed: fineweb",
        ),
        (
            ["text.txt", "--out", "x"],
            "--out x: text.txt does not take it; allowed: fineweb-edu, or",
        ),
        (
            ["text.txt", "--tokenizer", "char"],
            "--tokenizer char: text.txt does not take it; allowed",
        ),
        (["fineweb-edu", "--tokenizer", "char"], "--tokenizer char: fineweb-edu does not take it"),
        (
            ["text.txt", "--from", "x"],
            "--from x: only tinyshakespeare and fineweb-edu take a source",
        ),
        (["fineweb-edu", "--from", "nowhere"], "nowhere: no such folder; allowed: one with"),
        (["text.txt", "--shards", "--tokenizer", "byte"], "unknown tokenizer 'byte'; allowed"),
    ],
)
def test_an_option_that_a_data_set_has_no_use_for_is_refused(
    text_file: Path, words: list[str], told: str, capsys
):
    assert main(["data", *words]) == 2
    assert refused(capsys).startswith(told)


def test_a_folder_with_a_damaged_shard_is_one_line(text_file: Path, capsys):
    assert main(["data", "text.txt", "--shards", "--out", "out"]) == 0
    path = Path("out/text_train_000001.tokens")
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\0\0")
    capsys.readouterr()
    assert main(["data", "out"]) == 0
    assert main(["data", "out", "--verify"]) == 2
    assert "text_train_000001.tokens: damaged: " in refused(capsys)
