"""The page's files: small, from here alone, and known to each other."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from playattention import playground

PAGE = Path(playground.__file__).parent / "page"
SCRIPTS = sorted(PAGE.rglob("*.js"))
LONGEST = 250
LARGEST = 300_000
"""Bytes of all files; plotly.js comes out of its own wheel."""
NAMESPACES = {"http://www.w3.org/2000/svg"}

each_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)


def text_of(path: Path) -> str:
    """Return a file's text."""
    return path.read_text(encoding="utf-8")


@each_script
def test_a_script_is_short(path: Path):
    assert len(text_of(path).splitlines()) <= LONGEST


@each_script
def test_every_export_is_described(path: Path):
    lines = text_of(path).splitlines()
    bare = [
        line
        for before, line in pairwise(lines)
        if re.match(r"export (async )?(function|class|const)", line) and not before.endswith("*/")
    ]
    assert bare == []


@each_script
def test_a_script_imports_what_there_is(path: Path):
    found = re.findall(r'^import .*?from "([^"]+)"', text_of(path), re.MULTILINE | re.DOTALL)
    missing = [name for name in found if not (path.parent / name).resolve().is_file()]
    assert missing == []


@each_script
def test_every_script_is_used(path: Path):
    others = [other for other in SCRIPTS if other != path]
    used = re.compile(rf'["/]{re.escape(path.name)}"')
    assert path.name == "main.js" or any(used.search(text_of(other)) for other in others)


@pytest.mark.parametrize("path", sorted(PAGE.rglob("*.*")), ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path):
    assert set(re.findall(r"https?://[^\s\"'`)<>]+", text_of(path))) <= NAMESPACES


def test_the_page_keeps_to_its_security_policy():
    page = text_of(PAGE / "index.html")
    assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", page)
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []


@each_script
def test_no_script_makes_code_or_markup_of_text(path: Path):
    assert not re.search(
        r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write",
        text_of(path),
    )


def test_the_page_is_small():
    """Its code, without what is written for readers, comments and indentation.

    Nor counts what only a page in one file has; measured as in `benchmarks/page.py`.
    """
    files = [path for path in PAGE.rglob("*.*") if "export" not in path.parts]
    comments = re.compile(r"/\*.*?\*/|^\s*//.*?$|^[ \t]+", re.DOTALL | re.MULTILINE)
    assert sum(len(comments.sub("", text_of(path)).encode()) for path in files) < LARGEST


def test_colours_are_variables():
    """Both themes are written in one place; black and white stand on colours that are computed."""
    for path in sorted(PAGE.glob("*.css")):
        rules = text_of(path).partition("--sans")[2] if path.name == "style.css" else text_of(path)
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![\w-]*\s*\{)", rules) == [], path.name


def test_every_script_is_asked_for_at_once():
    preloaded = re.findall(r'rel="modulepreload" href="([^"]+)"', text_of(PAGE / "index.html"))
    own = [path.relative_to(PAGE).as_posix() for path in SCRIPTS if path.name != "main.js"]
    assert sorted(preloaded) == sorted(path for path in own if not path.startswith("export/"))
