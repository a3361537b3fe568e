"""What the page may ask: the keys of each query and body, with their limits.

Does not know what is answered (`answers.py`), nor what a run or a model allows.
"""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from playattention.errors import UserError

MOST_CHARACTERS = 20_000
"""Of a text; what a model takes is less, and is checked where the model is known."""
MOST_IDS = 100_000
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class Asked(BaseModel):
    """Keys that are not known are refused, so that a mistyped one is not passed over."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def _columns(text: str) -> str:
    begin, end = (int(number) for number in text.split(":"))
    if begin >= end:
        raise UserError("must be a:b with a below b")
    return text


Run = Annotated[str, Field(min_length=1, max_length=1000)]
StepNumber = Annotated[int, Field(ge=0, le=2**53)]
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Words = Annotated[str, Field(max_length=4000)]
Dotted = Annotated[str, Field(max_length=300)]
Index = Annotated[str, Field(pattern=r"^$|^[0-9]{1,9}(,[0-9]{1,9}){0,7}$")]
Columns = Annotated[str, Field(pattern=r"^[0-9]{1,9}:[0-9]{1,9}$"), AfterValidator(_columns)]
ValueWord = Annotated[
    str, Field(max_length=700, pattern=r"^[^:]*:[^:]+:[0-9]{1,6}:([0-9]{1,9}(,[0-9]{1,9}){0,7})?$")
]
Ids = Annotated[list[Annotated[int, Field(ge=0, le=10**9)]], Field(max_length=MOST_IDS)]
Few = Annotated[int, Field(ge=1, le=50)]


class RunQuery(Asked):
    """Which model."""

    run: Run
    """As /api/runs names it."""
    step: StepNumber | None = None
    """Which checkpoint; default: the last."""


class LookQuery(RunQuery):
    """What is looked at."""

    text: Text = ""
    """What the model reads; empty: what a sample without a prompt starts from."""
    change: Words = ""
    """What is changed before, as words: `ablate:0.1 no-mask`."""


class ValueQuery(LookQuery):
    """A value, and a place in it."""

    module: Dotted = ""
    """Dotted path of the module; empty: the model itself."""
    name: Dotted
    """The variable in its source."""
    occurrence: Annotated[int, Field(ge=-1, le=10**6)] = -1
    """Which of several, from 0; -1: the last."""
    index: Index = ""
    """Numbers that fix the first dimensions: `0,2`."""


class TensorQuery(ValueQuery):
    """A value's numbers, or some of them."""

    columns: Columns | None = None
    """Which part of the last dimension: `0:1024`."""


class TensorsQuery(LookQuery):
    """Several values' numbers at once."""

    value: Annotated[list[ValueWord], Field(min_length=1, max_length=500)]
    """Each as `module:name:occurrence:index`, the index as for one value: `blocks.0:x:0:0`."""


class ExplainQuery(ValueQuery):
    """One number's arithmetic."""

    operand: Index = ""
    """Which operand is opened in turn: `3`, then `3,0`."""
    count: Annotated[int, Field(ge=1, le=20_000)] = 2000
    """Most operands that are told."""


class WeightQuery(LookQuery):
    """A parameter or buffer."""

    name: Dotted
    """Its dotted name."""
    index: Index = ""
    """Numbers that fix the first dimensions."""


class GradientQuery(LookQuery):
    """The gradient of a value or, where `weight` is given, of a weight."""

    module: Dotted = ""
    """As for a value."""
    name: Dotted = ""
    """As for a value."""
    occurrence: Annotated[int, Field(ge=-1, le=10**6)] = -1
    """As for a value."""
    weight: Dotted | None = None
    """Dotted name of a weight."""
    index: Index = ""
    """Numbers that fix the first dimensions."""
    columns: Columns | None = None
    """Which part of the last dimension."""


class SourceQuery(LookQuery):
    """A function's source."""

    module: Dotted = ""
    """Dotted path of the module that ran it."""
    function: Dotted = "forward"
    """Its name."""


class TopQuery(LookQuery):
    """Predictions."""

    k: Few = 5
    """How many candidates."""


class LedgerQuery(LookQuery):
    """Whose logit."""

    pos: Annotated[int, Field(ge=0, le=10**6)] | None = None
    """Where the model predicts; default: the last position."""
    token: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """Which token; default: the likeliest there."""


class DifferenceQuery(LookQuery):
    """Two looks at the same text."""

    other_run: Run | None = None
    """Of the other look; default: the same run."""
    other_step: StepNumber | None = None
    """Of the other look; default: the same step, or the last of another run."""
    other_change: Words | None = None
    """Of the other look, `none` for none; default: the same."""


class AcrossQuery(Asked):
    """A value at every checkpoint."""

    run: Run
    """As /api/runs names it."""
    text: Text = ""
    """What the models read."""
    change: Words = ""
    """What is changed in each."""
    module: Dotted = ""
    """As for a value."""
    name: Dotted
    """As for a value."""
    occurrence: Annotated[int, Field(ge=-1, le=10**6)] = -1
    """As for a value."""
    index: Index = ""
    """As for a value."""


class VocabularyQuery(Asked):
    """Some of the tokens there are."""

    run: Run
    """As /api/runs names it."""
    start: Annotated[int, Field(ge=0, le=10**9)] = 0
    """The first."""
    count: Annotated[int, Field(ge=1, le=4096)] = 1024
    """How many."""


class ExamplesQuery(Asked):
    """Whose texts."""

    run: Run
    """As /api/runs names it."""


class GenerateBody(Asked):
    """The next token of a growing text."""

    run: Run
    """As /api/runs names it."""
    step: StepNumber | None = None
    """Which checkpoint; default: the last."""
    text: Text = ""
    """All of it so far; the model sees its last seq_size tokens."""
    ids: Ids | None = None
    """Its tokens, where they are known; then `text` does not count."""
    change: Words = ""
    """As in a look."""
    temperature: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Divides the logits; 0: the likeliest token."""
    top_k: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Draw from the k likeliest tokens only."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Draw from the fewest tokens whose probabilities reach p."""
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    """Of the draws."""
    draw: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Which draw of that seed, from 0."""
    candidates: Annotated[int, Field(ge=1, le=200)] = 20
    """How many tokens are told one by one."""


class JobBody(Asked):
    """A training to start."""

    recipe: Annotated[str, Field(max_length=50)]
    """Its name in /api/recipes."""
    name: Annotated[str, Field(max_length=80, pattern=NAME_PATTERN)] | None = None
    """Of the run; default: recipe and time."""
    settings: Annotated[
        dict[Annotated[str, Field(max_length=50)], int | float | bool | str | None],
        Field(max_length=60),
    ] = {}
    """Dotted settings that differ from the recipe's: {"train.steps": 500}."""


class ResumeBody(Asked):
    """A training that goes on."""

    steps: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """How many it shall have in the end; default: as many as before."""


class StopBody(Asked):
    """Nothing needs to be said."""


class ExerciseBody(Asked):
    """Nothing needs to be said."""


class SinceQuery(Asked):
    """What is known already."""

    since: Annotated[int, Field(ge=0, le=10**9)] = 0
    """How many rows of the log."""


JobName = Annotated[str, Path(max_length=80, pattern=NAME_PATTERN)]
"""A run's name in a path."""
ExerciseName = Annotated[str, Path(max_length=80)]
"""An exercise's name in a path."""


def numbers(index: str) -> list[int]:
    """Return the numbers of an index: `0,3,2`."""
    return [int(number) for number in index.split(",")] if index else []
