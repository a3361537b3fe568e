"""The course in a browser: by keyboard alone, with an editor beside it that saves files."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from playattention.course import exercise
from playattention.course.exercise import Exercise
from playattention.course.judge import Verdict, judge, load
from tests.playground.browser.grid import Grid
from tests.playground.browser.grown import RUN, TEXT
from tests.playground.browser.test_page import assert_it_fits, serious
from tests.playground.browser.visitor import Visitor

Visit = Callable[..., Visitor]
ALONE = 3.0
"""Seconds from a save to the verdict, where the machine is not busy with other things."""
TRIES = 3
APART = "yours \N{MINUS SIGN} right"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def folder(grown: Path) -> Iterator[Path]:
    """Where the learner's files lie; gone afterwards, as other tests look at the same server."""
    yield grown / "exercises"
    shutil.rmtree(grown / "exercises", ignore_errors=True)


@pytest.fixture
def mask() -> Exercise:
    """The exercise that is done here."""
    return exercise("causal_mask")


def learn(visit: Visit, mask: Exercise, **options: object) -> Visitor:
    """Come to the exercise and start it, by keys."""
    one = visit(**options).open(view="learn", run=RUN, text=TEXT, exercise=mask.name)
    one.tab_to_button("^Start$")
    one.page.keyboard.press("Enter")
    one.page.wait_for_selector(".not-yet")
    assert "not written yet" in one.text(".message")
    assert one.focused_name() == "Check now"
    return one


def wrong(mask: Exercise, name: str) -> str:
    """Return a file with a mistake that is known by name."""
    return mask.wrong(next(mistake for mistake in mask.mistakes if mistake.name == name))


def told(one: Visitor, mistake: str) -> float:
    """Wait until a mistake is named; return the seconds."""
    began = time.monotonic()
    one.page.wait_for_selector(f".not-yet[data-mistake='{mistake}']")
    return time.monotonic() - began


def verdict_of(mask: Exercise, source: str) -> Verdict:
    """Return what the checker finds, here."""
    return judge(mask, load(source, "own"))


def cells(one: Visitor, name: str, rows: int, columns: int) -> list[list[float]]:
    """Return what is told of each cell of a picture, reached by keys."""
    grid = Grid(one, f".lesson-map[data-name='{name}'] .heatmap").reach()
    assert grid.size == (rows, columns)
    return [[grid.to(row, column).told for column in range(columns)] for row in range(rows)]


def test_the_list_goes_by_keys(visit: Visit, folder: Path) -> None:
    one = visit().open(view="learn", run=RUN, text=TEXT)
    assert one.page.locator(".lesson").count() == 18
    one.tab_to(".lesson")
    one.page.keyboard.press("End")
    one.press("Enter")
    assert one.state["exercise"] == "break_it"
    assert "18. Break it" in one.text(".lesson-task h2")
    one.page.go_back()
    assert "1. A character tokenizer" in one.settle().text(".lesson-task h2")


def test_a_saved_mistake_is_named_by_itself_within_seconds(
    visit: Visit, folder: Path, mask: Exercise
) -> None:
    """The best of a few tries: a busy machine may take its time over one."""
    one = learn(visit, mask)
    times = []
    for name in ("triangle flipped", "filled with 0", "softmax over the queries")[:TRIES]:
        (folder / mask.file).write_text(wrong(mask, name))
        times.append(told(one, name))
    assert min(times) < ALONE, times
    parts = [part.inner_text() for part in one.page.locator(".message dt").all()]
    assert [part.lower() for part in parts] == ["observed", "evidence", "cause", "read"]
    announced = one.text("#live")
    assert announced.startswith("causal_mask: not yet.")


@pytest.mark.parametrize("mistake", ["masked on one path only", "diagonal masked too"])
def test_both_pictures_are_the_tensors(
    visit: Visit, folder: Path, mask: Exercise, mistake: str
) -> None:
    """Cell by cell, in numbers and colours, and so is their difference; not finite ones too."""
    one = learn(visit, mask)
    source = wrong(mask, mistake)
    (folder / mask.file).write_text(source)
    told(one, mistake)
    difference = verdict_of(mask, source).difference
    assert difference is not None
    assert difference.within is not None
    leading = difference.index[:-2]
    got, right = (tensor[leading] for tensor in difference.within)
    assert f"[{', '.join(map(str, difference.index))}]" in one.text(".lesson-pictures")
    for name, own in (("yours", got), ("right", right), (APART, got - right)):
        shown = torch.tensor(cells(one, name, *own.shape), dtype=torch.float64)
        torch.testing.assert_close(shown, own, rtol=0, atol=0, equal_nan=True)
        grid = Grid(one, f".lesson-map[data-name='{name}'] .heatmap").reach()
        for row, column in ((0, 0), (1, 1), (1, 3)):
            number = grid.to(row, column).told
            assert grid.legend.stands_for(number, grid.colour), (name, row, column)
    scales = {
        (legend.low, legend.high)
        for name in ("yours", "right")
        for legend in [Grid(one, f".lesson-map[data-name='{name}'] .heatmap").legend]
    }
    assert len(scales) == 1
    marks = one.page.locator(".lesson-map .mark-selected:visible")
    assert marks.count() == 3


