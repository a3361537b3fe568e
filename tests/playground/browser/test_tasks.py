"""Ten tasks of a learner, done by keyboard alone.

1. Find the head that looks at the token before.
2. Open one of its weights and see all D products of its score.
3. Switch that head off and read how a logit changes.
4. Go back to an early checkpoint and see the map unformed.
5. Let the model write ten tokens at temperature 0.5.
6. Start a training and stop it.
7. Share a view by its URL.
8. Change the text and read the new loss.
9. Read the rank of the token that truly comes, at a position.
10. Find the line of source that made a value.
"""

import json
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from playattention import generate
from playattention.training.run import Run, load_run
from playattention.xray.whatif import ablate_heads
from tests.playground.browser.arithmetic import Panel
from tests.playground.browser.grid import Grid
from tests.playground.browser.grown import PLANTED, RUN, STEPS, TEXT
from tests.playground.browser.truth import Truth
from tests.playground.browser.visitor import Visitor

Visit = Callable[..., Visitor]
NO_POINTER = """
window.pointed = 0;
for (const kind of ["mousedown", "pointerdown", "touchstart", "pointermove"]) {
  addEventListener(kind, () => { window.pointed += 1; }, true);
}
"""


@pytest.fixture(scope="module")
def truth(model: Run) -> Truth:
    """What the model makes of the text."""
    return Truth(model, TEXT)


@pytest.fixture
def one(visit: Visit) -> Iterator[Visitor]:
    """Somebody with a keyboard alone, at the page."""
    visitor = visit()
    visitor.page.add_init_script(NO_POINTER)
    visitor.open(run=RUN, text=TEXT)
    yield visitor
    assert visitor.page.evaluate("() => window.pointed") == 0


def to_view(one: Visitor, view: str) -> Visitor:
    """Choose a tab: Tab reaches one of them, the arrows the others."""
    one.tab_to(".tab")
    one.page.keyboard.press("Home")
    while not one.has_focus(f"#tab-{view}"):
        before = one.focused_name()
        one.page.keyboard.press("ArrowRight")
        assert one.focused_name() != before, f"no tab of {view}"
    one.press("Enter")
    assert one.state["view"] == view
    return one


def test_1_find_the_head_that_looks_at_the_token_before(one: Visitor) -> None:
    to_view(one, "heads").tab_to_button("What do these heads look for").press("Enter")
    one.page.wait_for_selector(".roles table")
    one.settle().tab_to(".map", back=True)
    one.page.keyboard.press("Home")
    names = []
    while "previous" not in one.focused_name():
        names.append(one.focused_name())
        assert len(names) < 10, names
        one.page.keyboard.press("ArrowRight")
    one.press("Enter")
    assert (one.state["layer"], one.state["head"]) == tuple(map(str, PLANTED))
    assert f"Layer {PLANTED[0]}, head {PLANTED[1]}" in one.text(".heads-one h2")


def test_2_open_a_weight_and_see_all_products_of_its_score(one: Visitor, truth: Truth) -> None:
    layer, head = PLANTED
    to_view(one.go(layer=layer, head=head), "heads")
    Grid(one, ".heads-one .heatmap").reach().to(9, 8)
    one.press("Enter")
    assert Panel.read(one).operation == "softmax"
    for name in (r"^masked\[0, 9, 8\]", r"^scaled\[", r"^scores\["):
        one.tab_to_button(name).press("Enter")
    assert "scores[0, 9, 8]" in one.text("#arithmetic h2")
    size = truth.run.config.model.head_size
    if one.page.locator("#arithmetic .more button").count():
        one.tab_to_button(f"show all {size} terms").press("Enter")
    rows = one.page.locator("#arithmetic table.terms tbody tr")
    assert rows.count() == size
    products = [
        float(row.locator("td.right data").last.get_attribute("value") or 0) for row in rows.all()
    ]
    own = float(truth.value(f"blocks.{layer}.attention.heads.{head}:scores")[0, 9, 8])
    assert sum(products) == pytest.approx(own, rel=1e-5)


def test_3_switch_the_head_off_and_read_how_a_logit_changes(one: Visitor, truth: Truth) -> None:
    layer, head = PLANTED
    to_view(one, "what-if").tab_to(f"[aria-label='head 0 of layer {layer}']")
    one.page.keyboard.press("ArrowRight")
    assert one.focused_name() == f"head {head} of layer {layer}"
    one.press("Enter")
    assert one.state["change"] == f"ablate:{layer}.{head}"
    cells = one.numbers("[aria-label='Where the logit comes from'] tr.total")
    token = int(truth.logits[-1].argmax())
    with ablate_heads(truth.run.model, [PLANTED]):
        after = Truth(truth.run, TEXT).logits[-1, token]
    expected = [
        float(truth.logits[-1, token]),
        float(after),
        float(after - truth.logits[-1, token]),
    ]
    assert cells == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert abs(cells[2]) > 0.01


