"""Over training, what if and backward in a browser: every number shown is the model's own."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import torch

from playattention.training.run import load_run
from playattention.xray import (
    ablate_feed_forward,
    ablate_heads,
    backward,
    difference,
    ledger,
    next_step,
    watch,
)
from tests.playground.chromium import launched, served
from tests.playground.conftest import seen

pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")

from playwright.sync_api import Browser, Page, expect

RUN = "small-gpt"
TEXT = "The cup is on"
HEAD = "blocks.1.attention.heads.1"
"""The value that is shown is this head's map."""
JOINED = "blocks.0.attention:joined:0"
IDS = ("over-training", "what-if", "backward")
Visit = Callable[..., Page]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The one browser."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(home: Path, chromium: Browser) -> Iterator[str]:
    """Where a server answers; started only where there is a browser."""
    with served(home) as url:
        yield url


@pytest.fixture
def visit(chromium: Browser, address: str) -> Iterator[Visit]:
    """Open the page in a tab; in the end no console may have said a word of trouble."""
    troubles: list[str] = []
    contexts = []

    def come(view: str, *, width: int = 1280, theme: str = "light", **state: Any) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda said: said.type in ("error", "warning") and troubles.append(said.text),
        )
        words = {"view": view, "run": RUN, "text": TEXT, "layer": 1, "head": 1, "theme": theme}
        page.goto(f"{address}#{urlencode({**words, **state})}")
        return settled(page)

    yield come
    for context in contexts:
        context.close()
    assert troubles == []


def settled(page: Page) -> Page:
    """Wait until the view is drawn."""
    page.locator("#view[aria-busy=false] .card").first.wait_for()
    before = ""
    for _ in range(100):
        page.wait_for_timeout(120)
        shown = page.locator("#view").inner_text()
        if shown == before and page.locator("#view[aria-busy=false]").count():
            return page
        before = shown
    raise AssertionError("the view does not come to rest")


def state(page: Page) -> dict[str, str]:
    """Return what the URL selects."""
    return dict(parse_qsl(page.url.partition("#")[2], keep_blank_values=True))


def numbers(page: Page, selector: str) -> list[float]:
    """Return the numbers shown there, with all their digits."""
    found = page.locator(f"{selector} data")
    found.first.wait_for()
    return [float(one.get_attribute("value") or "nan") for one in found.all()]


def cells(page: Page, selector: str) -> list[list[float]]:
    """Return the numbers of a table, row by row."""
    rows = page.locator(f"{selector} tbody tr")
    rows.first.wait_for()
    return [
        [float(one.get_attribute("value") or "nan") for one in row.locator("data").all()]
        for row in rows.all()
    ]


def again(page: Page) -> Page:
    """Load the page anew."""
    page.reload()
    return settled(page)


def biggest(now: torch.Tensor, then: torch.Tensor) -> list[list[float]]:
    """Return then, now and the change of the numbers that changed most."""
    change = (now - then).flatten()
    places = change.abs().argsort(descending=True, stable=True)[:8]
    columns = [then.flatten(), now.flatten(), change]
    return [[column[place].item() for column in columns] for place in places.tolist()]


def close(shown: Any, own: Any) -> bool:
    """Tell whether numbers are the same but for how sums were rounded."""
    return bool(torch.allclose(torch.tensor(shown), torch.tensor(own), rtol=1e-5, atol=1e-7))


@pytest.mark.parametrize("view", IDS)
@pytest.mark.parametrize("width", [360, 900, 1600])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_view_fits_every_width_in_both_themes(visit: Visit, view: str, width: int, theme: str):
    page = visit(view, width=width, theme=theme, change="ablate:1.1")
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) == 0
    assert page.locator("#view .legend").count() > 0
    assert page.locator("#view .problem:visible").count() == 0
    assert page.locator("html").get_attribute("data-theme") == theme


def test_over_training_tells_the_losses(visit: Visit, home: Path):
    page = visit("over-training")
    with (home / "logs" / RUN / "log.csv").open(encoding="utf-8") as file:
        rows = {int(row["step"]): row["eval_val_loss"] for row in csv.DictReader(file)}
    own = [seen(home, RUN, TEXT, step).one("", "loss").tensor.item() for step in (0, 4)]
    validation, text = cells(page, ".over-losses")
    assert close(validation[:2], [float(rows[0]), float(rows[4])])
    assert close(text, [*own, own[1] - own[0]])


