"""Exercise 2: byte-pair encoding. Frequent neighbours become one token, again and again."""

import random
import re
from collections import Counter
from functools import cache
from itertools import pairwise

from playattention.course.evidence import sequences
from playattention.course.exercise import Exercise, Probe, Solution
from playattention.course.exercises.e02_byte_pairs_equivalents import EQUIVALENTS
from playattention.course.exercises.e02_byte_pairs_mistakes import MISTAKES, READ


def merge(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Return the ids with one token in place of each pair, found from the left: aaa gives Xa.

    Args:
        ids: Any tokens; the list itself stays as it is.
        pair: Two tokens that are to become one where they stand side by side.
        new: The id of that one.
    """
    merged, place = [], 0
    while place < len(ids):
        if tuple(ids[place : place + 2]) == pair:
            merged.append(new)
            place += 2
        else:
            merged.append(ids[place])
            place += 1
    return merged


def train(data: bytes, n_merges: int) -> list[tuple[int, int]]:
    """Return which pairs become one token, in the order in which they were found.

    At first, the tokens are the bytes, with ids 0 to 255. Then again and again: the pair of
    neighbours that comes most often becomes a new token. Merge number n (from 0) makes id 256 + n.
    Every two neighbours count, so aaa has the pair aa twice. Of pairs that come equally often, it
    is the one that stands first in the tokens as they are by then.

    Args:
        data: The text to learn from, as bytes.
        n_merges: How many; fewer are returned only if fewer than two tokens are left.
    """
    ids = list(data)
    merges: list[tuple[int, int]] = []
    while len(merges) < n_merges and len(ids) > 1:
        counts = Counter(pairwise(ids))
        pair = max(counts, key=counts.__getitem__)  # the first of the most frequent ones
        ids = merge(ids, pair, 256 + len(merges))
        merges.append(pair)
    return merges


def encode(text: str, merges: list[tuple[int, int]], special: tuple[str, ...] = ()) -> list[int]:
    """Return the tokens of a text: its UTF-8 bytes, merged as was learned, the first merge first.

    Args:
        text: Any text.
        merges: What `train` returned.
        special: Texts that are one token each and are never merged with what is beside them, such
            as "<|end|>"; number n of them has the id 256 + len(merges) + n.
    """
    rank = {pair: number for number, pair in enumerate(merges)}
    pattern = "|".join(re.escape(one) for one in special)
    parts = re.split(f"({pattern})", text) if special else [text]
    ids: list[int] = []
    for part in parts:
        if part in special:
            ids.append(256 + len(merges) + special.index(part))
            continue
        tokens = list(part.encode("utf-8"))
        while known := [pair for pair in pairwise(tokens) if pair in rank]:
            pair = min(known, key=rank.__getitem__)
            tokens = merge(tokens, pair, 256 + rank[pair])
        ids += tokens
    return ids


def decode(ids: list[int], merges: list[tuple[int, int]], special: tuple[str, ...] = ()) -> str:
    """Return the text of tokens: what `encode` was given.

    Args:
        ids: Any tokens, also ones that end in the middle of a character: bytes that are no UTF-8
            become the replacement character U+FFFD, as bytes.decode(errors="replace") does it.
        merges: What `train` returned.
        special: As in `encode`.
    """
    bytes_of = [bytes([number]) for number in range(256)]
    for left, right in merges:
        bytes_of.append(bytes_of[left] + bytes_of[right])
    bytes_of += [one.encode("utf-8") for one in special]
    return b"".join(bytes_of[id_] for id_ in ids).decode("utf-8", errors="replace")


SPECIAL = ("<|end|>", "<|x|>")
UNICODE = "naïve ☃ 😀 Ünïcödé"


def _data(seed: int) -> bytes:
    """Return bytes with many pairs that come equally often."""
    return bytes(random.Random(seed).choices(b"abcd", weights=(4, 3, 2, 2), k=40))


@cache
def _trained(seed: int) -> tuple[tuple[int, int], ...]:
    return tuple(train(_data(seed) + b"<|end|>n" * 3 + UNICODE.encode() * 2, 30))


def _merges(seed: int) -> list[tuple[int, int]]:
    """Return merges that overlap in each other, and that know parts of a special token."""
    return list(_trained(seed))


def _text(seed: int) -> str:
    return _data(seed + 5).decode() + UNICODE + _data(seed + 6).decode()


def _pairs(own: Solution, data: bytes, n_merges: int) -> list[list[int]]:
    return [list(pair) for pair in own.train(data, n_merges)]


def _round_trip(own: Solution, text: str, seed: int, special: tuple[str, ...]) -> str:
    merges = _merges(seed)
    return own.decode(own.encode(text, merges, special), merges, special)


def _marked(seed: int) -> str:
    return f"<|end|>{_data(seed).decode()}<|x|>n<|end|><|end|>nd<|{_data(seed + 1).decode()}<|x|>"


def _left_alone(own: Solution, seed: int) -> list[object]:
    """Return what was passed, after it was used."""
    ids, merges = list(_data(seed)), _merges(seed)
    own.merge(ids, (ids[0], ids[1]), 256)
    own.encode(_text(seed), merges)
    own.decode(ids, merges)
    return [ids, merges]


EXERCISE = Exercise(
    number=2,
    name="byte_pairs",
    title="Byte-pair encoding",
    goal="""
GPT-2's tokens are pieces of words, found by counting: begin with single bytes, of which any text
is made, and join the two neighbours that come most often into a new token, as many times as asked.
A text is then encoded by joining in the same order. A full tokenizer cuts the text into words
first, so that no token reaches over a blank; leave that out here.
""",
    imports=("import re", "from collections import Counter", "from itertools import pairwise"),
    reference=(merge, train, encode, decode),
    probes=(
        Probe(
            "each pair becomes one token, and all others stay",
            lambda own, seed: own.merge([5, 1, 2, 3, 1, 2, 2, 1, seed], (1, 2), 300),
        ),
        Probe(
            "aaa becomes Xa, and aaaa becomes XX",
            lambda own, seed: [
                own.merge([7, 7, 7, seed], (7, 7), 300),
                own.merge([7] * 4, (7, 7), 9),
            ],
        ),
        Probe(
            "the pair at the very end is found, and one token or none stay as they are",
            lambda own, _: [own.merge(ids, (1, 2), 300) for ids in ([0, 1, 2], [1], [])],
        ),
        Probe(
            "the most frequent pair comes first",
            lambda own, seed: _pairs(own, b"xabyabzab" + bytes([seed]), 1),
        ),
        Probe(
            "a new token can be part of the next pair",
            lambda own, seed: _pairs(own, b"abc-abc+ab" + bytes([seed]), 2),
        ),
        Probe(
            "of equally frequent pairs the first in the tokens is taken",
            lambda own, seed: _pairs(own, _data(seed), 12),
            evidence=sequences,
        ),
        Probe(
            "there are n_merges merges, or as many as there can be",
            lambda own, _: [
                _pairs(own, b"abcd", 9),
                _pairs(own, b"aaaaa", 2),
                own.train(b"ab", 0),
                own.train(b"", 3),
            ],
        ),
        Probe(
            "any bytes can be learned from",
            lambda own, _: _pairs(own, b"\xff\x00\xfe\xff\x00" * 2, 3),
        ),
        Probe(
            "without merges, tokens are bytes",
            lambda own, _: own.encode(UNICODE, []),
            evidence=sequences,
        ),
        Probe(
            "the first merge learned is the first applied",
            lambda own, seed: own.encode(_text(seed), _merges(seed)),
            evidence=sequences,
        ),
        Probe(
            "merge 0 beats pairs further left and pairs that come more often",
            lambda own, seed: own.encode(
                "abcabdab" + "xbc" * seed, [(98, 99), (97, 98), (97, 256)]
            ),
            evidence=sequences,
        ),
        Probe(
            "decoding gives the text back",
            lambda own, seed: _round_trip(own, _text(seed), seed, ()),
            evidence=sequences,
        ),
        Probe(
            "bytes that are no UTF-8 become the replacement character",
            lambda own, _: [
                own.decode(ids, []) for ids in ([128], [226, 152, 131, 255], [97, 226])
            ],
        ),
        Probe(
            "a special token is one token",
            lambda own, seed: own.encode(_marked(seed), _merges(seed), SPECIAL),
            evidence=sequences,
        ),
        Probe(
            "special tokens come back as their texts",
            lambda own, seed: _round_trip(own, _marked(seed), seed, SPECIAL),
            evidence=sequences,
        ),
        Probe(
            "without special tokens, their text is text like any other",
            lambda own, seed: own.encode(_marked(seed), _merges(seed)),
            evidence=sequences,
        ),
        Probe("an empty text has no tokens", lambda own, _: own.encode("", [(1, 2)], SPECIAL)),
        Probe("the ids and the merges passed stay as they were", _left_alone),
    ),
    hints=(
        "Encoding with no merges gives bytes; with all, the pair that was learned first is joined first, wherever it stands.",
        "After a pair was joined, go on two places further: its second token is used up.",
        "Counter(zip(ids, ids[1:])) counts pairs, and max(counts, key=counts.get) is the first of the most frequent; re.split with the escaped special tokens in one group cuts around them; b''.join(...).decode(errors='replace').",
    ),
    equivalents=EQUIVALENTS,
    mistakes=MISTAKES,
    read=READ,
)
