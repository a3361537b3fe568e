"""The playhouse: the same text everywhere, one parse only, an exact score."""

import hashlib
import math
import random
import re

import numpy as np
import pytest

from playattention.data.playhouse import entropy, score, write
from playattention.data.playhouse_grammar import play
from playattention.data.playhouse_pens import Choice, Reader, Value, Writer
from playattention.data.playhouse_rules import annotate
from playattention.data.playhouse_words import NAMES

SHA256 = "8110be590ef40c6a255b8f492d7dd744eff2ddd953e3c26fcfd99830bd863f5f"


class Recorder(Reader):
    """A reader that keeps every choice it meets, and where."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.met: list[tuple[int, Choice[object]]] = []

    def choose(self, choice: Choice[Value]) -> Value:
        if self.position < len(self.text):
            self.met.append((self.position, choice))
        return super().choose(choice)


@pytest.fixture(scope="module")
def corpus() -> str:
    return write()


@pytest.fixture(scope="module")
def text() -> str:
    return write(100_000, seed=3)


@pytest.fixture(scope="module")
def recorder(text: str) -> Recorder:
    found = Recorder(text)
    with pytest.raises(EOFError):
        while True:
            play(found)
    return found


def speeches(text: str) -> list[tuple[str, str]]:
    """Speaker and body of every speech, by form alone."""
    return re.findall(r"^([A-Z][a-z]+):\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL)


# --- the text ---


def test_the_default_corpus_is_the_same_everywhere(corpus: str) -> None:
    assert hashlib.sha256(corpus.encode()).hexdigest() == SHA256


def test_the_seed_alone_decides_the_text(text: str) -> None:
    assert write(100_000, seed=3) == text
    assert write(100_000, seed=4) != text


def test_text_ends_with_the_play_that_reaches_the_length(corpus: str) -> None:
    *_, last_play = re.finditer(r"^THE ", corpus, re.MULTILINE)
    assert last_play.start() < 1_100_000 <= len(corpus)
    assert corpus.endswith("[Exeunt]\n\nFINIS\n\n")


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match="n_chars must not be negative, is -1"):
        write(-1)


def test_few_characters_all_printable(corpus: str) -> None:
    assert len(set(corpus)) <= 65
    assert all(character == "\n" or " " <= character <= "~" for character in set(corpus))


def test_most_speeches_are_of_a_length_that_shows_in_a_context(corpus: str) -> None:
    lengths = np.array([len(body) for _, body in speeches(corpus)])
    assert np.mean((lengths >= 40) & (lengths <= 110)) > 0.75
    assert lengths.max() < 160


# --- one parse only ---


def test_options_that_begin_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="option 'oak' begins option 'oaken'"):
        Choice.among((1.0, {"oaken": 1, "elm": 2, "oak": 3}))


def test_no_option_begins_another_in_any_choice_met(recorder: Recorder) -> None:
    for texts in {choice.texts for _, choice in recorder.met}:
        for option in texts:
            assert [other for other in texts if other.startswith(option)] == [option]


def test_exactly_one_option_fits_at_every_choice(recorder: Recorder) -> None:
    for position, choice in recorder.met:
        assert sum(recorder.text.startswith(option, position) for option in choice.texts) == 1


def test_probabilities_of_every_choice_sum_to_one(recorder: Recorder) -> None:
    for choice in {choice for _, choice in recorder.met}:
        assert sum(choice.probabilities) == pytest.approx(1.0, abs=1e-12)


# --- the score is exact ---


def test_next_characters_have_total_probability_one(corpus: str) -> None:
    alphabet = sorted(set(corpus))
    opening = corpus[:1500]
    known = score(opening)
    for position in random.Random(0).sample(range(len(opening)), 40):
        total = 0.0
        for character in alphabet:
            try:
                log_probability = score(opening[:position] + character)[-1]
            except ValueError:
                continue
            total += math.exp(log_probability)
            if character == opening[position]:
                assert log_probability == pytest.approx(known[position], abs=1e-12)
        assert total == pytest.approx(1.0, abs=1e-12)


def test_score_adds_up_to_what_the_writer_drew() -> None:
    writer = Writer(seed=11)
    for _ in range(10):
        play(writer)
    total = score("".join(writer.parts)).sum()
    assert total == pytest.approx(writer.log_probability, rel=1e-12)


def test_score_of_a_beginning_is_the_beginning_of_the_score(text: str) -> None:
    whole = score(text[:1200])
    assert whole.dtype == np.float64
    for end in range(1200):
        np.testing.assert_allclose(score(text[:end]), whole[:end], atol=1e-12)


def test_a_choice_with_known_odds_costs_their_logarithm(text: str) -> None:
    log_probabilities = score(text)
    titles = list(re.finditer(r"^THE .*\n\n", text, re.MULTILINE))
    for title in titles:  # 3 genres, 8 plays
        cost = -log_probabilities[title.start() : title.end()].sum()
        assert cost == pytest.approx(math.log(3 * 8), abs=1e-12)
    for end, odds in ((r"^FINIS", 0.25), (r"(?<=\[Exeunt\]\n\n)SCENE", 0.75)):
        for found in re.finditer(end, text, re.MULTILINE):
            assert log_probabilities[found.start()] == pytest.approx(math.log(odds), abs=1e-12)


def test_options_come_as_often_as_they_should(recorder: Recorder) -> None:
    """The mass of options before the taken one and half its own has mean 1/2, whatever the odds."""
    excess, variance = 0.0, 0.0
    for position, choice in recorder.met:
        probabilities = np.array(choice.probabilities)
        middles = np.cumsum(probabilities) - probabilities / 2
        taken = [recorder.text.startswith(option, position) for option in choice.texts].index(True)
        excess += middles[taken] - 0.5
        variance += np.sum(probabilities * (middles - 0.5) ** 2)
    assert abs(excess) < 4 * math.sqrt(variance)


def test_surprise_is_the_entropy_of_the_choices_on_average(recorder: Recorder) -> None:
    """Sampled as stated, surprise less entropy has mean 0; its variance is known too."""
    surprise, expected, variance = -recorder.log_probabilities.sum(), 0.0, 0.0
    for _, choice in recorder.met:
        probabilities = np.array(choice.probabilities)
        entropy_here = -np.sum(probabilities * np.log(probabilities))
        expected += entropy_here
        variance += np.sum(probabilities * np.log(probabilities) ** 2) - entropy_here**2
    assert abs(surprise - expected) < 4 * math.sqrt(variance)


def test_entropy_is_the_score_from_there_on(text: str) -> None:
    log_probabilities = score(text)
    starts = [found.start() for found in re.finditer("^THE ", text, re.MULTILINE)]
    near_starts = [start + shift for start in starts[1:3] for shift in (-1, 0, 1)]
    for start in (0, 1, 777, 50_000, len(text) - 1, len(text), *near_starts):
        expected = -log_probabilities[start:].sum()
        assert entropy(text, start) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_entropy_reads_from_the_last_title_only(text: str) -> None:
    second = re.compile("^THE ", re.MULTILINE).search(text, 1)
    assert second is not None
    spoilt = "#" * (second.start() - 1) + text[second.start() - 1 :]
    assert entropy(spoilt, second.start()) == entropy(text, second.start())
    with pytest.raises(ValueError, match="position 0"):
        entropy(spoilt, second.start() - 1)


@pytest.mark.parametrize("start", [-1, 11])
def test_entropy_refuses_a_start_outside_of_the_text(start: int) -> None:
    with pytest.raises(ValueError, match=f"start must be within 0 and 10, is {start}"):
        entropy("THE COMEDY", start)


def test_a_changed_character_is_rejected_where_it_stands(text: str) -> None:
    for position in random.Random(1).sample(range(5000), 200):
        changed = text[:position] + "#" + text[position + 1 :]
        with pytest.raises(
            ValueError, match=rf"^position {position}: expected .*found '#'$"
        ) as error:
            score(changed)
        expected = str(error.value).split(" one of ")[1]
        assert repr(text[position])[1:-1] in expected


def test_a_broken_rule_is_rejected_where_it_breaks(text: str) -> None:
    for span in annotate(text[:6000]):
        if span.rule == "address":
            others = [name for name in NAMES if name != text[slice(*span.site)]]
            changed = text[: span.site[0]] + others[0] + text[span.site[1] :]
            with pytest.raises(ValueError, match=f"^position {span.site[0]}: "):
                score(changed)
