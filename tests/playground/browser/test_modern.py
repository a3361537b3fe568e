"""The model without a table of positions, before any training."""

import json
from collections.abc import Callable
from urllib.request import urlopen

from tests.playground.browser.visitor import Visitor

RUN = "untrained:modern"
TEXT = "Anna: Hail"
NAMES = """
() => [...document.querySelectorAll(".lanes .stage")].map((one) => [one.dataset.key, one.className])
"""
Visit = Callable[..., Visitor]


def test_the_flow_shows_the_values_of_the_file_in_their_order(visit: Visit, address: str) -> None:
    one = visit().open(view="flow", run=RUN, text=TEXT, layer=0, head=0)
    cards = dict(one.page.evaluate(NAMES))
    with urlopen(f"{address}api/look?run={RUN}&text=Anna%3A%20Hail") as answer:
        values = json.load(answer)["values"]
    keys = [f"{value['module']}:{value['name']}:{value['occurrence']}" for value in values]
    shown = [key for key in keys if not key.startswith(("blocks.1", "blocks.2", "blocks.3"))]
    streams = {f":x:{number}" for number in range(2, 5)}  # what the other blocks hand on
    assert [key for key in cards if key != "next"] == [key for key in shown if key not in streams]
    for part in ("query", "key"):
        for state in ("", "_normed", "_turned"):
            assert f"part-{part}" in cards[f"blocks.0.attention:{part}{state}:0"]


def test_the_heads_of_an_untrained_model_are_drawn(visit: Visit) -> None:
    one = visit().open(view="heads", run=RUN, text=TEXT)
    assert one.page.locator("#view canvas").count() >= 16


def test_a_matrix_that_muon_updates_says_so_and_leads_to_adamw(visit: Visit) -> None:
    name = "blocks.0.attention.projection.weight"
    one = visit().open(view="backward", run=RUN, text=TEXT, weight=name)
    assert "Muon updates this weight" in one.text(".by-muon")
    one.page.get_by_role("button", name="head.weight", exact=True).click()
    one.settle()
    assert one.text(".step-summary").startswith("head.weight[")
