"""What the list of the course needs of an exercise, read off its file without running it.

An exercise's reference is real code, so its module imports torch, which takes seconds. Does not
know what a learner has done.
"""

import ast
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from playattention.course import EXERCISES
from playattention.errors import UserError, unknown


@dataclass(frozen=True)
class Outline:
    """An exercise by its names.

    Args:
        number: Its place in the course, from 1.
        name: As in `EXERCISES`.
        title: For the list.
    """

    number: int
    name: str
    title: str

    @property
    def file(self) -> str:
        """Name of the learner's file, as in `Exercise.file`."""
        return f"e{self.number:02}_{self.name}.py"


@cache
def outline(name: str) -> Outline:
    """Return an exercise's number and title by its name in `EXERCISES`."""
    module = EXERCISES[name].split(":")[0]
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Exercise":
            known = {
                keyword.arg: ast.literal_eval(keyword.value)
                for keyword in node.keywords
                if keyword.arg in ("number", "name", "title")
            }
            return Outline(**known)
    raise AssertionError(f"{module}: has no Exercise")


def outlines() -> list[Outline]:
    """Return all exercises, in the order of the course."""
    return [outline(name) for name in EXERCISES]


def meant(word: str) -> Outline:
    """Return the exercise that a learner means.

    Args:
        word: Its number, its name, or its file.

    Raises:
        UserError: If there is none; names the nearest.
    """
    known = outlines()
    stem = Path(word).name.removesuffix(".py")
    for one in known:
        if stem in (one.name, str(one.number), f"{one.number:02}", one.file.removesuffix(".py")):
            return one
    if stem.isdecimal():
        numbers = ", ".join(str(one.number) for one in known)
        raise UserError(f"exercise = {word}: there is none of this number; allowed: {numbers}")
    raise unknown("exercise", word, EXERCISES)
