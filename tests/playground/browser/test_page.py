"""Every view in a browser: it loads, moves with what is selected, and is there for everybody."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.playground.browser.grown import RUN, TEXT
from tests.playground.browser.views import VIEWS, Shown
from tests.playground.browser.visitor import Visitor

Visit = Callable[..., Visitor]
NAMES = {"layer": "layer", "head": "head", "pos": "position"}

every_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.id)


def test_every_view_of_the_page_is_tried_here(visit: Visit) -> None:
    one = visit().open()
    ids = one.page.evaluate(
        "async () => (await import('/views/index.js')).VIEWS.map(({ id }) => id)"
    )
    assert ids == [view.id for view in VIEWS]


def test_with_nothing_selected_it_opens_the_run_of_the_command_line(visit: Visit) -> None:
    one = visit().open()
    assert one.page.locator("#run").input_value() == RUN
    assert one.page.locator(".token").count() > 10
    assert one.page.locator("#view canvas").first.is_visible()
    assert one.page.title().endswith("playattention")


@every_view
def test_a_view_loads_and_tells_a_number_where_one_points(visit: Visit, view: Shown) -> None:
    one = visit().open(**view.state)
    assert one.page.locator(".tab[aria-selected=true]").get_attribute("data-view") == view.id
    assert one.page.locator("#text").input_value() == TEXT
    assert one.page.locator(".problem:visible").count() == 0
    assert len(one.text()) > 100
    if not view.points_at:
        return
    target = one.page.locator(f"#view {view.points_at}").first
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    found = set()
    for share in (0.45, 0.7, 0.95):
        one.page.mouse.move(box["x"] + share * box["width"], box["y"] + share * box["height"])
        one.settle()
        found.add(one.page.locator(f"#view {view.tells_in}").first.text_content())
    assert len(found) > 1
    assert all(re.search(r"\d", told or "") for told in found), found


@every_view
def test_what_is_selected_moves_a_view_and_the_url_restores_it(visit: Visit, view: Shown) -> None:
    """Another picture where the selection means something; the same for who is sent the URL."""
    own = {"layer": 0, "head": 0, "pos": 3}
    one = visit().open(**view.state, **own)
    for axis, name in NAMES.items():
        before = one.picture()
        one.page.get_by_role("button", name=f"Next {name}", exact=True).click()
        after = one.settle().picture()
        assert one.state[axis] == str(own[axis] + 1)
        assert after["selected"] != before["selected"]
        rest = [{**picture, "selected": ""} for picture in (before, after)]
        assert (rest[0] != rest[1]) == (axis in view.moves), axis
    open_a_cell(one)
    one.page.mouse.move(0, 0)
    other = visit(alone=True)
    other.page.goto(one.page.url)
    assert_same(other.settle(), one.settle())
    assert other.state == one.state


def assert_same(one: Visitor, other: Visitor) -> None:
    """Both show the same; else, tell where they differ."""
    pictures = one.picture(), other.picture()
    for part, shown in pictures[0].items():
        assert shown == pictures[1][part], part


@every_view
def test_back_and_forward_go_through_the_views(visit: Visit, view: Shown) -> None:
    other = next(other for other in VIEWS if other.id != view.id)
    one = visit().open(**view.state)
    before = one.picture()
    one.page.locator(f"#tab-{other.id}").click()
    assert one.settle().state["view"] == other.id
    one.page.go_back()
    assert one.settle().picture() == before
    one.page.go_forward()
    assert one.settle().state["view"] == other.id


@every_view
def test_a_view_fits_every_width(visit: Visit, view: Shown) -> None:
    """Opened on a phone; then made wider and narrower, with the arithmetic open and without."""
    one = visit(viewport={"width": 360, "height": 800}).open(**view.state)
    assert_it_fits(one)
    one.page.set_viewport_size({"width": 1600, "height": 900})
    one.settle(150)
    open_a_cell(one)
    for width in (1600, 900, 360):
        one.page.set_viewport_size({"width": width, "height": 800})
        one.settle(150)
        assert_it_fits(one)
    one.page.keyboard.press("Escape")
    one.page.set_viewport_size({"width": 900, "height": 800})
    assert_it_fits(one.settle(150))


def open_a_cell(one: Visitor) -> None:
    """Click at a cell, in a view that has some: its arithmetic opens, or its details."""
    canvas = one.page.locator("#view .heatmap-grid canvas:visible").first
    if canvas.count():
        before = one.state
        canvas.scroll_into_view_if_needed()
        canvas.click(position={"x": 100, "y": 50})
        assert one.settle().state != before
        assert one.page.locator("#arithmetic").is_visible() or "stage" in one.state


def assert_it_fits(one: Visitor) -> None:
    """Nothing is wider than the window, and nothing is cut off to have it so."""
    found = one.page.evaluate(
        """() => ({
          wide: document.scrollingElement.scrollWidth, room: document.documentElement.clientWidth,
          cut: [document.documentElement, document.body].map((one) => getComputedStyle(one).overflowX),
        })"""
    )
    assert found["wide"] <= found["room"], found
    assert not {"hidden", "clip"} & set(found["cut"])


@every_view
def test_dark_mode(visit: Visit, view: Shown) -> None:
    light = visit().open(**view.state)
    dark = visit(color_scheme="dark").open(**view.state)
    assert brightness(light, "backgroundColor") > 0.8
    assert brightness(light, "color") < 0.4
    assert brightness(dark, "backgroundColor") < 0.2
    assert brightness(dark, "color") > 0.6
    pictures = light.picture(), dark.picture()
    assert pictures[0]["canvases"] != pictures[1]["canvases"] or not pictures[0]["canvases"]
    assert pictures[0]["view"] == pictures[1]["view"]
    light.page.emulate_media(color_scheme="dark")
    assert_same(light.settle(150), dark)
    light.page.get_by_role("button", name="Switch between light and dark").click()
    assert light.settle(150).picture() == pictures[0]
    assert light.state["theme"] == "light"


def brightness(one: Visitor, part: str) -> float:
    """Return how light the page's paper or ink is, from 0 to 1."""
    words = one.page.evaluate("part => getComputedStyle(document.body)[part]", part)
    red, green, blue = (float(number) for number in words.strip("rgb()").split(","))
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


