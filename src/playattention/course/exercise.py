"""What an exercise is: what the learner writes, what is looked at, and the mistakes known by name.

Everything is judged by behaviour. A `Probe` looks at one property of a solution; what the
reference gives is what is wanted. A `Mistake` is the reference with an edit that people really
make: a solution that fails and behaves in every probe as exactly one mistake does has made that
mistake. Does not know how a learner's file is run, or how a verdict is worded.
"""

import ast
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Solution = ModuleType
"""A learner's file, the reference or a mistake, loaded: what is written in it, by name."""

SEEDS = (0, 1, 2)
"""Each probe is run with each of them: its random tensors come from a generator with this seed."""


@dataclass(frozen=True)
class Probe:
    """One property, looked at: the same is asked of the solution and of the reference.

    Args:
        says: The property in plain words, as the learner reads it: "each row of weights sums to 1".
        look: Takes the solution and a seed; returns what is observed: a tensor, a number, text, a
            truth value, None, or lists, tuples and dicts of these. What it raises is observed too.
        tolerance: How far numbers may lie apart, as a share of the largest of them: wide for
            frequencies of random draws, else what rounding in float64 explains.
        evidence: Puts the difference into words of this property, from what was observed and what
            was wanted; default: the first element that differs, with its index.
    """

    says: str
    look: Callable[[Solution, int], Any]
    tolerance: float = 1e-9
    evidence: Callable[[Any, Any], str] | None = None


@dataclass(frozen=True)
class Mistake:
    """A mistake that people really make.

    Args:
        name: A few words: "softmax over the queries".
        edits: Pairs (text of the reference, text in its place), each found exactly once; several
            make one mistake together.
        cause: Why this is wrong, in one or two plain sentences for the one who made it.
        read: What to read again: a section of `docs/`, as "docs/05-attention.md#the-mask".
    """

    name: str
    edits: tuple[tuple[str, str], ...]
    cause: str
    read: str


@dataclass(frozen=True)
class Prediction:
    """What the learner expects of a change, beside what it does.

    Args:
        name: Of the change: "no_mask".
        asked: The change and the question, as they stand in the learner's file.
        predicted: The learner's answer.
        happened: The right one, measured.
        evidence: A sentence with the numbers that say so.
        read: What to read: a section of `docs/`.
        picture: Attention weights (T, T) before and after the change, if it is about these.
    """

    name: str
    asked: str
    predicted: str
    happened: str
    evidence: str
    read: str
    picture: "tuple[torch.Tensor, torch.Tensor] | None" = None


@dataclass(frozen=True)
class Exercise:
    """A piece for the learner to write.

    Args:
        number: Its place in the course, from 1.
        name: As `learn start` and `check` know it: "causal_mask".
        title: For the list.
        goal: What to write and why, in a few plain sentences; stands on top of the learner's file.
        follows: The model whose form is asked for: GPT (ReLU, untied head) or GPT-2 (tanh-GELU,
            tied head); None where both are the same.
        reference: The functions and classes that the learner writes, as we would write them. Their
            signatures and docstrings, with shapes, become the stub.
        imports: The lines on top of the file.
        probes: What is looked at, from the plainest (shapes) to the hardest; the first that fails
            is told.
        hints: A ladder: the property, the place, nearly the code.
        equivalents: Other ways to write it that are just as right: whole files, imports included.
        mistakes: The known ones.
        read: The section of `docs/` that teaches it.
        predictions: For an exercise whose solution is guesses, none of them wrong to write down:
            runs what was guessed about, and returns each beside its outcome. Takes seconds; asked
            once the solution has passed.
    """

    number: int
    name: str
    title: str
    goal: str
    reference: tuple[Callable[..., Any] | type, ...]
    probes: tuple[Probe, ...]
    hints: tuple[str, str, str]
    equivalents: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    read: str
    follows: Literal["GPT", "GPT-2"] | None = None
    imports: tuple[str, ...] = ("import torch",)
    predictions: Callable[[Solution], list[Prediction]] | None = None

    @property
    def file(self) -> str:
        """Name of the learner's file; a module's name, so that one piece can import another."""
        return f"e{self.number:02}_{self.name}.py"

    @cached_property
    def solution(self) -> str:
        """The reference as a file."""
        return self._file([inspect.getsource(one) for one in self.reference])

    @cached_property
    def stub(self) -> str:
        """The learner's file at the start: signatures and docstrings, and bodies to be written."""
        return self._file([_hollow(inspect.getsource(one)) for one in self.reference], self.goal)

    def wrong(self, mistake: Mistake) -> str:
        """Return the reference with a mistake, as a file.

        Raises:
            ValueError: If a text to be replaced is not there exactly once.
        """
        source = self.solution
        for old, new in mistake.edits:
            if source.count(old) != 1:
                raise ValueError(f"{self.name}, {mistake.name}: {source.count(old)} times {old!r}")
            source = source.replace(old, new)
        return source

    def together(self, mistakes: Sequence[Mistake]) -> str:
        """Return the reference with several mistakes, as a file; "" where they don't go together.

        One may edit what another leaves of a line, but not the other way round.
        """
        for ordered in permutations(mistakes):
            edits = tuple(edit for mistake in ordered for edit in mistake.edits)
            with suppress(ValueError):
                return self.wrong(replace(ordered[0], edits=edits))
        return ""

    def _file(self, parts: list[str], goal: str = "") -> str:
        told = [f'"""Exercise {self.number}: {self.title}.\n\n{goal.strip()}\n"""'] if goal else []
        head = "\n\n".join([*told, "\n".join(self.imports)]).strip()
        return "\n\n\n".join([head, *(part.strip() for part in parts)]).lstrip() + "\n"


def _hollow(source: str) -> str:
    """Return functions and methods without their bodies; docstrings and `super().__init__()` stay.

    Functions inside of functions go with the bodies.
    """
    lines = source.splitlines()
    functions: list[ast.FunctionDef] = []
    for one in ast.parse(source).body:
        inside = one.body if isinstance(one, ast.ClassDef) else [one]
        functions += [each for each in inside if isinstance(each, ast.FunctionDef)]
    for function in reversed(functions):
        kept = [one for one in function.body if _stays(one)]
        first = function.body[0]
        told = max([one.end_lineno or 0 for one in kept], default=first.lineno - 1)
        indent = " " * (function.col_offset + 4)
        lines[told : function.end_lineno] = [f'{indent}raise NotImplementedError("to be written")']
    return "\n".join(lines)


def _stays(statement: ast.stmt) -> bool:
    """Tell whether a statement is a docstring, or begins a module as all do."""
    if not isinstance(statement, ast.Expr):
        return False
    text = ast.unparse(statement)
    return isinstance(statement.value, ast.Constant) or text == "super().__init__()"
