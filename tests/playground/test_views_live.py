"""Generate, train and the tour in a browser."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import torch

from playattention.generation import next_token_distribution
from playattention.models.kv_cache import KVCache
from playattention.training.run import load_run
from tests.playground.chromium import Tab, launched, served

RUN = "small-gpt"
PROMPT = "The cup"
SECONDS = 60_000  # a machine that does much else starts a training in this time, as milliseconds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(home: Path, chromium: Any) -> Iterator[str]:
    """Where the server answers."""
    with served(home) as url:
        yield url


@pytest.fixture
def visit(chromium: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open a view; in the end nothing may have gone wrong, nor been asked of another machine."""
    tabs: list[Tab] = []

    def come(view: str, *, width: int = 1280, **state: Any) -> Any:
        tabs.append(Tab(chromium))
        page = tabs[-1].page
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{address}#{urlencode({'view': view, 'run': RUN, 'text': PROMPT, **state})}")
        page.locator(f"#tab-{view}[aria-selected=true]").wait_for()
        return page

    yield come
    for tab in tabs:
        tab.context.close()
        assert tab.troubles == []
        assert {
            url for url in tab.asked if not url.startswith((address, "data:", "blob:"))
        } == set()


@pytest.fixture(scope="module")
def expect() -> Any:
    """Wait for what is to be."""
    return pytest.importorskip("playwright.sync_api").expect


def selected(page: Any) -> dict[str, str]:
    """Return what the URL selects."""
    return dict(parse_qsl(page.url.partition("#")[2], keep_blank_values=True))


def written(home: Path, *words: str) -> str:
    """Return what `playattention generate` writes behind the prompt."""
    line = [sys.executable, "-m", "playattention", "generate", RUN, PROMPT, "--device", "cpu"]
    done = subprocess.run([*line, *words], cwd=home, capture_output=True, text=True, check=True)
    return done.stdout.removeprefix(PROMPT).removesuffix("\n")


def tokens(page: Any) -> list[str]:
    """Return the tokens that were drawn."""
    found = page.locator(".written-token").all()
    return [json.loads(one.get_attribute("title").split(", id ")[0]) for one in found]


# Generate.


def test_ten_tokens_by_keyboard_are_those_of_the_command_line(visit, expect, home):
    """At temperature 0.5, nothing but keys."""
    page = visit("generate")
    page.get_by_label("Temperature T", exact=True).focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("0.5")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="10 tokens").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".written-token")).to_have_count(10)
    own = written(home, "--tokens", "10", "--temperature", "0.5", "--seed", "0")
    assert "".join(tokens(page)) == own
    assert selected(page)["temperature"] == "0.5"


def test_the_text_comes_back_with_its_address(visit, expect, home):
    page = visit("generate", drawn=12, seed=3, top_k=4, temperature=2)
    expect(page.locator(".written-token")).to_have_count(12)
    own = written(home, *("--tokens", "12", "--seed", "3", "--top-k", "4", "--temperature", "2"))
    assert "".join(tokens(page)) == own


def test_columns_are_the_models_own(visit, expect, home):
    """Logits, divided, filtered, made probabilities: each as the model gives it."""
    page = visit("generate", temperature=0.5, top_k=3)
    page.locator(".candidates-table tbody tr").first.wait_for()
    page.get_by_role("button", name=re.compile("^show .* more")).click()
    run = load_run(home / "logs" / RUN)
    idx = torch.tensor([run.tokenizer.encode(PROMPT)])
    with torch.no_grad():
        logits = run.model(idx, cache=KVCache(run.config.model.seq_size))[0][0, -1]
    filtered = next_token_distribution(logits[None], 0.5, 3, None)[0]
    rows = page.locator(".candidates-table tbody tr[data-id]").all()
    assert len(rows) > 10
    for row in rows:
        token = int(row.get_attribute("data-id"))
        shown = [float(one.get_attribute("value")) for one in row.locator("data").all()]
        assert shown[0] == pytest.approx(logits[token].item(), rel=1e-5, abs=1e-6)
        assert shown[1] == pytest.approx(2 * shown[0])
        assert shown[3] == pytest.approx(filtered[token].item(), rel=1e-4, abs=1e-9)
        assert ("cut" in row.get_attribute("class")) == (filtered[token] == 0)
    assert sum(filtered > 0) == 3


def test_the_cache_grows_by_what_a_token_adds(visit, expect):
    page = visit("generate")
    bytes_ = page.locator(".cache-bytes")
    bytes_.wait_for()
    before = int(bytes_.get_attribute("data-bytes"))
    page.get_by_role("button", name="Step").click()
    page.get_by_role("button", name="Step").click()
    expect(page.locator(".written-token")).to_have_count(2)
    each = 2 * 2 * 12 * 4  # key and value, layers, channels, bytes
    expect(bytes_).to_have_attribute("data-bytes", str(before + each))  # the second reads the first


def test_a_drawn_token_opens_in_all_views(visit, expect):
    page = visit("generate", drawn=5)
    expect(page.locator(".written-token")).to_have_count(5)
    text = PROMPT + "".join(tokens(page))
    page.locator(".written-token").nth(2).click()
    expect(page.locator("#text")).to_have_value(text)
    assert selected(page)["pos"] == str(len(PROMPT) + 2)
    expect(page.locator(".written-token")).to_have_count(5)
    page.locator("#tab-heads").click()
    expect(page.locator(".token[aria-pressed=true]")).to_have_attribute(
        "data-pos", str(len(PROMPT) + 2)
    )


def test_what_is_refused_is_told_at_its_field(visit, expect):
    page = visit("generate")
    page.locator(".candidates-table").wait_for()
    field = page.get_by_label("Top-p", exact=True)
    field.fill("7")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".knob-wrong:visible")).to_contain_text("top_p")


