"""Exercise 1: a character tokenizer. Text becomes numbers, and numbers text again."""

import random

from playattention.course.evidence import sequences
from playattention.course.exercise import Exercise, Mistake, Probe, Solution


def build_vocab(text: str) -> list[str]:
    """Return the vocabulary of a text: its characters, each once, sorted.

    A character's id is its place in the vocabulary, from 0 to vocab_size - 1.

    Args:
        text: Any text; blanks and line breaks are characters too.
    """
    return sorted(set(text))


def encode(text: str, vocab: list[str]) -> list[int]:
    """Return the id of each character of a text.

    Args:
        text: As long as the list that is returned; may be empty.
        vocab: What `build_vocab` returned, for this text or for another; stays as it is.

    Raises:
        KeyError: If a character is not in the vocabulary (a ValueError is as good).
    """
    id_of = {character: id_ for id_, character in enumerate(vocab)}
    return [id_of[character] for character in text]


def decode(ids: list[int], vocab: list[str]) -> str:
    """Return the text of ids: what `encode` was given.

    Args:
        ids: Numbers from 0 to vocab_size - 1; stay as they are.
        vocab: What `build_vocab` returned.
    """
    return "".join(vocab[id_] for id_ in ids)


ALPHABET = "zebra QUICK\n.?!'-fox0189éß☃😀"


def _text(seed: int) -> str:
    """Return a text in which many characters come several times, some not at all."""
    return "".join(random.Random(seed).choices(ALPHABET, k=60))


def _of_another_text(own: Solution, seed: int) -> list[object]:
    """Return what is made of a text with the vocabulary of a longer one, while a third is built."""
    vocab = own.build_vocab(_text(seed) + ALPHABET)
    own.build_vocab("later")
    ids = own.encode(_text(seed + 1), vocab)
    return [ids, own.decode(list(range(7)), vocab)]


def _unknown(own: Solution, seed: int) -> object:
    """Return "refused", or what a character that the vocabulary lacks became."""
    vocab = own.build_vocab(_text(seed))
    try:
        return own.encode("é\N{BLACK STAR}", vocab)
    except Exception:
        return "refused"


def _left_alone(own: Solution, seed: int) -> list[object]:
    """Return ids and vocabulary as they are after both were used."""
    vocab = own.build_vocab(_text(seed))
    ids = own.encode(_text(seed), vocab)
    own.decode(ids, vocab)
    return [list(vocab), ids]


ENCODE = "[id_of[character] for character in text]"
READ = "docs/01-data-and-tokens.md#characters"