@pytest.mark.parametrize("other", [0, 2])
def test_over_training_compares_two_checkpoints(visit: Visit, home: Path, other: int):
    page = visit("over-training", step=4, other_step=other)
    traces = [seen(home, RUN, TEXT, step) for step in (4, other)]
    now, then = (trace.one(HEAD, "weights").tensor[0] for trace in traces)
    assert close(cells(page, ".biggest"), biggest(now, then))
    shares = [
        share
        for value, share in difference(*traces).shares.items()
        if not value.name.startswith("return")
    ]
    assert close(numbers(page, ".shares"), shares[:8])
    legend = page.locator(".compare-map[data-kind=change] .legend")
    assert float(legend.get_attribute("data-high") or 0) == (now - then).max().item()


def test_over_training_shows_every_checkpoint_on_one_scale(visit: Visit, home: Path):
    page = visit("over-training")
    steps = [one.get_attribute("data-step") for one in page.locator(".strip-one").all()]
    assert steps == ["0", "2", "4"]
    highest = max(
        seen(home, RUN, TEXT, step).one(HEAD, "weights").tensor.max().item() for step in (0, 2, 4)
    )
    assert float(page.locator(".strip .legend").get_attribute("data-high") or 0) == highest
    page.locator("#view select").first.select_option(":loss:0")
    expect(page.locator(".strip data")).to_have_count(3)
    own = [seen(home, RUN, TEXT, step).one("", "loss").tensor.item() for step in (0, 2, 4)]
    assert numbers(page, ".strip") == own


