"""What a learner is told: four parts, in plain words. Knows neither torch nor how a check is run.

1. what was observed, 2. the evidence, 3. the cause where it is known, 4. what to read again.
"""

import re
import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Self

MOST_COLUMNS = 96
"""Of text, also in a terminal that is wider: longer lines are hard to read."""
LABELS = (("observed", "Observed"), ("evidence", "Evidence"), ("cause", "Cause"), ("read", "Read"))


@dataclass(frozen=True)
class Message:
    """One message of the checker.

    Args:
        observed: What was seen, in a sentence.
        evidence: The numbers, indices and lines that show it; may have several lines, of which
            those that begin with blanks are kept as they are.
        cause: The named mistake and why it is one; "" where it is not known.
        read: The section of `docs/` to read again; "" where that would not help.
    """

    observed: str
    evidence: str = ""
    cause: str = ""
    read: str = ""

    @property
    def text(self) -> str:
        """The message as it is printed: a label for each part that there is."""
        parts = ((label, vars(self)[name]) for name, label in LABELS)
        return "\n".join(_part(label, part) for label, part in parts if part)

    def state(self) -> dict[str, str]:
        """Return the parts by name, for JSON."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return a message of what `state` gave."""
        return cls(**{name: str(state.get(name) or "") for name, _ in LABELS})


def fitted(text: str, indent: int = 0) -> str:
    """Return a paragraph with its lines broken anew, so that they fit the terminal.

    Args:
        text: Its line ends count as blanks.
        indent: Columns that are taken already.
    """
    terminal = shutil.get_terminal_size((MOST_COLUMNS, 24)).columns
    width = max(20, min(terminal, MOST_COLUMNS) - indent)
    return textwrap.fill(text, width, break_on_hyphens=False)


def _part(label: str, text: str) -> str:
    indent = " " * 10
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(" ") or not line:
            lines.append(indent + line)
        else:
            lines += [indent + one for one in fitted(line, len(indent)).splitlines()]
    return f"{label:<9} " + "\n".join(lines)[len(indent) :]


def prediction_text(found: dict[str, Any]) -> str:
    """Return a prediction beside its outcome, as it is printed.

    Args:
        found: As `wording.foretold` gives it.
    """
    mark = "as predicted" if found["predicted"] == found["happened"] else "not as predicted"
    parts = (
        (f"{found['name']}: {mark}", ""),
        ("Asked", found["asked"]),
        ("You said", found["predicted"]),
        ("It is", found["happened"]),
        ("Evidence", found["evidence"]),
        ("Read", found["read"]),
    )
    return "\n".join(_part(label, str(part)) if part else label for label, part in parts)


def at(file: str, line: int, text: str = "") -> str:
    """Return a place in a learner's file, with the line itself below it where it is known."""
    place = f"{file}, line {line}" if line else file
    return f"{place}:\n    {text.strip()}" if text.strip() else place


def source_line(source: str, line: int) -> str:
    """Return a line of a file's text by its number, from 1; "" where there is none."""
    lines = source.splitlines()
    return lines[line - 1] if 0 < line <= len(lines) else ""


# What can go wrong before anything is judged.


def not_python(file: str, error: SyntaxError) -> Message:
    """Return what is told of a file that Python can't read."""
    line, text = error.lineno or 0, (error.text or "").rstrip("\n")
    shown = at(file, line)
    if text.strip():
        cut = len(text) - len(text.lstrip())
        mark = max(0, (error.offset or 1) - 1 - cut)
        shown += f":\n    {text.strip()}\n    {' ' * mark}^"
    return Message(f"Python can't read {file}: {error.msg}.", shown)


