"""One shard: what it says about itself, and how each kind of broken file is told."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playattention.data.shards import (
    BLOCK,
    Header,
    Position,
    ShardWriter,
    byte_lengths,
    open_shard,
    shard_name,
)
from playattention.errors import UserError
from playattention.tokenizers import CharTokenizer, Tokenizer
from tests.data.fineweb import END, TOKENIZER

LENGTHS = byte_lengths(TOKENIZER, END)
IDS = np.array([END, 464, 20450, 318, END, 1169], dtype=np.uint16)


def write(
    folder: Path,
    ids: np.ndarray = IDS,
    *,
    split: str = "train",
    number: int = 1,
    tokenizer: Tokenizer | None = None,
    position: Position | None = None,
) -> Path:
    """Write a shard."""
    path = folder / shard_name("made", split, number)
    tokenizer = tokenizer or TOKENIZER
    end = END if tokenizer.name == "gpt2" else None
    lengths = LENGTHS if tokenizer is TOKENIZER else byte_lengths(tokenizer, end)
    writer = ShardWriter(path, tokenizer, lengths, end)
    writer.append(ids)
    writer.finish(name="made", split=split, number=number, position=position, notes={})
    return path


def write_llmc(path: Path, ids: np.ndarray = IDS, magic: int = 20240520, version: int = 1) -> Path:
    """Write a shard as llm.c's dataloader describes it."""
    header = np.zeros(256, dtype=np.int32)
    header[:3] = magic, version, len(ids)
    path.write_bytes(header.tobytes() + ids.tobytes())
    return path


def refusal(path: Path) -> str:
    """Return the one line that refuses a file."""
    with pytest.raises(UserError) as caught:
        open_shard(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


# Our own format.


def test_a_shard_says_what_is_in_it(tmp_path: Path):
    position = Position(file="b/c.parquet", group=3, first=64, tokens=17)
    shard = open_shard(write(tmp_path, position=position))
    assert shard.header == Header(
        name="made",
        split="train",
        number=1,
        tokenizer={"name": "gpt2"},
        tokens=6,
        sha256=hashlib.sha256(IDS.tobytes()).hexdigest(),
        documents=2,
        utf8_bytes=len(TOKENIZER.decode_bytes([464, 20450, 318, 1169])),
        position=position,
        notes={},
    )
    assert shard.map().tolist() == IDS.tolist()
    shard.verify()


def test_a_header_can_be_read_without_a_program(tmp_path: Path):
    top = write(tmp_path).read_bytes()[:BLOCK]
    assert top.startswith(b"playattention tokens 1 8192\n{")
    assert b'"tokenizer":{"name":"gpt2"},"tokens":6' in top


def test_tokens_begin_at_a_page_of_memory_and_fill_the_rest(tmp_path: Path):
    path = write(tmp_path)
    shard = open_shard(path)
    assert shard.offset % BLOCK == 0
    assert path.read_bytes()[shard.offset :] == IDS.tobytes()


@settings(deadline=None, max_examples=30)
@given(parts=st.lists(st.lists(st.integers(0, 50_256), max_size=50), min_size=1, max_size=6))
def test_tokens_come_back_however_they_were_handed_over(tmp_path_factory, parts: list[list[int]]):
    ids = [id_ for part in parts for id_ in part] + [1]
    path = tmp_path_factory.mktemp("shard") / shard_name("made", "val", 0)
    writer = ShardWriter(path, TOKENIZER, LENGTHS, END)
    for part in [*parts, [1]]:
        writer.append(np.array(part, dtype=np.uint16))
    header = writer.finish(name="made", split="val", number=0, position=None, notes={})
    assert open_shard(path).map().tolist() == ids
    assert header.tokens == len(ids)
    assert header.documents == ids.count(END)
    text = [id_ for id_ in ids if id_ != END]
    assert header.utf8_bytes == len(TOKENIZER.decode_bytes(text))


def test_a_vocabulary_larger_than_a_block_is_in_the_header_too(tmp_path: Path):
    tokenizer = CharTokenizer("".join(map(chr, range(0x4E00, 0x4E00 + 9000))))
    shard = open_shard(write(tmp_path, np.array([0, 8999], np.uint16), tokenizer=tokenizer))
    assert CharTokenizer.from_state(shard.tokenizer).decode([8999]) == chr(0x4E00 + 8999)
    assert shard.map().tolist() == [0, 8999]
    assert shard.header.utf8_bytes == 6


def test_until_it_is_finished_a_shard_has_no_name(tmp_path: Path):
    path = tmp_path / shard_name("made", "train", 1)
    writer = ShardWriter(path, TOKENIZER, LENGTHS, END)
    writer.append(IDS)
    assert not path.exists()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 2, 12, 13])
def test_a_truncated_shard_is_told_with_both_sizes(tmp_path: Path, cut: int):
    path = write(tmp_path)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-cut])
    assert refusal(path) == (
        f"truncated: it has {size - cut:,} bytes, and 6 tokens with their header take {size:,}"
    )


def test_a_shard_with_something_behind_it_is_refused(tmp_path: Path):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0")
    assert refusal(path).startswith("too long: ")


def test_a_shard_cut_inside_its_header_is_refused(tmp_path: Path):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    assert refusal(path).startswith("its header is damaged (")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 9000, b"PK\x03\x04", b"playattention tokens x 1\n"]
)
def test_another_file_under_the_name_of_a_shard_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / shard_name("made", "train", 1)
    path.write_bytes(content)
    assert refusal(path) == (
        f"not a shard of playattention: it begins with {content[:20]!r}; "
        "allowed: 'playattention tokens'"
    )


