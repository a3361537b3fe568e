"""Every number shown is the model's own: cells picked at random, recomputed, and compared.

Of each cell, the number that the picture tells is compared with the model, and the operands that
the arithmetic shows are worked out here once more, in float64, and compared with the model, too.
"""

import math
import random
from collections.abc import Callable

import pytest
import torch

from playattention.training.run import Run
from tests.playground.browser.arithmetic import Panel
from tests.playground.browser.grid import Grid
from tests.playground.browser.grown import RUN, TEXT
from tests.playground.browser.truth import Truth
from tests.playground.browser.visitor import Visitor

Visit = Callable[..., Visitor]
CLOSE = 2e-6
"""Of float32 sums to float64 ones, as a share of what was added."""
VALUES = 100
CELLS = 30
"""Of each picture that is gone through by keys."""


@pytest.fixture(scope="module")
def truth(model: Run) -> Truth:
    """What the model makes of the text."""
    return Truth(model, TEXT)


def assert_it_is_true(panel: Panel, truth: Truth, key: str, index: tuple[int, ...]) -> None:
    """The number is the model's, and follows from its operands."""
    title = key.rpartition(":")[0]
    assert (panel.title.partition("#")[0], panel.index) == (title, index)
    own = float(truth.key(key)[index])
    assert same(panel.number, own), (panel.title, panel.index, panel.number, own)
    found = panel.recomputed()
    assert close(found, own, panel), (panel, found, own)
    assert close(panel.result, found, panel), (panel, found)


def same(shown: float, own: float) -> bool:
    """Tell whether two numbers are one and the same."""
    return shown == own or (math.isnan(shown) and math.isnan(own))


def close(found: float, own: float, panel: Panel) -> bool:
    """Tell whether float64 and float32 agree as far as float32 goes."""
    if not math.isfinite(own):
        return same(found, own)
    added = sum(abs(math.prod(term)) for term in panel.terms if all(map(math.isfinite, term)))
    return abs(found - own) <= CLOSE * max(1.0, abs(own), added)


def test_cells_of_all_values_follow_from_what_is_shown(visit: Visit, truth: Truth) -> None:
    """Any value of the flow, any cell of it."""
    drawn = random.Random(1)
    one = visit().open(view="flow", run=RUN, text=TEXT)
    keys = [f"{value.module}:{value.name}:{value.occurrence}" for value in truth.trace]
    operations = set()
    for _ in range(VALUES):
        key = drawn.choice(keys)
        index = tuple(drawn.randrange(size) for size in truth.key(key).shape)
        one.go(value=key, index=",".join(map(str, index)))
        panel = Panel.read(one)
        assert_it_is_true(panel, truth, key, index)
        operations.add(panel.operation)
    assert {"dot product", "softmax", "layer norm", "sum"} <= operations


def test_the_cells_of_the_flow_are_the_models(visit: Visit, truth: Truth) -> None:
    """What a picture tells of a cell, and what opens at it, by keys."""
    drawn = random.Random(2)
    one = visit().open(view="flow", run=RUN, text=TEXT)
    for name in ("scaled", "mixed", "query"):
        key = f"blocks.1.attention.heads.0:{name}:0"
        grid = Grid(one.go(value=key, index=None), ".open-stage .heatmap")
        through_cells(grid, truth, key, (0,), drawn)


def test_the_cells_of_a_heads_map_are_the_models(visit: Visit, truth: Truth) -> None:
    drawn = random.Random(3)
    one = visit().open(view="heads", run=RUN, text=TEXT, layer=1, head=1)
    through_cells(
        Grid(one, ".heads-one .heatmap"), truth, "blocks.1.attention.heads.1:weights:0", (0,), drawn
    )


