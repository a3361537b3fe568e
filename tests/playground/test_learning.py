"""Gradients, one step of AdamW and a value over the checkpoints, as the page is told them."""

import numpy as np
import pytest
import torch

from playattention.training.run import load_run
from playattention.xray import next_step
from playattention.xray.backward import Backward, backward
from tests.playground.conftest import HEADS, array, found, seen, told

TEXT = "Anna:\nThe lamp"
WEIGHT = "blocks.0.attention.projection.weight"


def way_back(home, run) -> Backward:
    """Return the gradients that the page must show."""
    loaded = load_run(home / "logs" / run)
    ids = loaded.tokenizer.encode(TEXT)
    return backward(loaded.model, torch.tensor([ids]), torch.tensor([[*ids[1:], -100]]))


def test_the_gradients_are_those_of_x_ray(client, home, run):
    expected = way_back(home, run)
    answer = found(client.get("/api/backward", params={"run": run, "text": TEXT}))
    assert answer["loss"] == expected.loss.item()
    assert answer["norm"] == pytest.approx(expected.norm, rel=1e-6)
    norms = {one["title"]: one["norm"] for one in answer["values"]}
    for value, gradient in expected.of_values.items():
        told_of = norms[value.title]
        assert (told_of is None) == (gradient is None)
        if gradient is not None:
            assert told_of == pytest.approx(gradient.norm().item(), rel=1e-5)
    for one in answer["weights"]:
        assert one["norm"] == pytest.approx(expected.gradients[one["name"]].norm().item(), rel=1e-5)


def test_a_gradient_is_sent_byte_for_byte(client, home, run):
    expected = way_back(home, run)
    module, index = HEADS[run]
    q = {"run": run, "text": TEXT}
    params = {**q, "module": module, "name": "weights", "index": index}
    place = tuple(int(number) for number in index.split(","))
    numbers = array(client.get("/api/gradient", params=params))
    assert np.array_equal(numbers, expected.of(module, "weights")[place].numpy())
    numbers = array(client.get("/api/gradient", params={**q, "weight": WEIGHT, "index": "2"}))
    assert np.array_equal(numbers, expected.gradients[WEIGHT][2].numpy())


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"module": "", "name": "positions"}, "has no gradient"),
        ({"module": "", "name": "logit"}, "did you mean 'logits'"),
        ({"weight": "blocks.9.weight"}, "unknown weight"),
    ],
)
def test_a_gradient_that_is_not_there_is_told(params, word, client):
    answer = client.get("/api/gradient", params={"run": "small-gpt", "text": TEXT, **params})
    assert word in told(answer, 404)


@pytest.mark.parametrize("step", [0, 2])
def test_a_step_of_adamw_is_the_one_that_the_run_would_take(step, client, home, run):
    ids = load_run(home / "logs" / run).tokenizer.encode(TEXT)
    idx, targets = torch.tensor([ids]), torch.tensor([[*ids[1:], -100]])
    _, expected = next_step(home / "logs" / run, idx, targets, step)
    name = "head.weight" if run == "small-modern" else WEIGHT  # whose matrices Muon updates
    params = {"run": run, "step": step, "text": TEXT, "name": name, "index": "1,2"}
    answer = found(client.get("/api/adamw", params=params))
    update = expected[name]
    assert answer["step"] == step + 1 == update.step
    for name, number in answer["numbers"].items():
        assert number == getattr(update, name)[1, 2].item(), name
    assert (answer["rate"], answer["factor"]) == (expected.rate, expected.factor)
    assert [line["name"] for line in answer["lines"]][-2:] == ["change", "new"]
    assert answer["lines"][-1]["number"] == pytest.approx(answer["numbers"]["new"], rel=1e-6)


def test_an_untrained_model_takes_its_first_step(client):
    params = {"run": "untrained:gpt", "text": "The ", "name": WEIGHT, "index": "0,0"}
    answer = found(client.get("/api/adamw", params=params))
    assert answer["step"] == 1
    assert answer["numbers"]["first_before"] == 0


@pytest.mark.parametrize(
    ("params", "status", "word"),
    [
        ({"name": "blocks.9.weight", "index": "0"}, 404, "unknown weight"),
        ({"name": WEIGHT, "index": "0"}, 400, "must be one cell of (12, 12)"),
        ({"name": WEIGHT, "index": "0,99"}, 400, "up to 11,11"),
    ],
)
def test_a_step_of_no_weight_is_told(params, status, word, client):
    answer = client.get("/api/adamw", params={"run": "small-gpt", "text": TEXT, **params})
    assert word in told(answer, status)


def test_it_is_told_which_weights_muon_updates(client, run):
    params = {"run": run, "text": TEXT}
    weights = found(client.get("/api/backward", params=params))["weights"]
    matrices = [one["name"] for one in weights if one["optimizer"] == "muon"]
    if run != "small-modern":
        assert matrices == []
        return
    inner = [one["name"] for one in weights if one["name"].startswith("blocks.")]
    assert matrices == inner != []
    step = client.get("/api/adamw", params={**params, "name": inner[0], "index": "0,0"})
    assert "muon" in told(step)


@pytest.mark.parametrize("looked_before", [False, True])
def test_a_value_over_the_checkpoints_is_that_of_each(looked_before, client, home, run):
    module, index = HEADS[run]
    if looked_before:
        client.get("/api/look", params={"run": run, "text": TEXT, "step": 2})
    params = {"run": run, "text": TEXT, "module": module, "name": "weights", "index": index}
    answer = client.get("/api/across", params=params)
    assert answer.headers["x-steps"] == "0,2,4"
    place = tuple(int(number) for number in index.split(","))
    for step, numbers in zip((0, 2, 4), array(answer), strict=True):
        expected = seen(home, run, TEXT, step).one(module, "weights").tensor[place].numpy()
        assert np.array_equal(numbers, expected), step


@pytest.mark.parametrize(
    ("module", "name"), [("blocks.9", "x"), ("blocks.0", "x"), ("blocks.*", "x")]
)
def test_a_value_that_no_checkpoint_has_is_told(module, name, client):
    params = {"run": "small-gpt", "text": TEXT, "module": module, "name": name}
    told(client.get("/api/across", params=params), 404)


def test_the_difference_of_two_checkpoints_tells_what_changed_most(client, home, run):
    answer = found(
        client.get("/api/difference", params={"run": run, "text": TEXT, "other_step": 0})
    )
    shares = [one["share"] for one in answer["shares"]]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.1
    late, early = seen(home, run, TEXT), seen(home, run, TEXT, 0)
    [share] = [one["share"] for one in answer["shares"] if one["title"] == ":logits"]
    one, other = late.one("", "logits").tensor, early.one("", "logits").tensor
    longer = max(one.norm().item(), other.norm().item())
    assert share == pytest.approx((one - other).norm().item() / longer, rel=1e-4)
    assert answer["only_first"] == answer["only_second"] == answer["reshaped"] == []


def test_the_difference_of_a_change_begins_where_it_acts(client, run):
    params = {"run": run, "text": TEXT, "change": "ablate-ff:1", "other_change": "none"}
    answer = found(client.get("/api/difference", params=params))
    changed = {one["title"] for one in answer["shares"] if one["share"] > 0}
    assert ":logits" in changed
    assert not any(title.startswith("blocks.0") for title in changed)


def test_runs_of_other_tokens_are_not_compared(client):
    params = {"run": "small-gpt", "text": TEXT, "other_run": "untrained:gpt"}
    assert "other tokens" in told(client.get("/api/difference", params=params))
