"""A text as shards: the same splits, the same tokens."""

from pathlib import Path

import pytest

from playattention.config import DataConfig
from playattention.data import load_corpus, split, text_shards
from playattention.data.shard_folder import ShardFolder
from playattention.data.shards import ShardWriter
from playattention.errors import UserError
from tests.conftest import TEXT
from tests.data.fineweb import everything, hashes

OUT = Path("out")


def write(path: Path, tokenizer: str = "char", shard_tokens: int = 1000) -> ShardFolder:
    return text_shards.write(load_corpus(str(path)), tokenizer, OUT, shard_tokens)


@pytest.mark.parametrize("shard_tokens", [1, 250, 618, 619, 10**9])
@pytest.mark.parametrize("tokenizer", ["char", "gpt2"])
def test_the_splits_are_those_of_the_text_token_for_token(
    text_file: Path, tokenizer: str, shard_tokens: int
):
    """Whatever the size of a shard; those for validation come first."""
    if shard_tokens == 1:
        text_file.write_text(TEXT[:90])
    corpus = load_corpus(str(text_file))
    expected = split(corpus, corpus.tokenizer(tokenizer), DataConfig(), seq_size=1)
    folder = write(text_file, tokenizer, shard_tokens)
    assert everything(folder.train) == expected.train.tolist()
    assert everything(folder.val) == expected.val.tolist()
    numbers = [shard.header.number for shard in folder.shards]
    assert numbers == list(range(len(numbers)))
    assert {shard.tokens for shard in folder.train.shards[:-1]} <= {shard_tokens}
    made = folder.tokenizer(tokenizer)
    assert made.decode(everything(folder.train) + everything(folder.val)) == (text_file.read_text())
    text = "".join(text_file.read_text())
    assert sum(shard.header.utf8_bytes for shard in folder.shards) == len(text.encode())


def test_by_default_they_are_put_below_data(text_file: Path):
    folder = text_shards.write(load_corpus("text.txt"), "gpt2", None, 10**6)
    assert folder.folder == Path("data/text-gpt2")
    assert [shard.path.name for shard in folder.shards] == [
        "text_val_000000.tokens",
        "text_train_000001.tokens",
    ]


def test_a_second_time_nothing_is_written(text_file: Path):
    write(text_file)
    before = {path: path.stat().st_mtime_ns for path in OUT.glob("*.tokens")}
    write(text_file)
    assert {path: path.stat().st_mtime_ns for path in OUT.glob("*.tokens")} == before


@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_what_is_damaged_is_written_again(text_file: Path, damage: str):
    path = write(text_file).train.shards[0].path
    before, content = hashes(OUT), path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-2] if damage == "cut" else content[:-2] + b"\7\0")
    write(text_file)
    assert hashes(OUT) == before


def test_another_text_or_tokenizer_or_size_for_the_same_folder_is_refused(text_file: Path):
    write(text_file)
    before = hashes(OUT)
    with pytest.raises(
        UserError, match="shard_tokens = 999: the shards in out were made with 1000"
    ):
        write(text_file, shard_tokens=999)
    with pytest.raises(UserError, match="tokenizer = gpt2: the shards in out were made with char"):
        write(text_file, "gpt2")
    text_file.write_text(TEXT.replace("lamp", "limp"))
    with pytest.raises(UserError, match=r"the source is at .* since the shards in out were begun"):
        write(text_file)
    text_file.write_text(TEXT + "More.")
    with pytest.raises(UserError, match=r"text.txt has changed in the source, from 6,186 to 6,191"):
        write(text_file)
    assert hashes(OUT) == before


def test_a_full_disk_is_one_line_and_the_same_command_begins_anew(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "finish", full)
        with pytest.raises(UserError, match=r"^out: cannot be written \(No space left on device\)"):
            write(text_file)
    assert hashes(OUT) == {}
    assert list(OUT.glob(".*.partial")) == []
    assert write(text_file).length == 6_186


def test_more_characters_than_two_bytes_tell_apart_are_refused(text_file: Path):
    text_file.write_text("".join(map(chr, range(0x10000, 0x20002))), encoding="utf-8")
    with pytest.raises(UserError, match=r"tokenizer = char: 65,538 tokens here, and a shard has"):
        write(text_file)


def test_a_shard_has_at_least_one_token(text_file: Path):
    with pytest.raises(UserError, match="shard_tokens = 0: allowed: 1 or more"):
        write(text_file, shard_tokens=0)
