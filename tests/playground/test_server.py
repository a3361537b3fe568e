"""The server as a whole: its description, its errors, its files."""

import json
import threading
from pathlib import Path

import pytest

from playattention.playground import server
from tests.playground.conftest import OWN, found, told

WRONG = [
    "",
    "x",
    "-1",
    "1.5",
    "99999999999999999999",
    "null",
    "true",
    "[]",
    "a\0b",
    "é",
    "%",
    "9" * 300,
]
"""What no key should take the server down by."""


@pytest.fixture
def openapi(client):
    """The description of the API."""
    return found(client.get("/api/openapi.json"))


def references(part):
    """Yield every reference in a description."""
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_the_description_is_whole(openapi):
    assert openapi["openapi"].startswith("3.")
    names = set()
    for path, methods in openapi["paths"].items():
        assert path.startswith("/api/")
        for method, one in methods.items():
            assert method in ("get", "post")
            assert one["summary"]
            assert one["description"], path
            names.add(one["operationId"])
            assert {"400", "403", "404", "422"} <= set(one["responses"]), path
            [good] = [status for status in one["responses"] if status.startswith("2")]
            assert one["responses"][good]["content"], path
    assert len(names) == sum(len(methods) for methods in openapi["paths"].values())
    for reference in references(openapi):
        part = openapi
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


def test_every_answer_is_typed(openapi):
    """An answer is a model, a list of models, or bytes; an error is a line."""
    for path, methods in openapi["paths"].items():
        for one in methods.values():
            for status, answer in one["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    schema = content["schema"]
                    if status == "422":
                        continue
                    if kind == "application/octet-stream":
                        assert schema["format"] == "binary"
                    else:
                        assert "$ref" in schema or "$ref" in schema["items"], (path, status)


def test_the_description_says_how_errors_are_told(openapi):
    for methods in openapi["paths"].values():
        for one in methods.values():
            for status in ("400", "403", "404", "422"):
                [content] = one["responses"][status]["content"].values()
                assert content["schema"] == {"$ref": "#/components/schemas/Error"}


def test_no_wrong_key_takes_the_server_down(client, openapi):
    """Every query key of every route, as the description names them, with what does not fit."""
    good = {"run": "small-gpt", "text": "Anna", "module": "", "name": "logits", "since": "0"}
    tried = 0
    for path, methods in openapi["paths"].items():
        if "get" not in methods or path in ("/api/roles",):
            continue
        keys = [one["name"] for one in methods["get"].get("parameters", []) if one["in"] == "query"]
        fitting = {key: good[key] for key in keys if key in good}
        for key in [*keys, "unknown_key"]:
            for wrong in WRONG:
                answer = client.get(path.replace("{name}", "x"), params={**fitting, key: wrong})
                tried += 1
                assert answer.status_code < 500, (path, key, wrong)
                if answer.status_code >= 400:
                    told(answer, answer.status_code)
    assert tried > 500


BODIES = [
    *(b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"[" * 50_000, b'{"a":' * 20_000),
    *(b'{"run": {}}', b'{"run": "\\ud800"}', b'{"run": NaN}', b'{"run": 1e999}'),
    *(b'{"run": "small-gpt", "seed": 1e400}', b'{"recipe": ["gpt"], "settings": {}}'),
    *(b'{"recipe": "gpt", "settings": []}', b'{"recipe": "gpt", "settings": {"train.steps": {}}}'),
    *(b'{"steps": -1}', b'{"steps": "many"}'),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:40].decode("latin-1"))
