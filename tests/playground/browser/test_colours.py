"""What is drawn has the colour that the legend gives its number, and the legend spans the numbers."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from playattention.training.run import Run
from tests.playground.browser.grid import Grid, Legend, near
from tests.playground.browser.grown import RUN, TEXT
from tests.playground.browser.truth import Truth
from tests.playground.browser.visitor import Visitor

Visit = Callable[..., Visitor]
CELLS = 12

both_themes = pytest.mark.parametrize("scheme", ["light", "dark"])


@pytest.fixture(scope="module")
def truth(model: Run) -> Truth:
    """What the model makes of the text."""
    return Truth(model, TEXT)


def assert_cells_match(grid: Grid, numbers: torch.Tensor, seed: int) -> None:
    """Pixels of random cells, and of the least and the greatest number."""
    legend = grid.legend
    assert_it_tells_apart(legend)
    drawn = random.Random(seed)
    rows, columns = numbers.shape
    finite = numbers.where(numbers.isfinite(), 0.0)
    places = [int(finite.argmin()), int(finite.argmax())]
    places += [drawn.randrange(numbers.numel()) for _ in range(CELLS)]
    assert grid.size == (rows, columns)
    grid.reach()
    for place in places:
        row, column = divmod(place, columns)
        grid.to(row, column)
        number = float(numbers[row, column])
        assert legend.stands_for(number, grid.colour), (row, column, number, grid.colour)


def assert_it_tells_apart(legend: Legend) -> None:
    """A legend of one colour would match anything."""
    ends = legend.colours[0], legend.colours[-1]
    assert sum(abs(one - other) for one, other in zip(*ends, strict=True)) > 100
    assert len(set(legend.colours)) > len(legend.colours) / 2


@both_themes
@pytest.mark.parametrize("name", ["masked", "weights", "mixed"])
def test_a_value_of_the_flow(visit: Visit, truth: Truth, name: str, scheme: Any) -> None:
    """Around zero, as weights, and with numbers that are not finite."""
    key = f"blocks.0.attention.heads.1:{name}:0"
    one = visit(color_scheme=scheme).open(view="flow", run=RUN, text=TEXT, value=key)
    grid = Grid(one, ".open-stage .heatmap")
    numbers = truth.key(key)[0]
    finite = numbers[numbers.isfinite()]
    assert (grid.legend.low, grid.legend.high) == (float(finite.min()), float(finite.max()))
    assert (grid.legend.special is not None) == (name == "masked")
    assert_cells_match(grid, numbers, seed=1)


@both_themes
def test_the_map_of_a_head(visit: Visit, truth: Truth, scheme: Any) -> None:
    one = visit(color_scheme=scheme).open(view="heads", run=RUN, text=TEXT, layer=0, head=1)
    grid = Grid(one, ".heads-one .heatmap")
    assert (grid.legend.low, grid.legend.high) == (0.0, float(truth.maps.max()))
    assert_cells_match(grid, truth.maps[0, 1], seed=2)


@both_themes
def test_the_small_maps(visit: Visit, truth: Truth, scheme: Any) -> None:
    one = visit(color_scheme=scheme).open(view="heads", run=RUN, text=TEXT)
    legend = Legend.of(one, ".heads-all .legend")
    assert legend.high == float(truth.maps.max())
    size = truth.maps.shape[-1]
    drawn = random.Random(3)
    for layer, head in ((0, 0), (0, 1), (1, 0), (1, 1)):
        canvas = one.page.locator(f".map[data-layer='{layer}'][data-head='{head}'] canvas")
        for _ in range(CELLS):
            row, column = drawn.randrange(size), drawn.randrange(size)
            colour = canvas.evaluate(DOT, [(column + 0.5) / size, (row + 0.5) / size])
            number = float(truth.maps[layer, head, row, column])
            assert legend.stands_for(number, tuple(colour)), (layer, head, row, column)


@both_themes
def test_the_tokens_have_the_colours_of_a_heads_weights(
    visit: Visit, truth: Truth, scheme: Any
) -> None:
    pos = 9
    one = visit(color_scheme=scheme).open(
        view="heads", run=RUN, text=TEXT, layer=0, head=1, pos=pos
    )
    legend = Legend.of(one, ".heads-one .legend")
    for place in range(len(truth.ids)):
        number = float(truth.maps[0, 1, pos, place])
        colour = one.page.locator(f".token[data-pos='{place}']").evaluate(SHADE)
        assert legend.stands_for(number, tuple(colour)), place


@both_themes
def test_the_logit_lens(visit: Visit, truth: Truth, scheme: Any) -> None:
    """The last stage is the model's own answer."""
    one = visit(color_scheme=scheme).open(view="positions", run=RUN, text=TEXT)
    grid = Grid(one, ".lens .heatmap")
    shares = truth.logits.softmax(-1).amax(-1)
    legend = grid.legend
    assert_it_tells_apart(legend)
    grid.reach()
    for position in (0, 5, 11, 20, len(truth.ids) - 1):
        assert legend.stands_for(float(shares[position]), grid.to(0, position).colour), position


def test_colours_that_are_not_the_numbers_are_noticed(visit: Visit, truth: Truth) -> None:
    """The checks above would see a map that is turned, or another head's."""
    one = visit().open(view="heads", run=RUN, text=TEXT, layer=0, head=1)
    for wrong in (truth.maps[0, 1].T, truth.maps[1, 0]):
        with pytest.raises(AssertionError):
            assert_cells_match(Grid(one, ".heads-one .heatmap"), wrong, seed=4)
    assert not near((0, 0, 0), (10, 10, 10), (20, 20, 20), 4)


DOT = """
(canvas, [across, down]) => {
  const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, -Math.floor(across * canvas.width), -Math.floor(down * canvas.height));
  return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
"""

SHADE = """
(token) => getComputedStyle(token).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number)
"""
