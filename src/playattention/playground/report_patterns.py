"""Explanations of whole values: what changes from cell to cell, and by which rule.

There are too many cells to write down where each comes from. But a line does the same for each, so
a few explanations by X-ray tell the rule: `scores[0, 4, 2]` takes row 4 and row 2, so `[0, t, s]`
takes rows t and s. A rule is checked with other cells' explanations; where none holds, the value is
said to have none. Does not know the page.
"""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from playattention.playground.report_rules import Cell, NoRuleError, rule_of
from playattention.xray.explain import explain_value
from playattention.xray.explanation import Explanation, Operand
from playattention.xray.trace import Trace
from playattention.xray.values import Value

FEW_CELLS = 64
"""A value with no more is told cell by cell."""
CHECKED = 3
"""Cells picked at random that a rule is checked with, beside the first and the last."""
MOST_PIECES = 64
CONSTANT = ("eps",)
"""What an explanation tells on the way that is the same for all cells."""
SEED = 2017

Twins = dict[tuple[Any, ...], dict[str, Any]]
"""Line, shape and columns -> their rules in the module that came first."""


def patterns(trace: Trace) -> dict[str, dict[str, Any]]:
    """Return where all numbers of all values come from, as JSON.

    Args:
        trace: What a watch saw.

    Returns:
        A value's title -> {"cells": {"0,1": explanation}}, {"pieces": [...]} along the last
        dimension, or {"note": why not}.
    """
    twins: Twins = {}
    return {value.title: _pattern(trace, value, twins) for value in trace.values}


def _pattern(trace: Trace, value: Value, twins: Twins) -> dict[str, Any]:
    size = value.tensor.numel()
    if size <= FEW_CELLS:
        cells = [_cell(value.shape, number) for number in range(size)]
        return {
            "cells": {_key(cell): explain_value(trace, value, cell).as_dict() for cell in cells}
        }
    try:
        return {"pieces": _pieces(_Fit(trace, value, twins), 0, value.shape[-1], [MOST_PIECES])}
    except NoRuleError as error:
        return {"note": str(error)}


@dataclass(frozen=True)
class _Fit:
    """Explains cells of one value."""

    trace: Trace
    value: Value
    twins: Twins

    def at(self, cell: Cell) -> Explanation:
        """Return where a cell comes from, if the parts are named."""
        found = explain_value(self.trace, self.value, cell)
        if any(one.kind == "expression" and found.result is not None for one in found.operands):
            raise NoRuleError("a part of the expression has no name of its own")
        return found


def _pieces(fit: _Fit, begin: int, end: int, left: list[int]) -> list[dict[str, Any]]:
    """Return rules for the columns from `begin` to `end`, which are split where none holds."""
    left[0] -= 1
    try:
        return [{"from": begin, "to": end, **_piece(fit, begin, end)}]
    except NoRuleError:
        if end - begin == 1 or left[0] <= 0:
            raise
    middle = (begin + end) // 2
    return [*_pieces(fit, begin, middle, left), *_pieces(fit, middle, end, left)]


def _piece(fit: _Fit, begin: int, end: int) -> dict[str, Any]:
    """Return the rules of some columns; those of the same line in another module hold again."""
    value, cells = fit.value, _samples(fit.value.shape, begin, end)
    key = value.file, value.line, value.variable, value.shape, begin, end
    if key in fit.twins:
        with suppress(NoRuleError):
            return _told(fit, [cells[0], cells[-1]], fit.twins[key])
    fit.twins[key] = _told(fit, cells, None)
    return fit.twins[key]


