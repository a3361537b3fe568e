"""A browser for tests, where one is installed; and a server for it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def launched() -> Iterator[Any]:
    """Start Chromium, or skip."""
    reason = "no playwright: pip install playwright"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Start `playattention play` in a folder, and return where it answers."""
    command = [sys.executable, "-m", "playattention", "play", "--no-browser", "--port", "0"]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=log, text=True)
        assert server.stdout is not None
        lines = (re.match(r"http://127\.0\.0\.1:\d+/", line) for line in server.stdout)
        found = next((line for line in lines if line), None)
        assert found, (home / "server.log").read_text(encoding="utf-8")
        yield found[0]
        server.terminate()  # a shell may let what it starts in the background ignore Ctrl-C
        server.wait(10)
        server.stdout.close()


class Tab:
    """A page of the browser that remembers what went wrong in it, and what it asked for."""

    def __init__(self, browser: Any, **options: Any) -> None:
        size = {"width": 1280, "height": 900}
        self.context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _heard(self, said: Any) -> None:
        # What the server refuses, the browser tells as well; the page shows why.
        refused = "the server responded with a status of 4" in said.text
        if said.type in ("error", "warning") and not refused:
            self.troubles.append(said.text)
