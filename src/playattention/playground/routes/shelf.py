"""Which runs there are, what they know, and what to ask them first."""

from typing import Annotated

from fastapi import Query

from playattention.playground.answers import Examples, RunEntry, Vocabulary
from playattention.playground.requests import ExamplesQuery, VocabularyQuery
from playattention.playground.routes import Asked, group
from playattention.playground.runs import entries
from playattention.playground.texts import examples

router = group("shelf")


@router.get("/runs")
def runs(asked: Asked) -> list[RunEntry]:
    """Return all runs, the first of which the page begins with."""
    return entries(asked.shelf)


@router.get("/examples")
def examples_of(asked: Asked, query: Annotated[ExamplesQuery, Query()]) -> Examples:
    """Return texts to begin with."""
    opened = asked.open(query.run)
    return Examples(texts=examples(opened))


@router.get("/vocabulary")
def vocabulary(asked: Asked, query: Annotated[VocabularyQuery, Query()]) -> Vocabulary:
    """Return tokens by their numbers."""
    tokenizer = asked.open(query.run).tokenizer
    end = min(query.start + query.count, tokenizer.vocab_size)
    return Vocabulary(
        size=tokenizer.vocab_size,
        start=query.start,
        tokens=[tokenizer.decode([id_]) for id_ in range(query.start, end)],
    )