def test_a_right_file_passes_and_leads_to_the_next(
    visit: Visit, folder: Path, mask: Exercise
) -> None:
    one = learn(visit, mask)
    (folder / mask.file).write_text(mask.solution)
    one.page.wait_for_selector(".right-now")
    assert "all 14 properties hold" in one.text(".verdict")
    assert one.page.locator(".lesson-pictures").is_hidden()
    one.page.wait_for_selector(".lesson[data-state=passed]")
    assert "1 of 18 passed" in one.text(".lesson-list")
    assert one.page.locator(".lesson-list progress").evaluate("one => one.position") == 1 / 18
    one.tab_to(".next").press("Enter")
    assert one.state["exercise"] == "many_heads"
    assert "7. Many heads" in one.text(".lesson-task h2")


def test_a_file_that_loops_is_told_and_the_page_stays_alive(
    visit: Visit, folder: Path, mask: Exercise
) -> None:
    one = learn(visit, mask)
    (folder / mask.file).write_text("def causal_softmax(scores):\n    while True:\n        pass\n")
    one.page.wait_for_selector(".lesson-busy:text('Checking')")
    one.tab_to_button("^Hint 1")
    one.page.keyboard.press("Enter")
    one.page.wait_for_selector(".hints li")
    assert one.text(".hints") == mask.hints[0]
    one.page.wait_for_selector(".message:has-text('was not done after')")
    assert "line 2" in one.text(".message") or "line 3" in one.text(".message")
    (folder / mask.file).write_text(mask.solution)
    one.page.wait_for_selector(".right-now")


def test_what_is_no_tensor_is_told_in_words(visit: Visit, folder: Path, mask: Exercise) -> None:
    one = learn(visit, mask)
    source = "def causal_softmax(scores):\n    return scores[0]\n"
    (folder / mask.file).write_text(source)
    one.page.wait_for_selector(".lesson-pictures dd:text-is('[3, 4, 4]')")
    difference = verdict_of(mask, source).difference
    assert difference is not None
    yours, right = (words.inner_text() for words in one.page.locator(".lesson-pictures dd").all())
    assert (yours, right) == (str(difference.got), str(difference.wanted))
    assert one.page.locator(".lesson-map:visible").count() == 0


def test_a_file_that_is_gone_can_be_started_anew(
    visit: Visit, folder: Path, mask: Exercise
) -> None:
    one = learn(visit, mask)
    (folder / mask.file).unlink()
    one.page.wait_for_selector(".lesson-task button:text-is('Start')")
    assert "Nothing to check yet" in one.text(".lesson-found")


def test_an_exercise_that_is_none_is_told(visit: Visit, folder: Path) -> None:
    one = visit().open(view="learn", run=RUN, text=TEXT, exercise="nonsense")
    assert "nonsense: there is none" in one.text(".lesson-side .problem")
    one.tab_to(".lesson").press("Enter")
    assert one.page.locator(".lesson-side .problem").is_hidden()
    assert one.page.locator(".lesson-task h2").is_visible()


def test_nothing_is_asked_once_another_view_is_open(visit: Visit, folder: Path) -> None:
    one = visit().open(view="learn", run=RUN, text=TEXT)
    one.go(view="flow")
    before = len(one.asked)
    one.page.wait_for_timeout(1500)
    assert not [url for url in one.asked[before:] if "exercises" in url]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_mistake_fits_every_width_and_keeps_nobody_out(
    visit: Visit, folder: Path, mask: Exercise, scheme: str, axe: str
) -> None:
    one = learn(visit, mask, color_scheme=scheme)
    (folder / mask.file).write_text(wrong(mask, "masked on one path only"))
    told(one, "masked on one path only")
    for width in (360, 900, 1600):
        one.page.set_viewport_size({"width": width, "height": 900})
        assert_it_fits(one.settle(150))
        assert serious(one, axe) == []
