"""What the server answers about gradients, drawn tokens and trainings.

Does not know how anything is found.
"""

from typing import Literal

from pydantic import JsonValue

from playattention.playground.answers import Answer


class GradientNorm(Answer):
    """How much the loss changes with a value."""

    module: str
    name: str
    occurrence: int
    title: str
    norm: float | None
    """Length of the gradient; null: it has none."""
    largest: float | None


class WeightNorm(Answer):
    """How much the loss changes with a weight."""

    name: str
    shape: list[int]
    norm: float | None
    optimizer: Literal["adamw", "muon"]
    """What updates it in the training: AdamW number by number, Muon as one matrix."""


class BackwardAnswer(Answer):
    """The gradients of the loss."""

    loss: float
    norm: float
    values: list[GradientNorm]
    weights: list[WeightNorm]


class Share(Answer):
    """How much a value differs between two looks."""

    module: str
    name: str
    occurrence: int
    title: str
    shape: list[int]
    share: float
    """Length of the difference as a share of the longer of the two."""


class DifferenceAnswer(Answer):
    """What differs between two looks at a text."""

    shares: list[Share]
    """The largest first."""
    only_first: list[str]
    only_second: list[str]
    reshaped: list[str]


class AdamWLine(Answer):
    """One operation on one number."""

    name: str
    text: str
    number: float


class AdamWAnswer(Answer):
    """One weight's way through a step."""

    name: str
    index: list[int]
    step: int
    rate: float
    betas: tuple[float, float]
    eps: float
    norm: float
    factor: float
    decay: float
    numbers: dict[str, float]
    lines: list[AdamWLine]


class Choice(Answer):
    """A token that may be drawn."""

    id: int
    text: str
    logit: float
    tempered_logit: float | None
    raw: float
    tempered: float
    kept: bool
    probability: float


class Rest(Answer):
    """All other tokens together."""

    count: int
    raw: float
    tempered: float
    probability: float


class Drawn(Answer):
    """The token that was drawn."""

    id: int
    text: str
    probability: float


class CacheSize(Answer):
    """What is kept of the tokens so far."""

    tokens: int
    bytes: int
    bytes_per_token: int
    capacity: int
    layers: int


class Generated(Answer):
    """A text with one token more."""

    seen: int
    ids: list[int]
    text: str
    drawn: Drawn
    candidates: list[Choice]
    kept: int
    rest: Rest
    cache: CacheSize | None


class Setting(Answer):
    """A setting of a recipe."""

    key: str
    type: str
    choices: list[str] | None
    default: JsonValue
    minimum: float | None
    help: str


class RecipeEntry(Answer):
    """A recipe, as the page starts it."""

    name: str
    title: str
    settings: list[Setting]


class Job(Answer):
    """A training."""

    name: str
    recipe: str
    state: str
    """starting, running, stopping, stopped, finished or failed"""
    step: int
    planned: int
    started: str
    error: str | None


class LogRow(Answer):
    """A line of log.csv."""

    step: int
    train_loss: float | None
    eval_train_loss: float | None
    eval_val_loss: float | None
    eval_val_standard_error: float | None
    learning_rate: float | None
    gradient_norm: float | None
    milliseconds: float | None
    tokens_per_second: float | None


class Sample(Answer):
    """What the model wrote at a step."""

    step: int
    text: str


class JobDetail(Job):
    """A training as far as it has come."""

    since: int
    """How many rows there are: pass it next time."""
    reset: bool
    """Whether rows were dropped, so that those known must be forgotten."""
    rows: list[LogRow]
    samples: list[Sample]
    steps: list[int]
    floor: float | None
    log: list[str]
