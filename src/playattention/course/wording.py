"""A verdict in words, and its tensors small enough to be sent and drawn.

Does not know how a solution was run, nor where a message is shown.
"""

import math
from typing import Any

import torch

from playattention.course.calls import Call, described, short
from playattention.course.exercise import Exercise, Prediction
from playattention.course.judge import Difference, Place, Raised, Verdict
from playattention.course.messages import Message, at, cause_of_error

MOST_SHOWN = 8
"""Rows and columns of a matrix in the terminal."""
COLUMNS = 80
"""Of a terminal that two matrices side by side fit in: their lines can't be broken."""
MOST_DRAWN = 64
"""Rows and columns of a matrix in a picture."""


def told(exercise: Exercise, verdict: Verdict, own: list[Call], right: list[Call]) -> Message:
    """Return what is told of a solution that does not pass.

    Args:
        exercise: What it is to be a solution of.
        verdict: What became of it.
        own: What its functions were called with in the look that failed, and returned.
        right: The same of the reference.
    """
    got, mistakes = verdict.got, verdict.mistakes
    read = mistakes[0].read if mistakes else exercise.read
    if isinstance(got, Raised) and got.kind == "NotImplementedError" and got.place:
        return _unwritten(exercise, verdict, got.place)
    cause = "\nAlso: ".join(f"{_sentence(one.name)} {one.cause}" for one in mistakes)
    says = verdict.probe.says if verdict.probe else ""
    if isinstance(got, Raised) and got.place:
        where = got.place.function or got.place.file
        observed = f"{where} stops with an error where this is looked at: {says}."
    else:
        observed = f"This should hold, and does not: {says}."
    if verdict.held:
        observed += f" ({_held(exercise, verdict)} before it.)"
    if isinstance(got, Raised):
        cause = cause or cause_of_error(got.kind, got.message)
    return Message(observed, _evidence(verdict, own, right), cause, read)


def _unwritten(exercise: Exercise, verdict: Verdict, place: Place) -> Message:
    done = f" So far {_held(exercise, verdict)}." if verdict.held else ""
    return Message(
        f"{place.function or place.file} is not written yet.{done}",
        f"{place.file}, line {place.line}. Its docstring says what comes in and what goes out; "
        "write the body in the place of `raise NotImplementedError`.",
        read=exercise.read,
    )


def _held(exercise: Exercise, verdict: Verdict) -> str:
    verb = "holds" if verdict.held == 1 else "hold"
    return f"{verdict.held} of {len(exercise.probes)} properties {verb}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _evidence(verdict: Verdict, own: list[Call], right: list[Call]) -> str:
    got, wanted, difference = verdict.got, verdict.wanted, verdict.difference
    call, wanted_call = _telling(own, right)
    if isinstance(got, Raised):
        return _of_error(got, wanted, call, wanted_call)
    if isinstance(wanted, Raised):
        return _joined(f"An error of the kind {wanted.kind} is right here, and none came.", call)
    special = None
    if verdict.probe and verdict.probe.evidence:
        try:
            special = verdict.probe.evidence(got, wanted)
        except Exception:  # made for a right form of answer; this one may have any
            special = None
    if special is None and difference is not None:
        special = _of_difference(difference)
    return _joined(special or "", call)


def _joined(text: str, call: Call | None) -> str:
    return "\n".join(part for part in (text, f"{call.told}." if call else "") if part)


def _telling(own: list[Call], right: list[Call]) -> tuple[Call | None, Call | None]:
    """Return the call in which another kind of thing came back than is right, else the last."""
    for one, other in zip(own, right, strict=False):
        if one.name == other.name and one.returned != other.returned:
            return one, other
    return (own[-1] if own else None), None


def _of_error(got: Raised, wanted: Any, call: Call | None, right: Call | None) -> str:
    error = f"{got.kind}: {got.message}" if got.message else got.kind
    if got.place:
        lines = [error, f"at {at(got.place.file, got.place.line, got.place.text)}"]
        if isinstance(wanted, Raised):
            lines.append(f"An error of the kind {wanted.kind} is right here.")
        return _joined("\n".join(lines), call)
    if call and call.returned and right and right.returned:
        back = "None: is a `return` missing?" if call.returned == "None" else f"{call.returned}."
        return f"{call.told}, and returned {back} Right is {right.returned}.\n(With that, the \
check itself came to: {error})"
    return _joined(f"The check came to: {error}", call)


def _of_difference(difference: Difference) -> str:
    place, got, wanted = difference.place, difference.got, difference.wanted
    where = f"At {place}" if place else ""
    if isinstance(got, str) and isinstance(wanted, str):
        return f"{f'{where} it' if where else 'It'} gives {_texts(got, wanted)}."
    if difference.within is None:
        return f"{f'{where} it' if where else 'It'} gives {_value(got)}; right is {_value(wanted)}."
    if not difference.many:  # as a whole: shape, dtype or device
        words = "shape " if isinstance(got, tuple) else ""
        return f"{f'{where} it' if where else 'It'} has {words}{got}; right is {wanted}."
    size = difference.within[0].numel()
    told = f"{f'{where} it' if where else 'It'} is {short(got)}; right is {short(wanted)}."
    if size > 1:
        told += f" {difference.many} of {size} numbers differ."
        told += f"\n{side_by_side(*difference.within, difference.index)}"
    return told


