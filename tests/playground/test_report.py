"""A file that stands alone: opened from the disk, with numbers that are the trace's."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from playattention import cli, playground
from playattention.errors import UserError
from playattention.playground import report, report_tensors
from playattention.training.run import load_run
from playattention.xray import losses
from playattention.xray.explain import explain_value
from tests.playground.chromium import Tab, launched
from tests.playground.conftest import seen

TEXT = "The cup is"
CELLS = 120
ASK = "async ([path, query]) => (await import('playattention/api.js')).json(path, query)"
NUMBERS = """async (query) => {
  const { tensor } = await import('playattention/api.js');
  const { data, shape } = await tensor('tensor', query);
  return [shape, [...data].map(String)];
}"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    with launched() as browser:
        yield browser


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[[Path], Any]]:
    """Open a file; nothing may go wrong, and nothing may be asked for besides."""
    tabs: list[Tab] = []

    def come(path: Path) -> Any:
        tabs.append(Tab(chromium))
        tabs[-1].page.goto(path.as_uri())
        tabs[-1].page.locator("#view[aria-busy=false] .lanes .stage").first.wait_for()
        return tabs[-1].page

    yield come
    for tab in tabs:
        tab.context.close()
        assert tab.troubles == []
        rest = [url for url in tab.asked if not url.startswith(("data:", "blob:"))]
        assert len(rest) == 1, rest  # the file itself


@pytest.fixture
def told(run: str, home: Path, tmp_path: Path) -> tuple[Path, Any]:
    """A file of a run's trace, and the trace."""
    loaded = load_run(home / "logs" / run)
    trace = seen(home, run, TEXT).labelled(loaded.tokenizer.decode)
    path = tmp_path / "trace.html"
    text = report.html(trace, loaded.model, decode=loaded.tokenizer.decode, run=run, step=4)
    path.write_text(text, encoding="utf-8")
    return path, trace


def test_every_view_opens_from_the_disk(opened, told):
    page = opened(told[0])
    for view in ("heads", "positions", "flow"):
        page.locator(f"#tab-{view}").click()
        page.locator("#view[aria-busy=false] .card").first.wait_for()
        assert page.locator("#view .problem").count() == 0


def test_numbers_are_the_traces(opened, told):
    path, trace = told
    page = opened(path)
    for value in trace.values:
        query = {"module": value.module, "name": value.name, "occurrence": value.occurrence}
        shape, numbers = page.evaluate(NUMBERS, query)
        assert tuple(shape) == value.shape
        words = [float(word.replace("Infinity", "inf")) for word in numbers]
        shown = torch.tensor(words, dtype=torch.float64)
        assert torch.equal(shown, value.tensor.double().flatten()), value


def test_arithmetic_is_x_rays(opened, told):
    """Cells picked at random: the same operands at the same places, the same result."""
    path, trace = told
    page = opened(path)
    chance = random.Random(5)
    for value in chance.choices(trace.values, k=CELLS):
        cell = [chance.randrange(size) for size in value.shape]
        own = explain_value(trace, value, cell).as_dict()
        query = {
            "module": value.module,
            "name": value.name,
            "occurrence": value.occurrence,
            "index": ",".join(map(str, cell)),
        }
        found = page.evaluate(ASK, ["explain", query])
        for name in ("title", "index", "number", "operation", "formula", "line", "source"):
            assert found[name] == own[name], (value, cell, name)
        assert found["operands"] == own["operands"], (value, cell)
        assert found["result"] is not None, found["note"]
        assert number(found["result"]) == pytest.approx(number(own["result"]), rel=1e-9, abs=1e-12)
        assert [*found["facts"]] == [*own["facts"]]
        for name, fact in own["facts"].items():
            known = fact if isinstance(fact, list) else pytest.approx(fact, rel=1e-9, abs=1e-12)
            assert found["facts"][name] == known


def number(told: float | str) -> float:
    """Return a number; what is not finite is told in words."""
    return float(told)


