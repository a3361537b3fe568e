"""A source becomes shards: all of its tokens in order, whoever reads them, once or in parts."""

import errno
import json
import re
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from playattention.data import documents_json, documents_parquet, fineweb_edu, ingestion, workers
from playattention.data.documents import LocalFolder, UnreadableError
from playattention.data.ingestion import IngestionStoppedError
from playattention.data.ingestion_plan import read_plan
from playattention.data.shard_folder import ShardFolder
from playattention.data.shards import ShardWriter, open_shard
from playattention.errors import UserError
from tests.data.fineweb import DOCUMENTS, hashes, stream, tokens_of, write_jsonl, write_parquet

OUT = Path("out")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a piece be small, so that a small source has many."""
    monkeypatch.setattr(documents_json, "PIECE_BYTES", 2000)
    monkeypatch.setattr(documents_parquet, "PIECE_BYTES", 2000)


@pytest.fixture
def source(own_folder: Path) -> Path:
    """Two parquet files, one with large row groups, and one of JSON lines."""
    write_parquet(own_folder / "src/a.parquet", DOCUMENTS[:40])
    write_parquet(own_folder / "src/b.parquet", DOCUMENTS[40:80], rows_in_group=1000)
    write_jsonl(own_folder / "src/c.jsonl", DOCUMENTS[80:])
    return own_folder / "src"


def make(source: Path, out: Path = OUT, **options: object) -> ShardFolder:
    """Make shards in this process, silently."""
    wanted = {"shard_tokens": 700, "workers": 1, "quiet": True, **options}
    return fineweb_edu.make(out, source=source, **wanted)


def refusal(source: Path, **options: object) -> str:
    """Return the one line that refuses to make shards."""
    with pytest.raises(UserError) as caught:
        make(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left_over(out: Path = OUT) -> list[str]:
    """Return what is in a folder beside finished shards."""
    return sorted(path.name for path in out.iterdir() if not path.name.endswith(".tokens"))


# What is written.


def test_shards_are_the_tokens_of_all_documents_in_order(source: Path):
    """Shard 0 is for validation, the rest for training, and the last may be short."""
    folder = make(source)
    expected = tokens_of(DOCUMENTS)
    assert stream(folder) == expected
    names = [shard.path.name for shard in folder.shards]
    assert names[:2] == ["fineweb-edu_val_000000.tokens", "fineweb-edu_train_000001.tokens"]
    sizes = [shard.tokens for shard in folder.shards]
    assert sizes == [700] * (len(expected) // 700) + [len(expected) % 700]
    assert left_over() == [".lock", "ingestion.json"]


def test_a_shard_counts_its_documents_and_the_bytes_of_its_text(source: Path):
    headers = [shard.header for shard in make(source).shards]
    assert sum(header.documents for header in headers) == len(DOCUMENTS)
    assert sum(header.utf8_bytes for header in headers) == sum(len(text) for text in DOCUMENTS)


@settings(deadline=None, max_examples=25)
@given(
    texts=st.lists(st.text(max_size=40) | st.none(), min_size=3, max_size=30),
    shard_tokens=st.integers(9, 60),
    more=st.none() | st.integers(1, 200),
    rows=st.integers(1, 9),
)
def test_any_source_any_size(
    tmp_path_factory, texts: list, shard_tokens: int, more: int | None, rows: int
):
    folder = tmp_path_factory.mktemp("source")
    write_parquet(folder / "src/a.parquet", texts[::2], rows)
    write_jsonl(folder / "src/b.jsonl", texts[1::2])
    expected = tokens_of(t for t in [*texts[::2], *texts[1::2]] if t is not None)
    max_tokens = None if more is None else shard_tokens + more
    options = {"shard_tokens": shard_tokens, "max_tokens": max_tokens}
    if len(expected[:max_tokens]) <= shard_tokens:
        assert "none are left to train on" in refusal(folder / "src", out=folder / "out", **options)
        assert left_over(folder / "out") == [".lock", "ingestion.json"]
        return
    made = make(folder / "src", folder / "out", **options)
    assert stream(made) == expected[:max_tokens]
    assert {shard.tokens for shard in made.shards[:-1]} == {shard_tokens}


def test_a_text_longer_than_a_shard_goes_on_in_the_next(own_folder: Path):
    long = "word " * 5000
    source = write_jsonl(own_folder / "src/a.jsonl", ["a", long, "b"]).parent
    made = make(source, shard_tokens=1000)
    assert stream(made) == tokens_of(["a", long, "b"])
    assert [shard.header.documents for shard in made.shards] == [2, 0, 0, 0, 0, 1]


def test_empty_and_missing_texts_are_counted_once_whatever_was_cut(own_folder: Path):
    texts = ["", None, *DOCUMENTS[:30], "", None, None, *DOCUMENTS[30:60], ""]
    source = write_jsonl(own_folder / "src/a.jsonl", texts).parent
    made = make(source, shard_tokens=100)
    assert made.shards[-1].header.notes == {"empty": 3, "null": 3}
    assert stream(made) == tokens_of(text for text in texts if text is not None)


def test_max_tokens_is_where_the_shards_end(source: Path):
    made = make(source, max_tokens=1500)
    assert [shard.tokens for shard in made.shards] == [700, 700, 100]
    assert stream(made) == tokens_of(DOCUMENTS)[:1500]


def test_any_number_of_processes_writes_the_same_files(source: Path):
    make(source)
    make(source, Path("two"), workers=2)
    make(source, Path("three"), workers=3)
    assert hashes(Path("two")) == hashes(Path("three")) == hashes(OUT)


def test_a_process_that_cannot_read_a_file_says_so_to_the_parent(source: Path):
    """A file that is cut in the middle of a run, after its sizes were read."""
    path = source / "c.jsonl"
    path.write_bytes(path.read_bytes()[:-200])
    assert re.match(r"c.jsonl, line \d+: no JSON", refusal(source, workers=2))


# A second time.


def test_a_second_time_nothing_is_made_anew(source: Path):
    make(source)
    before = {path: path.stat().st_mtime_ns for path in OUT.glob("*.tokens")}
    make(source)
    assert {path: path.stat().st_mtime_ns for path in OUT.glob("*.tokens")} == before


@pytest.mark.parametrize("gone", [0, 1, 3, -1])
def test_a_shard_that_is_missing_is_made_again(source: Path, gone: int):
    make(source)
    before = hashes(OUT)
    sorted(OUT.glob("*.tokens"))[gone].unlink()
    make(source)
    assert hashes(OUT) == before


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_last_shard_that_is_damaged_is_made_again(source: Path, damage: str):
    make(source)
    before = hashes(OUT)
    path = make(source).shards[-1].path
    content = path.read_bytes()
    path.write_bytes(content[:-2] if damage == "cut" else content[:-2] + b"\1\1")
    make(source)
    assert hashes(OUT) == before


def test_more_tokens_go_on_from_those_that_are_there(source: Path):
    """The shard that was cut short is made again, the others are kept."""
    make(source, Path("whole"))
    made = make(source, max_tokens=1500)
    kept = [(shard.path, shard.path.stat().st_mtime_ns) for shard in made.shards[:2]]
    make(source, max_tokens=3000)
    assert [(path, path.stat().st_mtime_ns) for path, _ in kept] == kept
    assert stream(make(source)) == tokens_of(DOCUMENTS)
    assert hashes(OUT) == hashes(Path("whole"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"shard_tokens": 600},
            "shard_tokens = 600: the shards in out were made with 700; allowed: 700, or",
        ),
        (
            {"subset": "sample-10BT"},
            "subset = sample-10BT: the shards in out were made with None; allowed: None, or",
        ),
        ({"max_tokens": 800}, "max_tokens = 800: out has 2"),
    ],
)
def test_other_settings_for_the_same_folder_are_refused(source: Path, options: dict, told: str):
    make(source, max_tokens=2000)
    before = hashes(OUT)
    assert refusal(source, **options).startswith(told)
    assert hashes(OUT) == before


def test_a_source_that_has_changed_is_refused_with_what_changed(source: Path):
    make(source)
    write_jsonl(source / "b2.jsonl", ["new"])
    assert refusal(source).startswith("b2.jsonl is new in the source since the shards in out were")
    (source / "b2.jsonl").unlink()
    (source / "c.jsonl").rename(source.parent / "c.jsonl")
    assert refusal(source).startswith("c.jsonl has gone from the source since")
    write_jsonl(source / "c.jsonl", ["other"])
    assert re.match(
        r"c.jsonl has changed in the source, from [\d,]+ to [\d,]+ bytes, since the",
        refusal(source),
    )
    (source.parent / "c.jsonl").rename(source / "c.jsonl")
    assert stream(make(source)) == tokens_of(DOCUMENTS)


def test_settings_of_which_nothing_was_made_are_forgotten(source: Path):
    assert "none are left to train on" in refusal(source, shard_tokens=10**6)
    assert stream(make(source)) == tokens_of(DOCUMENTS)


def test_shards_of_somebody_else_are_not_written_among(source: Path):
    OUT.mkdir()
    np.save(OUT / "edufineweb_val_000000.npy", np.zeros(9, np.uint16))
    assert refusal(source) == "out: holds shards that were not made here; allowed: another --out"


def test_a_damaged_plan_is_told(source: Path):
    make(source)
    (OUT / "ingestion.json").write_text("{")
    assert refusal(source).startswith("out/ingestion.json: damaged (")


def test_two_at_once_in_one_folder_are_refused(source: Path):
    OUT.mkdir()
    with FileLock(OUT / ".lock"):
        assert refusal(source) == "out: another process writes shards there; wait, or --out"
    make(source)


# The disk.


def fill_disk_after(monkeypatch: pytest.MonkeyPatch, appends: int) -> None:
    """Let so many writes succeed, and then none."""
    append, left = ShardWriter.append, iter(range(appends))

    def limited(self: ShardWriter, ids: np.ndarray) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, ids)

    monkeypatch.setattr(ShardWriter, "append", limited)


def test_a_full_disk_keeps_what_is_finished_and_goes_on_later(source: Path):
    make(source, Path("whole"))
    with pytest.MonkeyPatch.context() as patch:
        fill_disk_after(patch, 9)
        line = refusal(source)
    finished = len(hashes(OUT))
    assert finished > 1
    assert line == (
        f"out: cannot be written (No space left on device); {finished} finished shards are kept, "
        "and the same command goes on once there is room"
    )
    assert left_over() == [".lock", "ingestion.json"]
    assert read_plan(OUT).shards is None
    make(source)
    assert hashes(OUT) == hashes(Path("whole"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
def test_a_write_that_the_system_refuses_is_one_line(source: Path):
    """No patch: a real error of a real write."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
    try:
        line = refusal(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert line.startswith("out: cannot be written (File too large); 0 finished shards are kept")
    assert left_over() == [".lock", "ingestion.json"]
    assert stream(make(source)) == tokens_of(DOCUMENTS)


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    source: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 8000, 8000))
    assert refusal(source, max_tokens=10**6).startswith(
        "out: the shards will not fit: they take about 0.00 GB, and 0.00 GB are free; allowed: "
    )
    assert hashes(OUT) == {}
    assert make(source, max_tokens=4000).length == 4_000


