"""The course over HTTP: started, checked as it is saved, hinted at; in real processes."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient

from playattention.course import EXERCISES, exercise
from playattention.playground import checks
from playattention.playground.server import create_app
from tests.playground.conftest import ORIGIN, OWN, found, told

NAME = "causal_mask"
SECONDS = 60.0
"""What a busy machine may take for what is a second's work."""


@pytest.fixture
def client(own_folder: Path) -> Iterator[TestClient]:
    """Ask a server in an empty folder; nothing that it started may be left at its end."""
    with TestClient(create_app(), base_url=ORIGIN) as asking:
        asking.headers.update(OWN)
        yield asking
    until = time.monotonic() + SECONDS
    while checking() and time.monotonic() < until:
        time.sleep(0.05)
    assert checking() == []


@pytest.fixture
def file(own_folder: Path) -> Path:
    """Where the learner writes."""
    return own_folder / "exercises" / "e06_causal_mask.py"


def checking() -> list[psutil.Process]:
    """Return the processes that wait for a file to check, or check one."""
    children = [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE
        and any("playattention.course.child" in word for word in child.cmdline())
    ]
    return children


def wait_for(client: TestClient, what: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Ask as the page does, until something holds of the exercise."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        found(client.get("/api/exercises"))
        one = found(client.get(f"/api/exercises/{NAME}"))
        if what(one):
            return one
        time.sleep(0.05)
    raise AssertionError(one)


def wrong(mistake: str) -> str:
    """Return a file with a mistake that is known."""
    one = exercise(NAME)
    return one.wrong(next(known for known in one.mistakes if known.name == mistake))


def post(client: TestClient, what: str, name: str = NAME) -> dict[str, Any]:
    """Have something done."""
    return found(client.post(f"/api/exercises/{name}/{what}", json={}))


def test_all_are_listed_in_order_and_none_is_started(client: TestClient) -> None:
    listed = found(client.get("/api/exercises"))
    assert [one["name"] for one in listed["exercises"]] == list(EXERCISES)
    assert {one["state"] for one in listed["exercises"]} == {"not started"}
    assert (listed["checking"], listed["problem"]) == ([], None)


def test_one_tells_what_to_write_and_where(client: TestClient, file: Path) -> None:
    one = found(client.get(f"/api/exercises/{NAME}"))
    right = exercise(NAME)
    assert one["goal"] == right.goal.strip()
    assert one["stub"].startswith("import torch")
    assert "Weights (..., Tq, Tk)" in one["stub"]
    assert right.goal.strip() not in one["stub"]
    assert one["path"] == str(file.resolve())
    assert one["read"] == right.read
    assert (one["verdict"], one["hints_told"], one["hints_there"]) == (None, [], 3)
    assert not file.exists()


@pytest.mark.parametrize("name", list(EXERCISES))
def test_each_can_be_asked_for(client: TestClient, name: str) -> None:
    assert found(client.get(f"/api/exercises/{name}"))["name"] == name


def test_nothing_runs_before_something_is_started(client: TestClient) -> None:
    for _ in range(3):
        client.get("/api/exercises")
    assert checking() == []


def test_start_puts_the_file_and_never_overwrites(client: TestClient, file: Path) -> None:
    assert post(client, "start")["state"] == "started"
    assert file.read_text() == exercise(NAME).stub
    file.write_text("mine = 1\n")
    assert post(client, "start")["state"] == "started"
    assert file.read_text() == "mine = 1\n"
    [last] = [one for one in found(client.get("/api/exercises"))["exercises"] if one["last"]]
    assert last["name"] == NAME


def test_hints_come_one_by_one_and_no_more_than_there_are(client: TestClient) -> None:
    for given in (1, 2, 3, 3):
        one = post(client, "hint")
        assert one["hints_told"] == list(exercise(NAME).hints[:given])
        assert one["hints"] == given


def test_a_saved_file_is_checked_by_itself(client: TestClient, file: Path) -> None:
    """What is wrong in its four parts and two tensors; then what is right."""
    post(client, "start")
    stub = wait_for(client, lambda one: one["verdict"] and one["verdict"]["current"])["verdict"]
    assert "not written yet" in stub["message"]["observed"]
    file.write_text(wrong("zeroed after the softmax"))
    is_told = lambda one: one["verdict"]["mistake"] == "zeroed after the softmax"  # noqa: E731
    verdict = wait_for(client, is_told)["verdict"]
    assert all(verdict["message"][part] for part in ("observed", "evidence", "cause", "read"))
    got, wanted = verdict["got"], verdict["wanted"]
    assert got["kind"] == wanted["kind"] == "tensor"
    assert got["shape"] == wanted["shape"]
    row, column = (0, *verdict["place"])[-2:]
    assert got["rows"][row][column] != wanted["rows"][row][column]
    file.write_text(exercise(NAME).solution)
    one = wait_for(client, lambda one: one["state"] == "passed")
    assert one["verdict"]["passed"]
    assert one["next"] == "many_heads"


def test_what_was_saved_while_nobody_looked_is_checked(client: TestClient, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(wrong("triangle flipped"))
    one = wait_for(client, lambda one: one["verdict"])
    assert one["verdict"]["mistake"] == "triangle flipped"


def test_check_answers_with_what_came_of_it(client: TestClient, file: Path) -> None:
    post(client, "start")
    file.write_text(exercise(NAME).solution)
    one = post(client, "check")
    assert (one["state"], one["verdict"]["passed"], one["verdict"]["current"]) == (
        "passed",
        True,
        True,
    )


def test_checks_let_others_go_first_and_end_when_nobody_looks(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LOOKED", 1.0)
    post(client, "start")
    wait_for(client, lambda one: one["verdict"])
    processes = checking()
    assert processes
    assert all(process.nice() >= 10 for process in processes)
    until = time.monotonic() + SECONDS
    while checking() and time.monotonic() < until:
        time.sleep(0.05)
    assert checking() == []


def test_the_end_of_the_server_ends_a_check_that_loops(own_folder: Path, file: Path) -> None:
    with TestClient(create_app(), base_url=ORIGIN) as asking:
        asking.headers.update(OWN)
        post(asking, "start")
        file.write_text("while True:\n    pass\n")
        until = time.monotonic() + SECONDS
        while NAME not in found(asking.get("/api/exercises"))["checking"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    assert checking() == []


def test_a_fault_of_the_checks_is_told_and_the_server_goes_on(
    client: TestClient, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no room for another process")

    monkeypatch.setattr(checks, "watch", broken)
    post(client, "start")
    assert post(client, "check")["verdict"] is None
    assert "no room" in found(client.get("/api/exercises"))["problem"]
    assert "no room" in caplog.text


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "{",
        "[]",
        "null",
        '{"passed": 3}',
        '{"got": 3}',
        '{"passed": true, "got": {"values": {}}}',
    ],
)
def test_a_kept_check_that_is_not_understood_is_none(
    client: TestClient, file: Path, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks.Checks, "look", lambda _: None)
    post(client, "start")
    (file.parent / ".checked").mkdir()
    (file.parent / ".checked" / f"{NAME}.json").write_text(kept)
    assert found(client.get(f"/api/exercises/{NAME}"))["verdict"] is None


@pytest.mark.parametrize("values", [3, [1.5, "NaN"], [[True, False]], [["-inf"], [2]], []])
def test_numbers_come_as_rows(
    client: TestClient, file: Path, values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever dimensions they were; truth values are 0 and 1."""
    monkeypatch.setattr(checks.Checks, "look", lambda _: None)
    post(client, "start")
    picture = {"kind": "tensor", "shape": [], "index": [], "values": values}
    text = {"kind": "text", "text": "one word"}
    kept = {"passed": False, "message": None, "held": 0, "of": 1, "probe": "p", "mistake": None}
    kept |= {"got": picture, "wanted": text, "place": [], "printed": "", "seconds": 0.5}
    (file.parent / ".checked").mkdir()
    (file.parent / ".checked" / f"{NAME}.json").write_text(json.dumps(kept))
    verdict = found(client.get(f"/api/exercises/{NAME}"))["verdict"]
    rows = {
        "3": [[3]],
        "[1.5, 'NaN']": [[1.5, "NaN"]],
        "[[True, False]]": [[1, 0]],
        "[['-inf'], [2]]": [["-inf"], [2]],
        "[]": [[]],
    }[repr(values)]
    assert verdict["got"]["rows"] == rows
    assert verdict["wanted"]["text"] == "one word"
    assert not verdict["current"]


@pytest.mark.parametrize("name", ["x", "causal-mask", "progress.txt", "é", "6", "CAUSAL_MASK"])
def test_a_name_that_is_none_is_told_in_one_line(client: TestClient, name: str) -> None:
    told(client.get(f"/api/exercises/{name}"), 404)
    for what in ("start", "check", "hint"):
        told(client.post(f"/api/exercises/{name}/{what}", json={}), 404)


def test_a_file_that_is_not_there_cannot_be_checked(client: TestClient) -> None:
    assert "learn start causal_mask" in told(client.post(f"/api/exercises/{NAME}/check", json={}))


@pytest.mark.parametrize("what", ["start", "check", "hint"])
def test_only_the_page_may_have_something_done(client: TestClient, what: str, file: Path) -> None:
    path = f"/api/exercises/{NAME}/{what}"
    del client.headers["X-Playattention"]
    told(client.post(path, json={}), 403)
    told(client.post(path, json={}, headers={**OWN, "Origin": "http://evil.example"}), 403)
    told(client.post(path, json={"source": "print(1)"}, headers=OWN), 422)
    assert not file.exists()
