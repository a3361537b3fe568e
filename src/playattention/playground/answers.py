"""What the server answers, as OpenAPI tells it; numbers that are not finite are null.

Tensors are answered as bytes: see `tensors.py`. Does not know how anything is found.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """JSON with numbers in full precision."""

    model_config = ConfigDict(ser_json_inf_nan="null", use_attribute_docstrings=True)


class Error(Answer):
    """What went wrong."""

    error: str
    """One line."""


class Sizes(Answer):
    """Of a model."""

    n_layer: int
    n_head: int
    n_embd: int
    head_size: int
    seq_size: int
    vocab_size: int


class RunEntry(Answer):
    """A run of the list."""

    name: str
    kind: str
    """run or untrained"""
    error: str | None = None
    """Why it can't be read; then the rest may be missing."""
    model: str | None = None
    dataset: str | None = None
    tokenizer: str | None = None
    step: int | None = None
    """The last checkpoint; null: there is none yet."""
    steps: list[int] = []
    planned: int | None = None
    """Steps of the whole run."""
    val_loss: float | None = None
    floor: float | None = None
    """Entropy of the validation text in nats per token, where it is known."""
    sizes: Sizes | None = None
    parameters: int | None = None
    """Of this package's models; null: the run's model has code of its own."""


class Example(Answer):
    """A text that works."""

    title: str
    text: str


class Examples(Answer):
    """At least one."""

    texts: list[Example]


class Token(Answer):
    """A token of the text."""

    id: int
    text: str
    bytes: list[int]


class TokenText(Answer):
    """A token by its number."""

    id: int
    text: str


class Candidate(TokenText):
    """A token that may come next."""

    probability: float


class ValueEntry(Answer):
    """A value of the trace."""

    module: str
    name: str
    occurrence: int
    title: str
    shape: list[int]
    dtype: str
    symbols: list[str] | None
    """One for each dimension: B, T, C; null: not in the glossary."""
    meaning: str | None
    formula: str | None
    file: str
    line: int
    source: str
    function: str
    first: bool
    """Whether it is the first of its call."""


class HeadEntry(Answer):
    """Which value a head's attention weights are."""

    layer: int
    head: int
    module: str
    name: str
    occurrence: int
    index: list[int]
    """The first indices of the head's own map in it."""


class LookAnswer(Answer):
    """A text as a model reads it."""

    run: str
    model: str
    step: int
    steps: list[int]
    text: str
    change: str
    sizes: Sizes
    seq_size: int
    tokens: list[Token]
    loss: float | None
    next: list[Candidate]
    values: list[ValueEntry]
    heads: list[HeadEntry]
    """In the order of /api/maps."""
    bytes: int
    milliseconds: float


class WeightEntry(Answer):
    """A parameter or buffer."""

    name: str
    shape: list[int]
    parameter: bool


class Weights(Answer):
    """Of a model."""

    weights: list[WeightEntry]


class Vocabulary(Answer):
    """Some of the tokens there are."""

    size: int
    start: int
    tokens: list[str]


class OperandEntry(Answer):
    """One number that another comes from."""

    name: str
    index: list[int | None]
    number: float | str | None
    role: str
    kind: str
    path: str | None
    at: list[int | None] | None
    term: int | None
    shape: list[int]


class ExplanationAnswer(Answer):
    """Where one number comes from; infinite numbers are text."""

    title: str
    index: list[int]
    number: float | str
    operation: str
    formula: str
    operands: list[OperandEntry]
    total: int
    """How many operands there are."""
    facts: dict[str, Any]
    result: float | str | None
    error: float | str | None
    note: str
    file: str | None
    line: int | None
    source: str | None


class SourceLine(Answer):
    """One line."""

    number: int
    text: str
    values: list[str]
    """Titles of what its statement made."""


class Source(Answer):
    """A function's source."""

    file: str
    module: str
    function: str
    lines: list[SourceLine]
