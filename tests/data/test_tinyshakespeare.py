"""Tiny Shakespeare: fetched once, checked each time, put in place whole."""

import hashlib
import http.client
import io
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from playattention.config import DataConfig
from playattention.data import load_corpus, split, tinyshakespeare
from playattention.errors import UserError
from playattention.tokenizers import TOKENIZERS
from tests.conftest import TEXT

HOME = Path("data", "tinyshakespeare", "input.txt")
SMALL = TEXT.encode()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small text stand for the known one."""
    monkeypatch.setattr(tinyshakespeare, "SHA256", hashlib.sha256(SMALL).hexdigest())


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes | Exception], list[str]]:
    """Answer downloads with a content or an error; returns the addresses that were asked."""

    def serve(answer: bytes | Exception) -> list[str]:
        asked: list[str] = []

        def urlopen(url: str, timeout: float) -> io.BytesIO:
            asked.append(url)
            if isinstance(answer, Exception):
                raise answer
            return io.BytesIO(answer)

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        return asked

    return serve


@pytest.fixture(scope="module")
def real_file() -> Path:
    """The real text, which is not in the repository."""
    path = os.environ.get("PLAYATTENTION_TINYSHAKESPEARE")
    if not path:
        pytest.skip("PLAYATTENTION_TINYSHAKESPEARE does not name a copy of Tiny Shakespeare")
    return Path(path)


def files() -> list[str]:
    """Return all files below the test's own folder."""
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_a_download_is_put_in_place(small: None, serve: Callable):
    asked = serve(SMALL)
    corpus = tinyshakespeare.load()
    assert (corpus.name, corpus.text) == ("tinyshakespeare", TEXT)
    assert asked == [tinyshakespeare.URL]
    assert files() == [str(HOME)]
    assert HOME.read_bytes() == SMALL


def test_the_second_time_nothing_is_downloaded(small: None, serve: Callable):
    asked = serve(SMALL)
    first, second = tinyshakespeare.load(), tinyshakespeare.load()
    assert second == first
    assert len(asked) == 1


def test_it_is_loaded_by_its_name(small: None, serve: Callable):
    serve(SMALL)
    assert load_corpus("tinyshakespeare").text == TEXT


def test_a_download_of_another_text_is_refused_and_not_kept(small: None, serve: Callable):
    serve(b"404: Not Found")
    with pytest.raises(
        UserError, match=r"raw.githubusercontent.com.*: not Tiny Shakespeare: 14 bytes"
    ):
        tinyshakespeare.load()
    assert files() == []


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no route to host"),
        urllib.error.HTTPError(tinyshakespeare.URL, 404, "not found", None, None),
        TimeoutError("timed out"),
        http.client.IncompleteRead(b"To be"),
    ],
)
def test_a_failed_download_tells_in_one_line_how_to_go_on(serve: Callable, error: Exception):
    serve(error)
    with pytest.raises(UserError) as caught:
        tinyshakespeare.load()
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert str(getattr(error, "reason", error)) in line
    assert "playattention data tinyshakespeare --from FILE" in line
    assert "--dataset playhouse" in line
    assert files() == []


@pytest.mark.parametrize("fault", ["write_bytes", "replace"])
def test_what_breaks_off_leaves_no_file_behind(
    small: None, serve: Callable, monkeypatch: pytest.MonkeyPatch, fault: str
):
    def broken(path: Path, argument: object) -> None:
        if fault == "write_bytes":
            with path.open("wb") as file:
                file.write(argument[:100])
        raise KeyboardInterrupt

    serve(SMALL)
    with monkeypatch.context() as patched:
        patched.setattr(Path, fault, broken)
        with pytest.raises(KeyboardInterrupt):
            tinyshakespeare.load()
    assert files() == []
    assert tinyshakespeare.load().text == TEXT


def test_a_folder_that_cannot_be_made_is_the_users_mistake(small: None, serve: Callable):
    serve(SMALL)
    Path("data").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot be written"):
        tinyshakespeare.load()


def test_a_copy_at_hand_takes_the_place_of_a_download(small: None, serve: Callable):
    asked = serve(b"")
    Path("copy.txt").write_bytes(SMALL)
    assert tinyshakespeare.load(Path("copy.txt")).text == TEXT
    assert tinyshakespeare.load().text == TEXT
    assert asked == []


def test_a_copy_of_another_text_is_refused_and_the_right_one_kept(small: None, serve: Callable):
    serve(SMALL)
    tinyshakespeare.load()
    Path("copy.txt").write_text("not he")
    with pytest.raises(
        UserError, match=r"--from copy.txt: not Tiny Shakespeare: 6 bytes"
    ) as caught:
        tinyshakespeare.load(Path("copy.txt"))
    assert "delete" not in str(caught.value)
    assert HOME.read_bytes() == SMALL


@pytest.mark.parametrize("missing", ["copy.txt", "."])
def test_a_copy_that_cannot_be_read_is_refused(missing: str):
    with pytest.raises(UserError, match=r"--from .*: cannot be read \("):
        tinyshakespeare.load(Path(missing))


def test_a_text_that_was_changed_in_its_place_is_refused(small: None, serve: Callable):
    serve(SMALL)
    tinyshakespeare.load()
    HOME.write_bytes(SMALL[:-1])
    with pytest.raises(UserError, match=r"not Tiny Shakespeare.*delete it to download anew"):
        tinyshakespeare.load()


def test_the_real_text_has_its_published_size(real_file: Path):
    corpus = tinyshakespeare.load(real_file)
    assert len(corpus.text) == 1_115_394
    assert len(set(corpus.text)) == 65
    assert corpus.sha256 == tinyshakespeare.SHA256


@pytest.mark.parametrize(
    ("tokenizer", "train", "val"),
    [("char", 1_003_854, 111_540), ("gpt2", 301_966, 36_059)],
)
def test_the_real_splits_have_their_published_sizes(
    real_file: Path, tokenizer: str, train: int, val: int
):
    """As printed in nanoGPT, data/shakespeare_char and data/shakespeare; together 338,025."""
    corpus = tinyshakespeare.load(real_file)
    made = TOKENIZERS[tokenizer].for_text(corpus.text)
    parts = split(corpus, made, DataConfig(train_val_split=0.9), seq_size=64)
    assert (len(parts.train), len(parts.val)) == (train, val)