def playing(visit, expect):
    """Return the page while it writes, some tokens later."""
    page = visit("generate")
    page.locator(".candidates-table").wait_for()
    page.get_by_label("Pace").select_option("fast")
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".written-token").nth(3)).to_be_visible()
    return page


def test_play_pauses(visit, expect):
    page = playing(visit, expect)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(400)
    count = page.locator(".written-token").count()
    page.wait_for_timeout(600)
    assert page.locator(".written-token").count() == count
    page.get_by_role("button", name="Reset").click()
    expect(page.locator(".written-token")).to_have_count(0)


def test_play_ends_where_another_text_is_typed(visit, expect):
    page = playing(visit, expect)
    page.get_by_label("Text", exact=True).fill("to")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.wait_for_timeout(600)
    expect(page.locator(".written-token")).to_have_count(0)


def test_play_ends_where_a_text_is_refused(visit, expect):
    page = playing(visit, expect)
    page.get_by_label("Text", exact=True).fill("t" * 500)
    expect(page.locator("#text-wrong")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()


# Train.


def test_a_training_is_started_seen_stopped_and_resumed(visit, expect, home):
    page = visit("train")
    begin = page.locator("details.begin")
    if begin.get_attribute("open") is None:
        begin.locator("summary").first.press("Enter")
    name = page.get_by_label("Name of the run")
    name.fill("live")
    for field, value in {
        "dataset": str(home / "text.txt"),
        "steps": "100000",
        "n_layer": "1",
        "n_head": "2",
        "n_embd": "16",
        "seq_size": "8",
    }.items():
        page.get_by_label(field, exact=True).fill(value)
    page.get_by_label("learning_rate", exact=True).fill("-1")
    page.get_by_role("button", name="Start training").press("Enter")
    expect(page.locator(".field-wrong:visible")).to_contain_text("learning_rate = -1")
    expect(page.get_by_label("learning_rate", exact=True)).to_be_focused()
    page.get_by_label("learning_rate", exact=True).fill("0.01")
    page.locator("details summary", has_text="All settings").press("Enter")
    page.get_by_label("eval_every", exact=True).fill("20")
    page.get_by_label("keep_every", exact=True).fill("20")
    page.get_by_label("eval_tokens", exact=True).fill("100")
    page.get_by_role("button", name="Start training").press("Enter")
    state = page.locator("h2 .state")
    expect(state).to_have_text("is running", timeout=SECONDS)
    expect(page.locator(".film-map")).not_to_have_count(0, timeout=SECONDS)
    expect(page.locator(".samples pre").first).not_to_be_empty(timeout=SECONDS)
    expect(page.locator(".curve-large .main-svg").first).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name="Stop", exact=True).press("Enter")
    expect(state).to_have_text("has stopped", timeout=SECONDS)
    stopped = last_step(home)
    expect(page.locator(".readings dd").first).to_contain_text(f"{stopped:,} of")
    page.get_by_role("button", name="Resume").press("Enter")
    expect(state).to_have_text("is running", timeout=SECONDS)
    expect(page.locator(".readings dd").first).not_to_contain_text(
        f"{stopped:,} of", timeout=SECONDS
    )
    page.get_by_role("button", name="Stop", exact=True).press("Enter")
    expect(state).to_have_text("has stopped", timeout=SECONDS)
    assert last_step(home) > stopped
    page.get_by_role("button", name="Look into it").click()
    expect(page.locator("#run")).to_have_value("live")


def last_step(home: Path) -> int:
    """Return how far the training came."""
    with (home / "logs" / "live" / "log.csv").open(encoding="utf-8") as log:
        return int([*csv.DictReader(log)][-1]["step"])


def test_the_curves_are_those_of_the_log(visit, expect, home):
    page = visit("train", job=RUN)
    page.locator(".curve-large .main-svg").first.wait_for(timeout=SECONDS)
    lines = page.evaluate(
        "() => document.querySelector('.curve-large').data.map(({name, x, y}) => ({name, x, y}))"
    )
    with (home / "logs" / RUN / "log.csv").open(encoding="utf-8") as log:
        rows = [*csv.DictReader(log)]
    for name, column in (("training, each step", "train_loss"), ("validation", "eval_val_loss")):
        own = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
        line = next(one for one in lines if one["name"] == name)
        assert [*zip(line["x"], line["y"], strict=True)] == own


@pytest.mark.parametrize("view", ["generate", "train"])
@pytest.mark.parametrize("width", [360, 900, 1600])
def test_a_view_is_as_wide_as_the_window(visit, view, width):
    page = visit(view, width=width, drawn=3)
    page.locator("#view[aria-busy=false] .card").first.wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


# The tour.


def test_the_tour_lights_up_what_is_there_and_ends(visit, expect):
    page = visit("flow")
    button = page.get_by_role("button", name="Tour")
    expect(button).to_have_class(re.compile("tour-new"))
    button.press("Enter")
    heading = page.locator("#tour-title")
    titles = []
    while heading.count():
        expect(heading).to_be_focused()
        expect(page.locator(".tour-lit")).to_have_count(1)
        titles.append(heading.inner_text())
        page.keyboard.press("ArrowRight")
    assert len(titles) == len(set(titles)) == 8
    expect(button).to_be_focused()
    expect(page.locator(".tour-lit")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("button", name="Tour")).not_to_have_class(re.compile("tour-new"))


def test_escape_ends_the_tour(visit, expect):
    page = visit("flow")
    page.get_by_role("button", name="Tour").press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator(".tour-card")).to_have_count(0)