def test_over_training_moves_by_keyboard_and_is_restored(visit: Visit):
    page = visit("over-training")
    page.locator("#over-step").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator('.strip-one[aria-pressed="true"]')).to_have_attribute("data-step", "2")
    assert state(page)["step"] == "2"
    assert page.locator("#step").input_value() == "1"  # the slider of every view
    expect(page.locator("#over-step")).to_be_focused()
    page.locator('.strip-one[data-step="2"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator('.strip-one[data-step="4"]')).to_have_attribute("aria-pressed", "true")
    expect(page.locator('.strip-one[data-step="4"]')).to_be_focused()
    page.locator("#over-other").select_option("2")
    assert state(page)["other_step"] == "2"
    page.get_by_role("button", name="exchange").press("Enter")
    expect(page.locator("#over-other")).to_have_value("4")
    assert (state(page)["step"], state(page)["other_step"]) == ("2", "4")
    shown = cells(settled(page), ".biggest")
    assert cells(again(page), ".biggest") == shown


def test_over_training_compares_two_runs(visit: Visit, home: Path):
    page = visit("over-training", other="small-gpt2", other_step=4)
    now = seen(home, RUN, TEXT).one(HEAD, "weights").tensor[0]
    then = seen(home, "small-gpt2", TEXT).one("blocks.1.attention", "weights").tensor[0, 1]
    assert close(cells(page, ".biggest"), biggest(now, then))
    page.locator("#view select").first.select_option(f"{HEAD}:query:0")
    expect(page.locator("#view .problem")).to_contain_text("has no value")


def test_one_checkpoint_alone_is_told(visit: Visit):
    page = visit("over-training", run="untrained:gpt", text="Pip: Hail")
    expect(page.locator("#over-told")).to_contain_text("the only checkpoint")
    assert page.locator("#over-step").is_disabled()
    assert "Both are the same checkpoint" in page.locator("#view").inner_text()
    assert page.locator(".compare-map:visible").count() == 1


@pytest.mark.parametrize("by", ["zero", "mean"])
def test_what_if_switches_a_head_off_by_keyboard(visit: Visit, home: Path, by: str):
    page = visit("what-if")
    assert "Nothing is changed" in page.locator("#view").inner_text()
    page.locator("#off-means").select_option(by)
    page.locator("#off-means").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    switch = page.get_by_role("switch", name="head 1 of layer 0")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()
    word = {"zero": "ablate:0.1", "mean": "ablate-mean:0.1"}[by]
    assert (state(page)["change"], state(page)["layer"], state(page)["head"]) == (word, "0", "1")
    page = again(page)
    expect(page.locator(".change-note")).to_contain_text("head 0.1 mixes")
    _check_effect(page, home, by)
    page.get_by_role("button", name="Undo all").press("Enter")
    expect(page.locator(".change-note")).to_be_hidden()
    assert "change" not in state(page)
    expect(switch).to_have_attribute("aria-checked", "true")


def _check_effect(page: Page, home: Path, by: Any) -> None:
    """Compare what is shown of head 0.1 ablated with what the model gives."""
    run = load_run(home / "logs" / RUN)
    ids = run.tokenizer.encode(TEXT)
    idx, targets = torch.tensor([ids]), torch.tensor([[*ids[1:], -100]])
    before = watch(run.model, idx, targets)
    old = before.one("", "logits").tensor[0, -1].double().softmax(0)
    token = int(old.argmax())
    first = ledger(run.model, idx, -1, token)
    with ablate_heads(run.model, [(0, 1)], by, idx if by == "mean" else None):
        after = watch(run.model, idx, targets)
        second = ledger(run.model, idx, -1, token)
    new = after.one("", "logits").tensor[0, -1].double().softmax(0)
    losses = [trace.one("", "loss").tensor.item() for trace in (before, after)]
    assert close(numbers(page, ".loss-told"), [*losses, losses[1] - losses[0]])
    rows = page.locator("[aria-label='Next token'] tbody tr")
    tokens = [
        int(one.locator("[data-token]").get_attribute("data-token") or -1) for one in rows.all()
    ]
    assert token in tokens
    own = [[old[one].item(), new[one].item(), (new - old)[one].item()] for one in tokens]
    assert close(cells(page, "[aria-label='Next token']"), own)
    sums = cells(page, "[aria-label='Where the logit comes from']")
    assert close(sums[-1], [first.logit, second.logit, second.logit - first.logit])
    amounts = [
        (one.amount, two.amount) for one, two in zip(first.entries, second.entries, strict=True)
    ]
    largest = max(amounts, key=lambda pair: abs(pair[1] - pair[0]))
    assert close(sums[0], [*largest, largest[1] - largest[0]])
    page.locator("#view [aria-label='Before and after'] select").select_option(JOINED)
    expect(page.locator(".compare-map[data-kind=now] [role=grid]")).to_have_attribute(
        "aria-label", re.compile("joined")
    )
    now, then = (trace.one("blocks.0.attention", "joined").tensor[0] for trace in (after, before))
    assert close(cells(settled(page), ".biggest"), biggest(now, then))


def test_what_if_takes_many_changes_and_takes_each_back(visit: Visit, home: Path):
    page = visit("what-if", pos=5)
    page.get_by_role("switch", name="feed-forward, layer 1", exact=True).click()
    page.get_by_role("switch", name="causal mask in all layers").click()
    expect(page.get_by_role("switch", name="causal mask, layer 0")).to_have_attribute(
        "aria-disabled", "true"
    )
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("switch", name="scale of the scores, layer 0")).to_have_text(
        re.compile("0.5$")
    )
    page.get_by_role("button", name="itself alone").click()
    page.get_by_role("button", name="Replace").click()
    page.get_by_role("button", name="Exchange", exact=True).click()
    expect(page.locator(".change-word")).to_have_count(5)
    row = "0,0,0,0,0,1"
    words = f"ablate-ff:1 no-mask scale:0.5 look:1.1.5={row} swap:4.5"
    assert state(page)["change"] == words
    expect(page.locator(".tokens .token-text").nth(4)).to_have_text(TEXT[5])
    page.get_by_role("button", name="Undo: no causal mask").press("Enter")
    expect(page.locator(".change-word")).to_have_count(4)
    assert state(page)["change"] == words.replace(" no-mask", "")
    assert page.locator(".change-word button:focus").count() == 1


def test_what_if_without_a_feed_forward(visit: Visit, home: Path):
    page = visit("what-if", change="ablate-ff:0")
    run = load_run(home / "logs" / RUN)
    ids = run.tokenizer.encode(TEXT)
    idx, targets = torch.tensor([ids]), torch.tensor([[*ids[1:], -100]])
    with ablate_feed_forward(run.model, [0]):
        changed = watch(run.model, idx, targets)
    shares = difference(changed, watch(run.model, idx, targets)).shares
    own = [share for value, share in shares.items() if not value.name.startswith("return")]
    assert close(numbers(page, ".shares"), own[:8])


@pytest.mark.parametrize(
    ("field", "typed", "button", "told"),
    [
        ("#look-row", "half", "Replace", "numbers with commas"),
        ("#look-row", ",".join("1" * 99), "Replace", "99 weights"),
        ("#swap-one", "99", "Exchange", "Positions go from 0 to 12"),
        ("#scale-factor", "", "Apply", "A scale is a number"),
    ],
)
def test_what_if_refuses_in_words(visit: Visit, field: str, typed: str, button: str, told: str):
    page = visit("what-if")
    page.locator(field).fill(typed)
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator(".change-forms .problem")).to_contain_text(told)
    assert "change" not in state(page)


