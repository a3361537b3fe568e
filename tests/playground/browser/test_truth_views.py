"""What the views tell that are not a value's cells: changes, gradients, a step, a draw, a curve."""

import csv
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from playattention.training.run import Run, load_run
from playattention.xray.whatif import ablate_heads
from tests.playground.browser.grid import Grid
from tests.playground.browser.grown import PLANTED, RUN, TEXT
from tests.playground.browser.truth import Truth
from tests.playground.browser.visitor import Visitor, as_number

Visit = Callable[..., Visitor]
CELLS = 10


@pytest.fixture(scope="module")
def truth(model: Run) -> Truth:
    """What the model makes of the text."""
    return Truth(model, TEXT)


def cells(grid: Grid, seed: int) -> list[tuple[tuple[int, int], list[float]]]:
    """Go to cells by keys, and return what is told of each."""
    drawn = random.Random(seed)
    rows, columns = grid.size
    grid.visitor.page.locator("#skip").focus()
    grid.reach()
    found = []
    for _ in range(CELLS):
        cell = drawn.randrange(rows), drawn.randrange(columns)
        grid.to(*cell)
        found.append((cell, grid.visitor.numbers(f"{grid.figure} .readout")))
    return found


def assert_change(found: list[float], now: float, then: float) -> None:
    """A cell tells what it is, what it was, and how they differ, each to the last digit."""
    change = float(torch.tensor(now) - torch.tensor(then))
    assert found[:2] == [now, then]
    assert found[2] == pytest.approx(change, rel=1e-6, abs=1e-9)


def test_two_checkpoints(visit: Visit, truth: Truth, grown: Path) -> None:
    first = Truth(load_run(grown / "logs" / RUN, 0), TEXT)
    one = visit().open(view="over-training", run=RUN, text=TEXT, layer=0, head=1)
    for (row, column), told in cells(Grid(one, "[data-kind=now] .heatmap"), 1):
        now, then = (float(side.maps[0, 1, row, column]) for side in (truth, first))
        assert_change(told, now, then)


def test_a_change_of_the_model(visit: Visit, truth: Truth, grown: Path) -> None:
    """What the second block makes of it when a head of the first is switched off."""
    run = load_run(grown / "logs" / RUN)
    layer, head = PLANTED
    one = visit().open(
        view="what-if", run=RUN, text=TEXT, layer=1, head=0, change=f"ablate:{layer}.{head}"
    )
    with ablate_heads(run.model, [PLANTED]):
        changed = Truth(run, TEXT).maps
    for (row, column), told in cells(Grid(one, "[data-kind=now] .heatmap"), 2):
        assert_change(told, float(changed[1, 0, row, column]), float(truth.maps[1, 0, row, column]))


def test_the_gradient_of_a_value(visit: Visit, truth: Truth) -> None:
    """By PyTorch's own hooks, and without X-ray."""
    model, kept = truth.run.model, {}

    def keep(_module: object, _inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        kept["gradient"] = output

    hook = model.get_submodule("blocks.0").register_forward_hook(keep)
    ids = torch.tensor([truth.ids])
    logits = model(ids)
    logits = logits[0] if isinstance(logits, tuple) else logits
    F.cross_entropy(logits[0, :-1], ids[0, 1:]).backward()
    hook.remove()
    model.zero_grad()
    own = kept["gradient"].grad[0]
    one = visit().open(view="backward", run=RUN, text=TEXT, value="blocks.0:return:0")
    for (row, column), told in cells(Grid(one, ".gradient-side .heatmap"), 3):
        assert told[-1] == pytest.approx(float(own[row, column]), rel=1e-3, abs=1e-8)


def test_a_step_of_adamw_line_by_line(visit: Visit, truth: Truth) -> None:
    """Every line follows from those above it, and from what is told of the training."""
    name = "blocks.0.feed_forward.expand.weight"
    one = visit().open(view="backward", run=RUN, text=TEXT)
    weight = truth.run.model.get_parameter(name).detach()
    drawn = random.Random(4)
    for _ in range(4):
        cell = drawn.randrange(weight.shape[0]), drawn.randrange(weight.shape[1])
        one.go(weight=name, cell=",".join(map(str, cell)))
        old, gradient, new = one.numbers(".step-summary")
        assert old == float(weight[cell])
        step, rate, beta1, beta2, eps, decay, _, factor = one.numbers(".step-facts")
        clipped, first, second, first_own, second_own, decayed, change, last = one.numbers(
            ".steps td"
        )
        near = pytest.approx
        assert clipped == near(gradient * factor, rel=1e-5)
        assert first_own == near(first / (1 - beta1**step), rel=1e-5)
        assert second_own == near(second / (1 - beta2**step), rel=1e-5)
        assert decayed == near(old * (1 - rate * decay), rel=1e-5)
        assert change == near(-rate * first_own / (math.sqrt(second_own) + eps), rel=1e-4)
        assert new == last == near(decayed + change, rel=1e-6)


def test_how_a_token_is_drawn(visit: Visit, truth: Truth) -> None:
    """Logits, divided by the temperature, softmax, the five likeliest, and their shares."""
    state = {"temperature": 0.5, "top_k": 5, "prompt": TEXT}
    one = visit().open(view="generate", run=RUN, text=TEXT, **state)
    scores = truth.logits[-1]
    tempered = (scores / 0.5).softmax(-1)
    kept = tempered.topk(5)
    rows = one.page.locator(".candidates-table tbody tr[data-id]").all()
    assert len(rows) >= 10
    for row in rows:
        id_ = int(row.get_attribute("data-id") or 0)
        told = [as_number(one.get_attribute("value")) for one in row.locator("data").all()]
        share = float(tempered[id_] / kept.values.sum()) if id_ in kept.indices else 0.0
        assert told[0] == float(scores[id_])
        assert told[1:] == pytest.approx(
            [float(scores[id_] / 0.5), float(tempered[id_]), share], rel=1e-4
        )
        assert ("kept" in row.inner_text()) == (id_ in kept.indices)


def test_the_curves_of_a_training(visit: Visit, grown: Path) -> None:
    """Points of the curves are the log's rows."""
    one = visit().open(view="train", run=RUN, job=RUN)
    one.page.wait_for_selector(".curve-large .nsewdrag", state="attached")
    curves = one.page.evaluate(
        """() => document.querySelector(".curve-large").data.map(({ x, y }) => [[...x], [...y]])"""
    )
    with (grown / "logs" / RUN / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    for (steps, losses), name in zip(
        curves, ("train_loss", "eval_train_loss", "eval_val_loss"), strict=False
    ):
        known = {int(row["step"]): float(row[name]) for row in rows if row[name]}
        assert dict(zip(steps, losses, strict=True)) == known
