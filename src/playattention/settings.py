"""What all settings share: frozen, strict about their keys, mistakes told in one line.

Does not know what is set.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from playattention.errors import one_line


class Settings(BaseModel):
    """Frozen settings that refuse unknown keys and tell mistakes in one line."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise one_line(error, type(self)) from None
