"""How quick the playground's page is, in a real browser: Debian's Chromium, driven by Playwright.

`python benchmarks/page.py` prints a table and writes `benchmarks/results/page.json`. Times begin in
the page, at the event, and end with the frame after the last thing that was drawn or changed for
it: asked, computed, answered and painted, on the cores that the server has to share.
"""

import re
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import tyro
from playwright.sync_api import Browser

from browser import TOKENS, chromium, opened, prepare, server
from measure import RESULTS, at_least_one, write
from playattention.bench.spread import Spread
from playattention.data import playhouse
from playattention.tokenizers import GPT2Tokenizer

PAGE = Path(__file__).parents[1] / "src" / "playattention" / "playground" / "page"


class Target(NamedTuple):
    """What is to be held."""

    name: str
    most: float
    unit: str


TARGETS = {
    target.name: target
    for target in (
        Target("first paint", 500, "ms"),
        Target("first answer", 1000, "ms"),
        Target("layer, head or position", 50, "ms"),
        Target("text, GPT 4x128", 300, "ms"),
        Target("text, GPT-2 124M", 2000, "ms"),
        Target("selection while training", 100, "ms"),
        Target("training, slower by", 10, "%"),
        Target("page code", 300, "KB"),
    )
}


@dataclass(frozen=True)
class Options:
    """What is measured, and how often."""

    repetitions: int = 10
    """Of each."""
    period: float = 8.0
    """Seconds of each turn of a training with the page and without."""
    only: str | None = None
    """A part alone: start, select, text, training."""
    output: Path = RESULTS / "page.json"
    """Where the results go."""


def main(options: Options) -> None:
    """Measure, write and print."""
    at_least_one(repetitions=options.repetitions)
    parts: dict[str, Callable[..., dict[str, list[float]]]] = {
        "start": beginnings,
        "select": selections,
        "text": texts,
        "training": trainings,
    }
    times = page_sizes()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        home = Path(folder)
        prepare(home)
        for name, measured in parts.items():
            if options.only in (None, name):
                times |= measured(browser, home, options)
                report(times)
    results = {name: asdict(Spread.of(raw)) for name, raw in times.items()}
    targets = {name: target._asdict() for name, target in TARGETS.items()}
    settings = {"repetitions": options.repetitions, "period": options.period, "tokens": TOKENS}
    write(options.output, {"settings": settings, "targets": targets, "times": results})


def report(times: dict[str, list[float]]) -> None:
    """Print what was measured so far."""
    print(f"\n{'':<44}{'median':>9}{'quartiles':>17}{'max':>8}{'target':>9}  n")
    for name, raw in times.items():
        spread = Spread.of(raw)
        target = TARGETS.get(name.partition(":")[0])
        told = f"{target.most:g} {target.unit}" if target else ""
        missed = " MISSED" if target and spread.median > target.most else ""
        quartiles = f"{spread.lower_quartile:.0f}-{spread.upper_quartile:.0f}"
        line = f"{name:<44}{spread.median:>9.1f}{quartiles:>17}{spread.maximum:>8.0f}{told:>9}"
        print(f"{line}{len(raw):>3}{missed}", flush=True)


COMMENT = re.compile(r"^[ \t]*/\*(?:[^*]|\*(?!/))*\*/\n|[ \t]+// .*?$|^[ \t]+", re.MULTILINE)


def page_sizes() -> dict[str, list[float]]:
    """Return what the page's files weigh besides plotly.js, in KB of 1,000."""
    paths = [path for path in PAGE.rglob("*") if path.is_file() and "export" not in path.parts]
    files = [path.read_text(encoding="utf-8") for path in paths]
    return {
        "page code: its comments and indentation left out": [
            sum(len(COMMENT.sub("", file).encode()) for file in files) / 1000
        ],
        "page as its files lie there, and are sent": [
            sum(len(file.encode()) for file in files) / 1000
        ],
    }


def beginnings(browser: Browser, home: Path, options: Options) -> dict[str, list[float]]:
    """Measure a first visit: nothing in the browser's cache, the server just started."""
    found: dict[str, list[float]] = {}
    for _ in range(options.repetitions):
        with server(home, "gpt") as address:
            for when in ("", ": server warm"):
                with opened(browser, address) as page:
                    paint, main, last = page.evaluate(
                        """() => [performance.getEntriesByName("first-contentful-paint")[0].startTime,
                                  stopwatch.main, stopwatch.painted]"""
                    )
                found.setdefault(f"first paint{when}", []).append(paint)
                found.setdefault(f"first answer{when}", []).append(main)
                found.setdefault(f"everything drawn{when}", []).append(last)
    return found


CLICK = """
([name]) => timed(() => document.querySelector(`[aria-label="${name}"]`).click())
"""