def through_cells(
    grid: Grid, truth: Truth, key: str, fixed: tuple[int, ...], drawn: random.Random
) -> None:
    """Move to cells by keys, read what is told, open the arithmetic, and come back."""
    rows, columns = grid.size
    tensor = truth.key(key)
    assert (rows, columns) == tuple(tensor.shape[-2:])
    grid.visitor.page.locator("#skip").focus()
    grid.reach()
    for _ in range(CELLS // 3):
        cell = drawn.randrange(rows), drawn.randrange(columns)
        grid.to(*cell)
        assert same(grid.told, float(tensor[(*fixed, *cell)]))
        grid.visitor.press("Enter")
        assert_it_is_true(Panel.read(grid.visitor), truth, key, (*fixed, *cell))
        grid.visitor.press("Escape")
        assert grid.visitor.has_focus(".heatmap-grid")


def test_the_small_maps_are_the_models(visit: Visit, truth: Truth) -> None:
    """What pointing at a map tells."""
    drawn = random.Random(4)
    one = visit().open(view="heads", run=RUN, text=TEXT)
    layers, heads, size, _ = truth.maps.shape
    for _ in range(20):
        layer, head = drawn.randrange(layers), drawn.randrange(heads)
        row, column = drawn.randrange(size), drawn.randrange(size)
        box = one.page.locator(
            f".map[data-layer='{layer}'][data-head='{head}'] canvas"
        ).bounding_box()
        assert box is not None
        x = box["x"] + box["width"] * (column + 0.5) / size
        one.page.mouse.move(x, box["y"] + box["height"] * (row + 0.5) / size)
        assert one.number(".heads-all .readout") == float(truth.maps[layer, head, row, column])


def test_what_each_token_cost_follows_from_the_logits(visit: Visit, truth: Truth) -> None:
    """Loss, rank and probability of every position; the loss is that of the probability shown."""
    one = visit().open(view="positions", run=RUN, text=TEXT)
    rows = one.page.locator(".losses-list tbody tr").all()
    assert len(rows) == len(truth.ids)
    shares = truth.logits.softmax(-1)
    for position, row in enumerate(rows[:-1]):
        loss, probability = (
            float(found.get_attribute("value") or "nan") for found in row.locator("data").all()
        )
        rank = int(row.locator("td.right").nth(1).inner_text())
        following = truth.ids[position + 1]
        assert loss == pytest.approx(float(truth.losses[position]), rel=1e-5)
        assert loss == pytest.approx(-math.log(probability), rel=1e-6)
        assert rank == 1 + int((shares[position] > shares[position, following]).sum())
    assert one.number(".positions .section-head") == pytest.approx(
        float(truth.losses.mean()), rel=1e-5
    )


def test_the_ledger_adds_up_to_the_models_logit(visit: Visit, truth: Truth) -> None:
    one = visit().open(view="positions", run=RUN, text=TEXT)
    for pos in (0, 7, len(truth.ids) - 1):
        one.go(pos=pos)
        if one.page.get_by_role("button", name="all ").count():
            one.page.get_by_role("button", name="all ").first.click()
        table = [
            as_row.locator("data").first for as_row in one.page.locator(".ledger-table tr").all()
        ]
        *parts, total = (float(found.get_attribute("value") or "nan") for found in table)
        own = truth.logits[pos].max()
        assert total == pytest.approx(float(own), rel=1e-6)
        assert math.fsum(parts) == pytest.approx(total, rel=1e-5, abs=1e-5)


def test_the_logit_lens_is_the_streams_own(visit: Visit, truth: Truth) -> None:
    """Each stage of the stream through the final norm and the head, worked out here."""
    one = visit().open(view="positions", run=RUN, text=TEXT)
    grid = Grid(one, ".lens .heatmap").reach()
    stages = [
        truth.value(title)[0] for title in (":embedded", "blocks.0:return", "blocks.1:return")
    ]
    model = truth.run.model
    norm, head = (model.get_submodule(name) for name in ("final_norm", "head"))
    drawn = random.Random(5)
    for _ in range(20):
        row, column = drawn.randrange(grid.size[0]), drawn.randrange(grid.size[1])
        with torch.no_grad():
            scores = head(norm(stages[len(stages) - 1 - row][column])).double()
        grid.to(row, column)
        told = one.numbers(".lens .readout")
        assert told[0] == pytest.approx(float(scores.softmax(-1).max()), rel=1e-4)
        if column + 1 < len(truth.ids):
            assert told[1] == pytest.approx(
                float(scores.softmax(-1)[truth.ids[column + 1]]), rel=1e-4
            )
