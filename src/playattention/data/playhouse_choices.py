"""The playhouse's choices: the templates and words that may stand next, and how likely each is.

It does not know which place comes after which: that is the grammar, in playhouse_grammar.py.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from playattention.data import playhouse_words as words
from playattention.data.playhouse_pens import Choice, Extent


class Template(NamedTuple):
    """A sentence with blanks: its fixed beginning, then each slot with the text after it."""

    kind: str
    lead: str
    slots: tuple[tuple[str, str], ...]
    form: str  # "thou" or "you" if it addresses someone so, else ""
    agreeing: tuple[Extent, ...]  # pronoun and verb, where the lead has them


def _compile(kind: str, source: str) -> Iterator[Template]:
    """Read a template as the lexicon writes it, in every form of address that it has."""
    before, marked, after = re.split(r"<(.*)>", source) if "<" in source else (source, "", "")
    for form in ("thou", "you") if marked else ("",):
        spoken = [word if form == "thou" else words.YOU_FORM[word] for word in marked.split()]
        lead, *rest = re.split(r"\{(\w+)\}", before + " ".join(spoken) + after)
        agreeing = tuple(
            word.span()
            for word in re.finditer(r"\w+", lead)
            if word[0] in spoken and word[0] not in ("thy", "your")
        )
        yield Template(kind, lead, tuple(zip(rest[::2], rest[1::2], strict=True)), form, agreeing)


TEMPLATES = {
    kind: tuple(template for source in sources for template in _compile(kind, source))
    for kind, sources in words.TEMPLATES.items()
}


@cache
def templates(mixture: str, form: str, capital: bool) -> Choice[Template]:
    """The templates of a mixture that keep to a form of address, if one is decided."""
    groups = []
    for kind, weight in words.MIXTURES.get(mixture, {mixture: 1.0}).items():
        fitting = [item for item in TEMPLATES[kind] if not form or item.form in ("", form)]
        if capital:
            fitting = [item._replace(lead=item.lead[0].upper() + item.lead[1:]) for item in fitting]
        groups.append((weight, {item.lead: item for item in fitting}))
    return Choice.among(*groups)


@cache
def evenly(options: tuple[str, ...]) -> Choice[str]:
    """A choice of words that are equally likely."""
    return Choice.among((1.0, {word: word for word in options}))


@cache
def topics(last: str) -> Choice[str]:
    """A choice of a thing to ask about, more often than not the one last asked about."""
    same = {noun: noun for noun in words.TOPICS if noun == last}
    return Choice.among((0.75, same), (0.25, {noun: noun for noun in words.TOPICS if noun != last}))


@cache
def company(others: tuple[str, ...], favourite: str, asides: tuple[str, ...]) -> Choice[str]:
    """A choice of one of the others, most often the favourite; any aside has the value ""."""
    likely = {name: name for name in others if name == favourite}
    rest = {name: name for name in others if name != favourite}
    return Choice.among(
        (0.7, likely), (0.15 if likely else 0.85, rest), (0.15, dict.fromkeys(asides, ""))
    )


@cache
def endings(mark: str, last: bool, hailed: bool) -> Choice[str]:
    """How a sentence ends: on a name, with a comma and another line, or with its mark."""
    name = {} if hailed else {", ": "name"}
    if last:
        return Choice.among((0.75, name), (0.25, {f"{mark}\n\n": "silence"}))
    return Choice.among((0.6, name), (0.05, {",\n": "comma"}), (0.35, {f"{mark}\n": "mark"}))


FIRST_ENTRANTS = Choice.among((0.7, {" and ": 2}), (0.3, {", ": 3}))