def test_a_later_version_is_refused(tmp_path: Path):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"tokens 1 ", b"tokens 2 ", 1))
    assert refusal(path) == "version 2 of the format; allowed: 1"


@pytest.mark.parametrize(
    ("before", "after"),
    [(b'"tokens":6', b'"tokens":x'), (b'"sha256"', b'"sha257"'), (b'"number":1', b'"number":""')],
)
def test_a_damaged_header_is_refused(tmp_path: Path, before: bytes, after: bytes):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    assert refusal(path).startswith("its header is damaged (")


def test_a_shard_renamed_to_the_other_split_is_refused(tmp_path: Path):
    """Or validation text would be trained on."""
    path = write(tmp_path, split="val", number=0)
    renamed = path.rename(tmp_path / shard_name("made", "train", 0))
    assert refusal(renamed) == "named as train, and its header says val"


def test_a_token_that_has_changed_is_found_by_verifying(tmp_path: Path):
    path = write(tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged: its tokens are not those of its sha256"):
        open_shard(path).verify()


# Other projects' formats.


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize("name", ["edufineweb_val_000000.npy", "edufineweb_train_000001.npy"])
def test_a_shard_of_build_nanogpt_is_read_as_it_is(tmp_path: Path, name: str, dtype: type):
    np.save(tmp_path / name, IDS.astype(dtype))
    shard = open_shard(tmp_path / name)
    assert (shard.split, shard.tokens) == (re.search("val|train", name)[0], 6)
    assert shard.map().tolist() == IDS.tolist()
    assert shard.map().dtype == dtype
    assert shard.tokenizer == {"name": "gpt2"}


@pytest.mark.parametrize(
    "name", ["fineweb_val_000000.bin", "fineweb_train_000001.bin", "tiny_shakespeare_val.bin"]
)
def test_a_shard_of_llm_c_is_read_as_it_is(tmp_path: Path, name: str):
    shard = open_shard(write_llmc(tmp_path / name))
    assert (shard.split, shard.tokens) == (re.search("val|train", name)[0], 6)
    assert shard.map().tolist() == IDS.tolist()
    assert shard.tokenizer == {"name": "gpt2"}


@pytest.mark.parametrize("format_", [".npy", ".bin"])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_foreign_shard_of_another_size_than_it_says_is_refused(
    tmp_path: Path, format_: str, change: int
):
    path = tmp_path / f"made_train_000001{format_}"
    if format_ == ".npy":
        np.save(path, IDS)
    else:
        write_llmc(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] if change < 0 else content + b"\0")
    expected = "truncated" if change < 0 else "too long"
    assert refusal(path).startswith(f"{expected}: it has {len(content) + change:,} bytes, ")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{", b"no array"])
def test_what_is_no_array_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "made_train_000001.npy"
    path.write_bytes(content)
    assert refusal(path).startswith("not a file of numpy.save (")


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros(4, np.int64), "an array of int64, shape (4,)"),
        (np.zeros((2, 2), np.uint16), "an array of uint16, shape (2, 2)"),
        (np.array([{}, None], dtype=object), "an array of object, shape (2,)"),
        (np.zeros(4, ">u2"), "an array of uint16, shape (4,)"),
    ],
)
def test_an_array_of_anything_but_tokens_is_refused(tmp_path: Path, array: np.ndarray, told: str):
    """Also one that would run code when it is unpickled."""
    path = tmp_path / "made_train_000001.npy"
    np.save(path, array, allow_pickle=True)
    assert refusal(path).startswith(told)


def test_another_magic_number_is_told_with_the_right_one(tmp_path: Path):
    """Such as llm.c's of Llama 3, whose ids are others."""
    path = write_llmc(tmp_path / "made_train_000001.bin", magic=20240801)
    assert refusal(path) == (
        "not a shard of llm.c: its magic number is 20240801; allowed: 20240520"
    )


@pytest.mark.parametrize("content", [b"", b"\x10\x00", b"\x00\x01" * 5000])
def test_a_bin_without_a_header_is_refused(tmp_path: Path, content: bytes):
    """As nanoGPT writes it."""
    path = tmp_path / "train.bin"
    path.write_bytes(content)
    assert "not a shard of llm.c: its magic number is " in refusal(path)


def test_another_version_of_llm_c_is_refused(tmp_path: Path):
    path = write_llmc(tmp_path / "made_train_000001.bin", version=7)
    assert refusal(path) == "version 7 with 6 tokens; allowed: version 1"


@pytest.mark.parametrize("place", [0, -1])
def test_ids_that_are_not_gpt2s_are_refused(tmp_path: Path, place: int):
    ids = np.zeros(10_000, dtype=np.uint32)
    ids[place] = 50_257
    path = tmp_path / "made_train_000001.npy"
    np.save(path, ids)
    assert refusal(path) == "its id 50257 is none of the gpt2 tokenizer; allowed: 0 to 50256"


# All formats.


@pytest.mark.parametrize("format_", [".tokens", ".npy", ".bin"])
def test_an_empty_shard_is_refused(tmp_path: Path, format_: str):
    none, path = IDS[:0], tmp_path / f"made_train_000001{format_}"
    if format_ == ".tokens":
        write(tmp_path, none)
    elif format_ == ".npy":
        np.save(path, none)
    else:
        write_llmc(path, none)
    assert refusal(path) == "holds no tokens"


@pytest.mark.parametrize("format_", [".tokens", ".npy", ".bin"])
def test_a_shard_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path, format_: str):
    path = tmp_path / f"made_train_000001{format_}"
    path.mkdir()
    assert refusal(path) == "cannot be read (Is a directory)"


def test_a_file_with_another_name_is_no_shard(tmp_path: Path):
    assert refusal(tmp_path / "made_test_000001.npy").startswith("not named like a shard; allowed")