def test_4_go_back_to_an_early_checkpoint_and_see_the_map_unformed(one: Visitor) -> None:
    to_view(one.go(layer=PLANTED[0], head=PLANTED[1]), "heads")
    weights = {}
    for key, step in (("End", STEPS), ("Home", 0)):
        one.tab_to("#step").press(key)
        assert int(one.state["step"] if key == "Home" else one.state.get("step", STEPS)) == step
        grid = Grid(one, ".heads-one .heatmap").reach()
        weights[step] = [grid.to(row, row - 1).told for row in range(6, 16)]
    mean = {step: sum(row) / len(row) for step, row in weights.items()}
    assert mean[STEPS] > 0.3
    assert mean[0] < 0.15


def test_5_write_ten_tokens_at_temperature_a_half(one: Visitor, model: Run) -> None:
    to_view(one, "generate").tab_to(".knob-number").type("0.5").press("Enter")
    assert one.state["temperature"] == "0.5"
    one.tab_to_button("^10 tokens").press("Enter")
    one.page.wait_for_function("() => document.querySelectorAll('.written-token').length === 10")
    one.settle()
    ids = torch.tensor([model.tokenizer.encode(TEXT)])
    drawn = generate(
        model.model, ids, 10, temperature=0.5, generator=torch.Generator().manual_seed(0)
    )
    expected = model.tokenizer.decode(drawn[0].tolist()[ids.shape[1] :])
    names = one.page.locator(".written-token").evaluate_all("all => all.map((one) => one.title)")
    written = "".join(json.loads(name[: name.rindex(", id")]) for name in names)
    assert written == expected


def test_6_start_a_training_and_stop_it(one: Visitor, grown: Path) -> None:
    name = "by-keyboard"
    to_view(one, "train")
    if not one.page.locator("#train-name").is_visible():
        one.tab_to("summary").press("Enter")
    one.tab_to("#train-name").type(name)
    one.tab_to_button("^Start training").press("Enter")
    running = f"() => /is running/.test(document.querySelector('.watch h2')?.innerText ?? '') && location.hash.includes('{name}')"
    one.page.wait_for_function(running, timeout=60_000)
    one.page.wait_for_function(
        "() => document.querySelector('.watch progress').value > 0", timeout=60_000
    )
    one.tab_to_button("^Stop").press("Enter")
    stopped = "() => /has stopped/.test(document.querySelector('.watch h2').innerText)"
    one.page.wait_for_function(stopped, timeout=60_000)
    record = json.loads((grown / "logs" / ".jobs" / f"{name}.json").read_text())
    time.sleep(0.2)
    assert not Path(f"/proc/{record['pid']}").exists() or _is_gone(record["pid"])
    assert load_run(grown / "logs" / name).step > 0


def _is_gone(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def test_7_share_a_view_by_its_url(one: Visitor, visit: Visit) -> None:
    to_view(one, "heads").tab_to_button("^Next head").press("Enter")
    one.tab_to_button("^Previous position").press("Enter", times=3)
    Grid(one, ".heads-one .heatmap").reach().to(12, 11)
    one.press("Enter")
    other = visit(alone=True)
    other.page.goto(one.page.url)
    other.settle()
    assert other.picture() == one.picture()
    shots = []
    for visitor in (one, other):
        visitor.page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
        visitor.settle(300)
        shots.append(coarse(visitor.page.screenshot(animations="disabled", caret="hide")))
    assert shots[0].shape == shots[1].shape
    assert np.abs(shots[0] - shots[1]).max() <= 8, (
        "levels of 255: more than a line's place by a dot"
    )


def coarse(png: bytes) -> NDArray[np.float64]:
    """Return a picture's mean levels in squares of 16 dots: where lines snap to dots may differ."""
    levels = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(np.float64)
    height, width = (size // 16 for size in levels.shape[:2])
    squares = levels[: 16 * height, : 16 * width].reshape(height, 16, width, 16, 3)
    return np.asarray(squares.mean((1, 3)))


def test_8_change_the_text_and_read_the_new_loss(one: Visitor, model: Run) -> None:
    text = "Dulcie:\nI would sing thy song"
    one.tab_to("#text").type(text)
    own = Truth(model, text)
    assert one.state["text"] == text
    assert one.page.locator(".token").count() == len(own.ids)
    assert one.number(".facts") == pytest.approx(float(own.losses.mean()), rel=1e-5)


def test_9_read_the_rank_of_the_true_token_at_a_position(one: Visitor, truth: Truth) -> None:
    to_view(one, "positions")
    one.tab_to("input[aria-label=Position]").type("12").press("Enter")
    assert one.state["pos"] == "12"
    row = one.page.locator(".losses-list tr[aria-current]")
    scores = truth.logits[12]
    rank = 1 + int((scores > scores[truth.ids[13]]).sum())
    assert int(row.locator("td.right").nth(1).inner_text()) == rank


def test_10_find_the_line_of_source_that_made_a_value(one: Visitor, truth: Truth) -> None:
    to_view(one, "flow").tab_to(".stage")
    one.page.keyboard.press("Home")
    for _ in range(len(truth.trace)):
        if "scores" in one.focused_name():
            break
        one.page.keyboard.press("ArrowRight")
    one.press("Enter")
    own = truth.trace.one("blocks.0.attention.heads.0", "scores")
    lit = one.page.locator(".source .lit")
    assert lit.inner_text().strip().startswith(own.source.strip())
    assert lit.get_attribute("value") == str(own.line)
    assert own.file.endswith(one.text(".stage-source .hint").split(",")[0])
