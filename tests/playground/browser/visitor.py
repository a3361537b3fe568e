"""A person at the page: opens it, presses keys, points, and reads what is there.

Writes down what the console says and every address that is asked. Does not know the views.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from playwright.sync_api import ConsoleMessage, Page, Request

PATIENCE = 20_000
"""Milliseconds until something that does not come is a fault."""
MOST_TABS = 400

WATCHING = """
(() => {
  const fetched = window.fetch;
  let waiting = 0;
  let last = performance.now();
  const stir = () => { last = performance.now(); };
  window.fetch = async (...words) => {
    waiting += 1;
    try { return await fetched(...words); } finally { waiting -= 1; stir(); }
  };
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...words) {
    stir();
    return draw.apply(this, words);
  };
  const seen = new MutationObserver(stir);
  const begin = () => {
    seen.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    stir();
  };
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin);
  window.quietFor = () => {
    const view = document.getElementById("view");
    const busy = !view || document.querySelector("[aria-busy=true]") || waiting > 0;
    return busy ? 0 : performance.now() - last;
  };
})();
"""
"""Tells for how long nothing was asked, changed or drawn."""

TWO_FRAMES = """
() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
  setTimeout(done, 200); // a window behind others draws no frames
})
"""


@dataclass
class Visitor:
    """One tab of a browser."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of the console."""
    asked: list[str] = field(default_factory=list)
    """Every address that was asked."""

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.add_init_script(WATCHING)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.asked.append(request.url)

    @property
    def strays(self) -> list[str]:
        """What was asked of anybody but the server."""
        own = (self.address, "data:", f"blob:{self.address}")
        return [url for url in self.asked if not url.startswith(own)]

    # Where it is.

    def open(self, **state: Any) -> "Visitor":
        """Open the page with what is selected."""
        self.page.goto(f"{self.address}#{urlencode(state)}")
        return self.settle()

    def go(self, **patch: Any) -> "Visitor":
        """Select something else through the URL; None takes a key out."""
        merged = {**self.state, **patch}
        words = urlencode({key: value for key, value in merged.items() if value is not None})
        self.page.evaluate("words => { location.hash = words; }", words)
        return self.settle()

    def settle(self, quiet: int = 60) -> "Visitor":
        """Wait until nothing is asked, changed or drawn any more."""
        self.page.evaluate(TWO_FRAMES)  # what was just done is heard of with the next one
        self.page.wait_for_function("least => window.quietFor() > least", arg=quiet)
        return self

    @property
    def state(self) -> dict[str, str]:
        """What is selected, as the URL tells."""
        return dict(parse_qsl(self.page.url.partition("#")[2], keep_blank_values=True))

    # Keys and the pointer.

    def press(self, *keys: str, times: int = 1) -> "Visitor":
        """Press keys, one after the other, and wait for what follows."""
        for key in keys * times:
            self.page.keyboard.press(key)
        return self.settle()

    def type(self, text: str) -> "Visitor":
        """Write into what has the focus in the place of what is there."""
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)
        return self.settle(400)

    def has_focus(self, selector: str) -> bool:
        """Tell whether the focus is on something."""
        return bool(
            self.page.evaluate("what => document.activeElement?.matches(what) ?? false", selector)
        )

    def tab_to(self, selector: str, back: bool = False) -> "Visitor":
        """Press Tab until something has the focus."""
        for _ in range(MOST_TABS):
            if self.has_focus(selector):
                return self
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
        raise AssertionError(f"{selector}: {MOST_TABS} presses of Tab do not reach it")

    def tab_to_button(self, name: str) -> "Visitor":
        """Press Tab until the button or link of a name, or part of it, has the focus."""
        for _ in range(MOST_TABS):
            if re.search(name, self.focused_name()):
                return self
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{name}: {MOST_TABS} presses of Tab do not reach it")

    def focused_name(self) -> str:
        """Return the name of what has the focus, as it is told to who does not see."""
        return str(self.page.evaluate(NAME))

    # What is there.

    def text(self, selector: str = "#view") -> str:
        """Return what is written."""
        return self.page.locator(selector).first.inner_text()

    def number(self, selector: str) -> float:
        """Return the first number shown there, with all its digits."""
        return as_number(self.page.locator(f"{selector} data").first.get_attribute("value"))

    def numbers(self, selector: str) -> list[float]:
        """Return all numbers shown there."""
        values = self.page.locator(f"{selector} data").evaluate_all(
            "all => all.map((one) => one.getAttribute('value'))"
        )
        return [as_number(value) for value in values]

    def picture(self) -> dict[str, Any]:
        """Return what can be seen in the view and in the arithmetic: words and pixels."""
        return dict(self.page.evaluate(PICTURE))


NAME = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return "";
  const by = (one.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.innerText ?? "").join(" ").trim();
  const label = one.labels?.[0]?.innerText ?? "";
  return one.getAttribute("aria-label") || by || label || one.innerText || one.title || "";
}
"""

PICTURE = """
() => {
  const roots = ["view", "arithmetic"].map((id) => document.getElementById(id));
  const words = (root) => {
    const found = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const around = walker.currentNode.parentElement;
      if (!around.closest(".unseen") && around.checkVisibility()) found.push(walker.currentNode.data);
    }
    return found.join("|");
  };
  const all = (what) => roots.flatMap((root) => [...root.querySelectorAll(what)]);
  const drawn = all("canvas").filter((one) => one.checkVisibility() && one.width && one.height);
  return {
    view: words(roots[0]),
    arithmetic: words(roots[1]),
    selected: [...document.querySelectorAll("#bar input")].map((one) => one.value).join(),
    pressed: all("[aria-pressed=true], [aria-current]").map((one) => one.innerText).join(),
    controls: all("input, select").map((one) => (one.type === "checkbox" ? one.checked : one.value)).join(),
    canvases: drawn.map((one) => one.toDataURL()),
  };
}
"""
"""What who sees it sees: not what is there for others alone."""


def as_number(text: str | None) -> float:
    """Return a number as an element holds it."""
    words = {"inf": "inf", "-inf": "-inf", "Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}
    return float(words.get(text or "nan", text or "nan"))
