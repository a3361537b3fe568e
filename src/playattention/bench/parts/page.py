"""The playground's server: how soon it answers what the page asks, over HTTP, without a browser."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

from playattention.bench.parts import Setting
from playattention.bench.parts.processes import check, said, started
from playattention.bench.results import Figure, Found
from playattention.data import playhouse
from playattention.errors import UserError
from playattention.training import RECIPES

PART = "page"
TOKENS = 64
"""Of each text: the context of an untrained model of any recipe."""
SECONDS_TO_START = 120
SECONDS_TO_ANSWER = 60


def measure(setting: Setting) -> Iterator[Found | str]:
    """Measure the first answer, then each recipe's model untrained: texts, maps, all values."""
    yield "the server's start"
    began = time.perf_counter()
    with started(["play", "--no-browser", "--port", "0"], setting.folder) as process:
        address = ""
        while not address:
            check(process, setting.folder)
            if time.perf_counter() - began > SECONDS_TO_START:
                raise UserError(f"play: did not start within {SECONDS_TO_START} seconds")
            found = re.search(r"http://(127\.0\.0\.1:\d+)/", said(setting.folder))
            address = found[1] if found else ""
            time.sleep(0.01)
        with closing(_open(address)) as server:
            ask(server, "runs")
            yield Figure(PART, "first answer, from the start", "s", [time.perf_counter() - began])
            for name in RECIPES:
                yield name
                yield from _model(server, name, setting.scale.repetitions)


def _open(address: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(address, timeout=SECONDS_TO_ANSWER)


def _model(
    server: http.client.HTTPConnection, name: str, repetitions: int
) -> Iterator[Found | str]:
    """Measure what the page asks after another text, and after another head of the same text."""
    plays = playhouse.write(TOKENS * (repetitions + 1), seed=6)
    looks: list[float] = []
    heads: list[float] = []
    maps: list[float] = []
    for number in range(repetitions + 1):
        text = plays[TOKENS * number :][:TOKENS]
        asked = {"run": f"untrained:{name}", "text": text}
        seconds, body = ask(server, "look", **asked)
        looks.append(seconds)
        every = json.loads(body)["heads"]
        head = every[number % len(every)]
        index = ",".join(map(str, head["index"]))
        value = {"module": head["module"], "name": head["name"], "index": index}
        heads.append(ask(server, "tensor", **asked, **value)[0])
        maps.append(ask(server, "maps", **asked)[0])
    for what, taken in (
        (f"a new text of {TOKENS} tokens", looks),
        ("a head's map", heads),
        ("the maps of all heads", maps),
    ):
        # The first opens the model.
        yield Figure(PART, f"{name}: {what}", "ms", [1000 * one for one in taken[1:]])


def ask(server: http.client.HTTPConnection, what: str, **words: Any) -> tuple[float, bytes]:
    """Return the seconds until a whole answer was there, and the answer.

    Args:
        server: A connection to it.
        what: Below /api/.
        words: Of the query.

    Raises:
        UserError: If the answer is an error.
    """
    began = time.perf_counter()
    server.request("GET", f"/api/{what}?{urlencode(words)}")
    answer = server.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - began
    if answer.status != http.client.OK:
        raise UserError(f"play: /api/{what} answered {answer.status}: {body[:200]!r}")
    return seconds, body
