"""A server as `playattention play` starts it, and Debian's Chromium."""

import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playattention.training.run import Run, load_run
from tests.playground.browser.grown import RUN, environment, grow
from tests.playground.chromium import launched

pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[dev]'")

from playwright.sync_api import Browser, BrowserContext

from tests.playground.browser.visitor import Visitor


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The one browser of these tests; ended with them, as there can be one Playwright at a time."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def grown(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Path:
    """A folder with a run; asks for the browser, so that nothing is trained where there is none."""
    return grow(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="package")
def model(grown: Path) -> Run:
    """The run that the page shows."""
    return load_run(grown / "logs" / RUN)


@pytest.fixture(scope="package")
def address(grown: Path) -> Iterator[str]:
    """Where a server answers, started as a user starts it."""
    words = ["play", RUN, "--no-browser", "--port", "0"]
    with (
        (grown / "server.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "playattention", *words],
            cwd=grown,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as server,
    ):
        assert server.stdout is not None
        lines = (re.match(r"http://127\.0\.0\.1:\d+/$", line.strip()) for line in server.stdout)
        found = next((line for line in lines if line), None)
        assert found, (grown / "server.log").read_text()
        yield found[0]
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    said = (grown / "server.log").read_text()
    assert "Traceback" not in said, said


@pytest.fixture(scope="package")
def contexts(chromium: Browser, address: str) -> Iterator[Callable[..., BrowserContext]]:
    """Browser contexts, one for each set of options, which keep the page's files."""
    kept: dict[str, BrowserContext] = {}

    def context(alone: bool, **options: Any) -> BrowserContext:
        key = repr(sorted(options.items())) + (f" {len(kept)}" if alone else "")
        if key not in kept:
            kept[key] = chromium.new_context(**options)
            elsewhere = re.compile(rf"^(?!{re.escape(address)})")
            kept[key].route(elsewhere, lambda route: route.abort())
        return kept[key]

    yield context
    for one in kept.values():
        one.close()


@pytest.fixture
def visit(
    contexts: Callable[..., BrowserContext], address: str
) -> Iterator[Callable[..., Visitor]]:
    """Come to the page in a tab of one's own; `alone`: as somebody who never was here.

    At the end nobody's console may have said a word of trouble, and nothing may have been asked
    but the server.
    """
    visitors: list[Visitor] = []

    def come(alone: bool = False, **options: Any) -> Visitor:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = contexts(alone, **options)
        visitors.append(Visitor(context.new_page(), address))
        return visitors[-1]

    yield come
    for one in visitors:
        one.page.evaluate("() => localStorage.clear()")
        one.page.close()
    assert [line for one in visitors for line in one.complaints] == []
    assert [url for one in visitors for url in one.strays] == []


@pytest.fixture(scope="package")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which comes from npm for the test and stays in its folder."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm, which axe-core comes from: apt-get install npm")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "pack", "axe-core@4"], cwd=folder, capture_output=True, text=True, check=False
    )
    packed = next(folder.glob("axe-core-*.tgz"), None)
    if done.returncode or packed is None:
        pytest.skip(f"npm does not give axe-core: {done.stderr.strip().splitlines()[-1:]}")
    with tarfile.open(packed) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()
