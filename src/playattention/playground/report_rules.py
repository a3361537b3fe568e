"""How a number follows from the cell that is explained: found from examples, never guessed.

Does not know what the numbers are: indices of operands, or constants.
"""

from collections.abc import Sequence

Cell = tuple[int, ...]
At = list[tuple[Cell, int]]
"""Examples: cell and term."""
Rule = dict[str, float | str | list[float]]
"""JSON: {"c"}: always that; {"c", "a", "b"}: c + a · cell + b · term; {"of"}: as that operand."""


class NoRuleError(Exception):
    """The examples do not follow one rule."""


def rule_of(
    at: At,
    numbers: Sequence[float | None],
    singles: list[list[float | None]],
    known: list[Rule | None] | None = None,
) -> Rule | None:
    """Return the rule by which a number follows from the cell and the term.

    Args:
        at: The examples, the first cell's terms first, then its neighbours'.
        numbers: The number in each; None: it has none.
        singles: In each, the numbers of the operands that belong to no term.
        known: Holds a rule that is to be checked alone.

    Returns:
        The rule; None: it never has a number.

    Raises:
        NoRuleError: If there is none, or the known one does not hold.
    """
    if known is not None:
        if not _holds(known[0], at, numbers, singles):
            raise NoRuleError("its twin follows another rule")
        return known[0]
    first = numbers[0]
    if all(number is None for number in numbers):
        return None
    given = [number for number in numbers if number is not None]
    if first is None or len(given) < len(numbers):
        raise NoRuleError("an operand is a whole tensor in some cells")
    constant: Rule = {"c": first if abs(first) != float("inf") else str(first)}
    affine = _affine(at, given)
    others: list[Rule] = [{"of": place} for place in range(len(singles[0]))]
    for rule in (constant, affine, *others):
        if _holds(rule, at, numbers, singles):
            return rule
    raise NoRuleError("its cells do not come about by one rule")


def _affine(at: At, numbers: list[float]) -> Rule:
    """Return c + a · cell + b · term as the first cell and its neighbours have it."""
    known = dict(zip(at, numbers, strict=True))
    (start, _), base = at[0], numbers[0]
    steps: list[float] = []
    for place in range(len(start)):
        near = (*start[:place], start[place] + 1, *start[place + 1 :])
        steps.append(known.get((near, 0), base) - base)
    whole = base - sum(step * number for step, number in zip(steps, start, strict=True))
    return {"c": whole, "a": steps, "b": known.get((start, 1), base) - base}


def _holds(
    rule: Rule | None, at: At, numbers: Sequence[float | None], singles: list[list[float | None]]
) -> bool:
    return all(
        _followed(rule, cell, term, own) == number
        for (cell, term), number, own in zip(at, numbers, singles, strict=True)
    )


def _followed(rule: Rule | None, cell: Cell, term: int, own: list[float | None]) -> float | None:
    if rule is None:
        return None
    match rule:
        case {"of": int() as place}:
            return own[place]
        case {"c": float() | int() as whole, "a": list() as steps, "b": float() | int() as each}:
            moved = sum(step * place for step, place in zip(steps, cell, strict=True))
            return whole + moved + each * term
        case {"c": str() | float() | int() as constant}:
            return float(constant)
    raise AssertionError(rule)
