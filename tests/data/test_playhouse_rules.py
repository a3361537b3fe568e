"""The playhouse's rules: they hold, they are annotated where they act, and the judge sees them."""

import random
import re
from itertools import pairwise

import numpy as np
import pytest

from playattention.data.playhouse import write
from playattention.data.playhouse_rules import annotate, judge
from playattention.data.playhouse_words import NAMES, TOPICS

REACH = 128
HEADING = re.compile(r"^([A-Z][a-z]+):$", re.MULTILINE)
ADVERB = "(?:always|in truth|never|of late|seldom|surely|too often)"
YOU_FORM = {
    "art": "are", "dancest": "dance", "didst": "did", "dost": "do", "fearest": "fear",
    "hast": "have", "keepest": "keep", "knowest": "know", "lovest": "love", "owest": "owe",
    "shalt": "shall", "singest": "sing", "weepest": "weep", "wilt": "will",
}  # fmt: skip
THOU_VERBS, YOU_VERBS = set(YOU_FORM), set(YOU_FORM.values())


@pytest.fixture(scope="module")
def corpus() -> str:
    return write()


@pytest.fixture(scope="module")
def text() -> str:
    return write(100_000, seed=3)


def speeches(text: str) -> list[tuple[str, str]]:
    """Speaker and body of every speech, by form alone."""
    return re.findall(r"^([A-Z][a-z]+):\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL)


def between(text: str, extent: tuple[int, int]) -> str:
    return text[slice(*extent)]


# --- the rules hold, by patterns that know no grammar ---


def test_whoever_is_addressed_at_the_end_speaks_next(corpus: str) -> None:
    found = speeches(corpus)
    addressed = 0
    for (_, body), (speaker, _) in pairwise(found):
        named = re.search(r"(\w+)[.?!]$", body)
        if named and named[1] in NAMES:
            addressed += 1
            assert speaker == named[1]
    assert 0.5 < addressed / len(found) < 0.65


def test_the_noun_of_a_question_comes_back(corpus: str) -> None:
    found = speeches(corpus)
    asked = 0
    assert "?\n\n[" not in corpus  # nobody comes or goes before the answer
    for (_, body), (_, answer) in pairwise(found):
        if body.endswith("?"):
            asked += 1
            (noun,) = re.findall(r"\*(\w+)\*", body.split("\n")[-1])
            assert noun in TOPICS
            assert f"*{noun}*" in answer
    assert 0.45 < asked / len(found) < 0.55


def test_verbs_agree_with_thou_and_you(corpus: str) -> None:
    for pronoun, right, wrong in (("thou", THOU_VERBS, YOU_VERBS), ("you", YOU_VERBS, THOU_VERBS)):
        seen = set()
        pattern = rf"(?:(\w+) )?\b{pronoun} (?:{ADVERB} )?(\w+)"
        for found in re.finditer(pattern, corpus, re.IGNORECASE):
            neighbours = {str(word).lower() for word in found.groups()}
            assert len(neighbours & right) == 1, found[0]
            assert not neighbours & wrong, found[0]
            seen |= neighbours & right
        assert seen == right


def test_a_speech_keeps_to_one_form_of_address(corpus: str) -> None:
    forms = [
        set(re.findall(r"\b(thou|thy|you|your)\b", body.lower())) for _, body in speeches(corpus)
    ]
    assert any({"thou", "thy"} <= form for form in forms)
    assert all(not form & {"thou", "thy"} or not form & {"you", "your"} for form in forms)


def test_only_who_is_on_stage_speaks_or_is_named(corpus: str) -> None:
    on_stage: set[str] = set()
    sizes = []
    for paragraph in corpus.split("\n\n"):
        names = set(re.findall(rf"\b(?:{'|'.join(NAMES)})\b", paragraph))
        if paragraph.startswith("[Enter"):
            assert not names & on_stage
            on_stage |= names
        elif paragraph.startswith("[Exit"):
            assert names <= on_stage
            on_stage -= names
        elif paragraph == "[Exeunt]":
            on_stage = set()
        elif names:
            assert names <= on_stage
            sizes.append(len(on_stage))
    assert set(sizes) == {2, 3, 4}


def test_who_enters_speaks(corpus: str) -> None:
    entrances = re.findall(r"\[Enter (.*)\]\n\n(\w+):", corpus)
    assert len(entrances) > 500
    assert all(speaker in names for names, speaker in entrances)


def test_brackets_close_on_their_line(corpus: str) -> None:
    for line in corpus.split("\n"):
        assert re.fullmatch(r"[^\[\]]*|\[[^\[\]]+\]", line)


def test_scenes_end_on_two_lines_that_rhyme(corpus: str) -> None:
    before_the_end = re.findall(r"\n\n(\w+):\n([^\n]+)\n([^\n]+)\n\n\[Exeunt\]", corpus)
    assert len(before_the_end) == corpus.count("[Exeunt]") == corpus.count("SCENE.")
    for _, first, second in before_the_end:
        last, rhyme = first.rstrip(",").split()[-1], second.rstrip(".").split()[-1]
        assert last != rhyme
        assert last[-3:] == rhyme[-3:]


# --- annotation ---


def test_spans_point_at_the_words_that_the_rules_are_about(text: str) -> None:
    spans = annotate(text)
    for rule, cue, site in spans:
        decides, decided = between(text, cue), between(text, site)
        assert cue[1] <= site[0]
        if rule != "bracket":
            for start, end in (cue, site):
                assert re.fullmatch(r"\W\w+\W", text[start - 1 : end + 1])
        if rule in ("address", "stage"):
            assert decides == decided
            assert decides in NAMES
            assert text[site[0] - 2 : site[0]] + text[site[1] : site[1] + 2] == "\n\n:\n"
        if rule == "address":
            assert re.fullmatch(r"[.!?]\n\n", text[cue[1] : site[0]])
        elif rule == "stage":
            assert text.rindex("[Enter ", 0, cue[0]) > text.rindex("\n", 0, cue[0])
        elif rule == "question":
            assert decides == decided
            assert decides in TOPICS
        elif rule == "agreement":
            assert ({decides.lower()} & {"thou", "you"}) != ({decided} & {"thou", "you"})
            assert {decides.lower(), decided} & (THOU_VERBS | YOU_VERBS)
        elif rule == "bracket":
            assert re.fullmatch(r"\[[^\[\]]+\]", text[cue[0] : site[1]])
        elif rule == "couplet":
            assert decides[-3:] == decided[-3:]
            assert text[site[1] :].startswith(".\n\n[Exeunt]")


def test_every_place_where_a_rule_acts_is_annotated(text: str) -> None:
    found = [span.rule for span in annotate(text)]
    spoken = speeches(text)
    assert found.count("stage") == len(spoken) == len(HEADING.findall(text))
    assert found.count("address") == sum(
        bool(re.search(rf"\b(?:{'|'.join(NAMES)})[.!?]$", body)) for _, body in spoken
    )
    assert found.count("question") == sum(body.endswith("?") for _, body in spoken)
    assert found.count("agreement") == len(re.findall(r"\b(?:[Tt]hou|[Yy]ou)\b", text))
    assert found.count("bracket") == text.count("[")
    assert found.count("couplet") == text.count("[Exeunt]")


def test_cues_are_within_reach_but_for_who_is_on_stage(corpus: str) -> None:
    spans = annotate(corpus)
    far = {span.rule for span in spans if span.site[1] - span.cue[0] > REACH}
    assert far == {"stage"}
    distances = [site[1] - cue[0] for rule, cue, site in spans if rule == "stage"]
    assert 0.75 < np.mean(np.array(distances) > REACH) < 0.85


# --- judgement ---

SCENE = """SCENE. The mill, at noon.

[Enter Tobias and Beatrix]

Tobias:
Where is the *Lantern*, Beatrix?

Beatrix:
Seek the *Lantern* beneath the willow.

[Exit Beatrix]

"""


def test_the_corpus_keeps_every_rule(corpus: str) -> None:
    verdict = judge(corpus)
    assert verdict.share == 1.0
    assert len(verdict.speeches) == len(HEADING.findall(corpus))
    assert set(verdict.counts) == {"address", "question", "stage"}
    assert all(kept == applicable > 2500 for kept, applicable in verdict.counts.values())


def test_a_piece_of_the_corpus_keeps_every_rule_wherever_it_begins(corpus: str) -> None:
    generator = random.Random(5)
    for _ in range(200):
        start = generator.randrange(len(corpus) - 4000)
        verdict = judge(corpus[start : start + 4000])
        assert len(verdict.speeches) > 20
        assert verdict.share == 1.0


def test_shuffled_speakers_break_the_rules(text: str) -> None:
    names = HEADING.findall(text)
    random.Random(0).shuffle(names)
    shuffled = HEADING.sub(lambda _: f"{names.pop()}:", text)
    assert judge(shuffled).share < 0.3


def test_gibberish_obeys_nothing() -> None:
    generator = random.Random(0)
    gibberish = "".join(generator.choices("abcdefgh ABO[]:.?\n", k=50_000))
    verdict = judge(gibberish)
    assert len(verdict.speeches) > 50
    assert verdict.share < 0.01


@pytest.mark.parametrize("text", ["", "\n\n", "no blank line", SCENE.partition("Tobias:")[0]])
def test_a_text_without_speeches_has_share_0(text: str) -> None:
    assert judge(text).speeches == ()
    assert judge(text).share == 0.0


@pytest.mark.parametrize(
    ("right", "wrong", "broken"),
    [
        ("", "", set()),
        ("Beatrix:\nSeek", "Tobias:\nSeek", {"address"}),
        ("Seek the *Lantern*", "Seek the *Mirror*", {"question"}),
        ("and Beatrix]", "and Dulcie]", {"stage"}),
    ],
)
def test_each_rule_is_judged_by_itself(right: str, wrong: str, broken: set[str]) -> None:
    _, answer = judge(SCENE.replace(right, wrong)).speeches
    assert answer.kept == {rule: rule not in broken for rule in ("address", "question", "stage")}
    assert answer.well_formed
    assert answer.obeys == (not broken)


@pytest.mark.parametrize("heading", ["Bertram:\n", "beatrix:\n", "Beatrix: ", ""])
def test_a_speech_without_a_known_heading_obeys_nothing(heading: str) -> None:
    _, answer = judge(SCENE.replace("Beatrix:\n", heading)).speeches
    assert not answer.well_formed
    assert not answer.obeys
    assert answer.kept == {"address": False, "question": False, "stage": False}


@pytest.mark.parametrize(("after", "kept"), [("", False), ("[Enter Beatrix]", True)])
def test_who_has_left_may_not_speak_before_entering_again(after: str, kept: bool) -> None:
    *_, last = judge(f"{SCENE}{after}\n\nBeatrix:\nI am still here.\n\n").speeches
    assert last.kept == {"stage": kept}


def test_all_have_left_after_exeunt() -> None:
    *_, last = judge(f"{SCENE}[Exeunt]\n\nTobias:\nI am still here.\n\n").speeches
    assert last.kept == {"stage": False}


def test_the_stage_is_not_judged_before_it_is_known() -> None:
    middle = SCENE.partition("Beatrix]\n\n")[2] + "[Enter Dulcie]\n\nHester:\nAlas!\n\n"
    verdict = judge(middle)
    assert verdict.counts == {"address": (1, 1), "question": (1, 1), "stage": (0, 0)}
    assert verdict.share == 1.0


def test_a_speech_cut_off_at_either_end_is_not_judged_but_binds_the_next() -> None:
    text = "*Lantern*, Beatrix?\n\nTobias:\nSeek the *Lantern*.\n\nBeatrix:\nAl"
    (judged,) = judge(text).speeches
    assert between(text, judged.extent) == "Tobias:\nSeek the *Lantern*."
    assert judged.kept == {"address": False, "question": True}
