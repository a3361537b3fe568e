"""The page's modules by themselves, in Chromium: no run, no server but for files."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.playground.page.test_files import PAGE

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
BLANK = "<!doctype html><link rel=stylesheet href=style.css><link rel=stylesheet href=parts.css>"


class Files(SimpleHTTPRequestHandler):
    """The page's files."""

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page's files lie."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(PAGE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright is installed")
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def blank(chromium: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open an empty page with the look of the real one; takes what a context takes."""
    contexts, faults = [], []

    def opened(**options: Any) -> Any:
        contexts.append(chromium.new_context(viewport={"width": 900, "height": 700}, **options))
        tab = contexts[-1].new_page()
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.route("**/blank*", lambda route: route.fulfill(body=BLANK, content_type="text/html"))
        tab.goto(f"{address}blank")
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(blank: Callable[..., Any]) -> Any:
    """An empty page."""
    return blank()


@pytest.fixture(scope="session")
def run() -> Callable[..., Any]:
    """Run the body of a function in a page; there, `load("numbers")` gives a module."""

    def inside(tab: Any, body: str, given: Any = None) -> Any:
        start = "const load = (name) => import(`/${name}.js`);"
        return tab.evaluate(f"async (given) => {{ {start} {body} }}", given)

    return inside