EXERCISE = Exercise(
    number=1,
    name="tokenizer",
    title="A character tokenizer",
    goal="""
A model computes with numbers. Give each distinct character of a text a number, its id; turn text
into ids, and ids back into the very same text. The characters are sorted, so that the same text
gives the same ids in every run: a trained model is worth nothing with other ids.
""",
    imports=(),
    reference=(build_vocab, encode, decode),
    probes=(
        Probe(
            "the vocabulary has each character of the text once",
            lambda own, seed: sorted(own.build_vocab(_text(seed))),
            evidence=sequences,
        ),
        Probe(
            "the vocabulary is sorted",
            lambda own, seed: list(own.build_vocab(_text(seed) + ALPHABET)),
            evidence=sequences,
        ),
        Probe(
            "a character's id is its place in the vocabulary",
            lambda own, seed: own.encode(_text(seed), own.build_vocab(_text(seed))),
            evidence=sequences,
        ),
        Probe(
            "decoding gives the text back",
            lambda own, seed: own.decode(
                own.encode(_text(seed), own.build_vocab(_text(seed))), own.build_vocab(_text(seed))
            ),
            evidence=sequences,
        ),
        Probe(
            "id 0 is the vocabulary's first character",
            lambda own, seed: own.decode([0, 2, 1, 0], own.build_vocab(_text(seed))),
            evidence=sequences,
        ),
        Probe("what counts is the vocabulary that is passed", _of_another_text),
        Probe(
            "an empty text has no ids, and no ids are an empty text",
            lambda own, _: [own.encode("", own.build_vocab("ab")), own.decode([], ["a"])],
        ),
        Probe("a character that is not in the vocabulary is refused", _unknown),
        Probe("the ids and the vocabulary stay as they were", _left_alone),
    ),
    hints=(
        "decode(encode(text)) is the text, and a second run of the program gives the same ids.",
        "set() leaves each character once, in an order of its own that changes from run to run.",
        "sorted(set(text)) is the vocabulary; {character: id for id, character in enumerate(vocab)} looks ids up; ''.join(...) makes one text of characters.",
    ),
    equivalents=(
        '''
def build_vocab(text):
    """A text of characters serves as well as a list."""
    found = ""
    for character in text:
        if character not in found:
            found += character
    return "".join(sorted(found))


def encode(text, vocab):
    return list(map(vocab.index, text))


def decode(ids, vocab):
    text = ""
    for number in ids:
        text = text + vocab[number]
    return text
''',
        """
import numpy as np


def build_vocab(text):
    return [chr(code) for code in np.unique([ord(one) for one in text])]


def encode(text, vocab):
    ids = []
    for character in text:
        if character not in vocab:
            raise ValueError(character)
        ids.append(next(place for place, one in enumerate(vocab) if one == character))
    return ids


def decode(ids, vocab):
    itos = dict(enumerate(vocab))
    return "".join([itos[number] for number in ids])
""",
    ),
    mistakes=(
        Mistake(
            "vocabulary from an unsorted set",
            (("sorted(set(text))", "list(set(text))"),),
            "A set has no order that you could rely on: Python mixes it anew in every run. The next run gives the characters other ids, and a saved model reads nonsense. Sort it.",
            READ,
        ),
        Mistake(
            "ids in order of appearance",
            (("sorted(set(text))", "list(dict.fromkeys(text))"),),
            "The ids now depend on which character the text happens to begin with. The vocabulary asked for is sorted, so that two texts of the same characters have the same ids.",
            READ,
        ),
        Mistake(
            "each character as often as it comes",
            (("sorted(set(text))", "sorted(text)"),),
            "A vocabulary has each character once. Otherwise most of its entries are never used, and the model has a row of weights for each of them.",
            READ,
        ),
        Mistake(
            "ids that begin at 1",
            (("enumerate(vocab)", "enumerate(vocab, 1)"), ("vocab[id_]", "vocab[id_ - 1]")),
            "Ids are rows of the embedding table, which go from 0 to vocab_size - 1. The last character would ask for a row that is not there.",
            READ,
        ),
        Mistake(
            "encode counts from 1, decode from 0",
            (("enumerate(vocab)", "enumerate(vocab, 1)"),),
            "Each character comes back as the next one of the vocabulary. Both ways have to count from 0.",
            READ,
        ),
        Mistake(
            "Unicode numbers for ids",
            ((ENCODE, "[ord(character) for character in text]"), ("vocab[id_]", "chr(id_)")),
            "ord() gives a character's number among all 1,114,112 of Unicode. The model would need a row for each; ids go from 0 to vocab_size - 1.",
            READ,
        ),
        Mistake(
            "the vocabulary of the last text",
            (
                (
                    "return sorted(set(text))",
                    "global known\n    known = sorted(set(text))\n    return known",
                ),
                ("enumerate(vocab)", "enumerate(known)"),
                ("vocab[id_]", "known[id_]"),
            ),
            "encode and decode read what build_vocab stored last instead of the vocabulary that they are given. With two vocabularies in one program, the ids get mixed up.",
            READ,
        ),
        Mistake(
            "unknown characters left out",
            ((ENCODE, "[id_of[character] for character in text if character in id_of]"),),
            "The text comes back shorter than it was, and nobody is told. Refuse what the vocabulary lacks.",
            READ,
        ),
        Mistake(
            "unknown characters become id 0",
            ((ENCODE, "[id_of.get(character, 0) for character in text]"),),
            "Id 0 is a character of its own: the text comes back with that one in place of the unknown, and nobody is told. Refuse what the vocabulary lacks.",
            READ,
        ),
        Mistake(
            "unknown characters become id -1",
            ((ENCODE, "[id_of.get(character, -1) for character in text]"),),
            "str.find gives -1 for what it does not find, and Python reads place -1 as the last character. Refuse what the vocabulary lacks.",
            READ,
        ),
        Mistake(
            "a list of characters for a text",
            (('"".join(vocab[id_] for id_ in ids)', "[vocab[id_] for id_ in ids]"),),
            "decode returns the characters one by one. ''.join makes one text of them.",
            READ,
        ),
        Mistake(
            "joined with blanks",
            (('"".join', '" ".join'),),
            "The blank between the quotes of ' '.join stands between all characters of the text. Join with nothing between.",
            READ,
        ),
    ),
    read=READ,
)
