"""Where a head could be looking: for each token that looks, the tokens that count.

A pattern says of a window of text which keys count for which queries; those of the playhouse's
rules need the windows of `playhouse_windows`, which carry where the rules act. No pattern counts
what `previous`, `first` or `itself` counts, so that one habit is not taken for another.
Knows no model and no attention weights.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from playattention.data.playhouse_rules import annotate
from playattention.errors import UserError
from playattention.tokenizers import Tokenizer

RULES = ("address", "question", "couplet", "stage", "bracket", "agreement")
"""The rules of the playhouse, as `annotate` names them."""

_TITLE = re.compile(r"(?:\A|(?<=\n\n))THE ")


class Deed(NamedTuple):
    """A rule that acts within a window; places are those of tokens, half-open."""

    rule: str
    """Its name, as `annotate` tells it."""
    cue: tuple[int, int]
    """What decides."""
    site: tuple[int, int]
    """What is decided."""


class Window(NamedTuple):
    """A piece of text as a model sees it."""

    ids: torch.Tensor
    """Token ids (T)."""
    deeds: tuple[Deed, ...] = ()
    """Where rules act, cue and site both inside; empty where no rules are known."""


Pattern = Callable[[Window], torch.Tensor]
"""Window -> which keys count for which query (T, T), torch.bool; a query without one is left out.
No key comes after its query."""


def previous(window: Window) -> torch.Tensor:
    """Count the token before; from the third token on, since the second one's is the first."""
    place = torch.arange(len(window.ids))
    return _later(place[:, None] == place + 1)


def first(window: Window) -> torch.Tensor:
    """Count the first token of the window; from the third on."""
    place = torch.arange(len(window.ids))
    return _later((place == 0).expand(len(place), -1))


def itself(window: Window) -> torch.Tensor:
    """Count the token that looks; from the third on."""
    return _later(torch.eye(len(window.ids), dtype=torch.bool))


def induction(window: Window) -> torch.Tensor:
    """Count what followed the same token where it stood before (Olsson et al. 2022).

    All earlier places count. What followed directly before the token that looks does not: there,
    a head that looks at the previous token could not be told from one that looks for repetitions.
    """
    ids = window.ids
    after_same = torch.zeros(len(ids), len(ids), dtype=torch.bool)
    after_same[:, 1:] = ids[:, None] == ids[:-1]
    return after_same.tril(-2)


def cue_of(rule: str, window: Window) -> torch.Tensor:
    """Count the cue of a rule, all its letters, for the token before the site.

    That token predicts the site's first letter, which is where the rule has to be known; at the
    later letters, those already written tell most of the word. A head may look at any letter of
    the cue: each has come after enough of the word to know which it is, or will be copied.

    Args:
        rule: A rule's name, as `annotate` tells it.
        window: One of `playhouse_windows`.
    """
    counts = torch.zeros(len(window.ids), len(window.ids), dtype=torch.bool)
    for deed in window.deeds:
        if deed.rule == rule:
            counts[deed.site[0] - 1, slice(*deed.cue)] = True
    counts[:, 0] = False
    return counts.tril(-2)


PATTERNS: dict[str, Pattern] = {
    "previous": previous,
    "first": first,
    "itself": itself,
    "induction": induction,
    **{rule: partial(cue_of, rule) for rule in RULES},
}
"""Name -> which keys count. Those of the rules apply in `playhouse_windows` alone."""

TOLD = {
    "previous": "the token before",
    "first": "the first token of the text",
    "itself": "the token that looks",
    "induction": "what followed the same token where it stood before",
    "address": "the name just addressed",
    "question": "the noun of the question",
    "couplet": "the word to rhyme with",
    "stage": "a name, where it entered",
    "bracket": "the bracket to be closed",
    "agreement": "the pronoun or verb that the next word agrees with",
}
"""Name of a pattern -> what its heads look at, in words."""


def plain_windows(idx: torch.Tensor) -> list[Window]:
    """Return the rows of a batch (B, T) as windows in which no rules are known."""
    return [Window(row.cpu()) for row in idx]


def playhouse_windows(text: str, tokenizer: Tokenizer, seq_size: int) -> list[Window]:
    """Cut a text of the playhouse into windows that follow each other, and note where rules act.

    A rule is noted where its cue, its site and the token before the site are in the same window.

    Args:
        text: Plays; what stands before the first title is left out, the last may break off.
        tokenizer: One token for each character.
        seq_size: T, tokens in a window.

    Returns:
        Whole windows only.

    Raises:
        UserError: If there is not a whole window, or a token is not a character.
        ValueError: If the grammar cannot have written the text.
    """
    title = _TITLE.search(text)
    plays = text[title.start() :] if title else ""
    if len(plays) < seq_size:
        raise UserError(
            f"text = {len(text)} characters: must be plays of the playhouse, with at least "
            f"seq_size = {seq_size} characters from a title on"
        )
    ids = tokenizer.encode(plays)
    if len(ids) != len(plays):
        raise UserError(
            f"tokenizer = {tokenizer.name}: must have a token for each character, as char has"
        )
    deeds: list[list[Deed]] = [[] for _ in range(len(plays) // seq_size)]
    for rule, cue, site in annotate(plays):
        number = cue[0] // seq_size
        start = number * seq_size
        if number < len(deeds) and site[1] <= start + seq_size:
            deeds[number].append(Deed(rule, _moved(cue, -start), _moved(site, -start)))
    rows = torch.tensor(ids[: len(deeds) * seq_size]).view(-1, seq_size)
    return [Window(row, tuple(found)) for row, found in zip(rows, deeds, strict=True)]


def _moved(extent: tuple[int, int], by: int) -> tuple[int, int]:
    return extent[0] + by, extent[1] + by


def _later(counts: torch.Tensor) -> torch.Tensor:
    """Leave out the first two queries, for which previous, first and itself are not three."""
    kept = counts.clone()
    kept[:2] = False
    return kept
