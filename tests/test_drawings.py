"""The drawings of the course: made from a model, the same everywhere, and readable."""

import re
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

import draw
from drawings import NAMES, drawn
from drawings.facts import recorded, value
from drawings.look import LETTERS, STEPS, contrast, palette, ramp, rules, washed
from playattention.config import GPTConfig
from playattention.models.model_gpt import GPTModel
from playattention.xray import watch
from tests.playground.chromium import launched

DOCS = Path(__file__).parents[1] / "docs"
IMAGES = DOCS / "images"
PAGES = sorted(DOCS.glob("[0-9][0-9]-*.md"))
SVG = "{http://www.w3.org/2000/svg}"

each_drawing = pytest.mark.parametrize("name", NAMES)


@each_drawing
def test_drawing_again_gives_the_committed_file(name: str):
    """Otherwise `python docs/draw.py` was forgotten, or the model has changed."""
    assert str(drawn(name)) == (IMAGES / f"{name}.svg").read_bytes().decode()


@each_drawing
def test_a_drawing_tells_what_it_shows_to_those_who_do_not_see_it(name: str):
    root = ElementTree.fromstring((IMAGES / f"{name}.svg").read_bytes())
    assert len(root.findtext(f"{SVG}title")) > 10
    assert len(root.findtext(f"{SVG}desc")) > 60
    assert root.get("aria-labelledby") == "title desc"


@each_drawing
def test_a_drawing_fits_a_page(name: str):
    content = (IMAGES / f"{name}.svg").read_bytes()
    root = ElementTree.fromstring(content)
    assert 720 <= int(root.get("width")) <= 880
    assert len(content) < 60_000


@each_drawing
def test_a_drawing_needs_nothing_else_and_runs_nothing(name: str):
    """Git hosts show it by <img>, in which nothing from outside is loaded."""
    content = (IMAGES / f"{name}.svg").read_text("utf-8").replace(SVG[1:-1], "")
    assert not re.search(r"http:|https:|href|<script|@import|url\(", content)


def test_every_image_is_drawn_and_every_drawing_registered():
    parts = {"look", "svg", "facts", "parts", "record", "__init__"}
    files = {path.stem for path in (DOCS / "drawings").glob("*.py")} - parts
    assert {path.stem for path in IMAGES.glob("*.svg")} == set(NAMES) == files
    assert all(import_module(f"drawings.{name}").__doc__ for name in NAMES)


@pytest.mark.skipif(not PAGES, reason="the pages of the course are not there yet")
@each_drawing
def test_a_page_shows_the_drawing(name: str):
    assert any(f"images/{name}.svg" in page.read_text("utf-8") for page in PAGES)


def test_the_script_writes_those_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draw, "IMAGES", tmp_path)
    draw.main(["rates", "ranks"])
    assert {path.name for path in tmp_path.iterdir()} == {"rates.svg", "ranks.svg"}


def test_a_name_that_is_none_is_told():
    with pytest.raises(ValueError, match="decoder"):
        drawn("decoders")


# What is drawn is what the model does.


def test_the_recorded_values_are_values_of_the_model():
    """Of these names and shapes; a renamed variable needs a new record."""
    model = GPTModel(GPTConfig(**recorded()["model"]))
    idx = torch.zeros(1, len(recorded()["text"]) - 1, dtype=torch.long)
    trace = watch(model, idx, idx)
    for title in recorded()["values"]:
        module, name = title.split(":")
        found = trace.one(module, name.rstrip("012"), int(name[-1]) if name[-1].isdigit() else -1)
        shape = torch.tensor([0.0 if part is None else 0 for part in _flat(value(title))]).shape
        assert shape.numel() == found.tensor.numel(), title


def _flat(numbers: object) -> list[float | None]:
    if not isinstance(numbers, list):
        return [numbers]
    return [number for part in numbers for number in _flat(part)]


@pytest.mark.parametrize("head", range(4))
def test_the_recorded_numbers_of_a_head_follow_from_each_other(head: int):
    at = f"blocks.0.attention.heads.{head}"
    query, key, values, scores, scaled, weights, mixed = (
        torch.tensor(value(f"{at}:{name}"))
        for name in ("query", "key", "value", "scores", "scaled", "weights", "mixed")
    )
    size = query.size(1)
    look_back = torch.ones(5, 5).tril().bool()
    torch.testing.assert_close(query @ key.T, scores, atol=5e-3, rtol=0)
    torch.testing.assert_close(scores / size**0.5, scaled, atol=2e-4, rtol=0)
    softmax = scaled.where(look_back, float("-inf")).softmax(-1)
    torch.testing.assert_close(softmax, weights, atol=2e-4, rtol=0)
    torch.testing.assert_close(weights @ values, mixed, atol=5e-4, rtol=0)


# What is drawn can be read.


def test_no_letters_are_smaller_than_12_pixels():
    sizes = [int(size) for font in LETTERS.values() for size in re.findall(r"(\d+)px", font)]
    assert min(sizes) == 12


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_number_on_a_coloured_cell_has_contrast(dark: bool):
    for kind in STEPS:
        for step, shade in enumerate(ramp(kind, dark)):
            ink = rules(f"{kind}-{step}-t")[dark].removeprefix("fill:")
            assert contrast(ink, shade) >= 4.5, (kind, step)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["card", "sunken"])
@pytest.mark.parametrize("ink", ["ink", "muted", "accent", "query", "key", "value", "weights"])
def test_words_have_contrast_to_what_is_behind_them(ink: str, ground: str, dark: bool):
    assert contrast(palette()[ink][dark], palette()[ground][dark]) >= 4.5


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("colour", ["query", "key", "value", "accent", "problem"])
def test_words_on_a_wash_have_contrast_in_its_own_colour_and_in_grey(colour: str, dark: bool):
    """Of `weights`, only ink and grey are written on it."""
    for ink in (colour, "muted"):
        assert contrast(palette()[ink][dark], washed(colour, dark)) >= 4.5


TROUBLES = """() => {
  const {width, height} = document.querySelector('svg').viewBox.baseVal, found = [];
  const texts = [...document.querySelectorAll('text')].map(
    (text) => [text.textContent, text.getBoundingClientRect()]);
  texts.forEach(([words, box], place) => {
    if (box.left < 8 || box.right > width - 8 || box.top < 4 || box.bottom > height - 4)
      found.push(`outside: ${words}`);
    for (const [others, other] of texts.slice(0, place)) {
      const wide = Math.min(box.right, other.right) - Math.max(box.left, other.left);
      const high = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
      if (wide > 1 && high > 4) found.push(`over each other: ${others} | ${words}`);
    }
  });
  return found;
}"""


@pytest.mark.browser
@pytest.mark.parametrize("font", ["Liberation Sans", "DejaVu Sans"])
def test_no_words_lie_on_each_other_or_outside(font: str):
    """In letters as wide as Helvetica's and in the widest that are in use."""
    with launched() as browser:
        page = browser.new_page(viewport={"width": 900, "height": 1200})
        for name in NAMES:
            content = (IMAGES / f"{name}.svg").read_text("utf-8")
            content = content.replace("system-ui,", f"'{font}',")
            page.set_content(f"<body style='margin:0'>{content}</body>")
            assert page.evaluate(TROUBLES) == [], name
