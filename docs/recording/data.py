"""Texts as tokens: characters, byte pairs learnt on the spot, GPT-2's; the split; shards."""

from collections import Counter
from itertools import pairwise

from playattention.data import Corpus, load_corpus
from playattention.tokenizers import CharTokenizer, GPT2Tokenizer, gpt2_file
from recording.opened import NAME, QUESTION, Opened

LEARNT_ON = 20_000
"""Characters of the plays that the small byte-pair encoding is learnt from."""

WORDS = ["Edmund", " Pumpkin", " pantry", " the", "Hester", "Pumpkin"]


def record(opened: Opened) -> dict[str, object]:
    """Return counts, ids, learnt merges and the merges of some words."""
    plays = _text("playhouse")
    sonnets = _text("tinyshakespeare")
    char, gpt2 = opened.run.tokenizer, GPT2Tokenizer()
    return {
        "characters": len(plays),
        "vocab_size": char.vocab_size,
        "opening": plays[:120],
        "name_ids": char.encode(NAME),
        "name_gpt2": _pieces(gpt2, NAME),
        "question_gpt2": _pieces(gpt2, QUESTION),
        "question_characters": len(QUESTION),
        "naive": [_pieces(gpt2, "naïve"), len("naïve".encode()), list("naïve".encode())],
        "gpt2_tokens": len(gpt2.encode(plays)),
        "shakespeare": {
            "characters": len(sonnets),
            "vocab_size": CharTokenizer(sonnets).vocab_size,
            "vocabulary": CharTokenizer(sonnets).characters,
            "gpt2_tokens": len(gpt2.encode(sonnets)),
            "gpt2_distinct": len(set(gpt2.encode(sonnets))),
        },
        "merges": learn(plays[:LEARNT_ON].encode(), 12),
        "learnt_on": LEARNT_ON,
        "words": [[word, merged(word)] for word in WORDS],
        "train_end": plays[: len(opened.splits.train)][-60:],
        "val_start": plays[len(opened.splits.train) :][:60],
    }


def _text(dataset: str) -> str:
    corpus = load_corpus(dataset)
    assert isinstance(corpus, Corpus)
    return corpus.text


def _pieces(gpt2: GPT2Tokenizer, text: str) -> list[list[object]]:
    ids = gpt2.encode(text)
    return [[gpt2.decode_bytes([id_]).decode(errors="backslashreplace"), id_] for id_ in ids]


def learn(data: bytes, merges: int) -> list[dict[str, object]]:
    """Return the first merges of a byte-pair encoding, with how often each pair stood there."""
    ids, names = list(data), {number: bytes([number]) for number in range(256)}
    learnt: list[dict[str, object]] = []
    for new in range(256, 256 + merges):
        counts = Counter(pairwise(ids))
        pair, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
        names[new] = names[pair[0]] + names[pair[1]]
        ids = _replaced(ids, pair, new)
        shown = [names[part].decode() for part in (*pair, new)]
        learnt.append({"pair": shown[:2], "new": shown[2], "count": count, "left": len(ids)})
    return learnt


def _replaced(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out: list[int] = []
    for id_ in ids:
        if out and (out[-1], id_) == pair:
            out[-1] = new
        else:
            out.append(id_)
    return out


def merged(word: str) -> list[list[object]]:
    """Return how GPT-2's merges, lowest rank first, make tokens of a word: [rank, pieces] each."""
    lines = gpt2_file("vocab.bpe").decode().splitlines()[1:]
    ranks = {tuple(line.split()): rank for rank, line in enumerate(lines) if line}
    pieces = list(word.replace(" ", "Ġ"))
    steps: list[list[object]] = [[None, list(pieces)]]
    while pairs := [pair for pair in pairwise(pieces) if pair in ranks]:
        best = min(pairs, key=lambda pair: ranks[pair])
        place = 0
        while place < len(pieces) - 1:
            if (pieces[place], pieces[place + 1]) == best:
                pieces[place : place + 2] = ["".join(best)]
            place += 1
        steps.append([ranks[best], list(pieces)])
    return steps