@pytest.mark.parametrize("path", ["generate", "jobs", "jobs/none/stop", "jobs/none/resume"])
def test_no_wrong_body_takes_the_server_down(client, path, body):
    headers = {**OWN, "Content-Type": "application/json"}
    answer = client.post(f"/api/{path}", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    told(answer, answer.status_code)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/api", 404),
        ("GET", "/nothing.js", 404),
        ("POST", "/api/runs", 405),
        ("PUT", "/api/generate", 405),
        ("DELETE", "/api/jobs/x", 405),
        ("GET", "/api/generate", 404),
        ("POST", "/", 405),
        ("GET", "/docs", 404),
        ("GET", "/api/jobs/..%2fx", 404),
        ("GET", "/api/jobs/.jobs", 422),
        ("GET", "/api/jobs/" + "x" * 81, 422),
    ],
)
def test_what_is_not_there_is_told_in_one_line(client, method, path, status):
    told(client.request(method, path, headers=OWN), status)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of one file, beside a file that is no part of it."""
    folder = tmp_path / "page"
    (folder / "views").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "views" / "flow.js").write_text("export const flow = 1;")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(server, "PAGE", folder)
    return folder


def test_the_page_is_served_with_its_files(page, request):
    client = request.getfixturevalue("client")
    answer = client.get("/")
    assert answer.text.startswith("<!doctype html>")
    assert answer.headers["content-type"].startswith("text/html")
    script = client.get("/views/flow.js")
    assert script.text == "export const flow = 1;"
    assert "javascript" in script.headers["content-type"]


def test_a_file_that_the_browser_has_is_not_sent_again_until_it_changes(page, request):
    client = request.getfixturevalue("client")
    known = {"If-None-Match": client.get("/views/flow.js").headers["etag"]}
    again = client.get("/views/flow.js", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    (page / "views" / "flow.js").write_text("export const flow = 22;")
    assert client.get("/views/flow.js", headers=known).text == "export const flow = 22;"
    head = client.head("/views/flow.js")
    assert (head.content, head.headers["content-length"]) == (b"", "23")


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/views/../../secret.txt",
     "/views/..%2f..%2fsecret.txt", "/%5c..%5csecret.txt", "//etc/passwd", "/etc/passwd",
     "/views/%00"],
)  # fmt: skip
def test_no_path_leads_out_of_the_page(page, path, request):
    client = request.getfixturevalue("client")
    answer = client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_plotly_comes_out_of_its_wheel(client):
    answer = client.get("/plotly.js")
    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]
    assert len(answer.content) > 1_000_000


def test_a_mistake_of_our_own_is_told_without_its_inside(home, own_folder, monkeypatch, caplog):
    from fastapi.testclient import TestClient

    monkeypatch.chdir(home)

    def broken(*_):
        raise KeyError("a secret of the inside")

    monkeypatch.setattr("playattention.playground.routes.shelf.entries", broken)
    app = server.create_app()
    client = TestClient(app, "http://127.0.0.1:8765", raise_server_exceptions=False)
    line = told(client.get("/api/runs"), 500)
    assert "secret" not in line
    assert "KeyError" in line
    assert "a secret of the inside" in caplog.text


def test_eight_tabs_at_once_are_all_answered(client):
    """Each asks for texts of its own, and for numbers of a common one."""
    answers: dict[int, list[int]] = {}

    def tab(number: int) -> None:
        own = {"run": "small-gpt", "text": "Anna:\nThe"[: number + 2]}
        common = {"run": "small-gpt2", "text": "Anna", "module": "", "name": "logits"}
        answers[number] = [
            client.get(path, params=params).status_code
            for _ in range(3)
            for path, params in (
                ("/api/look", own),
                ("/api/tensor", common),
                ("/api/maps", own),
                ("/api/lens", own),
                ("/api/backward", own),
            )
        ]

    tabs = [threading.Thread(target=tab, args=(number,)) for number in range(8)]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join(60)
    assert answers == {number: [200] * 15 for number in range(8)}


def test_numbers_come_in_full(client):
    """As many digits as a double has, so that what is shown can be recomputed."""
    answer = client.get("/api/losses", params={"run": "small-gpt", "text": "Anna"})
    text = answer.text
    mean = json.loads(text)["mean"]
    assert repr(mean) in text


def test_the_package_carries_the_page():
    lines = Path(server.__file__).parents[3] / "pyproject.toml"
    assert '"playground/page/**/*"' in lines.read_text()