def test_predictions_are_the_models(opened, told, run, home):
    path, trace = told
    page = opened(path)
    model = load_run(home / "logs" / run).model
    own = losses(model, trace.idx, trace.targets, 5)
    found = page.evaluate(ASK, ["losses", {"k": 5}])["positions"]
    assert [one["loss"] for one in found[:-1]] == pytest.approx(own.loss[0, :-1].tolist())
    assert [[top["id"] for top in one["top"]] for one in found] == own.top_ids[0].tolist()
    lens = page.evaluate(ASK, ["lens", {}])
    assert [one["top"][0]["id"] for one in lens["positions"][-1]] == own.top_ids[0, :, 0].tolist()
    ledger = page.evaluate(ASK, ["ledger", {"pos": 3}])
    amounts = sum(entry["amount"] for entry in ledger["entries"])
    assert amounts + ledger["remainder"] == pytest.approx(ledger["logit"])


def test_a_cells_arithmetic_opens_by_keyboard(opened, told):
    page = opened(told[0])
    page.locator(".heatmap-grid").first.focus()
    page.keyboard.press("Enter")
    page.locator("#arithmetic .result").wait_for()
    page.keyboard.press("Escape")
    page.locator("#arithmetic").wait_for(state="hidden")


def test_another_text_is_refused_in_words(opened, told):
    page = opened(told[0])
    asked = page.evaluate(
        f"async () => {{ try {{ await ({ASK})(['look', {{text: 'other'}}]) }}"
        " catch (error) { return error.message } }"
    )
    assert "playattention play" in asked


def test_the_page_stands_in_a_notebook(chromium, home, tmp_path):
    """In a frame without an address, where there is neither history nor storage."""
    shown = playground.view(seen(home, "small-gpt", TEXT))
    tab = Tab(chromium)
    tab.page.set_content(f"<!doctype html><body>{shown._repr_html_()}</body>")
    frame = tab.page.frame_locator("iframe")
    frame.locator(".lanes .stage").first.wait_for()
    frame.locator("#tab-heads").click()
    frame.locator(".map").first.click()
    frame.locator("#tab-positions").click()
    frame.get_by_text("needs the model").first.wait_for()
    tab.context.close()
    assert tab.troubles == []
    assert [url for url in tab.asked if not url.startswith(("data:", "about:"))] == []


def test_no_tag_of_the_text_gets_out(home):
    """A text is data, whatever it says."""
    loaded = load_run(home / "logs" / "small-gpt")
    trace = seen(home, "small-gpt", TEXT)
    text = report.html(trace, loaded.model, decode=loaded.tokenizer.decode, run="</script><b>")
    assert "</script><b>" not in text
    assert re.search(r"https?://(?!www\.w3\.org)", re.sub(r"base64,[\w+/=]+", "", text)) is None


def test_xray_writes_the_file(home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(home)
    path = tmp_path / "shared.html"
    cli.main(["xray", "small-gpt", TEXT, "--html", str(path), "--device", "cpu"])
    assert str(path) in capsys.readouterr().out
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_too_much_is_refused_in_one_line(home, monkeypatch):
    monkeypatch.setattr(report_tensors, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="html: more than 1,000 bytes"):
        report.html(seen(home, "small-gpt", TEXT))


def test_without_weights_products_say_so(opened, home, tmp_path, monkeypatch):
    """Where a model is too large, the values stay, and what lacks its operands is told so."""
    trace = seen(home, "small-gpt", TEXT)
    monkeypatch.setattr(report_tensors.Tensors, "weights", lambda *_: {})
    path = tmp_path / "light.html"
    path.write_text(report.html(trace), encoding="utf-8")
    query = {"module": "", "name": "logits", "index": "0,1,2"}
    found = opened(path).evaluate(ASK, ["explain", query])
    assert found["result"] is None
    assert "not all of its operands" in found["note"]
    assert found["number"] == pytest.approx(trace.one("", "logits").tensor[0, 1, 2].item())
