"""The user's mistakes, told in one line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from playattention.errors import UserError, one_line, unknown


class Sizes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int
    height: int = 1

    @field_validator("height")
    @classmethod
    def _is_odd(cls, height: int) -> int:
        if height % 2 == 0:
            raise UserError(f"height = {height}: must be odd; nearest: {height + 1}")
        return height


def told(**values: object) -> str:
    """Return the line that a mistake in Sizes becomes."""
    with pytest.raises(ValidationError) as caught:
        Sizes(**values)
    return str(one_line(caught.value, Sizes))


def test_a_user_error_is_a_value_error():
    assert issubclass(UserError, ValueError)


def test_an_unknown_name_is_told_with_the_nearest_and_all_that_are_allowed():
    error = unknown("data set", "playhuose", ["playhouse", "tinyshakespeare"])
    assert isinstance(error, UserError)
    assert str(error) == (
        "unknown data set 'playhuose' (did you mean 'playhouse'?); "
        "allowed: playhouse, tinyshakespeare"
    )


def test_no_name_is_guessed_where_none_is_near():
    assert (
        str(unknown("model", "xyz", ["gpt", "gpt2"])) == "unknown model 'xyz'; allowed: gpt, gpt2"
    )


def test_the_choices_may_be_read_only_once():
    assert str(unknown("model", "gpt3", iter(["gpt2"]))) == (
        "unknown model 'gpt3' (did you mean 'gpt2'?); allowed: gpt2"
    )


@settings(deadline=None)
@given(st.text())
def test_an_unknown_name_takes_one_line_whatever_it_holds(name: str):
    assert len(str(unknown("data set", name, ["playhouse"])).splitlines()) == 1


def test_a_wrong_value_is_told_with_its_field_and_itself():
    assert told(width="wide").startswith("width = 'wide': input should be a valid integer")


def test_an_unknown_key_is_told_with_the_nearest_field():
    assert told(width=1, heigth=2) == (
        "unknown setting 'heigth' (did you mean 'height'?); allowed: width, height"
    )


def test_a_missing_field_is_told_by_its_name_alone():
    assert told(height=3) == "width: field required"


def test_a_check_of_the_settings_own_is_told_in_its_own_words():
    assert told(width=1, height=4) == "height = 4: must be odd; nearest: 5"


def test_several_mistakes_share_one_line():
    line = told(width="wide", height=4)
    first, second = line.split("; ", 1)
    assert first.startswith("width = 'wide'")
    assert second == "height = 4: must be odd; nearest: 5"


def test_a_text_that_is_no_json_is_not_repeated():
    with pytest.raises(ValidationError) as caught:
        Sizes.model_validate_json('{"width": 123456789')
    line = str(one_line(caught.value, Sizes))
    assert line.startswith("Sizes: invalid JSON: ")
    assert "123456789" not in line


def test_something_that_is_no_settings_at_all_is_told_with_their_name():
    with pytest.raises(ValidationError) as caught:
        Sizes.model_validate("wide")
    assert str(one_line(caught.value, Sizes)).startswith("Sizes: input should be")
