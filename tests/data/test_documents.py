"""Documents in parquet and JSON lines: read in pieces, each text once, and mended or told."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playattention.data import documents_json, documents_parquet
from playattention.data.documents import (
    LocalFolder,
    SourceFile,
    UnreadableError,
    local_files,
)
from playattention.data.workers import encode, pieces, text_bytes
from playattention.errors import UserError
from tests.data.fineweb import DOCUMENTS, END, tokens_of, write_jsonl, write_parquet


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what the last test read from."""
    yield
    documents_parquet.close()


TEXTS = st.lists(st.text(max_size=60) | st.none(), max_size=40)


def set_piece(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let a piece be this many bytes of text."""
    monkeypatch.setattr(documents_json, "PIECE_BYTES", size)
    monkeypatch.setattr(documents_parquet, "PIECE_BYTES", size)


def encoded(path: Path, order: int = 1) -> tuple[list[int], Counter]:
    """Return a file's tokens, and what was found in it, whichever piece is read first."""
    opener, file = LocalFolder(path.parent), SourceFile(path.name, path.stat().st_size)
    documents_parquet.close()  # an earlier file of this name
    cut = pieces(opener, file)
    assert sum(piece.weight for piece in cut) == pytest.approx(file.size if cut else 0)
    done = {piece: encode(opener, piece) for piece in cut[::order]}
    notes: Counter = Counter()
    for piece in cut:
        notes.update(done[piece].notes)
    return [id_ for piece in cut for id_ in done[piece].ids.tolist()], notes


def refusal(path: Path, content: bytes | None = None) -> str:
    """Return the one line that refuses a file."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        encoded(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is read.


@settings(deadline=None, max_examples=50)
@given(
    texts=TEXTS, size=st.integers(1, 3000), rows=st.integers(1, 20), order=st.sampled_from([1, -1])
)
def test_every_document_is_in_one_piece_whatever_their_size(
    tmp_path_factory, texts: list[str | None], size: int, rows: int, order: int
):
    """In parquet and in JSON lines, and whichever piece a process reads first."""
    folder = tmp_path_factory.mktemp("documents")
    expected = tokens_of(text for text in texts if text is not None)
    notes = {"empty": texts.count(""), "null": texts.count(None)}
    with pytest.MonkeyPatch.context() as patch:
        set_piece(patch, size)
        for path in (
            write_parquet(folder / "a.parquet", texts, rows),
            write_jsonl(folder / "a.jsonl", texts),
        ):
            ids, found = encoded(path, order)
            assert ids == expected
            assert found == Counter({name: times for name, times in notes.items() if times})


def test_a_large_row_group_is_cut_and_none_of_its_rows_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A process that reads every third part goes through the group once."""
    set_piece(monkeypatch, 2000)
    path = write_parquet(tmp_path / "a.parquet", DOCUMENTS, rows_in_group=10**6)
    opener, file = LocalFolder(tmp_path), SourceFile(path.name, path.stat().st_size)
    cut = pieces(opener, file)
    assert len(cut) > 5
    opened = []
    rows = documents_parquet._Rows.__init__

    def counted(self, *args):
        opened.append(args)
        rows(self, *args)

    monkeypatch.setattr(documents_parquet._Rows, "__init__", counted)
    ids = [id_ for piece in cut[::3] for id_ in encode(opener, piece).ids.tolist()]
    expected = [
        id_
        for piece in cut[::3]
        for id_ in tokens_of(DOCUMENTS[piece.first : piece.first + piece.extent])
    ]
    assert ids == expected
    assert len(opened) == 1


def test_end_of_text_inside_a_document_is_text(tmp_path: Path):
    ids, _ = encoded(write_jsonl(tmp_path / "a.jsonl", ["a<|endoftext|>b"]))
    assert ids == tokens_of(["a<|endoftext|>b"])
    assert ids.count(END) == 1


def test_a_million_blanks_in_a_row_are_no_obstacle(tmp_path: Path):
    """tiktoken's own search for words overflows its stack there."""
    ids, _ = encoded(write_jsonl(tmp_path / "a.jsonl", ["a" + " " * 1_200_000 + "b", "c"]))
    assert len(ids) == 1_200_004
    assert ids[-2:] == tokens_of(["c"])


def test_line_ends_of_windows_a_mark_and_blank_lines_are_no_part_of_the_documents(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n\r\n  \n{"text": "b"}\n{"text": "c"}')
    assert encoded(path) == (tokens_of("abc"), Counter())


def test_the_size_of_the_texts_is_known_before_they_are_read(tmp_path: Path):
    path = write_parquet(tmp_path / "a.parquet", DOCUMENTS, rows_in_group=1000)
    size = text_bytes(LocalFolder(tmp_path), SourceFile(path.name, 0))
    assert 1 <= size / sum(map(len, DOCUMENTS)) < 1.3


# What is mended and counted.


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (rb'{"text": "caf\xe9 au lait"}', "caf\ufffd au lait"),
        (b'{"text": "a \xff\xfe b"}', "a \ufffd\ufffd b"),
        (rb'{"text": "half \ud800 pair"}', "half \ufffd pair"),
        (rb'{"text": "wrong \udc00\ud800 way"}', "wrong \ufffd\ufffd way"),
    ],
)
def test_what_is_no_unicode_becomes_the_replacement_character_and_is_counted(
    tmp_path: Path, line: bytes, text: str
):
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"text": "before"}\n' + line.replace(rb"\xe9", b"\xe9") + b'\n{"text": "after"}\n'
    )
    assert encoded(path) == (tokens_of(["before", text, "after"]), Counter(mended=1))


