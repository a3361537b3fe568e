"""Trainings that the page starts: real processes, some of them played by a small script."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient

from playattention.playground import jobs
from playattention.playground.server import create_app
from playattention.training.checkpoint import saved_steps
from playattention.training.report import read_log
from tests.conftest import TEXT
from tests.playground.conftest import ORIGIN, OWN, found, told

TINY = {
    "data.dataset": "text.txt",
    "model.n_layer": 1,
    "model.n_head": 2,
    "model.n_embd": 8,
    "model.seq_size": 8,
    "train.batch_size": 2,
    "train.eval_every": 5,
    "train.sample_tokens": 3,
    "data.eval_tokens": 50,
}


def alive():
    """Return what tests here started and what has not ended; not Python's own helpers.

    Those belong to tests of other files, which want them later on.
    """
    living = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            ended = child.status() == psutil.STATUS_ZOMBIE
            if not ended and "multiprocessing" not in " ".join(child.cmdline()):
                living.append(child)
    return living


@pytest.fixture
def client(own_folder: Path):
    """Ask a server in an empty folder with a text; what it started ends with the test."""
    (own_folder / "text.txt").write_text(TEXT, encoding="utf-8")
    asking = TestClient(create_app(), base_url=ORIGIN)
    asking.headers.update(OWN)
    yield asking
    for process in alive():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    while alive():  # the server hears of their end
        time.sleep(0.01)


@pytest.fixture
def played(monkeypatch):
    """Let a script stand for the training; it is told the words of the command line."""

    def play(script: str) -> None:
        line = (sys.executable, "-c", f"import sys, time, signal\n{script}")
        monkeypatch.setattr(jobs, "COMMAND", line)

    return play


FOREVER = "print('at work', flush=True)\nwhile True: time.sleep(0.05)"


def until(client, name, *states, seconds=120):
    """Return a training once it is in a state."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = found(client.get(f"/api/jobs/{name}"))
        if job["state"] in states:
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def start(client, name="mine", **settings):
    """Ask for a training."""
    body = {"recipe": "gpt", "name": name, "settings": {**TINY, **settings}}
    return client.post("/api/jobs", json=body)


def laid_out(name):
    """Let there be a run of that name, as far as a list needs it."""
    (Path("logs") / name).mkdir(parents=True)
    (Path("logs") / name / "config.json").write_text("{}")


def test_a_training_is_started_with_the_words_of_the_command_line(client, played):
    played("print(*sys.argv[1:], sep='|', flush=True)\ntime.sleep(60)")
    answer = start(client, **{"train.steps": 30, "model.dropout": 0.1})
    assert answer.status_code == 201
    assert answer.json() | {"started": ""} == {
        "name": "mine", "recipe": "gpt", "state": "starting", "step": 0, "planned": 30,
        "started": "", "error": None,
    }  # fmt: skip
    wait_for_log("mine")
    words = Path("logs/.jobs/mine.log").read_text().strip().split("|")
    assert words[:4] == ["train", "gpt", "--run", "mine"]
    given = dict(zip(words[4::2], words[5::2], strict=True))
    assert given["--dataset"] == "text.txt"
    assert given["--train.steps"] == "30"
    assert given["--model.dropout"] == "0.1"
    assert "--model.vocab-size" not in given


def wait_for_log(name):
    end = time.monotonic() + 20
    while not Path(f"logs/.jobs/{name}.log").read_text() and time.monotonic() < end:
        time.sleep(0.02)


def test_a_training_has_low_priority_and_leaves_a_core(client, played, monkeypatch):
    monkeypatch.setattr(jobs, "cores", lambda: 3)
    played(
        "import os\nprint(os.environ['OMP_NUM_THREADS'], *sys.argv[1:], flush=True)\ntime.sleep(60)"
    )
    start(client)
    wait_for_log("mine")
    [process] = alive()
    assert process.nice() >= 10
    log = Path("logs/.jobs/mine.log").read_text()
    assert log.startswith("2 ")
    assert "--train.threads 2" in log
    if sys.platform != "win32":
        assert os.getpgid(process.pid) != os.getpgid(0)  # Ctrl-C in the terminal is not for it


def test_of_two_starts_at_once_one_is_refused(client, played):
    played(FOREVER)
    barrier, answers = threading.Barrier(4), {}

    def ask(name: str) -> None:
        barrier.wait()
        answers[name] = start(client, name)

    asking = [threading.Thread(target=ask, args=(f"run{number}",)) for number in range(4)]
    for one in asking:
        one.start()
    for one in asking:
        one.join(60)
    assert sorted(answer.status_code for answer in answers.values()) == [201, 409, 409, 409]
    [won] = [name for name, answer in answers.items() if answer.status_code == 201]
    for name, answer in answers.items():
        if name != won:
            assert f"training '{won}' runs; stop it first" in told(answer, 409)
    assert len(alive()) == 1
    assert [job["name"] for job in found(client.get("/api/jobs"))] == [won]


