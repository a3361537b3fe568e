"""The arithmetic panel, read as a person does, and its numbers once more, worked out here.

Takes from the page what it shows of the operands, and never its result: what the page says they
give is checked against this.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.playground.browser.visitor import Visitor, as_number


@dataclass(frozen=True)
class Panel:
    """What stands in the panel."""

    title: str
    """module:name#occurrence"""
    index: tuple[int, ...]
    number: float
    """The model's, as shown."""
    operation: str
    operands: list[tuple[str, float]]
    """Role and number of those that belong to no term."""
    terms: list[list[float]]
    """Of each term the numbers of its operands."""
    facts: dict[str, list[float]]
    result: float
    """In float64, as the page says."""
    source: str
    """File and line."""

    @classmethod
    def read(cls, visitor: Visitor) -> "Panel":
        """Read the panel, all terms of a long sum included."""
        panel = visitor.page.locator("#arithmetic")
        for button in panel.get_by_role("button", name="fetch all").all():
            button.press("Enter")
            visitor.settle()
        for button in panel.get_by_role("button", name="show all").all():
            button.press("Enter")
        found = panel.evaluate(READ)
        return cls(
            found["title"],
            tuple(int(place) for place in found["index"].split(",") if place),
            as_number(found["number"]),
            found["operation"],
            [(role, as_number(number)) for role, number in found["operands"]],
            [[as_number(number) for number in term] for term in found["terms"]],
            {name: [as_number(one) for one in numbers] for name, numbers in found["facts"]},
            as_number(found["result"]),
            found["source"],
        )

    def recomputed(self) -> float:
        """Return what the operands give, in Python's own float64.

        Raises:
            KeyError: If the operation is one that is not known here.
        """
        work = UNCHANGED if self._is_unchanged else OPERATIONS[self.operation]
        return float(work(self))

    @property
    def _is_unchanged(self) -> bool:
        words = ("unchanged", "moved")
        return self.operation.endswith(("returned", *words)) or self.operation in words

    def operand(self, *roles: str) -> float:
        """Return the number of a role."""
        return next(number for role, number in self.operands if role in roles)

    @property
    def only(self) -> float:
        """The number of the one operand."""
        assert len(self.operands) == 1, self.operands
        return self.operands[0][1]


def dot(panel: Panel) -> float:
    """Multiply side by side, and add."""
    assert all(len(term) == 2 for term in panel.terms)
    return math.fsum(left * right for left, right in panel.terms)


def softmax(panel: Panel) -> float:
    """Share of one among the exponentials of a row."""
    row = [term[0] for term in panel.terms]
    most = max(row)
    return math.exp(panel.operand("own") - most) / math.fsum(math.exp(one - most) for one in row)


def layer_norm(panel: Panel) -> float:
    """Own number less the row's mean, over its spread."""
    row = [term[0] for term in panel.terms]
    mean = math.fsum(row) / len(row)
    variance = math.fsum((one - mean) ** 2 for one in row) / len(row)
    normalized = (panel.operand("own") - mean) / math.sqrt(variance + panel.facts["eps"][0])
    return normalized * panel.operand("weight") + panel.operand("bias")


def gelu(panel: Panel) -> float:
    """By tanh: Hendrycks and Gimpel 2016."""
    x = panel.only
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def choice(panel: Panel) -> float:
    """One of two."""
    return panel.operand("where true" if panel.operand("condition") else "where false")


def cross_entropy(panel: Panel) -> float:
    """Mean of what the targets cost."""
    log_sums = panel.facts["log-sum"]
    logits = [term[1] for term in panel.terms]
    assert len(log_sums) == len(logits)
    return math.fsum(one - other for one, other in zip(log_sums, logits, strict=True)) / len(logits)


def both(panel: Panel) -> tuple[float, float]:
    """Return left and right."""
    return panel.operand("left"), panel.operand("right")


def UNCHANGED(panel: Panel) -> float:  # noqa: N802
    """As it was."""
    return panel.only


OPERATIONS: dict[str, Callable[[Panel], Any]] = {
    "count": lambda panel: panel.operand("first") + panel.operand("place") * panel.operand("step"),
    "lookup": lambda panel: panel.operand("entry"),
    "sum": lambda panel: sum(both(panel)),
    "product": lambda panel: math.prod(both(panel)),
    "dot product": dot,
    "dot product and bias": lambda panel: dot(panel) + panel.operand("bias"),
    "softmax": softmax,
    "layer norm": layer_norm,
    "relu": lambda panel: max(0.0, panel.only),
    "gelu, by tanh": gelu,
    "choice": choice,
    "cross-entropy": cross_entropy,
}

READ = """
(panel) => {
  const value = (cell) => cell?.querySelector("data")?.value ?? "";
  const body = panel.querySelector(".arithmetic-body");
  const rows = [...body.querySelectorAll("table.operands tr")];
  const terms = [...body.querySelectorAll("table.terms tbody tr:not(.more)")];
  const columns = (row) => [...row.querySelectorAll("td.right")];
  const added = body.querySelectorAll("table.terms td.bar-cell").length ? 1 : 0; // what they amount to
  const facts = [...body.querySelectorAll("dl.facts-list dt")];
  return {
    title: body.dataset.title,
    index: body.dataset.index,
    number: body.querySelector(".arithmetic-number data").value,
    operation: body.querySelector("h3").textContent,
    operands: rows.map((row) => [row.cells[0].textContent, value(row)]),
    terms: terms.map((row) => columns(row).slice(0, columns(row).length - added).map(value)),
    facts: facts.map((name) => [name.textContent, [...name.nextElementSibling.querySelectorAll("data")].map((one) => one.value)]),
    result: body.querySelector(".result-number")?.value ?? "",
    source: [...body.querySelectorAll(".source-line p")].map((one) => one.textContent).join(),
  };
}
"""
