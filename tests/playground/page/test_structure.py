"""Values of any model, as the flow shows them."""

from collections.abc import Callable
from typing import Any

import pytest

from playattention.models import MODELS
from playattention.xray.trace import Trace
from playattention.xray.watch import watch
from tests.xray.edited import ids, recalling, small

Run = Callable[..., Any]


def values_of(trace: Trace) -> list[dict[str, Any]]:
    """Return a trace's values as the server tells them."""
    keys = ("module", "name", "occurrence", "line", "function")
    return [
        {key: getattr(value, key) for key in keys} | {"shape": list(value.shape), "symbols": None}
        for value in trace
    ]


@pytest.mark.parametrize("name", [*MODELS, "bare", "recalling"])
def test_every_value_of_any_model_has_its_place_in_the_flow(page: Any, run: Run, name: str):
    model = recalling() if name == "recalling" else small(name)
    values = values_of(watch(model, ids(1, 5)))
    found = run(
        page,
        "const {nest} = await load('structure'); const {keyOf} = await load('names');"
        "const {items, where} = nest(given); const seen = [];"
        "const walk = (item) => {"
        "  if (item.kind === 'value') seen.push(keyOf(item.value));"
        "  else if (item.kind === 'elements') seen.push(...item.values.map(keyOf));"
        "  else if (item.kind === 'family')"
        "    item.members.forEach((member) => [member.group, ...member.after].forEach(walk));"
        "  else item.items.forEach(walk); };"
        "items.forEach(walk);"
        "const families = items.filter((item) => item.kind === 'family');"
        "return [seen, given.map(keyOf), [...where.keys()],"
        "  families.map((family) => [family.stem, family.members.length])];",
        values,
    )
    seen, keys, placed, families = found
    assert seen == keys  # each once, in the order in which they came to be
    assert sorted(placed) == sorted(keys)
    assert families == [["blocks", 2]]


@pytest.mark.parametrize("name", MODELS)
def test_a_value_moves_to_another_layer_and_head_and_back(page: Any, run: Run, name: str):
    values = values_of(watch(small(name), ids(1, 5)))
    found = run(
        page,
        "const {nest, sibling} = await load('structure'); const {keyOf} = await load('names');"
        "const structure = nest(given); return given.map((value) => {"
        "  const own = structure.where.get(keyOf(value));"
        "  const there = sibling(structure, value, own.map(() => 1), given);"
        "  const back = sibling(structure, there, own, given);"
        "  return [value, own, there, back]; });",
        values,
    )
    for value, own, there, back in found:
        assert back == value
        assert there["line"] == value["line"]
        if own and value["module"]:
            assert there["module"].startswith("blocks.1")
        if len(own) > 1 and "heads" in value["module"]:
            assert there["module"] == "blocks.1.attention.heads.1"


def test_modules_that_are_not_alike_are_shown_one_after_the_other(page: Any, run: Run):
    def value(module: str, name: str, line: int) -> dict[str, Any]:
        return {"module": module, "name": name, "occurrence": 0, "line": line} | {
            "function": "forward",
            "shape": [1, 2, 3],
            "symbols": None,
        }

    values = [value("steps.0", "a", 1), value("steps.1", "b", 9), value("", "x", 20)]
    kinds = run(
        page,
        "return (await load('structure')).nest(given).items.map((item) => item.kind)",
        values,
    )
    assert kinds == ["group", "group", "value"]
