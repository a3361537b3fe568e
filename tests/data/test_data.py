"""A data set becomes a text, and a text two splits of token ids."""

import codecs
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playattention.config import DataConfig
from playattention.data import DATASETS, Corpus, load_corpus, read_text, split, tinyshakespeare
from playattention.errors import UserError
from playattention.tokenizers import CharTokenizer
from tests.conftest import TEXT


class PairTokenizer:
    """Two characters a token, the last alone where their number is odd."""

    vocab_size = 10

    def encode(self, text: str) -> list[int]:
        return [len(text[place : place + 2]) for place in range(0, len(text), 2)]


class BigTokenizer:
    """One token a character, always the last of so many."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def encode(self, text: str) -> list[int]:
        return [self.vocab_size - 1 for _ in text]


def refusal(path: Path, content: bytes) -> str:
    """Return the line that refuses a file of this content."""
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_corpus(str(path))
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


# load_corpus.


def test_a_registered_name_is_loaded_by_its_function(monkeypatch: pytest.MonkeyPatch):
    corpus = Corpus("tinyshakespeare", "To be")
    monkeypatch.setattr(tinyshakespeare, "load", lambda: corpus)
    assert load_corpus("tinyshakespeare") is corpus


def test_a_file_does_not_hide_a_registered_name(own_folder: Path, monkeypatch: pytest.MonkeyPatch):
    (own_folder / "tinyshakespeare").write_text("not he")
    monkeypatch.setattr(tinyshakespeare, "load", lambda: Corpus("tinyshakespeare", "To be"))
    assert load_corpus("tinyshakespeare").text == "To be"


def test_a_path_is_loaded_as_its_text(text_file: Path):
    assert load_corpus(str(text_file)).text == TEXT


def test_a_text_file_is_named_by_its_absolute_path(text_file: Path):
    """So that a run finds it again from another folder."""
    assert load_corpus(text_file.name).name == str(text_file.resolve())


def test_the_entropy_of_a_text_file_is_not_known(text_file: Path):
    assert load_corpus(str(text_file)).entropy is None


@pytest.mark.parametrize("missing", ["nowhere", "", "a\0b", "."])
def test_what_is_neither_name_nor_file_is_told_with_what_is_allowed(missing: str):
    with pytest.raises(UserError) as caught:
        load_corpus(missing)
    assert str(caught.value) == (
        f"unknown data set {missing!r}; allowed: {', '.join(DATASETS)}, the path of a text file, "
        "or of a folder of shards"
    )


@pytest.mark.parametrize("missing", ["nowhere.txt", "no/such/folder", "./nowhere.txt", "/nowhere"])
def test_what_looks_like_a_path_is_told_as_a_file_that_is_not_there(missing: str):
    with pytest.raises(UserError) as caught:
        load_corpus(missing)
    assert str(caught.value) == (
        f"{missing}: no such file; allowed: {', '.join(DATASETS)}, the path of a text file, "
        "or of a folder of shards"
    )


def test_a_misspelt_name_is_told_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'tinyshakespeare'"):
        load_corpus("tiny_shakespeare")


def test_a_path_too_long_for_the_system_is_the_users_mistake():
    with pytest.raises(UserError):
        load_corpus("x" * 5000)


def test_a_text_is_known_by_the_hash_of_its_utf8_bytes():
    """The hash of "abc" is the first example of FIPS 180-2, appendix B.1."""
    assert Corpus("made", "abc").sha256 == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert Corpus("made", "né").sha256 == hashlib.sha256(b"n\xc3\xa9").hexdigest()


# read_text.


def test_line_ends_stay_as_they_are(own_folder: Path):
    path = own_folder / "ends.txt"
    path.write_bytes(b"a\r\nb\nc\r")
    assert read_text(path) == "a\r\nb\nc\r"


def test_a_byte_order_mark_is_no_part_of_the_text(own_folder: Path):
    path = own_folder / "marked.txt"
    path.write_bytes(codecs.BOM_UTF8 + "né\ufeff".encode())
    assert read_text(path) == "né\ufeff"


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF8])
def test_an_empty_file_is_refused(own_folder: Path, content: bytes):
    assert "empty" in refusal(own_folder / "empty.txt", content)


@pytest.mark.parametrize("content", [b"abc\0def\0", "abcdef".encode("utf-16-be")])
def test_a_binary_file_is_refused_with_the_place_of_its_first_zero_byte(
    own_folder: Path, content: bytes
):
    line = refusal(own_folder / "binary.txt", content)
    assert line == f"a binary file (a zero byte at {content.index(0)}); allowed: UTF-8 text"


@pytest.mark.parametrize(
    ("content", "byte", "place"),
    [
        (b"caf\xe9 au lait", "0xe9", 3),  # Latin-1
        (b"n\xc3\xa9 \xff", "0xff", 4),  # counted in bytes, not in characters
        (codecs.BOM_UTF8 + b"caf\xe9 au", "0xe9", 6),  # with the mark counted
        (b"broken off \xe2\x82", "0xe2", 11),
    ],
)
def test_a_file_that_is_not_utf8_is_refused_with_byte_and_place(
    own_folder: Path, content: bytes, byte: str, place: int
):
    line = refusal(own_folder / "latin.txt", content)
    assert line == f"not UTF-8 (byte {byte} at {place}); allowed: UTF-8 text"
    assert f"0x{content[place]:02x}" == byte


def test_a_file_that_cannot_be_read_is_told_with_the_reason(own_folder: Path):
    with pytest.raises(UserError, match=r"gone.txt: cannot be read \(No such file"):
        read_text(own_folder / "gone.txt")


# split.


@settings(deadline=None)
@given(characters=st.integers(10, 300), share=st.floats(0.05, 0.95))
def test_the_parts_are_the_text_cut_at_the_share(characters: int, share: float):
    text = TEXT[:characters]
    tokenizer = CharTokenizer(text)
    cut = int(characters * share)
    config = DataConfig(train_val_split=share)
    if min(cut, characters - cut) < 2:
        with pytest.raises(UserError, match="split"):
            split(Corpus("made", text), tokenizer, config, seq_size=1)
        return
    parts = split(Corpus("made", text), tokenizer, config, seq_size=1)
    assert tokenizer.decode(parts.train.tolist()) == text[:cut]
    assert tokenizer.decode(parts.val.tolist()) == text[cut:]


def test_no_token_spans_the_cut():
    """Of 30 characters, 15 are trained on: seven pairs and one alone, not eight pairs."""
    config = DataConfig(train_val_split=0.5)
    parts = split(Corpus("made", "x" * 30), PairTokenizer(), config, seq_size=2)
    assert parts.train.tolist() == parts.val.tolist() == [2] * 7 + [1]


def test_the_floor_is_the_entropy_behind_the_cut_per_token():
    """Half a nat a character, in tokens of two characters: one nat a token."""
    corpus = Corpus("made", "x" * 1000, lambda position: 0.5 * (1000 - position))
    parts = split(corpus, PairTokenizer(), DataConfig(train_val_split=0.9), seq_size=8)
    assert parts.floor == pytest.approx(1.0)


def test_there_is_no_floor_where_the_entropy_is_not_known():
    corpus = Corpus("made", TEXT)
    assert split(corpus, CharTokenizer(TEXT), DataConfig(), seq_size=8).floor is None


@pytest.mark.parametrize(("share", "part"), [(0.9, "validation"), (0.1, "training")])
def test_a_split_too_short_for_a_window_is_told_with_the_size_that_fits(share: float, part: str):
    """The shorter part of 1,000 characters has 100: a window of 99 fits with its next token."""

    def parts(seq_size: int) -> tuple[int, int]:
        corpus = Corpus("made", TEXT[:1000])
        config = DataConfig(train_val_split=share)
        made = split(corpus, CharTokenizer(TEXT), config, seq_size)
        return len(made.train), len(made.val)

    with pytest.raises(UserError) as caught:
        parts(seq_size=100)
    assert str(caught.value) == (
        f"seq_size = 100: the {part} split of made has 100 tokens, and a window takes "
        "seq_size + 1; allowed: up to 99"
    )
    assert min(parts(seq_size=99)) == 100


@pytest.mark.parametrize(("share", "part"), [(0.9, "validation"), (0.1, "training")])
def test_a_split_that_no_window_fits_asks_for_another_text_or_share(share: float, part: str):
    config = DataConfig(train_val_split=share)
    with pytest.raises(UserError, match=rf"made: its {part} split .* train_val_split than {share}"):
        split(Corpus("made", "abcde"), CharTokenizer("abcde"), config, seq_size=1)


@pytest.mark.parametrize(
    ("vocab_size", "dtype"),
    [(2, np.uint16), (2**16, np.uint16), (2**16 + 1, np.uint32), (200_000, np.uint32)],
)
def test_ids_take_two_bytes_where_all_of_them_fit_and_four_otherwise(vocab_size: int, dtype: type):
    parts = split(Corpus("made", "x" * 100), BigTokenizer(vocab_size), DataConfig(), seq_size=4)
    for ids in (parts.train, parts.val):
        assert ids.dtype == dtype
        assert (ids == vocab_size - 1).all()
