"""The next token, and how it came to be drawn."""

import pytest
import torch

from playattention.generation import generate, next_token_distribution
from playattention.models.kv_cache import KVCache
from playattention.training.run import load_run
from tests.playground.conftest import OWN, found, seen, told

TEXT = "Anna:"


def drawn(client, **body):
    """Return the answer to one draw."""
    return found(client.post("/api/generate", json=body, headers=OWN))


@pytest.mark.parametrize("as_ids", [False, True])
@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 0.5, "top_k": 5}, {"top_p": 0.8}, {"temperature": 0}],
)
def test_tokens_drawn_one_by_one_are_those_of_generate(settings, as_ids, client, home, run):
    """Beyond the context, too, which is 16 tokens."""
    loaded = load_run(home / "logs" / run)
    idx = torch.tensor([loaded.tokenizer.encode(TEXT)])
    generator = torch.Generator().manual_seed(3)
    expected = generate(loaded.model, idx, 20, generator=generator, **settings)[0].tolist()
    text, ids = TEXT, None
    for draw in range(20):
        known = {"ids": ids} if as_ids and ids else {"text": text}
        answer = drawn(client, run=run, seed=3, draw=draw, **known, **settings)
        text, ids = answer["text"], answer["ids"]
    assert ids == expected
    assert text == loaded.tokenizer.decode(expected)
    assert answer["seen"] == 16


def test_the_columns_are_the_models_logits_and_what_the_settings_make_of_them(client, home, run):
    logits = seen(home, run, TEXT).one("", "logits").tensor[0, -1]
    answer = drawn(client, run=run, text=TEXT, temperature=0.7, top_k=4, top_p=0.9, candidates=8)
    raw = torch.softmax(logits.double(), -1)
    tempered = torch.softmax(logits.double() / 0.7, -1)
    kept = next_token_distribution(logits[None], 0.7, 4, 0.9)[0]
    shown = answer["candidates"]
    assert [one["id"] for one in shown] == logits.topk(8).indices.tolist()
    for one in shown:
        id_ = one["id"]
        assert one["logit"] == pytest.approx(logits[id_].item(), abs=1e-5)
        assert one["tempered_logit"] == pytest.approx(one["logit"] / 0.7)
        assert one["raw"] == pytest.approx(raw[id_].item(), rel=1e-4)
        assert one["tempered"] == pytest.approx(tempered[id_].item(), rel=1e-4)
        assert one["probability"] == pytest.approx(kept[id_].item(), abs=1e-5)
        assert one["kept"] == (kept[id_] > 0)
    assert answer["kept"] == int((kept > 0).sum()) <= 4
    rest = answer["rest"]
    assert rest["count"] == len(logits) - 8
    for column in ("raw", "tempered", "probability"):
        assert sum(one[column] for one in shown) + rest[column] == pytest.approx(1, abs=1e-5)


def test_the_drawn_token_is_shown_however_unlikely(client):
    many = [
        drawn(client, run="small-gpt", text=TEXT, temperature=50, seed=seed, candidates=1)
        for seed in range(5)
    ]
    assert any(len(one["candidates"]) == 2 for one in many)
    for one in many:
        [own] = [c for c in one["candidates"] if c["id"] == one["drawn"]["id"]]
        assert own["probability"] == one["drawn"]["probability"]


def test_the_cache_is_as_large_as_the_models_own(client, home, run):
    loaded = load_run(home / "logs" / run)
    cache = KVCache(16)
    with torch.no_grad():
        loaded.model(torch.tensor([loaded.tokenizer.encode(TEXT)]), cache=cache)
    size = drawn(client, run=run, text=TEXT)["cache"]
    assert size["bytes_per_token"] == 2 * 2 * 12 * 4  # keys and values of 2 blocks, float32
    assert size["bytes_per_token"] * 16 == cache.nbytes
    assert size["bytes"] == 5 * size["bytes_per_token"]
    assert (size["tokens"], size["capacity"], size["layers"]) == (5, 16, 2)


def test_a_change_holds_for_what_is_drawn(client, run):
    plain = drawn(client, run=run, text=TEXT)
    changed = drawn(client, run=run, text=TEXT, change="ablate-ff:0 ablate-ff:1")
    assert plain["candidates"] != changed["candidates"]
    assert changed["cache"]
    assert drawn(client, run=run, text=TEXT) == plain


def test_what_looks_ahead_has_no_cache(client, run):
    assert drawn(client, run=run, text=TEXT, change="no-mask")["cache"] is None


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"temperature": -1}, 422, "temperature"),
        ({"temperature": "hot"}, 422, "temperature"),
        ({"top_k": 0}, 422, "top_k"),
        ({"top_p": 0}, 422, "top_p"),
        ({"top_p": 1.1}, 422, "top_p"),
        ({"seed": -1}, 422, "seed"),
        ({"ids": [999]}, 400, "ids = 999: must be 0 to"),
        ({"ids": []}, 400, "one token at least"),
        ({"ids": [-1]}, 422, "ids"),
        ({"text": "é"}, 400, "unknown character"),
        ({"change": "ablate:0.7"}, 400, "head = 7"),
        ({"heat": 1}, 422, "heat"),
        ({"run": "x"}, 404, "unknown run"),
    ],
)
def test_what_can_not_be_drawn_is_told_in_one_line(body, status, word, client):
    answer = client.post(
        "/api/generate", json={"run": "small-gpt", "text": TEXT, **body}, headers=OWN
    )
    assert word in told(answer, status)
