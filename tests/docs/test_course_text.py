"""The pages of the course are complete: each has all its parts, and what they say is so."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from playattention import cli, course
from playattention.commands import COMMANDS
from playattention.config import GPT2Config
from playattention.models import pretrained
from tests.docs.course import ANCHORS, DOCS, EXERCISES, PAGES, ROOT, Page

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
ALL = sorted(DOCS.glob("*.md"))


@each_page
def test_a_page_has_the_anchors_that_others_lead_to_each_once(page: Page):
    assert set(ANCHORS[page.name].split()) <= set(page.anchors)
    assert len(page.anchors) == len(set(page.anchors))


@each_page
def test_a_page_has_a_formula_source_lines_real_numbers_and_a_drawing(page: Page):
    assert page.blocks("formula")
    assert page.cog("source")
    assert len(page.figures) >= 5
    assert page.drawings


@each_page
def test_the_drawings_of_a_page_are_there(page: Page):
    assert [name for name in page.drawings if not (DOCS / name).exists()] == []


@each_page
def test_a_page_leads_to_the_playground_with_a_command_and_a_link(page: Page):
    assert page.cog("playground")
    assert "playattention play plays" in page.commands


@each_page
def test_every_command_of_a_page_is_understood(page: Page, monkeypatch: pytest.MonkeyPatch):
    """Those that the README and other pages have, too, are run elsewhere; here each is parsed."""
    started = []

    def run(self: object) -> None:
        started.append(self)

    for line in COMMANDS.values():
        module, name = line.split(":")
        monkeypatch.setattr(getattr(import_module(module), name), "run", run)
    # Weights that are not at hand: only their sizes are asked for before training.
    monkeypatch.setattr(pretrained, "read_config", GPT2Config.preset)
    told = [command for command in page.commands if "--help" not in command]
    for command in told:
        assert cli.main(shlex.split(command)[1:]) == 0, command
    assert len(started) == len(told)


VIEWS = ROOT / "src/playattention/playground/page/views"
KEYS = {"run", "view", "text", "step", "layer", "head", "pos", "value", "index", "change"}


@each_page
def test_links_to_the_playground_select_what_its_page_knows(page: Page):
    views = {
        found[1]
        for file in VIEWS.glob("*.js")
        if (found := re.search(r'export default \{ id: "([\w-]+)"', file.read_text()))
    }
    links = re.findall(r"\]\(http://127\.0\.0\.1:8765/#([^)]+)\)", page.text)
    assert links
    for link in links:
        chosen = parse_qs(link, strict_parsing=True)
        assert set(chosen) <= KEYS
        assert set(chosen["view"]) <= views


@each_page
def test_a_page_has_its_exercises_with_their_commands(page: Page):
    for name in EXERCISES[page.name].split():
        assert name in course.EXERCISES
        assert f"playattention learn start {name}" in page.commands


@each_page
def test_a_page_ends_in_three_questions_whose_answers_are_folded_away(page: Page):
    assert len(page.questions) == 3
    for question, answer in page.questions:
        assert question.endswith("?")
        assert len(answer.split()) >= 8


@each_page
def test_numbers_in_the_arithmetic_of_a_page_are_filled_in_not_typed(page: Page):
    """A block of plain text shows what the run computed: cog wrote it."""
    inside = re.sub(r"\[\[\[cog.*?\[\[\[end\]\]\]", "", page.text, flags=re.DOTALL)
    assert "```text" not in inside


def test_all_pages_are_filled_in_as_they_stand():
    line = [sys.executable, str(DOCS / "pages.py"), "--check"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def slug(heading: str) -> str:
    """Return the anchor that Git hosts make of a heading."""
    words = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).strip().lower())
    return words.replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Return what a link into a page may lead to."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {*re.findall(r'<a id="([\w-]+)"', text), *map(slug, headings)}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_link_inside_the_project_leads_somewhere(path: Path):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_first_page_leads_to_all_others_in_their_order():
    linked = re.findall(r"\]\(([\w-]+)\.md\)", (DOCS / "index.md").read_text(encoding="utf-8"))
    assert [name for name in linked if name in ANCHORS] == list(ANCHORS)
    assert {path.stem for path in ALL} - {"index"} == set(linked)


def builds(folder: Path, site: Path) -> bool:
    """Build the site of a folder as `make docs` does; return whether it was built."""
    line = [sys.executable, "-m", "sphinx", "-W", "-q", "-E", "-b", "html", folder, site]
    return subprocess.run(line, check=False, capture_output=True).returncode == 0


def test_the_site_is_built(tmp_path: Path):
    assert builds(DOCS, tmp_path / "site")
    assert (tmp_path / "site/index.html").exists()


@pytest.mark.parametrize(
    ("line", "built"),
    [
        ("[one](#there), [two](index.md#here)", True),
        ("[an anchor](#nowhere)", False),
        ("[an anchor of a page](index.md#nowhere)", False),
        ("[a page](nothing.md)", False),
        ("[a file](../nothing.py)", False),
        ("![a drawing](images/nothing.svg)", False),
    ],
)
def test_a_link_that_leads_nowhere_ends_the_build_of_the_site(
    tmp_path: Path, line: str, built: bool
):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text((DOCS / "conf.py").read_text())
    (docs / "index.md").write_text(f'# First\n\n<a id="there"></a>\n\n## Here\n\n{line}\n')
    assert builds(docs, tmp_path / "site") is built
