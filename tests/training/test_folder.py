"""A folder that appears whole or not at all."""

from pathlib import Path

import pytest

from playattention.errors import UserError
from playattention.training.folder import appearing, read_json, read_origin, write_json


def test_it_appears_when_it_is_whole():
    with appearing(Path("deep/mine")) as partial:
        (partial / "a.txt").write_text("a")
        assert not Path("deep/mine").exists()
    assert [path.name for path in Path("deep").iterdir()] == ["mine"]
    assert Path("deep/mine/a.txt").read_text() == "a"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, UserError])
def test_what_fails_in_between_leaves_nothing(error: type[BaseException]):
    with pytest.raises(error), appearing(Path("deep/mine")) as partial:
        (partial / "a.txt").write_text("a")
        raise error
    assert list(Path("deep").iterdir()) == []


def test_json_comes_back_and_damage_is_one_line():
    write_json(Path("a.json"), {"é": [1, None]})
    assert read_json(Path("a.json")) == {"é": [1, None]}
    Path("a.json").write_text("{\n")
    with pytest.raises(UserError, match=r"^a\.json: missing or damaged \([^\n]*\)$"):
        read_json(Path("a.json"))


def test_a_run_without_an_origin_began_from_drawn_weights():
    assert read_origin(Path()) is None
    write_json(Path("origin.json"), {"source": "gpt2"})
    assert read_origin(Path()) == {"source": "gpt2"}