def test_another_server_refuses_too(client, played):
    played(FOREVER)
    start(client, "first")
    other = TestClient(create_app(), base_url=ORIGIN, headers=OWN)
    assert "'first' runs" in told(start(other, "second"), 409)
    assert [job["state"] for job in found(other.get("/api/jobs"))] == ["starting"]
    assert other.post("/api/jobs/first/stop", json={}).json()["state"] in ("stopping", "stopped")
    until(other, "first", "stopped")
    assert start(client, "second").status_code == 201


def test_a_start_that_waits_too_long_for_another_is_refused(client, played, monkeypatch):
    from filelock import FileLock

    played(FOREVER)
    monkeypatch.setattr(jobs, "PATIENCE", 0.1)
    Path("logs/.jobs").mkdir(parents=True)
    with FileLock("logs/.jobs/start.lock"):
        assert "is being started" in told(start(client), 409)
    assert start(client).status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"recipe": "bert"}, 400, "unknown recipe 'bert'"),
        ({"settings": {"train.stepps": 3}}, 400, "did you mean 'train.steps'"),
        ({"settings": {"train.tracker": "wandb"}}, 400, "unknown setting"),
        ({"settings": {"train.device": "cuda"}}, 400, "unknown setting"),
        ({"settings": {"model.name": "gpt2"}}, 400, "unknown setting"),
        ({"settings": {"train.steps": 0}}, 400, "steps = 0"),
        ({"settings": {"train.steps": "many"}}, 400, "steps = 'many'"),
        ({"settings": {"model.n_head": 3}}, 400, "must be divisible"),
        ({"settings": {"data.tokenizer": "words"}}, 400, "unknown tokenizer"),
        ({"settings": {"data.dataset": "/etc/passwd"}}, 400, "unknown data set"),
        ({"settings": {"data.dataset": "../"}}, 400, "unknown data set"),
        ({"settings": {"data.dataset": "nothing.txt"}}, 400, "unknown data set"),
        ({"settings": {"data.dataset": "--help"}}, 400, "unknown data set"),
        ({"settings": {"data.dataset": "a\0b"}}, 400, "unknown data set"),
        ({"settings": {"train.steps": [1]}}, 422, "settings"),
        ({"name": "../x"}, 422, "name"),
        ({"name": ".x"}, 422, "name"),
        ({"name": "-x"}, 422, "name"),
        ({"name": ""}, 422, "name"),
        ({"name": "a b"}, 422, "name"),
        ({"name": "taken"}, 400, "there is such a run"),
        ({"color": 1}, 422, "color"),
    ],
)
def test_what_can_not_be_trained_is_told_before_anything_starts(client, played, body, status, word):
    played(FOREVER)
    laid_out("taken")
    assert word in told(client.post("/api/jobs", json={"recipe": "gpt", **body}), status)
    assert alive() == []


def test_without_a_name_a_run_is_called_by_recipe_and_time(client, played):
    played(FOREVER)
    job = client.post("/api/jobs", json={"recipe": "gpt"}).json()
    assert job["name"].startswith("gpt_20")


def test_what_a_training_says_last_is_its_error(client, played):
    played("print('reading'); print('playattention: text.txt: not UTF-8'); sys.exit(2)")
    start(client)
    job = until(client, "mine", "failed")
    assert job["error"] == "text.txt: not UTF-8"
    assert job["log"][-1] == "playattention: text.txt: not UTF-8"
    assert start(client, "again").status_code == 201


def test_a_training_that_is_killed_has_failed(client, played):
    played(FOREVER)
    start(client)
    [process] = alive()
    process.kill()
    assert "without a word" in until(client, "mine", "failed")["error"]


def test_another_process_with_the_same_number_is_not_the_training(client, played):
    played("sys.exit(0)")
    start(client)
    until(client, "mine", "failed")
    path = Path("logs/.jobs/mine.json")
    record = json.loads(path.read_text())
    record |= {"pid": os.getpid(), "created": record["created"] - 100}
    path.write_text(json.dumps(record))
    assert found(client.get("/api/jobs"))[0]["state"] == "failed"
    assert "does not run" in told(client.post("/api/jobs/mine/stop", json={}))


def test_a_second_stop_does_not_end_it_at_once(client, played):
    """To `train`, a second signal means: without waiting for the step."""
    played(
        "heard = []\nsignal.signal(signal.SIGTERM, lambda *_: heard.append(1))\n"
        "print('ready', flush=True)\n"
        "while not heard: time.sleep(0.01)\n"
        "time.sleep(1)\nprint('heard', len(heard), flush=True)"
    )
    start(client)
    wait_for_log("mine")
    for _ in range(3):
        assert client.post("/api/jobs/mine/stop", json={}).json()["state"] == "stopping"
    job = until(client, "mine", "stopped")
    assert job["log"][-1] == "heard 1"
    assert job["error"] is None


def test_what_is_no_training_is_told(client):
    for path in ("", "/stop", "/resume"):
        ask = client.get if not path else client.post
        answer = ask(f"/api/jobs/none{path}", **({"json": {}} if path else {}))
        assert "training 'none'" in told(answer, 404)