def missing_module(file: str, line: int, text: str, name: str, known: Iterable[str]) -> Message:
    """Return what is told of an import of what is not there."""
    near = get_close_matches(name.partition(".")[0], list(known), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return Message(
        f"{file} imports {name}, which is not installed here.{hint}",
        at(file, line, text),
    )


def missing_names(file: str, missing: list[tuple[str, str]], there: dict[str, int]) -> Message:
    """Return what is told of a file without what it was to define.

    Args:
        file: Its name.
        missing: Pairs (name, "function" or "class").
        there: What it defines instead: name -> line.
    """
    name, kind = missing[0]
    near = get_close_matches(name, list(there), n=1, cutoff=0.5)
    if near:
        evidence = f"{at(file, there[near[0]])} has {near[0]}. Did you mean {name}?"
    elif there:
        listed = ", ".join(f"{one} (line {line})" for one, line in there.items())
        evidence = f"It also defines: {listed}."
    else:
        evidence = ""
    also = f" Nor has it: {', '.join(other for other, _ in missing[1:])}." if missing[1:] else ""
    return Message(f"{file} has no {kind} called {name}.{also}", evidence)


def wrong_kind(file: str, name: str, found: str, wanted: str) -> Message:
    """Return what is told where a name is bound to something else than was asked for."""
    return Message(f"{name} is {found}; it must be {wanted}.", at(file, 0))


def stopped(file: str, line: int, text: str, kind: str, message: str) -> Message:
    """Return what is told of an error while the file is read, before anything in it is asked."""
    return Message(
        f"{file} stops while Python reads it: {_error(kind, message)}",
        at(file, line, text),
        cause_of_error(kind, message),
    )


def _error(kind: str, message: str) -> str:
    return f"{kind}: {message}" if message else f"{kind}."


def cause_of_error(kind: str, message: str) -> str:
    """Return in plain words why some errors come; "" for all others."""
    if kind == "MemoryError" or re.search(r"can't allocate memory|not enough memory", message):
        asked = re.search(r"tried to allocate (\d+) bytes", message)
        much = f" ({int(asked[1]) / 1e9:,.0f} GB at once)" if asked else ""
        return f"It asks for more memory than a check may take{much}. All inputs here are tiny: \
look at the sizes of the tensors that this line makes."
    if kind == "RecursionError":
        return "A function calls itself without end."
    if kind == "EOFError":
        return "It waits for input from the keyboard, and nobody types in a check."
    return ""


# How the file's process may end.


def refused(what: str, file: str, line: int, text: str) -> Message:
    """Return what is told of a file that wanted to do what a check does not do."""
    return Message(
        f"{file or 'It'} wants to {what}. A check does not do that; nothing was touched.",
        at(file, line, text) if file else "",
        "A check runs your file in a copy of the folder, in which it may write; it can neither "
        "change other files, nor start programs, nor use the network.",
    )


def ended(how: str, file: str, line: int, text: str) -> Message:
    """Return what is told of a file that ends the program: exit, printed or KeyboardInterrupt."""
    if how == "printed":
        told = f"{file} prints without end, and was stopped."
    else:
        told = f"{file} ends the program before anything could be checked."
    return Message(told, at(file, line, text))


def too_slow(file: str, seconds: float, line: int, text: str) -> Message:
    """Return what is told of a file that did not end in time."""
    where = at(file, line, text) if line else ""
    return Message(
        f"{file} was not done after {seconds:.0f} seconds, and was stopped. Inputs here are tiny, "
        "and a right solution takes a moment: look for a loop that never ends.",
        f"It was here when it was stopped: {where}" if where else "",
    )


def too_large(file: str, line: int, text: str) -> Message:
    """Return what is told of a file that was stopped because of the memory it took."""
    return Message(
        f"{file} takes more memory than a check may, and was stopped.",
        at(file, line, text) if line else "",
        cause_of_error("MemoryError", ""),
    )


def crashed(file: str, how: str, line: int, text: str) -> Message:
    """Return what is told of a file that took its whole process down."""
    return Message(
        f"{file} crashed Python itself ({how}).",
        f"It was here: {at(file, line, text)}" if line else "",
    )
