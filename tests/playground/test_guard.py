"""Who may ask: this page, on this machine, or who has the token."""

import asyncio

import pytest
from fastapi.testclient import TestClient

from playattention.playground.guard import MOST_BODY, SECURITY
from playattention.playground.server import create_app
from tests.playground.conftest import ORIGIN, OWN, told

BODY = {"run": "small-gpt", "text": "Anna"}


def test_the_page_itself_is_answered(client):
    headers = {**OWN, "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert client.get("/api/runs", headers=headers).status_code == 200
    assert client.post("/api/generate", json=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765"])
def test_this_machine_is_asked_by_its_own_names(client, host):
    assert client.get("/api/runs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.", "", "[",
     "10.0.0.1", "127.0.0.1@evil.example", "evil.example/127.0.0.1", "xlocalhost"],
)  # fmt: skip
def test_a_foreign_host_is_refused(client, host):
    """A name that a page made point here (DNS rebinding) is not this machine's."""
    assert "Host" in told(client.get("/api/runs", headers={"Host": host}), 403)
    assert "Host" in told(client.get("/", headers={"Host": host}), 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8765"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_another_page_is_refused(client, headers):
    told(client.get("/api/runs", headers=headers), 403)
    told(client.post("/api/generate", json=BODY, headers={**OWN, **headers}), 403)


def test_a_link_of_another_page_may_open_this_one(client):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=headers).status_code != 403
    told(client.get("/main.js", headers=headers), 403)


@pytest.mark.parametrize("path", ["generate", "jobs", "jobs/x/stop", "jobs/x/resume"])
def test_what_changes_something_needs_the_header(client, path):
    assert "X-Playattention" in told(client.post(f"/api/{path}", json={}), 403)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_json_is_refused(client, kind):
    """Those are the kinds that a form of another page may send."""
    headers = {**OWN, "Content-Type": kind}
    answer = client.post("/api/generate", content='{"run": "small-gpt"}', headers=headers)
    told(answer, 422)


@pytest.mark.parametrize("path", ["/", "/api/runs", "/api/nothing", "/nothing.js", "/api/look"])
def test_every_answer_has_the_security_headers(client, path):
    headers = client.get(path).headers
    for name, value in SECURITY.items():
        assert headers[name] == value
    policy = headers["content-security-policy"]
    assert "'unsafe" not in policy
    assert "http" not in policy
    assert "access-control-allow-origin" not in headers
    assert headers["cache-control"] == ("no-store" if path.startswith("/api") else "no-cache")


def test_a_refusal_has_the_security_headers_too(client):
    assert client.get("/", headers={"Host": "evil.example"}).headers["x-frame-options"] == "DENY"


def test_other_origins_are_not_allowed_beforehand(client):
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    told(client.options("/api/generate", headers=headers), 403)


def test_a_large_body_is_refused_by_its_length(client):
    answer = client.post("/api/generate", content=b"x" * (MOST_BODY + 1), headers=OWN)
    assert "must be 262,144 bytes at most" in told(answer, 413)
    headers = {**OWN, "Content-Length": "many"}
    told(client.post("/api/generate", content=b"{}", headers=headers), 413)


def test_a_large_body_is_not_read_where_its_length_is_not_told(client):
    read = []

    def pieces():
        for _ in range(100):
            read.append(1)
            yield b" " * 65_536

    headers = {**OWN, "Content-Type": "application/json"}
    answer = client.post("/api/generate", content=pieces(), headers=headers)
    assert answer.status_code in (400, 413)
    told(answer, answer.status_code)


@pytest.fixture
def guarded(home, own_folder, monkeypatch):
    """Ask a server that is open to other machines."""
    monkeypatch.chdir(home)
    app = create_app(hosts=None, token="secret-word")
    with TestClient(app, base_url="http://192.168.0.7:8765", follow_redirects=False) as asking:
        yield asking


@pytest.mark.parametrize(
    "path", ["/", "/main.js", "/api/runs", "/api/openapi.json", "/?token=secret"]
)
def test_without_the_token_nothing_is_answered(guarded, path):
    assert "token" in told(guarded.get(path), 403)
    headers = {"Cookie": "playattention_8765=wrong"}
    assert "token" in told(guarded.get(path, headers=headers), 403)


def test_the_token_in_the_url_becomes_a_cookie(guarded):
    opened = guarded.get("/?token=secret-word")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert guarded.get("/api/runs").status_code == 200  # the client keeps cookies
    assert guarded.post("/api/generate", json=BODY, headers=OWN).status_code == 200
    told(guarded.post("/api/generate", json=BODY), 403)


def test_the_token_opens_the_page_alone(guarded):
    assert "token" in told(guarded.get("/api/runs?token=secret-word"), 403)


@pytest.mark.parametrize("cookie", ["x=\x01", '";;;=', "playattention_8765", "\xe9=1"])
def test_a_broken_cookie_is_no_token(guarded, cookie):
    told(guarded.get("/api/runs", headers={"Cookie": cookie.encode("latin-1")}), 403)


def test_an_open_server_without_a_token_is_not_made(home, monkeypatch):
    monkeypatch.chdir(home)
    with pytest.raises(ValueError, match="token"):
        create_app(hosts=None)


def test_no_web_socket_is_opened(client):
    """Nothing is served there; the guard does not even pass it on."""

    async def asked():
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        await client.app({"type": "websocket", "path": "/", "headers": []}, receive, send)
        return sent

    assert asyncio.run(asked()) == []
