"""`playattention play`: a real server, answered and ended."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from playattention.cli import main
from playattention.commands import play

Serve = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def serve(own_folder) -> Iterator[Serve]:
    """Start a server and return it with the URL that it printed."""
    servers = []

    def begin(*words: str) -> tuple[subprocess.Popen[str], str]:
        line = [sys.executable, "-m", "playattention", "play", "--no-browser", *words]
        server = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        servers.append(server)
        url = next(row for row in server.stdout if row.startswith("http"))
        return server, url.strip()

    yield begin
    for server in servers:
        server.kill()
        server.communicate()


def ask(url: str, **headers: str):
    """Return an answer's JSON."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError:
            raise
        except OSError:  # not listening yet
            time.sleep(0.05)
    raise AssertionError(url)


def end(server: subprocess.Popen[str]) -> float:
    """Press Ctrl-C, and return how many seconds it took."""
    began = time.monotonic()
    server.send_signal(signal.SIGINT)
    assert server.wait(10) == 0
    assert server.stderr.read() == ""
    return time.monotonic() - began


def test_it_answers_and_ctrl_c_ends_it(serve):
    server, url = serve("--port", "0")
    assert urlsplit(url).hostname == "127.0.0.1"
    assert ask(f"{url}api/runs")[0]["name"] == "untrained:gpt"
    assert end(server) < 2


def test_ctrl_c_ends_it_while_models_compute_and_a_reader_hangs(serve):
    server, url = serve("--port", "0")
    ask(f"{url}api/runs")
    parts = urlsplit(url)
    reader = socket.create_connection((parts.hostname, parts.port))
    head = f"GET /api/roles?run=untrained:gpt HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
    reader.sendall(head.encode())
    time.sleep(0.5)
    assert end(server) < 2.3  # 1.5 seconds, and a busy machine
    reader.close()


def test_another_host_wants_the_token_of_its_url(serve):
    server, url = serve("--host", "0.0.0.0", "--port", "0")
    parts = urlsplit(url)
    assert parts.query.startswith("token=")
    here = f"http://127.0.0.1:{parts.port}/"
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(f"{here}api/runs")
    assert refused.value.code == 403
    assert "token" in json.loads(refused.value.read())["error"]
    cookie = f"playattention_{parts.port}={parts.query.removeprefix('token=')}"
    assert ask(f"{here}api/runs", Cookie=cookie)
    assert end(server) < 2.3


def test_the_next_free_port_is_taken_unless_one_was_asked_for(monkeypatch):
    with play._listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(play, "PORT", port)
        with play._listening("127.0.0.1", None) as next_free:
            assert next_free.getsockname()[1] != port


def test_a_port_that_was_asked_for_and_is_taken_is_told(capsys):
    with play._listening("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert main(["play", "--no-browser", "--port", port]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"playattention: port = {port}: can't listen at 127.0.0.1")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "70000"], "port = 70000: must be 0 to 65535"),
        (["--port", "-1"], "port = -1"),
        (["--port", "0", "--host", "no.such.host.invalid"], "can't listen at no.such.host.invalid"),
        (["no-such-run", "--port", "0"], "run 'no-such-run'"),
    ],
)
def test_what_can_not_be_served_is_told_in_one_line(words, told, own_folder, capsys):
    assert main(["play", "--no-browser", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "token", "expected"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:8765/"),
        ("::1", None, "http://[::1]:8765/"),
        ("192.168.0.7", "a-b_c", "http://192.168.0.7:8765/?token=a-b_c"),
    ],
)
def test_the_url_can_be_opened(host, token, expected):
    assert play._url(host, 8765, token) == expected


def test_the_browser_is_opened_at_the_url(monkeypatch, own_folder):
    import threading

    opened, heard = [], threading.Event()

    def browser(url):
        opened.append(url)
        heard.set()

    monkeypatch.setattr("webbrowser.open", browser)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: heard.wait(10))
    monkeypatch.setattr(play, "_warm", lambda _: None)
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    assert main(["play", "--port", "0"]) == 0
    [url] = opened
    assert url.startswith("http://127.0.0.1:")
