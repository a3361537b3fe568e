"""What a model would say, as the page is told it."""

import numpy as np
import pytest
import torch

from playattention.training.run import load_run
from playattention.xray import ledger, logit_lens, losses
from tests.playground.conftest import found, seen, told

TEXT = "Anna:\nThe lamp"


def own(home, run):
    """Return a run's model and the text's tokens."""
    loaded = load_run(home / "logs" / run)
    return loaded.model, torch.tensor([loaded.tokenizer.encode(TEXT)])


def test_the_lens_is_that_of_x_ray(client, home, run):
    model, idx = own(home, run)
    expected = logit_lens(model, idx)
    probabilities = expected.probabilities[:, 0].double()
    lens = found(client.get("/api/lens", params={"run": run, "text": TEXT, "k": 3}))
    assert lens["stages"] == expected.stages == ["embedding", "block 0", "block 1"]
    for stage, row in zip(probabilities, lens["positions"], strict=True):
        assert len(row) == len(TEXT)
        for place, cell in enumerate(row):
            ids = [one["id"] for one in cell["top"]]
            assert ids == stage[place].topk(3).indices.tolist()
            assert [one["probability"] for one in cell["top"]] == pytest.approx(
                stage[place, ids].tolist(), rel=1e-4
            )
            if place == len(TEXT) - 1:
                assert cell["next"] is None
                continue
            true = int(idx[0, place + 1])
            assert cell["next"]["id"] == true
            assert cell["next"]["text"] == TEXT[place + 1]
            assert cell["next"]["probability"] == pytest.approx(stage[place, true].item(), rel=1e-4)
            assert cell["next"]["rank"] == 1 + int((stage[place] > stage[place, true]).sum())


def test_the_losses_are_those_of_x_ray(client, home, run):
    model, idx = own(home, run)
    targets = torch.cat([idx[:, 1:], torch.tensor([[-100]])], dim=1)
    expected = losses(model, idx, targets, 2)
    answer = found(client.get("/api/losses", params={"run": run, "text": TEXT, "k": 2}))
    assert answer["mean"] == pytest.approx(expected.mean, rel=1e-6)
    assert answer["mean"] == pytest.approx(
        seen(home, run, TEXT).one("", "loss").tensor.item(), 1e-5
    )
    rows = answer["positions"]
    assert [row["token"]["text"] for row in rows] == list(TEXT)
    assert [row["next"] and row["next"]["text"] for row in rows] == [*TEXT[1:], None]
    assert [row["loss"] for row in rows[:-1]] == pytest.approx(expected.loss[0, :-1].tolist())
    assert [row["rank"] for row in rows[:-1]] == expected.rank[0, :-1].tolist()
    assert rows[-1]["loss"] is rows[-1]["rank"] is rows[-1]["probability"] is None
    for row in rows:
        assert [one["id"] for one in row["top"]] == expected.top_ids[0, row["position"]].tolist()


def test_the_ledger_is_that_of_x_ray_and_adds_up(client, home, run):
    model, idx = own(home, run)
    answer = found(
        client.get("/api/ledger", params={"run": run, "text": TEXT, "pos": 4, "token": 7})
    )
    expected = ledger(model, idx, 4, 7)
    amounts = [entry["amount"] for entry in answer["entries"]]
    assert amounts == pytest.approx([entry.amount for entry in expected.entries], abs=1e-9)
    assert sum(amounts) + answer["remainder"] == pytest.approx(answer["logit"], abs=1e-9)
    assert abs(answer["remainder"]) < 1e-4
    heads = [(e["layer"], e["head"]) for e in answer["entries"] if e["kind"] == "head"]
    assert heads == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_ledger_is_of_the_likeliest_token_at_the_last_position_unless_told(client, home, run):
    logits = seen(home, run, TEXT).one("", "logits").tensor[0, -1]
    answer = found(client.get("/api/ledger", params={"run": run, "text": TEXT}))
    assert answer["position"] == len(TEXT) - 1
    assert answer["token"]["id"] == int(logits.argmax())
    assert answer["logit"] == pytest.approx(logits.max().item(), abs=1e-5)


def test_a_change_holds_for_predictions_too(client, run):
    q = {"run": run, "text": TEXT}
    for path in ("lens", "losses", "ledger", "backward"):
        plain = found(client.get(f"/api/{path}", params=q))
        changed = found(client.get(f"/api/{path}", params={**q, "change": "ablate-ff:0"}))
        assert plain != changed, path


def test_roles_tell_every_head_in_every_pattern_and_are_kept(client, run):
    roles = found(client.get("/api/roles", params={"run": run}))
    assert roles["text"] == "held back of text.txt"
    assert {"previous", "first", "itself", "induction"} <= set(roles["patterns"])
    assert roles["patterns"]["previous"] == "the token before"
    told_of = [(one["pattern"], one["layer"], one["head"]) for one in roles["roles"]]
    assert len(set(told_of)) == len(told_of) == 4 * len(roles["patterns"])
    scores = np.array([one["score"] for one in roles["roles"]])
    assert ((scores >= 0) & (scores <= 1 + 1e-6)).all()
    assert found(client.get("/api/roles", params={"run": run})) == roles


@pytest.mark.parametrize(
    ("path", "params", "status", "word"),
    [
        ("lens", {"k": 0}, 422, "k"),
        ("lens", {"k": 51}, 422, "k"),
        ("lens", {"k": 45}, 400, "k = 45: must be 1 to"),
        ("losses", {"k": 45}, 400, "k = 45: must be 1 to"),
        ("ledger", {"pos": 99}, 400, "pos = 99: must be 0 to 13"),
        ("ledger", {"pos": -1}, 422, "pos"),
        ("ledger", {"token": 999}, 400, "token = 999"),
    ],
)
def test_what_can_not_be_predicted_is_told_in_one_line(path, params, status, word, client):
    answer = client.get(f"/api/{path}", params={"run": "small-gpt", "text": TEXT, **params})
    assert word in told(answer, status)