MOVING = """
() => [...document.querySelectorAll("*")].filter((one) => {
  const { transitionDuration, animationName, animationDuration, scrollBehavior } = getComputedStyle(one);
  const long = (words) => words.split(",").some((word) => parseFloat(word) > 0.01);
  return long(transitionDuration) || (animationName !== "none" && long(animationDuration)) || scrollBehavior === "smooth";
}).map((one) => one.className || one.id || one.tagName)
"""


@every_view
def test_reduced_motion(visit: Visit, view: Shown) -> None:
    still = visit(reduced_motion="reduce").open(**view.state)
    assert still.page.evaluate(MOVING) == []
    still.page.get_by_role("button", name="Next layer").click()
    assert still.page.evaluate("() => document.getAnimations().length") == 0
    still.page.emulate_media(reduced_motion="no-preference")
    assert still.page.evaluate(MOVING)  # else the test above would hold of anything


@every_view
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(visit: Visit, view: Shown, scheme: Any, axe: str) -> None:
    one = visit(color_scheme=scheme, viewport={"width": 1600, "height": 900}).open(**view.state)
    open_a_cell(one)
    assert serious(one, axe) == []


def serious(one: Visitor, axe: str) -> list[str]:
    """Return what axe-core finds that keeps somebody out."""
    one.page.evaluate(axe)
    found = one.page.evaluate("async () => (await axe.run(document)).violations")
    return [
        f"{fault['id']}: {node['target']} {node.get('failureSummary', '')}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