def test_a_whole_surrogate_pair_is_one_character(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(rb'{"text": "\ud83d\ude00"}')
    assert encoded(path) == (tokens_of(["\U0001f600"]), Counter())


def test_bytes_of_a_parquet_file_that_are_no_utf8_are_mended_too(tmp_path: Path):
    raw = pa.array([b"a", b"caf\xe9", b"b"], pa.binary())
    text = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet")
    ids, notes = encoded(tmp_path / "a.parquet")
    assert (ids, notes) == (tokens_of(["a", "caf\ufffd", "b"]), Counter(mended=1))


# What is refused.


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            b'{"text": "cut o',
            "no JSON (Unterminated string starting at, column 10)",
        ),
        (b"text", "no JSON (Expecting value, column 1)"),
        (b'["text"]', 'allowed: an object whose "text" is a string or null'),
        (b'{"content": "a"}', 'allowed: an object whose "text" is a string or null'),
        (b'{"text": 1}', 'allowed: an object whose "text" is a string or null'),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 4000])
def test_a_line_that_holds_no_document_is_told_with_file_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes, told: str, before: int
):
    """Whichever piece it is in."""
    set_piece(monkeypatch, 1000)
    good = b'{"text": "good"}\n'
    line_told = refusal(tmp_path / "a.jsonl", good * before + line + b"\n" + good)
    assert line_told == f"a.jsonl, line {before + 1}: {told}"


def test_a_json_file_that_breaks_off_may_be_half_downloaded(tmp_path: Path):
    path = write_jsonl(tmp_path / "a.jsonl", DOCUMENTS)
    line = refusal(path, path.read_bytes()[:-200])
    assert line.startswith("a.jsonl, line 100: no JSON (")
    assert line.endswith("; half downloaded?")


@pytest.mark.parametrize("kept", [0, 3, 5, 1000, -1, -9, -3000])
def test_a_parquet_file_that_breaks_off_is_told_by_name(tmp_path: Path, kept: int):
    path = write_parquet(tmp_path / "a.parquet", DOCUMENTS)
    line = refusal(path, path.read_bytes()[:kept])
    assert line.startswith("a.parquet: cannot be read, perhaps half downloaded (")


def test_a_parquet_file_with_a_hole_is_told_with_its_row_group(tmp_path: Path):
    """A download in parts that lacks one in the middle."""
    path = write_parquet(tmp_path / "a.parquet", DOCUMENTS, rows_in_group=50)
    content = bytearray(path.read_bytes())
    content[4:4000] = bytes(3996)
    assert refusal(path, bytes(content)).startswith(
        "a.parquet, row group 0: cannot be read, perhaps"
    )


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"content": ["a"], "id": ["b"]}, "a.parquet: has no column 'text'; it has content, id"),
        ({"text": [1]}, "a.parquet: its column 'text' is of type int64; allowed: string"),
        ({"text": [b"a"]}, "a.parquet: its column 'text' is of type binary; allowed: string"),
    ],
)
def test_a_parquet_file_without_texts_is_told(tmp_path: Path, table: dict, told: str):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    assert refusal(tmp_path / "a.parquet") == told


def test_without_pyarrow_it_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_parquet(tmp_path / "a.parquet", DOCUMENTS)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert refusal(path) == (
        "a.parquet: parquet files need pyarrow: pip install 'playattention[fineweb]'"
    )


# Which files.


def test_the_files_of_a_folder_are_found_by_name_also_below_it(tmp_path: Path):
    for name in ("b.parquet", "a/2.jsonl", "a/10.parquet"):
        write_jsonl(tmp_path / name, ["a"])
    write_jsonl(tmp_path / ".cache/huggingface/half.parquet", ["a"])
    (tmp_path / "README.md").write_text("about")
    size = (tmp_path / "b.parquet").stat().st_size
    assert local_files(tmp_path) == [
        SourceFile("a/10.parquet", size),
        SourceFile("a/2.jsonl", size),
        SourceFile("b.parquet", size),
    ]


@pytest.mark.parametrize("name", ["b.parquet.part", "b.jsonl.gz", "b.parquet.incomplete"])
def test_a_file_that_is_not_ready_is_not_passed_over_in_silence(tmp_path: Path, name: str):
    write_jsonl(tmp_path / "a.jsonl", ["a"])
    (tmp_path / name).write_bytes(b"half")
    with pytest.raises(UserError) as caught:
        local_files(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: half downloaded, or packed; allowed: ")


@pytest.mark.parametrize("name", ["empty", "gone", "a.txt"])
def test_a_folder_without_documents_is_told(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(UserError) as caught:
        local_files(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_a_file_that_vanishes_is_told(tmp_path: Path):
    opener = LocalFolder(tmp_path)
    with pytest.raises(UnreadableError, match=r"^gone.jsonl: cannot be read"):
        encode(opener, pieces(opener, SourceFile("gone.jsonl", 10))[0])


def test_ids_are_two_bytes_each(tmp_path: Path):
    path = write_jsonl(tmp_path / "a.jsonl", [json.dumps(DOCUMENTS)])
    opener, file = LocalFolder(tmp_path), SourceFile(path.name, path.stat().st_size)
    assert encode(opener, pieces(opener, file)[0]).ids.dtype == np.uint16