def test_backward_shows_the_gradients(visit: Visit, home: Path):
    page = visit("backward")
    run = load_run(home / "logs" / RUN)
    ids = run.tokenizer.encode(TEXT)
    found = backward(run.model, torch.tensor([ids]), torch.tensor([[*ids[1:], -100]]))
    assert close(numbers(page, ".way > div p")[:2], [found.loss.item(), found.norm])
    shown = {}
    for one in page.locator(".norm:not(.none)").all():
        module, name, occurrence = (one.get_attribute("data-key") or "").rsplit(":", 2)
        length = float(one.locator("data").get_attribute("value") or 0)
        shown[module, name, int(occurrence)] = length
    assert (HEAD, "query", 0) in shown
    assert ("blocks.0.attention", "joined", 0) not in shown  # of another layer
    own = [found.of(*key) for key in shown]
    assert close([*shown.values()], [0.0 if one is None else one.norm().item() for one in own])


def test_backward_opens_a_value_by_keyboard(visit: Visit, home: Path):
    page = visit("backward", value=f"{HEAD}:scaled:0")
    page.locator('.norm[aria-pressed="true"]').focus()
    page.keyboard.press("ArrowUp")  # towards the loss
    page.keyboard.press("Enter")
    expect(page.locator(".gradient-stage h2")).to_have_text(f"{HEAD}:masked")
    assert state(page)["value"] == f"{HEAD}:masked:0"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator(".gradient-stage h2")).to_have_text(f"{HEAD}:weights")
    page = again(page)
    expect(page.locator(".gradient-stage h2")).to_have_text(f"{HEAD}:weights")
    run = load_run(home / "logs" / RUN)
    ids = run.tokenizer.encode(TEXT)
    found = backward(run.model, torch.tensor([ids]), torch.tensor([[*ids[1:], -100]]))
    gradient = found.of(HEAD, "weights")
    assert gradient is not None
    grid = page.locator(".gradient-side [role=grid]")
    grid.focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert numbers(page, ".gradient-side .readout") == [gradient[0, 3, 1].item()]
    page.keyboard.press("Enter")
    expect(page.locator("#arithmetic .arithmetic-body")).to_have_attribute("data-index", "0,3,1")
    own = found.trace.one(HEAD, "weights").tensor[0, 3, 1].item()
    assert numbers(page, "#arithmetic .arithmetic-number") == [own]


def test_backward_spells_out_an_update(visit: Visit, home: Path):
    page = visit("backward", value=f"{HEAD}:query:0")
    expect(page.locator("#weight")).to_have_value(f"{HEAD}.query.weight")
    run = load_run(home / "logs" / RUN)
    ids = run.tokenizer.encode(TEXT)
    pair = torch.tensor([ids]), torch.tensor([[*ids[1:], -100]])
    found, step = next_step(home / "logs" / RUN, *pair)
    gradient = found.gradients[f"{HEAD}.query.weight"]
    assert gradient is not None
    row, column = divmod(int(gradient.abs().argmax()), gradient.shape[1])
    expect(page.locator("#cell")).to_have_value(f"{row}, {column}")
    page.locator("#cell").fill("2, 3")
    page.locator("#cell").press("Enter")
    expect(page.locator(".step-summary code")).to_have_text(f"{HEAD}.query.weight[2, 3]")
    assert (state(page)["weight"], state(page)["cell"]) == (f"{HEAD}.query.weight", "2,3")
    page = again(page)
    update = step[f"{HEAD}.query.weight"]
    lines = ["clipped", "first", "second", "first_corrected", "second_corrected", "decayed"]
    own = [getattr(update, name)[2, 3].item() for name in [*lines, "change", "new"]]
    assert close([line[0] for line in cells(page, ".steps")], own)
    assert close(
        numbers(page, ".step-summary"),
        [tensor[2, 3].item() for tensor in (update.weight, update.gradient, update.new)],
    )
    page.locator("#cell").fill("99, 3")
    page.locator("#cell").press("Enter")
    expect(page.locator(".update .problem")).to_contain_text("0 to 5, 0 to 11")


def test_a_weight_that_the_loss_does_not_need_takes_no_step(visit: Visit):
    page = visit("backward", text="T")
    expect(page.locator("#view h2:visible")).to_have_text("No loss, no gradient")
    assert page.locator(".backward-body").is_hidden()
