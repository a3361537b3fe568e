"""What the server answers about the course's exercises. Does not know how anything is found."""

from typing import Literal

from playattention.playground.answers import Answer


class ExerciseEntry(Answer):
    """An exercise of the list."""

    number: int
    name: str
    title: str
    state: Literal["not started", "started", "passed", "changed since it passed"]
    hints: int
    """How many were asked for."""
    shown: bool
    """Whether a solution was shown before a pass."""
    last: bool
    """Whether it was started last."""
    version: str
    """Another one as soon as there is more to be told of it."""


class ExerciseList(Answer):
    """The course, and who has come how far."""

    exercises: list[ExerciseEntry]
    checking: list[str]
    """Names of those that are being checked."""
    problem: str | None
    """Why nothing is checked by itself; null: it is."""


class ExerciseMessage(Answer):
    """What is told of a file that is not right, in four parts, each of which may be empty."""

    observed: str
    evidence: str
    cause: str
    read: str
    """A section of the text."""


class ExercisePicture(Answer):
    """What a file gave, or what is right there."""

    kind: Literal["tensor", "text"]
    text: str
    """Words, where it is no tensor."""
    shape: list[int]
    """Of the whole tensor."""
    index: list[int]
    """The first dimensions' place of the rows below."""
    rows: list[list[float | str]]
    """Numbers of its last two dimensions; what is not finite is "NaN", "inf" or "-inf"."""


class ExerciseVerdict(Answer):
    """What came of a check."""

    passed: bool
    current: bool
    """Whether the file still holds what was checked."""
    message: ExerciseMessage | None
    held: int
    """Properties that hold, before the first that does not."""
    of: int
    """How many there are; 0: the file could not be asked about any."""
    probe: str | None
    """The first property that does not hold."""
    mistake: str | None
    """Name of the known mistake; of several, with a semicolon between."""
    got: ExercisePicture | None
    wanted: ExercisePicture | None
    place: list[int]
    """Index of the first number that differs."""
    printed: str
    seconds: float


class ExerciseDetail(ExerciseEntry):
    """One exercise."""

    goal: str
    follows: str | None
    """GPT or GPT-2, where it matters which."""
    stub: str
    """What the file begins with, without its words at the top."""
    read: str
    """The section of the text that teaches it."""
    path: str
    """Where the file is, or would be."""
    hints_told: list[str]
    hints_there: int
    """How many there are."""
    next: str | None
    """The next that has not passed."""
    verdict: ExerciseVerdict | None
    """Null: it was not checked."""
