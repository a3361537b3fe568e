"""FineWeb-Edu: what its subsets are, and how it is read from a hub, here the tests' own."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from playattention.data import fineweb_edu, load_corpus
from playattention.data.shard_folder import open_folder
from playattention.errors import UserError
from tests.data.fineweb import DOCUMENTS, hashes, stream, tokens_of, write_parquet

REPOSITORY = "datasets/HuggingFaceFW/fineweb-edu"
SHA, LATER = "87f09149ef4734204d70ed1d046ddc9ca3f2b8f9", "f" * 40
SHAS = f"{SHA}|{LATER}"


class Hub(BaseHTTPRequestHandler):
    """The parts of the hub's interface that its client asks for, over the files of a folder."""

    folder: Path
    sha: str
    asked: list[str]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        self.asked.append(path)
        if found := re.fullmatch(rf"api/{REPOSITORY}(?:/revision/({SHAS}))?", path):
            sha = found[1] or self.sha
            self.answer({"id": "HuggingFaceFW/fineweb-edu", "sha": sha, "siblings": []})
        elif found := re.fullmatch(rf"api/{REPOSITORY}/tree/(?:{SHAS})/?(.*)", path):
            self.answer([self.entry(file) for file in self.files() if file.startswith(found[1])])
        elif found := re.fullmatch(rf"{REPOSITORY}/resolve/(?:{SHAS})/(.*)", path):
            self.send(found[1])
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        self.asked.append(path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        names = set(re.findall(r"[\w./-]+\.parquet", unquote(body)))
        if re.fullmatch(rf"api/{REPOSITORY}/paths-info/(?:{SHAS})", path):
            self.answer([self.entry(file) for file in self.files() if file in names])
        else:
            self.send_error(404)

    def files(self) -> list[str]:
        return sorted(
            path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.parquet")
        )

    def entry(self, name: str) -> dict[str, object]:
        size = (self.folder / name).stat().st_size
        return {"type": "file", "oid": "0" * 40, "size": size, "path": name}

    def answer(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send(self, name: str) -> None:
        content = (self.folder / name).read_bytes()
        begin, end = 0, len(content) - 1
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            begin, end = int(wanted[1]), min(int(wanted[2]), end)
        part = content[begin : end + 1]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
        self.send_header("ETag", '"0"')
        self.send_header("X-Repo-Commit", self.sha)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(own_folder: Path) -> Iterator[type[Hub]]:
    """A hub with a sample of two files, and a crawl that is no part of it."""
    repository = own_folder / "hub"
    write_parquet(repository / "sample/10BT/000_00000.parquet", DOCUMENTS[:50])
    write_parquet(repository / "sample/10BT/001_00000.parquet", DOCUMENTS[50:])
    write_parquet(repository / "data/CC-MAIN-2024-10/000_00000.parquet", ["elsewhere"])
    kind = type("OneHub", (Hub,), {"folder": repository, "sha": SHA, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    kind.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield kind
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ask(hub: type[Hub]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command against that hub."""

    def ask(*words: str, endpoint: str | None = None) -> subprocess.CompletedProcess[str]:
        options = ["--shard-tokens", "700", *words]
        mine = {"HF_ENDPOINT": endpoint or hub.address, "HF_HOME": str(Path("home").resolve())}
        mine |= {
            "NO_PROXY": "127.0.0.1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        return subprocess.run(
            [sys.executable, "-m", "playattention", "data", "fineweb-edu", *options],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **mine},
        )

    return ask


# The hub.


@pytest.mark.slow
def test_a_sample_is_streamed_from_the_hub(hub: type[Hub], ask: Callable):
    done = ask("--workers", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("fineweb-edu: ")
    folder = load_corpus("fineweb-edu")
    assert stream(folder) == tokens_of(DOCUMENTS)
    assert folder.name == "fineweb-edu"
    plan = json.loads(Path("data/fineweb-edu/ingestion.json").read_text())
    assert (plan["revision"], plan["subset"]) == (SHA, "sample-10BT")
    assert [name for name, _ in plan["files"]] == [
        "sample/10BT/000_00000.parquet",
        "sample/10BT/001_00000.parquet",
    ]
    assert not any("CC-MAIN" in path for path in hub.asked)


@pytest.mark.slow
def test_what_was_begun_goes_on_with_the_revision_it_was_begun_with(hub: type[Hub], ask: Callable):
    """Whatever the hub has by then."""
    assert ask("--workers", "1", "--max-tokens", "2000").returncode == 0
    hub.asked.clear()
    hub.sha = LATER
    write_parquet(hub.folder / "sample/10BT/0_new.parquet", ["new"])
    assert ask("--workers", "1").returncode == 0
    assert stream(load_corpus("fineweb-edu")) == tokens_of(DOCUMENTS)
    assert json.loads(Path("data/fineweb-edu/ingestion.json").read_text())["revision"] == SHA
    assert any(f"/resolve/{SHA}/" in path for path in hub.asked)
    assert not any(LATER in path for path in hub.asked)


@pytest.mark.slow
def test_a_crawl_is_a_subset_too(ask: Callable):
    done = ask(
        "--workers", "1", "--subset", "CC-MAIN-2024-10", "--out", "crawl", "--shard-tokens", "1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert stream(open_folder(Path("crawl"))) == tokens_of(["elsewhere"])


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://no.such.host.invalid"])
def test_without_a_network_one_line_names_the_way_out(ask: Callable, endpoint: str):
    done = ask(endpoint=endpoint)
    assert done.returncode == 2
    assert done.stderr.startswith("playattention: fineweb-edu: the hub cannot be read (")
    assert done.stderr.endswith("--from DIR with parquet or JSON-lines files at hand\n")
    assert done.stderr.count("\n") == 1
    assert not Path("data").exists()


# Subsets.


@pytest.mark.parametrize(
    ("subset", "folder"),
    [
        ("sample-10BT", "sample/10BT"),
        ("sample-350BT", "sample/350BT"),
        ("CC-MAIN-2024-10", "data/CC-MAIN-2024-10"),
        ("default", "data"),
    ],
)
def test_a_subset_is_a_folder_of_the_repository(subset: str, folder: str, own_folder: Path):
    """Also of a copy of the repository at hand."""
    for where in ("sample/10BT", "sample/350BT", "data/CC-MAIN-2024-10", "data/CC-MAIN-2013-20"):
        write_parquet(own_folder / "copy" / where / "000.parquet", [where, *DOCUMENTS[:9]])
    made = fineweb_edu.make(
        Path("out"), subset=subset, source=Path("copy"), shard_tokens=100, workers=1, quiet=True
    )
    folders = sorted(
        path.parent.relative_to("copy") for path in Path("copy", folder).rglob("*.parquet")
    )
    expected = [text for where in folders for text in (where.as_posix(), *DOCUMENTS[:9])]
    assert stream(made) == tokens_of(expected)


def test_a_subset_of_files_that_lie_side_by_side_is_all_of_them(own_folder: Path):
    write_parquet(own_folder / "copy/000_00000.parquet", DOCUMENTS)
    options = {"source": Path("copy"), "shard_tokens": 700, "workers": 1, "quiet": True}
    fineweb_edu.make(Path("a"), subset="sample-10BT", **options)
    fineweb_edu.make(Path("b"), **options)
    assert hashes(Path("a")) == hashes(Path("b"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"subset": "sample-10B"},
            "unknown subset 'sample-10B' (did you mean 'sample-10BT'?); allowed",
        ),
        ({"shard_tokens": 0}, "shard_tokens = 0: allowed: 1 or more"),
        ({"workers": 0}, "workers = 0: allowed: 1 or more"),
        (
            {"max_tokens": 700},
            "max_tokens = 700: shard 0, of shard_tokens = 700, is for validation, so none are left",
        ),
    ],
)
def test_an_option_that_cannot_be_is_told(own_folder: Path, options: dict, told: str):
    write_parquet(own_folder / "copy/000.parquet", DOCUMENTS)
    wanted = {"source": Path("copy"), "shard_tokens": 700, "workers": 1, **options}
    with pytest.raises(UserError) as caught:
        fineweb_edu.make(Path("out"), **wanted)
    assert str(caught.value).startswith(told)
    assert not Path("out").exists()


def test_before_it_is_made_the_command_that_makes_it_is_told():
    with pytest.raises(UserError, match="make them first: playattention data fineweb-edu"):
        load_corpus("fineweb-edu")


def test_a_process_has_at_least_one_core():
    assert 1 <= fineweb_edu.cores() <= os.cpu_count()