def _told(fit: _Fit, cells: list[Cell], twin: dict[str, Any] | None) -> dict[str, Any]:
    """Return the rules that explain these cells; of a twin, its own, if they do."""
    found = [fit.at(cell) for cell in cells]
    if len({_outline(one) for one in found}) > 1:
        raise NoRuleError("its cells do not all come about in the same way")
    first = found[0]
    own = [[one for one in explained.operands if one.term is None] for explained in found]
    terms = [_terms_of(explained) for explained in found]
    numbers = [[one.number for one in operands] for operands in own]
    width = len(terms[0][0]) if terms[0] else 0
    known: list[Any] = [None] * (len(own[0]) + width)
    if twin is not None:
        known = [*twin["singles"], *twin["terms"]["slots"]]
        if len(known) != len(own[0]) + width:
            raise NoRuleError("its twin has other operands")
    starts = [(cell, 0) for cell in cells]
    singles = [
        _rules(starts, [operands[place] for operands in own], numbers, known[place])
        for place in range(len(own[0]))
    ]
    slots = [
        _slot(cells, [[row[place] for row in rows] for rows in terms], numbers, slot)
        for place, slot in enumerate(known[len(own[0]) :])
    ]
    constants = {name: fact for name, fact in first.facts.items() if name in CONSTANT}
    return {
        "operation": first.operation,
        "formula": first.formula,
        "note": first.note,
        "constants": constants,
        "singles": singles,
        "terms": {"count": len(terms[0]), "slots": slots},
    }


def _samples(shape: Sequence[int], begin: int, end: int) -> list[Cell]:
    """Return the first cell, its neighbours along each dimension, the last, and some between."""
    low = [*(0 for _ in shape[:-1]), begin]
    high = [*(size - 1 for size in shape[:-1]), end - 1]
    near = [
        (*low[:place], low[place] + 1, *low[place + 1 :])
        for place in range(len(shape))
        if high[place] > low[place]
    ]
    chance = random.Random(SEED)
    some = [
        tuple(chance.randint(a, b) for a, b in zip(low, high, strict=True)) for _ in range(CHECKED)
    ]
    return list(dict.fromkeys([tuple(low), *near, *some, tuple(high)]))


def _outline(found: Explanation) -> tuple[Any, ...]:
    """Return what must be the same in all cells."""
    singles = tuple(_kind(one) for one in found.operands if one.term is None)
    rows = _terms_of(found)
    alike = {tuple(_kind(one) for one in row) for row in rows}
    return found.operation, found.formula, singles, len(rows), frozenset(alike), len(alike) <= 1


def _kind(one: Operand) -> tuple[Any, ...]:
    return one.name, one.role, one.kind, one.path, one.shape, len(one.index), one.at is None


def _terms_of(found: Explanation) -> list[list[Operand]]:
    rows: dict[int, list[Operand]] = {}
    for one in found.operands:
        if one.term is not None:
            rows.setdefault(one.term, []).append(one)
    return [*rows.values()]


def _slot(
    cells: list[Cell],
    rows: list[list[Operand]],
    numbers: list[list[float | None]],
    twin: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the rule of an operand of each term."""
    at, ones, singles = [], [], []
    for cell, row, own in zip(cells, rows, numbers, strict=True):
        for term, one in enumerate(row):
            at.append((cell, term))
            ones.append(one)
            singles.append(own)
    return _rules(at, ones, singles, twin)


def _rules(
    at: list[tuple[Cell, int]],
    ones: list[Operand],
    singles: list[list[float | None]],
    twin: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return how an operand follows from cell and term; `singles`: those that have no term."""
    first = ones[0]
    tensor = first.kind in ("value", "weight", "input") and first.at is not None
    columns: dict[str, list[tuple[Any, ...]]] = {
        "index": [*zip(*(one.index for one in ones), strict=True)],
        "at": [] if first.at is None else [*zip(*(one.at or () for one in ones), strict=True)],
        "number": [] if tensor else [tuple(one.number for one in ones)],
    }
    rules = {
        name: [
            rule_of(at, numbers, singles, None if twin is None else [twin[name][place]])
            for place, numbers in enumerate(found)
        ]
        for name, found in columns.items()
    }
    return {
        "name": first.name,
        "role": first.role,
        "kind": first.kind,
        "path": first.path,
        "shape": list(first.shape),
        "index": rules["index"],
        "at": rules["at"] if first.at is not None else None,
        "number": rules["number"],
    }


def _cell(shape: Sequence[int], number: int) -> Cell:
    cell: list[int] = []
    for size in reversed(shape):
        number, place = divmod(number, size)
        cell.append(place)
    return tuple(reversed(cell))


def _key(cell: Cell) -> str:
    return ",".join(map(str, cell))
