"""What the tests of the course share: a learner's folder, and two exercises that are pieces."""

from pathlib import Path

import pytest

from playattention import course
from playattention.course import exercise
from playattention.course.folder import Folder
from playattention.course.outline import Outline, outline

NAME = "causal_mask"


@pytest.fixture
def folder(own_folder: Path) -> Folder:
    """An empty folder of a learner's, where the commands look for it."""
    return Folder()


@pytest.fixture
def mask() -> Outline:
    """The exercise that the tests do."""
    return outline(NAME)


@pytest.fixture
def solution() -> str:
    """A right solution of it."""
    return exercise(NAME).solution


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the course be two small exercises, one a piece of the other."""
    small = {
        "block": "tests.course.small_block:EXERCISE",
        "gpt": "tests.course.small_gpt:EXERCISE",
    }
    known = list(course.EXERCISES)
    for name in known:
        monkeypatch.delitem(course.EXERCISES, name)
    for name, line in small.items():
        monkeypatch.setitem(course.EXERCISES, name, line)
    outline.cache_clear()
