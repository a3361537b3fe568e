"""What the playhouse's rules say of a text: where they act in a play, and how well any text obeys.

`annotate` follows the grammar, so it is exact and takes only texts that the grammar can write.
`judge` knows no grammar: it takes any text, say a model's, finds its speeches by their form alone
and asks of each whether
    address   the one addressed by name at the end of the last speech speaks;
    question  the noun of the last speech's question comes back;
    stage     all it names, and its speaker, have entered and not left.

It does not know whether a speech makes sense, or how likely it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from playattention.data.playhouse import read
from playattention.data.playhouse_pens import Extent, Span
from playattention.data.playhouse_words import NAMES, TOPICS

RULES = ("address", "question", "stage")

_NAME = re.compile(rf"\b({'|'.join(NAMES)})\b")
_TOPIC = re.compile(rf"\b({'|'.join(TOPICS)})\b")
_PARAGRAPH = re.compile(r"\S.*?(?=\n[ \t]*\n)", re.DOTALL)  # complete: a blank line follows
_HEADING = re.compile(r"(THE [A-Z ]+|SCENE\. .+|FINIS)$")
_DIRECTION = re.compile(r"\[(Enter|Exit|Exeunt)( [^\[\]\n]+)?\]$")
_SPEECH = re.compile(rf"({'|'.join(NAMES)}):\n(?=.*\S)", re.DOTALL)
_ADDRESS = re.compile(rf"\b({'|'.join(NAMES)})[.?!]$")


@dataclass(frozen=True)
class Judged:
    """One speech: where it stands, who speaks (nobody: "" if ill formed), which rules it keeps."""

    extent: Extent
    speaker: str
    kept: dict[str, bool]
    """Rule -> whether it is kept; a rule that says nothing of this speech is left out."""

    @property
    def well_formed(self) -> bool:
        """Whether it has a known name for a heading, and a body."""
        return bool(self.speaker)

    @property
    def obeys(self) -> bool:
        """Whether it is well formed and keeps every rule that applies."""
        return self.well_formed and all(self.kept.values())


@dataclass(frozen=True)
class Verdict:
    """How well a text keeps the rules."""

    speeches: tuple[Judged, ...]

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Rule -> number of speeches that keep it, and of those it applies to."""
        counts = {}
        for rule in RULES:
            kept = [speech.kept[rule] for speech in self.speeches if rule in speech.kept]
            counts[rule] = sum(kept), len(kept)
        return counts

    @property
    def share(self) -> float:
        """Share of the speeches that obey, between 0 and 1; 0 if there is no speech."""
        return sum(speech.obeys for speech in self.speeches) / max(len(self.speeches), 1)


def annotate(text: str) -> list[Span]:
    """Find where each rule acts in a text of the corpus.

    The cue of "address" is the addressed name, its site the name in the next heading; of
    "question" the noun asked about and the noun in the answer; of "agreement" a pronoun and its
    verb, in the order they are spoken (hast thou: the verb is the cue); of "stage" a name in its
    [Enter ...] and in each heading until the exit; of "bracket" the two brackets of a direction;
    of "couplet" the two rhymes.

    Args:
        text: plays of the grammar from the start of one; the last may break off anywhere.

    Returns:
        Spans in the order of their sites, each with half-open ranges of characters.

    Raises:
        ValueError: if the grammar cannot have written the text, naming the position.
    """
    return read(text).spans


def judge(text: str) -> Verdict:
    """Judge each speech of any text.

    A speech is a paragraph that is no heading and no stage direction. The first one, if it has no
    speaker, is taken for the end of a speech that began before the text, and the last one, if no
    blank line follows, for one that the text's end cut off: neither is judged. "stage" is judged
    once the stage is known: from a scene's heading on, or where two or more enter together.

    Args:
        text: anything, starting and ending anywhere.

    Returns:
        The verdict on every speech, in order.
    """
    return Verdict(tuple(_judged(text)))


def _judged(text: str) -> Iterator[Judged]:
    on_stage: set[str] | None = None  # None while unknown
    last = ""
    for number, found in enumerate(_PARAGRAPH.finditer(text)):
        paragraph = found[0]
        if _HEADING.match(paragraph):
            on_stage = set()
        elif direction := _DIRECTION.match(paragraph):
            on_stage = _move(on_stage, direction[1], set(_NAME.findall(paragraph)))
        else:
            speech = _SPEECH.match(paragraph)
            if speech or number > 0:
                speaker = speech[1] if speech else ""
                yield Judged(found.span(), speaker, _kept(last, speaker, paragraph, on_stage))
            last = paragraph


def _move(on_stage: set[str] | None, verb: str, names: set[str]) -> set[str] | None:
    """Say who is on stage after a direction."""
    if verb == "Exeunt":
        return set()
    if on_stage is None:
        return names if verb == "Enter" and len(names) > 1 else None
    return on_stage | names if verb == "Enter" else on_stage - names


def _kept(last: str, speaker: str, speech: str, on_stage: set[str] | None) -> dict[str, bool]:
    """Ask each rule that applies; a speech without a speaker keeps none."""
    kept = {}
    if addressed := _ADDRESS.search(last):
        kept["address"] = speaker == addressed[1]
    if last.endswith("?") and (nouns := set(_TOPIC.findall(last.splitlines()[-1]))):
        kept["question"] = speaker != "" and not nouns.isdisjoint(_TOPIC.findall(speech))
    if on_stage is not None:
        kept["stage"] = speaker != "" and on_stage.issuperset(_NAME.findall(speech))
    return kept
