"""HellaSwag's items: fetched once, and checked line by line."""

import io
import json
import urllib.request
from pathlib import Path

import pytest

from playattention.data import hellaswag
from playattention.data.hellaswag import HOME, ITEMS, URL, Item, load_items
from playattention.errors import UserError

LINE = {
    "ind": 24,
    "activity_label": "Fixing a roof",
    "ctx_a": "A man sits on a roof.",
    "ctx_b": "he",
    "ctx": "A man sits on a roof. he",
    "split": "val",
    "split_type": "indomain",
    "label": 3,
    "endings": ["flies away.", "eats a\u2028tile.", "sings to a cube.", "takes old tiles off."],
    "source_id": "made~up",
}


def write(*lines: object, path: str = "items.jsonl") -> Path:
    """Write lines: texts as they are, all else as JSON."""
    texts = [
        line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines
    ]
    Path(path).write_text("\n".join(texts) + "\n", encoding="utf-8")
    return Path(path)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer downloads with 5 items, which stand for all; returns the addresses asked."""
    asked: list[str] = []
    content = b"".join(json.dumps({**LINE, "label": n % 4}).encode() + b"\n" for n in range(5))

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(hellaswag, "ITEMS", 5)
    return asked


def test_a_line_is_a_context_with_four_endings_and_the_right_one():
    """A file at hand may be of any length; empty lines and other line breaks are no lines."""
    path = write(LINE, "", {**LINE, "label": 0}, "   \r")
    assert load_items(path) == [
        Item("A man sits on a roof. he", LINE["endings"], 3),
        Item("A man sits on a roof. he", LINE["endings"], 0),
    ]
    assert not Path("data").exists()


def test_all_items_are_downloaded_once(served: list[str]):
    assert [item.label for item in load_items()] == [0, 1, 2, 3, 0]
    assert load_items() == load_items()
    assert served == [URL]
    assert [str(path) for path in Path("data").rglob("*") if path.is_file()] == [str(HOME)]


def test_a_download_that_was_cut_short_is_not_kept(served: list[str], monkeypatch):
    monkeypatch.setattr(hellaswag, "ITEMS", 6)
    with pytest.raises(UserError, match=rf"^{URL}: 5 items; allowed: HellaSwag's 6$"):
        load_items()
    assert not Path("data").exists()


def test_a_copy_in_place_that_is_damaged_says_what_to_do(served: list[str]):
    load_items()
    HOME.write_bytes(HOME.read_bytes()[:-500])
    with pytest.raises(
        UserError, match=rf"^{HOME} \(delete it to download anew\): (line 4: no JSON|3 items)"
    ):
        load_items()


def test_the_known_number_of_items_is_that_of_the_paper():
    assert ITEMS == 10_042


def test_without_a_network_a_copy_is_named_as_the_way(monkeypatch: pytest.MonkeyPatch):
    def urlopen(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(UserError) as error:
        load_items()
    assert str(error.value) == (
        "hellaswag: no copy in data/hellaswag and the download failed (no route to host); "
        "allowed: a network, or --from FILE with a copy of hellaswag_val.jsonl"
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "no JSON object ("),
        ("[1, 2]", "no JSON object ("),
        ("3", "no JSON object ("),
        ({k: v for k, v in LINE.items() if k != "label"}, "lacks 'label'; allowed: ctx, endings"),
        ({**LINE, "label": 4}, "label = 4; allowed: 0 to 3"),
        ({**LINE, "label": -1}, "label = -1; allowed: 0 to 3"),
        ({**LINE, "label": "3"}, "label = '3'; allowed: 0 to 3"),
        ({**LINE, "label": True}, "label = True; allowed: 0 to 3"),
        ({**LINE, "endings": ["a", "b", "c"]}, "endings = ['a', 'b', 'c']; allowed: a list of 4"),
        ({**LINE, "endings": ["a", "b", "c", ""]}, "endings = "),
        ({**LINE, "endings": ["a", "b", "c", 4]}, "endings = "),
        ({**LINE, "endings": "abcd"}, "endings = 'abcd'; allowed: a list of 4 texts"),
        ({**LINE, "ctx": ""}, "ctx = ''; allowed: a text"),
        ({**LINE, "ctx": None}, "ctx = None; allowed: a text"),
    ],
)
def test_a_line_that_is_no_item_is_told_with_its_number(line: object, told: str):
    path = write(LINE, LINE, line, LINE)
    with pytest.raises(UserError) as error:
        load_items(path)
    assert str(error.value).startswith(f"--from items.jsonl: line 3: {told}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no items; allowed: a line of JSON for each"),
        (b"\n\n", "holds no items"),
        (b"{}\n\xff", "not UTF-8 (at byte 3); allowed: JSON lines"),
    ],
)
def test_a_file_without_items_is_told(content: bytes, told: str):
    Path("items.jsonl").write_bytes(content)
    with pytest.raises(UserError) as error:
        load_items(Path("items.jsonl"))
    assert str(error.value).startswith(f"--from items.jsonl: {told}")


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(UserError, match=r"^--from items\.jsonl: cannot be read \(No such file"):
        load_items(Path("items.jsonl"))
