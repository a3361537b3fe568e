"""The user's mistakes, each told in one line: field, value, what is allowed, the nearest choice.

Does not know where the line is shown: the command line prints it and exits with code 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

MOST_CHOICES = 40
"""Names beyond which only the nearest are told."""


class UserError(ValueError):
    """A mistake of the user's; its message is one line that says what is allowed."""


def unknown(field: str, value: str, choices: Iterable[str]) -> UserError:
    """Return the error for a name that is none of the known ones.

    Args:
        field: What was asked for, in the user's words: "data set", "--model.n-embd".
        value: What the user wrote.
        choices: The names that are allowed.
    """
    allowed = list(choices)
    near = get_close_matches(value, allowed, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    told = allowed
    if len(allowed) > MOST_CHOICES:
        told = get_close_matches(value, allowed, n=6, cutoff=0.2) or allowed[:6]
    names = ", ".join(name or '""' for name in told)
    more = f" or one of {len(allowed)} in all" if len(told) < len(allowed) else ""
    return UserError(f"unknown {field} {value!r}{hint}; allowed: {names}{more}")


def one_line(error: ValidationError, settings: type[BaseModel]) -> UserError:
    """Return a validation error as one line that names each field and its value.

    Args:
        error: What pydantic found.
        settings: The class that was validated; its fields are the allowed keys.
    """
    return UserError("; ".join(_told(detail, settings) for detail in error.errors()))


def _told(detail: ErrorDetails, settings: type[BaseModel]) -> str:
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, UserError):
        return str(cause)
    field = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if detail["type"] == "extra_forbidden":
        return str(unknown("setting", field, settings.model_fields))
    if detail["type"] in ("json_invalid", "missing", "model_type"):  # no value of the field's own
        return f"{field or settings.__name__}: {message}"
    return f"{field} = {detail['input']!r}: {message}"