def selections(browser: Browser, home: Path, options: Options) -> dict[str, list[float]]:
    """Measure another layer, head and position, in the views that show them."""
    found: dict[str, list[float]] = {}
    with server(home, "gpt") as address:
        text = playhouse.write(2000, seed=5)[:TOKENS]
        for view, axes in (
            ("flow", ("layer", "head")),
            ("heads", ("layer", "head", "position")),
            ("positions", ("position",)),
        ):
            words = urlencode({"view": view, "text": text, "layer": 0, "head": 0, "pos": 3})
            with opened(browser, f"{address}#{words}") as page:
                for axis in axes:
                    for number in range(options.repetitions):
                        way = "Next" if number % 4 < 2 else "Previous"
                        main, last = page.evaluate(CLICK, [f"{way} {axis}"])
                        found.setdefault(f"layer, head or position: {view}, {axis}", []).append(
                            last
                        )
                        if view == "flow":
                            found.setdefault(f"{view}, {axis}: large picture", []).append(main)
    return found


TYPE = """
([text]) => timed(() => {
  const field = document.getElementById("text");
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
})
"""


def texts(browser: Browser, home: Path, options: Options) -> dict[str, list[float]]:
    """Measure another text of 64 tokens, from the last key to the new answer."""
    found: dict[str, list[float]] = {}
    plays = playhouse.write(20_000, seed=6)
    ids = GPT2Tokenizer().encode(plays)
    some = {
        "gpt": lambda number: plays[100 * number :][:TOKENS],
        "gpt2": lambda number: GPT2Tokenizer().decode(ids[70 * number :][:TOKENS]),
    }
    for run, name in (("gpt", "text, GPT 4x128"), ("gpt2", "text, GPT-2 124M")):
        with server(home, run) as address:
            for view in ("heads", "flow"):
                words = urlencode({"view": view, "text": some[run](99)})
                with opened(browser, f"{address}#{words}") as page:
                    for number in range(options.repetitions):
                        main, last = page.evaluate(TYPE, [some[run](number)])
                        found.setdefault(f"{name}: {view}", []).append(main)
                        found.setdefault(f"{name}: {view}, everything", []).append(last)
    return found


START = """
async () => {
  const headers = { "Content-Type": "application/json", "X-Playattention": "1" };
  const settings = { "train.steps": 100000, "train.eval_every": 100000, "train.keep_every": 100000 };
  const body = JSON.stringify({ recipe: "gpt", name: "busy", settings });
  return (await fetch("api/jobs", { method: "POST", headers, body })).json();
}
"""
STOP = """
() => fetch("api/jobs/busy/stop", { method: "POST", body: "{}", headers: { "Content-Type": "application/json", "X-Playattention": "1" } })
"""


def trainings(browser: Browser, home: Path, options: Options) -> dict[str, list[float]]:
    """Measure selections while a training runs, and what the page costs the training.

    The page takes turns with no page at all: each turn gives the steps per second of the training.
    """
    selected: list[float] = []
    slower: dict[str, list[float]] = {"watched": [], "selecting": []}
    with server(home, "gpt") as address, opened(browser, address) as page:
        page.evaluate(START)
        while steps(home) < 20:
            time.sleep(0.2)
        for _ in range(options.repetitions):
            for kind, costs in slower.items():
                page.goto("about:blank")
                alone = speed(home, lambda: time.sleep(options.period))
                view = "train" if kind == "watched" else "heads"
                page.goto(f"{address}#view={view}&job=busy&run=gpt")
                page.evaluate("() => new Promise((done) => setTimeout(done, 1500))")
                act = time.sleep if kind == "watched" else None
                taken: list[float] = []

                def busy(act: Any = act, taken: list[float] = taken) -> None:
                    if act:
                        act(options.period)
                        return
                    until = time.monotonic() + options.period
                    while time.monotonic() < until:
                        way = "Next" if len(taken) % 4 < 2 else "Previous"
                        taken.append(page.evaluate(CLICK, [f"{way} layer"])[1])
                        time.sleep(0.75)

                costs.append(100 * (1 - speed(home, busy) / alone))
                selected.extend(taken)
        page.goto(address)
        page.evaluate(STOP)
        time.sleep(2)
    return {
        "selection while training": selected,
        **{f"training, slower by: {kind}": costs for kind, costs in slower.items()},
    }


def steps(home: Path) -> int:
    """Return how many steps the training has done."""
    log = home / "logs" / "busy" / "log.csv"
    return len(log.read_text().splitlines()) - 1 if log.is_file() else 0


def speed(home: Path, act: Callable[[], object]) -> float:
    """Return a training's steps per second meanwhile: the median step's, past its evaluations."""
    before = steps(home)
    act()
    rows = (home / "logs" / "busy" / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("milliseconds")
    own = [float(row.split(",")[column]) for row in rows[1 + before : -1]]
    return 1000 / statistics.mean(own)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