def _texts(got: str, wanted: str) -> str:
    """Return two texts from where they part, with a little before it."""
    both = enumerate(zip(got, wanted, strict=False))
    place = next((n for n, (one, other) in both if one != other), min(len(got), len(wanted)))
    first = max(0, place - 10)
    before = "... " if first else ""
    one, other = (f"{before}{short(text[first:])}" for text in (got, wanted))
    return f"{one}; right is {other} (they part at character {place})"


def _value(value: Any) -> str:
    if isinstance(value, Raised):
        return f"an error, {value.kind}: {value.message}"
    if isinstance(value, list) and not any(isinstance(one, torch.Tensor) for one in value):
        return short(value, 200)
    return described(value)


def side_by_side(got: torch.Tensor, wanted: torch.Tensor, index: tuple[int, ...]) -> str:
    """Return the matrices around an element as text, the solution's left and the right one right.

    Args:
        got: Any shape.
        wanted: The same shape.
        index: Of the element.
    """
    for shown in range(MOST_SHOWN, 1, -1):
        left, name = _window(got, index, shown)
        right, _ = _window(wanted, index, shown)
        columns = [[_number(one) for one in row] for row in left + right]
        width = max(len(one) for row in columns for one in row)
        if 2 * (width + 1) * len(columns[0]) <= COLUMNS - 18:
            break
    rows = [" ".join(one.rjust(width) for one in row) for row in columns]
    half = len(left)
    gap = len(rows[0]) + 4
    lines = [f"  {'yours' + name:<{gap}}  right"]
    lines += [
        f"  {one:<{gap}}  {other}" for one, other in zip(rows[:half], rows[half:], strict=True)
    ]
    return "\n".join(lines)


def _window(
    tensor: torch.Tensor, index: tuple[int, ...], columns: int
) -> tuple[list[list[float]], str]:
    """Return the part of a tensor around an element, so wide at most, and which part that is."""
    if tensor.dim() == 1:
        tensor, index = tensor[None], (0, *index)
        hidden = True
    else:
        hidden = False
    matrix = tensor[index[:-2]]
    places = []
    for size, place, most in zip(matrix.shape, index[-2:], (MOST_SHOWN, columns), strict=True):
        first = min(max(0, place - most // 2), max(0, size - most))
        places.append(slice(first, min(size, first + most)))
    cut = matrix[places[0], places[1]]
    if cut.shape == tensor.shape:
        return cut.tolist(), ""
    named = [str(one) for one in index[:-2]] + [
        ":" if cut.size(n) == matrix.size(n) else f"{one.start}:{one.stop}"
        for n, one in enumerate(places)
    ]
    return cut.tolist(), f"[{', '.join(named[1:] if hidden else named)}]"


def _number(value: float) -> str:
    if isinstance(value, bool | int):
        return str(value)
    return f"{value:.3f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3g}"


def picture(verdict: Verdict) -> dict[str, Any]:
    """Return what was got and what is right, small and as JSON.

    Returns:
        "got" and "wanted", each {"kind": "tensor", "shape", "index", "values"} with the matrix
        around the difference (index: of it in the tensor; at most 64 x 64 numbers; what is not
        finite is "NaN", "inf" or "-inf"), or {"kind": "text", "text"}; "place": the difference's.
    """
    difference = verdict.difference
    if difference is None:
        return {}
    if difference.within is not None:
        one, other = difference.within
        index = difference.index
        pair = {"got": _drawn(one, index), "wanted": _drawn(other, index)}
    else:
        pair = {
            "got": {"kind": "text", "text": _value(difference.got)},
            "wanted": {"kind": "text", "text": _value(difference.wanted)},
        }
    return {**pair, "place": list(difference.index)}


def foretold(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction beside its outcome, as JSON.

    Returns:
        The prediction's fields but its picture, and "before" and "after": matrices as in
        `picture`, or None.
    """
    told: dict[str, Any] = dict(vars(prediction))
    pair = told.pop("picture") or (None, None)
    before, after = (None if one is None else _drawn(one, (0, 0)) for one in pair)
    return {**told, "before": before, "after": after}


def _drawn(tensor: torch.Tensor, index: tuple[int, ...]) -> dict[str, Any]:
    if tensor.is_meta:
        return {"kind": "text", "text": described(tensor)}
    leading = index[:-2] if len(index) == tensor.dim() else (0,) * max(0, tensor.dim() - 2)
    inside = all(place < size for place, size in zip(leading, tensor.shape, strict=False))
    leading = leading if inside else (0,) * len(leading)
    shape = list(tensor.shape)
    if 0 in shape:
        return {"kind": "tensor", "shape": shape, "index": [], "values": []}
    part = tensor[leading].detach().cpu()
    for axis in range(part.dim()):
        part = part.narrow(axis, 0, min(MOST_DRAWN, part.size(axis)))
    values = _finite(part.tolist())
    return {"kind": "tensor", "shape": shape, "index": list(leading), "values": values}


def _finite(value: Any) -> Any:
    """Return nested lists with what JSON has no number for as text."""
    if isinstance(value, list):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return str(value) if isinstance(value, complex) else value
