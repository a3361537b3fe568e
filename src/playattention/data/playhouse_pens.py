"""What the playhouse's grammar writes with: choices, a pen that samples and a pen that reads.

A grammar is written once, as functions over a pen. A `Writer` samples every choice and appends its
text; a `Reader` finds in a given text which option was taken and records what it cost. So the
score cannot drift from the generator. Two properties make it exact: every choice shows its text at
once, and no option of a choice begins another, so a text has one parse only.

It does not know any grammar.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Generic, NamedTuple, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")
Extent = tuple[int, int]  # half-open range of characters


class Span(NamedTuple):
    """Where a rule acts: the characters that decide (cue) and those that are decided (site)."""

    rule: str
    cue: Extent
    site: Extent


@dataclass(frozen=True)
class Choice(Generic[Value]):
    """What may stand next: texts in sorted order, the value each stands for, its probability."""

    texts: tuple[str, ...]
    values: tuple[Value, ...]
    probabilities: tuple[float, ...]

    @classmethod
    def among(cls, *groups: tuple[float, Mapping[str, Value]]) -> Choice[Value]:
        """Share out probability among groups of options, evenly within each group.

        Args:
            *groups: pairs of a group's weight, on any scale, and its options, text to value; an
                empty group takes no share.

        Raises:
            ValueError: if the text of one option begins the text of another.
        """
        total = sum(weight for weight, group in groups if group)
        options = sorted(
            ((text, value, weight / total / len(group))
             for weight, group in groups for text, value in group.items()),
            key=lambda option: option[0],
        )  # fmt: skip
        for (text, *_), (following, *_) in pairwise(options):
            if following.startswith(text):
                raise ValueError(f"option {text!r} begins option {following!r}")
        texts, values, probabilities = zip(*options, strict=True)
        return cls(texts, values, probabilities)

    @cached_property
    def cumulative(self) -> tuple[float, ...]:
        """Upper end of each option's share of [0, 1), the last left open to rounding."""
        return (*accumulate(self.probabilities[:-1]), math.inf)

    @cached_property
    def longest(self) -> int:
        """Length of the longest option, in characters."""
        return max(map(len, self.texts))

    @cached_property
    def mass(self) -> dict[str, float]:
        """Probability of every beginning of an option: that of the options it agrees with."""
        mass: dict[str, float] = {}
        for text, probability in zip(self.texts, self.probabilities, strict=True):
            for end in range(len(text) + 1):
                mass[text[:end]] = mass.get(text[:end], 0.0) + probability
        return mass

    @cached_property
    def log_probabilities(self) -> tuple[NDArray[np.float64], ...]:
        """For each option the log-probability of its characters, each given those before it."""
        return tuple(
            np.diff(np.log([self.mass[text[:end]] for end in range(len(text) + 1)]))
            for text in self.texts
        )


class Pen(ABC):
    """What the grammar writes with: it makes choices, adds fixed text and notes where rules act."""

    def __init__(self) -> None:
        self.position = 0
        self.spans: list[Span] = []

    @abstractmethod
    def choose(self, choice: Choice[Value]) -> Value:
        """Put one option's text at the cursor and return its value."""

    @abstractmethod
    def write(self, text: str) -> None:
        """Put text at the cursor that could not be otherwise."""

    def behind(self, word: str) -> Extent:
        """Extent of a word that ends at the cursor."""
        return self.position - len(word), self.position

    def note(self, rule: str, cue: Extent, site: Extent) -> None:
        """Record that the characters of cue decide those of site."""
        self.spans.append(Span(rule, cue, site))


class Writer(Pen):
    """A pen that samples, and adds up the log-probability of what it sampled."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.log_probability = 0.0
        self._random = random.Random(seed).random

    def choose(self, choice: Choice[Value]) -> Value:
        """Sample an option."""
        taken = bisect_right(choice.cumulative, self._random())
        self.log_probability += math.log(choice.probabilities[taken])
        self.write(choice.texts[taken])
        return choice.values[taken]

    def write(self, text: str) -> None:
        """Append the text."""
        self.parts.append(text)
        self.position += len(text)


class Reader(Pen):
    """A pen that follows a text, and records the log-probability of every character."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.log_probabilities = np.zeros(len(text))

    def choose(self, choice: Choice[Value]) -> Value:
        """Find the option that stands at the cursor; raises as read() does, EOFError at the end."""
        # No option begins another, so the option at the cursor, if any, is the last in sorted
        # order that does not come after the text at the cursor.
        ahead = self.text[self.position : self.position + choice.longest]
        taken = bisect_right(choice.texts, ahead) - 1
        if taken < 0 or not ahead.startswith(choice.texts[taken]):
            self._break_off(choice.mass)
        end = self.position + len(choice.texts[taken])
        self.log_probabilities[self.position : end] = choice.log_probabilities[taken]
        self.position = end
        return choice.values[taken]

    def write(self, text: str) -> None:
        """Pass over the text; raises as choose() does."""
        if not self.text.startswith(text, self.position):
            self._break_off({text[:end]: 1.0 for end in range(len(text) + 1)})
        self.position += len(text)

    def _break_off(self, mass: Mapping[str, float]) -> NoReturn:
        """Score the characters that still agree with an option, then raise what stops here."""
        begun, at = "", self.position
        while at < len(self.text) and begun + self.text[at] in mass:
            longer = begun + self.text[at]
            self.log_probabilities[at] = math.log(mass[longer] / mass[begun])
            begun, at = longer, at + 1
        if at == len(self.text):
            raise EOFError
        expected = "".join(sorted(longer[-1] for longer in mass if longer and longer[:-1] == begun))
        raise ValueError(f"position {at}: expected one of {expected!r}, found {self.text[at]!r}")
