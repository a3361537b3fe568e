"""The page as a user has it, for `page.py`: its runs, its server, Chromium and a stopwatch in it."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from playwright.sync_api import Browser, Page, sync_playwright

from playattention.config import GPT2Config
from playattention.models import pretrained
from playattention.models.model_gpt2 import GPT2Model

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
TOKENS = 64
GPT = [
    "train",
    "gpt",
    "--dataset=playhouse",
    "--run=gpt",
    "--model.n-layer=4",
    "--model.n-head=4",
    "--model.n-embd=128",
    f"--model.seq-size={TOKENS}",
    "--train.steps=20",
    "--train.eval-every=10",
    "--train.keep-every=10",
    "--train.sample-tokens=5",
    "--train.device=cpu",
    "--data.eval-tokens=2000",
]
STOPWATCH = """
(() => {
  const fetched = window.fetch;
  let waiting = 0;
  const watch = { stirred: 0, painted: 0, main: 0 };
  window.stopwatch = watch;
  const stir = (main) => {
    watch.stirred = performance.now();
    requestAnimationFrame(() => setTimeout(() => {
      watch.painted = performance.now();
      if (main) watch.main = watch.painted;
    }));
  };
  window.fetch = async (...words) => {
    waiting += 1;
    try { return await fetched(...words); } finally { waiting -= 1; watch.stirred = performance.now(); }
  };
  const { drawImage } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.drawImage = function (...words) {
    stir(Boolean(this.canvas.closest?.(".heatmap-grid")));
    return drawImage.apply(this, words);
  };
  const begin = () => new MutationObserver((all) => {
    if (all.some(({ target }) => !target.closest?.(".unseen"))) stir(false);
  }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  if (document.body) begin(); else addEventListener("DOMContentLoaded", begin);
  window.quiet = (least = 250) => new Promise((done) => {
    const look = () => {
      const busy = waiting > 0 || document.getElementById("view")?.getAttribute("aria-busy") !== "false";
      if (!busy && performance.now() - watch.stirred > least) done();
      else setTimeout(look, 10);
    };
    look();
  });
  window.timed = async (act) => {
    await window.quiet();
    const started = performance.now();
    act();
    watch.stirred = performance.now(); // what it leads to may begin later
    await window.quiet();
    return [watch.main - started, watch.painted - started];
  };
})();
"""
"""`timed` tells when the large picture was there, and when everything was."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        raise SystemExit("no Chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


def prepare(home: Path) -> None:
    """Make the two runs that are looked at: a trained GPT and a GPT-2 124M of random weights."""
    torch.manual_seed(0)
    source = home / "random-gpt2"
    source.mkdir()
    pretrained.write(GPT2Model(GPT2Config()), source, None)
    for words in (["import", str(source), "--run=gpt2"], GPT):
        line = [sys.executable, "-m", "playattention", *words]
        subprocess.run(line, cwd=home, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(source)


@contextmanager
def server(home: Path, run: str | None = None) -> Iterator[str]:
    """Start the server as a user does, and yield its address."""
    words = ["play", *([run] if run else []), "--no-browser", "--port", "0"]
    line = [sys.executable, "-m", "playattention", *words]
    with subprocess.Popen(line, cwd=home, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = (re.match(r"http://127\.0\.0\.1:\d+/$", one.strip()) for one in process.stdout)
        yield next(one for one in found if one)[0]
        process.send_signal(signal.SIGINT)


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """Open a page in a context of its own."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.add_init_script(STOPWATCH)
        page.goto(url)
        page.evaluate("() => quiet()")
        yield page
