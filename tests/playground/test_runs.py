"""The list of runs, and folders that are damaged, half written or gone."""

import json
import os
import shutil

import pytest
from fastapi.testclient import TestClient

from playattention.errors import UserError
from playattention.playground.server import create_app
from tests.playground.conftest import ORIGIN, found, told

UNTRAINED = ["untrained:gpt", "untrained:gpt2", "untrained:modern"]


@pytest.fixture
def copy(home, own_folder):
    """A folder of its own with the two runs, to damage."""
    shutil.copytree(home / "logs", own_folder / "logs")
    return own_folder / "logs"


def asking(run=None) -> TestClient:
    """Ask a server of this folder."""
    return TestClient(create_app(run), base_url=ORIGIN, raise_server_exceptions=False)


def entry(client, name):
    """Return what the list says of a run."""
    [one] = [one for one in found(client.get("/api/runs")) if one["name"] == name]
    return one


def test_a_run_is_listed_with_what_its_files_say(client, home, run):
    listed = entry(client, run)
    log = (home / "logs" / run / "log.csv").read_text().splitlines()
    columns = log[0].split(",")
    last = dict(zip(columns, log[-1].split(","), strict=True))
    assert listed["val_loss"] == pytest.approx(float(last["eval_val_loss"]))
    assert (listed["step"], listed["steps"], listed["planned"]) == (4, [0, 2, 4], 4)
    assert (listed["kind"], listed["error"], listed["dataset"]) == ("run", None, "text.txt")
    assert listed["sizes"]["n_embd"] == 12
    assert listed["parameters"] > 1000


def test_untrained_models_are_there_without_any_run(own_folder):
    listed = found(asking().get("/api/runs"))
    assert [one["name"] for one in listed] == UNTRAINED
    assert {one["kind"] for one in listed} == {"untrained"}
    assert [one["step"] for one in listed] == [0, 0, 0]


def test_the_run_of_the_command_line_comes_first_then_the_newest(copy):
    os.utime(copy / "small-gpt" / "checkpoints", (2e9, 2e9))
    assert [one["name"] for one in found(asking().get("/api/runs"))][:2] == [
        "small-gpt",
        "small-modern",
    ]
    listed = [one["name"] for one in found(asking("small-gpt2").get("/api/runs"))]
    assert listed == ["small-gpt2", "small-gpt", "small-modern", *UNTRAINED]


def test_a_run_elsewhere_is_opened_by_the_command_line_alone(copy, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine"
    (copy / "small-gpt").rename(elsewhere)
    told(asking().get("/api/look", params={"run": str(elsewhere)}), 404)
    client = asking(str(elsewhere))
    assert found(client.get("/api/runs"))[0]["name"] == "mine"
    assert client.get("/api/look", params={"run": "mine"}).status_code == 200


def test_a_run_elsewhere_whose_name_is_taken_is_called_by_its_path(copy, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "small-gpt"
    shutil.copytree(copy / "small-gpt2", elsewhere)
    client = asking(str(elsewhere))
    first = found(client.get("/api/runs"))[0]
    assert (first["name"], first["model"]) == (str(elsewhere), "gpt2")
    assert entry(client, "small-gpt")["model"] == "gpt"
    assert found(client.get("/api/look", params={"run": str(elsewhere)}))["model"] == "gpt2"


def test_no_such_run_on_the_command_line_is_told(copy):
    with pytest.raises(UserError, match="did you mean 'small-gpt'"):
        create_app("small-gtp")


def damage_json(name):
    def damage(folder):
        (folder / name).write_text('{"half": ')

    return damage


def other_version(folder):
    settings = json.loads((folder / "config.json").read_text())
    settings["model"]["rotary"] = True
    (folder / "config.json").write_text(json.dumps(settings))


def other_facts(folder):
    (folder / "corpus.json").write_text('{"words": 3}')


def cut_weights(folder):
    path = folder / "checkpoints" / "step_00000004" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def no_weights(folder):
    (folder / "checkpoints" / "step_00000004" / "model.safetensors").unlink()


def no_state(folder):
    (folder / "checkpoints" / "step_00000004" / "state.json").unlink()


def other_state(folder):
    (folder / "checkpoints" / "step_00000004" / "state.json").write_text('{"steps": 1}')


def other_sizes(folder):
    settings = json.loads((folder / "config.json").read_text())
    settings["model"]["n_embd"] = 16
    (folder / "config.json").write_text(json.dumps(settings))


def a_folder_for_a_file(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").mkdir()


def list_for_settings(folder):
    (folder / "tokenizer.json").write_text("[1]")


def no_checkpoints(folder):
    shutil.rmtree(folder / "checkpoints")


def gone(folder):
    shutil.rmtree(folder)


DAMAGES = [
    damage_json("config.json"), damage_json("tokenizer.json"), damage_json("corpus.json"),
    other_version, other_facts, cut_weights, no_weights, no_state, other_state, other_sizes,
    a_folder_for_a_file, list_for_settings, no_checkpoints, gone,
]  # fmt: skip


@pytest.mark.parametrize("looked_before", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_told_in_one_line_and_harms_no_other(damage, looked_before, copy):
    client = asking()
    q = {"run": "small-gpt", "text": "Anna"}
    if looked_before:
        assert client.get("/api/look", params=q).status_code == 200
    damage(copy / "small-gpt")
    listed = found(client.get("/api/runs"))
    assert "small-gpt2" in [one["name"] for one in listed]
    for path in ("look", "lens", "backward", "roles", "examples", "adamw", "across", "vocabulary"):
        params = {**q, "module": "", "name": "logits", "index": "0"}
        kept = {
            "look": ("run", "text"), "lens": ("run", "text"), "backward": ("run", "text"),
            "roles": ("run",), "examples": ("run",), "vocabulary": ("run",),
            "adamw": ("run", "text", "name", "index"), "across": ("run", "text", "module", "name"),
        }[path]  # fmt: skip
        answer = client.get(f"/api/{path}", params={key: params[key] for key in kept})
        assert answer.status_code < 500, (path, answer.text)
        if answer.status_code >= 400:
            told(answer, answer.status_code)
    assert client.get("/api/jobs/small-gpt").status_code < 500
    assert client.get("/api/look", params={**q, "run": "small-gpt2"}).status_code == 200


def test_a_run_without_a_checkpoint_is_listed_after_those_that_can_be_opened(copy):
    os.utime(copy / "small-gpt" / "config.json", (2e9, 2e9))
    no_checkpoints(copy / "small-gpt")
    client = asking()
    assert [one["name"] for one in found(client.get("/api/runs"))][:2] == [
        "small-gpt2",
        "small-gpt",
    ]
    assert entry(client, "small-gpt")["step"] is None
    assert "no checkpoint yet" in told(client.get("/api/look", params={"run": "small-gpt"}), 404)


def test_weights_that_were_written_anew_are_read_anew(copy):
    """A run of the same name may be trained again while the page is open."""
    client = asking()
    q = {"run": "small-gpt", "text": "Anna"}
    before = found(client.get("/api/look", params=q))["loss"]
    old = copy / "small-gpt" / "checkpoints" / "step_00000002" / "model.safetensors"
    new = copy / "small-gpt" / "checkpoints" / "step_00000004" / "model.safetensors"
    new.unlink()
    shutil.copyfile(old, new)
    after = found(client.get("/api/look", params=q))["loss"]
    assert after == found(client.get("/api/look", params={**q, "step": 2}))["loss"] != before