def test_a_folder_that_cannot_be_made_is_told(source: Path):
    Path("file").write_text("in the way")
    assert refusal(source, out=Path("file/out")).startswith("file/out: cannot be written (")


# Broken sources.


def test_a_half_downloaded_file_is_told_before_anything_is_written(source: Path):
    path = source / "b.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(source).startswith("b.parquet: cannot be read, perhaps half downloaded (")
    assert not OUT.exists()


def test_a_damaged_file_loses_nothing_of_what_came_before(source: Path):
    make(source, Path("whole"))
    path = source / "b.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(3000) + whole[3004:])
    assert refusal(source).startswith("b.parquet, row group 0: cannot be read, perhaps half")
    assert len(hashes(OUT)) >= 1
    path.write_bytes(whole)
    make(source)
    assert hashes(OUT) == hashes(Path("whole"))


class Flaky(LocalFolder):
    """A folder behind a network that fails now and then."""

    pauses = (0, 0)
    tries: list[str] = []  # noqa: RUF012 - of the class, as an opener is copied

    def open(self, name: str):
        self.tries.append(name)
        if len(self.tries) % 3:
            raise ConnectionError("the network is gone")
        return super().open(name)


def test_a_network_that_comes_back_is_waited_for(source: Path, monkeypatch: pytest.MonkeyPatch):
    """Each file is out of reach twice, then there."""
    monkeypatch.setattr(workers.time, "sleep", lambda _: None)
    expected = stream(make(source))
    monkeypatch.setattr(fineweb_edu, "LocalFolder", Flaky)
    assert stream(make(source, Path("flaky"))) == expected
    assert len(Flaky.tries) > 9


def test_a_network_that_stays_away_is_told(source: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Flaky, "pauses", (0,))
    monkeypatch.setattr(fineweb_edu, "LocalFolder", Flaky)
    Flaky.tries.clear()
    with pytest.raises(UnreadableError, match=r"a.parquet: cannot be read.*the network is gone"):
        make(source)


# Endings.


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(source: Path):
    make(source, Path("whole"))
    with pytest.MonkeyPatch.context() as patch:
        add, left = ingestion._Cutter.add, iter(range(6))

        def interrupted(self: ingestion._Cutter, *args: object) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            add(self, *args)

        patch.setattr(ingestion._Cutter, "add", interrupted)
        with pytest.raises(IngestionStoppedError) as stopped:
            make(source)
    finished = len(hashes(OUT))
    assert finished > 0
    assert str(stopped.value) == (
        f"stopped; {finished} shards are finished in out, and the same command goes on from there"
    )
    assert left_over() == [".lock", "ingestion.json"]
    make(source)
    assert hashes(OUT) == hashes(Path("whole"))


def test_what_is_not_finished_cannot_be_trained_on(source: Path):
    with pytest.MonkeyPatch.context() as patch:
        fill_disk_after(patch, 9)
        refusal(source)
    with pytest.raises(UserError, match=r"out: not finished, \d shards so far"):
        fineweb_edu.open_folder(OUT)


def test_a_shard_says_where_the_next_one_goes_on(source: Path):
    made = make(source)
    positions = [shard.header.position for shard in made.shards]
    assert positions[-1] is None
    assert {position.file for position in positions[:-1]} == {"a.parquet", "b.parquet", "c.jsonl"}
    plan = json.loads((OUT / "ingestion.json").read_text())
    assert [name for name, _ in plan["files"]] == ["a.parquet", "b.parquet", "c.jsonl"]
    assert plan["shards"] == len(made.shards)
    assert all(open_shard(shard.path).header == shard.header for shard in made.shards)
