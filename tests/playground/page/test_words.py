"""How the page writes numbers, keeps what is selected in its URL, and asks the server."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

Run = Callable[..., Any]
MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("number", "short", "full"),
    [
        (0, "0", "0"),
        (3, "3", "3"),
        (-3.47029424, "-3.470", "-3.47029424"),
        (0.1859055906534195, "0.1859", "0.1859055906534195"),
        (0.00012346, "0.0001235", "0.00012346"),
        (-0.00001234567, "-1.235e-5", "-0.00001234567"),
        (1234.5678, "1235", "1234.5678"),
        (123456.78, "123457", "123456.78"),
        (123456789.5, "1.235e+8", "123456789.5"),
        ("-inf", "-∞", "-∞"),
        ("nan", "not a number", "not a number"),
        (None, "—", "—"),
    ],
)
def test_numbers_have_four_digits_and_all_on_demand(
    page: Any, run: Run, number: Any, short: str, full: str
):
    found = run(
        page,
        "const {short, full, data} = await load('numbers'); const told = data(given);"
        "return [short(given), full(given), told.textContent, told.title, told.value];",
        number,
    )
    signed = [word.replace("-", MINUS) for word in (short, full)]
    assert found[:4] == signed * 2
    if isinstance(number, float):
        assert float(found[4]) == number


@pytest.mark.parametrize(
    ("share", "told"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (0.00001, "< 0.1 %"), (0.99999, "> 99.9 %")],
)
def test_a_percentage_does_not_round_to_certainty(page: Any, run: Run, share: float, told: str):
    assert run(page, "return (await load('numbers')).percent(given)", share) == told


def test_what_is_selected_stands_in_the_url_and_comes_back_from_it(page: Any, run: Run):
    chosen = {
        "view": "heads",
        "run": "a run/of mine",
        "step": 0,
        "text": "Hester:\nThen & now = 100%+#é",
        "pos": 5,
        "value": "blocks.0.attention.heads.1:weights:0",
        "index": "0,3,2",
        "change": "ablate:0.1 no-mask",
    }
    run(page, "(await load('state')).set(given)", chosen)
    url = page.url
    assert "value=blocks.0.attention.heads.1:weights:0&index=0,3,2" in url
    page.goto("about:blank")
    page.goto(url)
    assert run(page, "return (await load('state')).get()") == chosen


def test_opening_a_number_can_be_gone_back_from_and_moving_about_can_not(page: Any, run: Run):
    length = "history.length"
    before = page.evaluate(length)
    run(page, "const s = await load('state'); for (const pos of [1, 2, 3]) s.set({pos})")
    assert page.evaluate(length) == before
    run(page, "(await load('state')).set({value: ':x:0', index: '0,0,0'})")
    assert page.evaluate(length) == before + 1
    page.go_back()
    assert run(page, "return (await load('state')).get()") == {"pos": 3}


def test_who_listens_hears_what_changed_and_nothing_where_nothing_did(page: Any, run: Run):
    heard = run(
        page,
        "const s = await load('state'); const heard = [];"
        "s.subscribe((state, changed) => heard.push([...changed]));"
        "s.set({layer: 1, head: 0}); s.set({layer: 1}); s.set({head: null}); return heard;",
    )
    assert heard == [["layer", "head"], ["head"]]


def test_a_formula_is_told_with_numbers_only_where_each_name_has_one(page: Any, run: Run):
    def operand(name: str, number: float, term: int | None = None) -> dict[str, Any]:
        return {"name": name, "number": number, "term": term, "role": "operand"}

    product = {
        "formula": "scores * self.scale",
        "operands": [operand("scores", -2.0), operand("self.scale", 0.25)],
        "facts": {},
    }
    total = {"formula": "Σ x · w", "operands": [operand("x", 1, 0)], "facts": {"n": 1}}
    unknown = {"formula": "gain * x", "operands": [operand("x", 2.5)], "facts": {}}
    found = run(
        page,
        "const {substituted} = await load('terms'); return given.map(substituted);",
        [product, total, unknown],
    )
    assert found == [f"({MINUS}2) * 0.2500", None, None]


def test_answers_are_kept_shared_and_given_up(page: Any, run: Run):
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(body=json.dumps({"number": len(asked)}), content_type="application/json")

    page.route("**/api/**", answer)
    found = run(
        page,
        "const {json, forget} = await load('api');"
        "const both = await Promise.all([json('look', {run: 'a'}), json('look', {run: 'a'})]);"
        "const again = await json('look', {run: 'a', text: ''}); forget();"
        "const anew = await json('look', {run: 'a'}); const gone = new AbortController();"
        "const waiting = json('look', {run: 'b'}, {signal: gone.signal});"
        "gone.abort(); const why = await waiting.catch((error) => error.name);"
        "return [...both, again, anew].map((one) => one.number).concat(why);",
    )
    assert found == [1, 1, 1, 2, "AbortError"]


def test_a_refusal_is_told_in_the_servers_words(page: Any, run: Run):
    refusal = json.dumps({"error": "text = 80 tokens: the model takes 64 at most"})
    page.route("**/api/look*", lambda route: route.fulfill(status=400, body=refusal))
    page.route("**/api/runs*", lambda route: route.abort())
    told = run(
        page,
        "const {json} = await load('api');"
        "const said = (error) => [error.status, error.message];"
        "return [await json('look').catch(said), await json('runs').catch(said)];",
    )
    assert told[0] == [400, "text = 80 tokens: the model takes 64 at most"]
    assert told[1][0] == 0
    assert "does not answer" in told[1][1]


def test_a_tensor_comes_as_its_bytes(page: Any, run: Run):
    numbers = torch.tensor([[1.5, -math.inf], [0.1, 3e38]])
    body = numbers.numpy().tobytes()
    headers = {"X-Shape": "2,2", "X-Dtype": "float32"}
    page.route("**/api/tensor*", lambda route: route.fulfill(body=body, headers=headers))
    shape, data = run(
        page,
        "const found = await (await load('api')).tensor('tensor', {name: 'x'});"
        "return [found.shape, [...found.data].map(String)];",
    )
    assert shape == [2, 2]
    assert [
        float(number.replace("Infinity", "inf")) for number in data
    ] == numbers.flatten().tolist()
