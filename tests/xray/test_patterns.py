"""Which tokens count for which, read off small texts by eye."""

import pytest
import torch

from playattention.data.playhouse import write
from playattention.data.playhouse_rules import annotate
from playattention.errors import UserError
from playattention.tokenizers import CharTokenizer
from playattention.xray.patterns import (
    PATTERNS,
    RULES,
    TOLD,
    Deed,
    Window,
    cue_of,
    plain_windows,
    playhouse_windows,
)

PLAYS = write(20_000, seed=5)
TOKENIZER = CharTokenizer(PLAYS)


def counted(name: str, text: str, *deeds: Deed) -> list[tuple[int, int]]:
    """Return the pairs of query and key that count."""
    window = Window(torch.tensor([ord(letter) for letter in text]), deeds)
    pairs = PATTERNS[name](window).nonzero().tolist()
    return [(query, key) for query, key in pairs]


def test_every_pattern_is_told_in_words():
    assert list(TOLD) == list(PATTERNS)


def test_previous_first_and_itself_start_where_they_are_three():
    assert counted("previous", "abcd") == [(2, 1), (3, 2)]
    assert counted("first", "abcd") == [(2, 0), (3, 0)]
    assert counted("itself", "abcd") == [(2, 2), (3, 3)]


def test_induction_counts_what_followed_the_same_token_before():
    assert counted("induction", "abcab") == [(3, 1), (4, 2)]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("xaybza", [(5, 2)]),
        ("xaybazcda", [(4, 2), (8, 2), (8, 5)]),
        ("xaa", []),  # what followed is the token itself
        ("xaba", []),  # what followed is the token before
        ("aabca", [(4, 1), (4, 2)]),
        ("abcd", []),
    ],
)
def test_induction_counts_every_earlier_place_but_the_previous_token(text, pairs):
    assert counted("induction", text) == pairs


def test_a_rule_counts_its_cue_for_the_token_before_its_site():
    deed = Deed("address", (2, 5), (8, 11))
    assert counted("address", "x.Ann!\n\nAnn:", deed) == [(7, 2), (7, 3), (7, 4)]
    assert counted("question", "x.Ann!\n\nAnn:", deed) == []


def test_a_cue_beside_its_site_leaves_the_previous_token_and_itself_out():
    assert counted("agreement", "x thou art", Deed("agreement", (2, 6), (7, 10))) == [
        (6, 2),
        (6, 3),
        (6, 4),
    ]


def test_a_cue_that_begins_the_window_leaves_the_first_token_out():
    assert counted("bracket", "[Exit]", Deed("bracket", (0, 1), (5, 6))) == []


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_counts_what_previous_first_or_itself_counts(name: str):
    """Except those three, each on its own."""
    windows = playhouse_windows(PLAYS, TOKENIZER, 64)[:40]
    others = {"previous", "first", "itself"} - {name}
    for window in windows:
        counts = PATTERNS[name](window)
        assert not counts.triu(1).any()
        for other in others:
            assert not (counts & PATTERNS[other](window)).any()


def test_the_rules_are_those_of_the_corpus():
    assert {span.rule for span in annotate(PLAYS)} == set(RULES)


def test_windows_follow_each_other_from_the_first_title_on():
    text = "nder the willow.\n\n" + PLAYS
    windows = playhouse_windows(text, TOKENIZER, 100)
    joined = "".join(TOKENIZER.decode(window.ids.tolist()) for window in windows)
    assert joined == PLAYS[: len(PLAYS) // 100 * 100]


def test_a_rule_is_noted_where_the_window_shows_its_cue_and_its_site():
    windows = playhouse_windows(PLAYS, TOKENIZER, 128)
    noted = [
        (deed.rule, PLAYS[start + deed.cue[0] : start + deed.cue[1]], start + deed.site[0])
        for start, window in zip(range(0, len(PLAYS), 128), windows, strict=False)
        for deed in window.deeds
    ]
    expected = [
        (span.rule, PLAYS[slice(*span.cue)], span.site[0])
        for span in annotate(PLAYS)
        if span.cue[0] // 128 == (span.site[0] - 1) // 128 == (span.site[1] - 1) // 128
        and span.site[1] <= len(windows) * 128
    ]
    assert len(noted) > 100
    assert sorted(noted) == sorted(expected)
    assert all(deed.cue[0] < deed.site[0] for window in windows for deed in window.deeds)


def test_the_letters_of_a_noun_count_before_it_comes_back():
    windows = playhouse_windows(PLAYS, TOKENIZER, 128)
    seen = 0
    for window in windows:
        text = TOKENIZER.decode(window.ids.tolist())
        counts = cue_of("question", window)
        for query in counts.any(dim=1).nonzero().flatten().tolist():
            letters = "".join(text[key] for key in counts[query].nonzero().flatten().tolist())
            assert text[query] == "*"
            assert letters in text[query + 1 : query + 2 + len(letters)]
            seen += 1
    assert seen > 10


def test_a_text_of_less_than_a_window_is_refused():
    with pytest.raises(UserError, match="text = 40 characters: must be plays of the playhouse"):
        playhouse_windows(PLAYS[:40], TOKENIZER, 64)


def test_a_text_without_a_title_is_refused():
    with pytest.raises(UserError, match="text = 200 characters: must be plays"):
        playhouse_windows("a" * 200, CharTokenizer("a"), 64)


def test_a_tokenizer_of_words_is_refused():
    class Pairs(CharTokenizer):
        name = "pairs"

        def encode(self, text: str) -> list[int]:
            return super().encode(text)[::2]

    with pytest.raises(UserError, match="tokenizer = pairs: must have a token for each character"):
        playhouse_windows(PLAYS, Pairs(PLAYS), 64)


def test_plain_windows_know_no_rules():
    windows = plain_windows(torch.tensor([[1, 2, 3], [4, 5, 6]]))
    assert [window.ids.tolist() for window in windows] == [[1, 2, 3], [4, 5, 6]]
    assert all(window.deeds == () for window in windows)
