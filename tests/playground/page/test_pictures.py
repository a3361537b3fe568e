"""Matrices as pictures: colours that mean their numbers, cells that are found."""

import math
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

Run = Callable[..., Any]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["diverging", "weights", "surprise"])
def test_a_scale_goes_one_way_and_its_middle_is_the_ground(
    page: Any, run: Run, theme: str, kind: str
):
    page.emulate_media(color_scheme=theme)
    light, ground = run(
        page,
        "const {Scale, colour} = await load('colours'); const scale = new Scale(given, -2, 2);"
        "const bright = (rgb) => 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];"
        "const at = Array.from({length: 65}, (_, place) => (place - 32) / 16);"
        "return [at.map((number) => bright(scale.rgb(number))), bright(colour('--card'))];",
        kind,
    )
    upper = light[32:]
    assert abs(upper[0] - ground) < 20  # zero is hardly to be seen
    sign = 1 if theme == "dark" else -1
    steps = [sign * (after - before) for before, after in pairwise(upper)]
    assert min(steps) >= -1
    if kind == "diverging":
        assert max(abs(one - other) for one, other in zip(light, light[::-1], strict=True)) < 30


@pytest.mark.parametrize("dots", [1, 2, 1.5])
@pytest.mark.parametrize("kind", ["diverging", "weights"])
def test_a_cell_has_the_colour_that_the_legend_gives_its_number(
    blank: Run, run: Run, dots: float, kind: str
):
    numbers = [random.Random(7).gauss(0, 1) for _ in range(12 * 30)]
    numbers[5], numbers[6] = -math.inf, math.nan
    if kind == "weights":
        numbers = [abs(number) for number in numbers]
    tab = blank(device_scale_factor=dots)
    wrong = run(
        tab,
        "const {Heatmap} = await load('heatmap'); const {scaleOf} = await load('colours');"
        "const {layout} = await load('heatmap_paint');"
        "const map = new Heatmap(); document.body.append(map.element);"
        "const data = Float32Array.from(given[0].map(Number));"
        "const scale = scaleOf(data, given[1]);"
        "const picture = {data, rows: 12, columns: 30, scale, rowAxis: {title: 'r'},"
        "  columnAxis: {title: 'c'}, label: 'numbers'}; map.show(picture);"
        "const at = layout(picture, {width: map.scroll.clientWidth, height: 460});"
        "const context = map.canvas.getContext('2d'); const dots = devicePixelRatio;"
        "const wrong = [];"
        "for (let row = 0; row < 12; row++) for (let column = 0; column < 30; column++) {"
        "  const x = Math.round((at.left + (column + 0.5) * at.cellWidth) * dots);"
        "  const y = Math.round((at.top + (row + 0.5) * at.cellHeight) * dots);"
        "  const pixel = [...context.getImageData(x, y, 1, 1).data].slice(0, 3);"
        "  const wanted = scale.rgb(data[row * 30 + column]);"
        "  if (pixel.join() !== wanted.join()) wrong.push([row, column, pixel, wanted]);"
        "} return wrong;",
        [[str(number).replace("inf", "Infinity") for number in numbers], kind],
    )
    assert wrong == []


def test_a_legend_shows_the_range_that_the_numbers_have(page: Any, run: Run):
    found = run(
        page,
        "const {legend} = await load('legend'); const {scaleOf} = await load('colours');"
        "const told = legend(scaleOf([-3, 0.5, -Infinity, 1.25], 'diverging'));"
        "const canvas = told.querySelector('canvas');"
        "const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, 1).data;"
        "const scale = scaleOf([-3, 1.25], 'diverging'); const last = pixels.length - 4;"
        "return [told.textContent, [...pixels.slice(0, 3)], scale.rgb(-3),"
        "  [...pixels.slice(last, last + 3)], scale.rgb(1.25)];",
    )
    assert found[0].replace("\N{MINUS SIGN}", "-") == "-31.250-\N{INFINITY}"
    assert found[1] == found[2]
    assert found[3] == found[4]


HEATMAP = """
const {Heatmap} = await load('heatmap'); const {scaleOf} = await load('colours');
window.opened = []; window.hovered = [];
const data = Float32Array.from({length: given[0] * given[1]}, (_, place) => place);
const [onOpen, onHover] = [(...cell) => opened.push(cell), (cell) => hovered.push(cell)];
const map = new Heatmap({onOpen, onHover});
const live = document.createElement('div'); live.id = 'live';
document.body.append(map.element, live);
map.show({data, rows: given[0], columns: given[1], scale: scaleOf(data, 'diverging'),
  label: 'Counted', rowAxis: {title: 'down'}, columnAxis: {title: 'right'}});
"""


def test_the_keyboard_moves_over_cells_and_opens_one(page: Any, run: Run):
    run(page, HEATMAP, [20, 30])
    grid = page.get_by_role("grid", name="Counted")
    assert grid.get_attribute("aria-rowcount") == "20"
    assert grid.get_attribute("aria-colcount") == "30"
    grid.focus()
    for key in ["ArrowDown", "ArrowDown", "ArrowRight", "PageDown", "End", "ArrowLeft", "Enter"]:
        page.keyboard.press(key)
    assert page.evaluate("opened") == [[12, 28]]
    assert page.locator("[role=gridcell]").count() == 1
    assert page.locator("[role=gridcell]").text_content() == "12, 28 = 388"
    assert page.locator("#live").text_content() == "12, 28 = 388"
    for key in ["Control+Home", "ArrowUp", "ArrowLeft", "Space", "Control+End", "Enter"]:
        page.keyboard.press(key)
    assert page.evaluate("opened") == [[12, 28], [0, 0], [19, 29]]


def test_the_pointer_finds_the_cell_under_it(page: Any, run: Run):
    run(page, HEATMAP, [4, 6])
    box = page.locator(".heatmap-grid canvas").bounding_box()
    x, y = box["x"] + box["width"] - 8, box["y"] + box["height"] - 8
    page.mouse.move(x, y)
    assert page.evaluate("hovered.at(-1)") == [3, 5]
    assert page.locator(".readout").text_content() == "3, 5 = 23"
    page.mouse.click(x, y)
    assert page.evaluate("opened") == [[3, 5]]
    page.mouse.move(x, y + 300)
    assert page.evaluate("hovered.at(-1)") is None


def test_a_million_cells_are_one_canvas(page: Any, run: Run):
    run(page, HEATMAP, [1024, 1024])
    assert page.locator(".heatmap *").count() < 40
    assert page.evaluate("document.documentElement.scrollWidth") <= 900  # scrolls by itself
    width, height = page.evaluate(
        "[document.querySelector('.heatmap-grid canvas')].map((c) => [c.width, c.height])[0]"
    )
    assert width >= 1024
    assert height >= 1024


def test_a_small_picture_shows_numbers_that_there_are_the_largest_of_each_part(page: Any, run: Run):
    matrix = torch.randn(64, 50, generator=torch.Generator().manual_seed(3))
    found = run(
        page,
        "const {reduced} = await load('thumbnail');"
        "return [...reduced({data: given, rows: 64, columns: 50}, 8, 10)];",
        matrix.flatten().tolist(),
    )
    blocks = matrix.reshape(8, 8, 10, 5).permute(0, 2, 1, 3).reshape(80, 40)
    largest = blocks.gather(1, blocks.abs().argmax(1, keepdim=True)).flatten()
    assert torch.tensor(found).tolist() == largest.tolist()