def test_a_damaged_record_is_passed_over(client, played):
    played(FOREVER)
    Path("logs/.jobs").mkdir(parents=True)
    Path("logs/.jobs/half.json").write_text('{"name": "ha')
    Path("logs/.jobs/other.json").write_text('{"version": 2}')
    assert found(client.get("/api/jobs")) == []
    assert start(client).status_code == 201


def test_a_run_that_was_trained_elsewhere_is_told_too(home, own_folder, monkeypatch):
    monkeypatch.chdir(home)
    client = TestClient(create_app(), base_url=ORIGIN, headers=OWN)
    job = found(client.get("/api/jobs/small-gpt"))
    assert (job["state"], job["step"], job["planned"], job["recipe"]) == ("finished", 4, 4, "gpt")
    assert [row["step"] for row in job["rows"]] == [0, 1, 2, 3, 4]
    logged = read_log(home / "logs" / "small-gpt")
    assert [row["train_loss"] for row in job["rows"]] == [row.train_loss for row in logged]
    assert [sample["step"] for sample in job["samples"]] == [0, 2, 4]
    assert job["steps"] == [0, 2, 4]
    assert "has done 4 already" in told(client.post("/api/jobs/small-gpt/resume", json={}))


def test_only_what_is_new_of_a_log_is_told(home, own_folder, monkeypatch):
    monkeypatch.chdir(home)
    client = TestClient(create_app(), base_url=ORIGIN)
    job = found(client.get("/api/jobs/small-gpt", params={"since": 3}))
    assert [row["step"] for row in job["rows"]] == [3, 4]
    assert (job["since"], job["reset"]) == (5, False)
    again = found(client.get("/api/jobs/small-gpt", params={"since": 5}))
    assert (again["rows"], again["reset"]) == ([], False)


def test_rows_that_were_dropped_are_told_anew(home, own_folder, monkeypatch):
    """A run that goes on from an earlier checkpoint drops what came after it."""
    monkeypatch.chdir(home)
    client = TestClient(create_app(), base_url=ORIGIN)
    job = found(client.get("/api/jobs/small-gpt", params={"since": 9}))
    assert job["reset"]
    assert [row["step"] for row in job["rows"]] == [0, 1, 2, 3, 4]


def test_recipes_name_settings_that_can_be_sent_back(client, played):
    played("sys.exit(0)")
    for recipe in found(client.get("/api/recipes")):
        assert recipe["title"]
        settings = {one["key"]: one["default"] for one in recipe["settings"]}
        assert settings["data.dataset"] == "playhouse"
        assert all(one["help"] for one in recipe["settings"])
        for one in recipe["settings"]:
            if one["type"] == "choice":
                assert one["default"] in one["choices"]
        body = {"recipe": recipe["name"], "name": f"as-{recipe['name']}", "settings": settings}
        assert client.post("/api/jobs", json=body).status_code == 201
        until(client, f"as-{recipe['name']}", "failed")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["gpt", "gpt2", "modern"])
def test_a_real_training_is_started_followed_stopped_and_resumed(client, recipe):
    body = {"recipe": recipe, "name": "mine", "settings": {**TINY, "train.steps": 100_000}}
    assert client.post("/api/jobs", json=body).status_code == 201
    rows, since = [], 0
    while len(rows) < 30:
        job = found(client.get("/api/jobs/mine", params={"since": since}))
        assert job["state"] in ("starting", "running"), job
        rows, since = [*rows, *job["rows"]], job["since"]
        time.sleep(0.05)
    assert [row["step"] for row in rows] == list(range(len(rows)))
    assert found(client.get("/api/look", params={"run": "mine", "text": "Anna"}))["steps"]
    assert client.post("/api/jobs/mine/stop", json={}).json()["state"] == "stopping"
    stopped = until(client, "mine", "stopped")
    assert stopped["error"] is None
    assert stopped["steps"][-1] == stopped["step"] >= 29
    assert saved_steps(Path("logs/mine"))[-1] == stopped["step"]
    planned = stopped["step"] + 20
    resumed = client.post("/api/jobs/mine/resume", json={"steps": planned})
    assert resumed.json()["planned"] == planned
    finished = until(client, "mine", "finished", "failed")
    assert (finished["state"], finished["step"]) == ("finished", planned)
    assert [row["step"] for row in finished["rows"]] == list(range(planned + 1))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_a_training_survives_the_servers_death(client, own_folder):
    line = [sys.executable, "-m", "playattention", "play", "--no-browser", "--port", "0"]
    server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    url = next(row for row in server.stdout if row.startswith("http")).strip()
    body = {"recipe": "gpt", "name": "mine", "settings": {**TINY, "train.steps": 100_000}}
    headers = {**OWN, "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{url}api/jobs", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked) as answer:
        assert answer.status == 201
    server.send_signal(signal.SIGKILL)
    server.wait(10)
    server.stdout.close()
    job = until(client, "mine", "running")
    step = job["step"]
    while found(client.get("/api/jobs/mine"))["step"] <= step:
        time.sleep(0.05)
    assert "'mine' runs" in told(start(client, "other"), 409)
    assert client.post("/api/jobs/mine/stop", json={}).json()["state"] == "stopping"
    assert until(client, "mine", "stopped")["steps"][-1] > step
