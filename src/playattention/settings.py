"""What all settings share: frozen, strict about their keys, mistakes told in one line.

Does not know what is set, but for two that exclude each other.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from playattention.errors import UserError, one_line


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


def check_whole_matrices(optimizer: str, parallel: str, ranks: int) -> None:
    """Check that what updates the weights sees whole matrices, if it needs them.

    Args:
        optimizer: "muon" needs them.
        parallel: On several ranks, "fsdp" leaves each a share.
        ranks: Processes that train together.

    Raises:
        UserError: If it would see shares.
    """
    if ranks > 1 and (optimizer, parallel) == ("muon", "fsdp"):
        raise UserError(
            f"parallel = fsdp: leaves each of {ranks} ranks a share of a matrix, and optimizer = "
            "muon turns whole ones; allowed: parallel = ddp, or optimizer = adamw"
        )
