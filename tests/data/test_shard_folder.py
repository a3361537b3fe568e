"""Many shards as one data set: one sequence over all borders, and folders that are not whole."""

import json
import multiprocessing
import pickle
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from playattention.config import DataConfig
from playattention.data import load_corpus, split
from playattention.data.loader import WindowStream
from playattention.data.shard_folder import PLAN, ShardedTokens, open_folder
from playattention.data.shards import Shard, open_shard
from playattention.errors import UserError
from playattention.evaluation import evaluate
from playattention.models import build_model
from playattention.tokenizers import CharTokenizer
from tests.data.fineweb import everything
from tests.data.test_shards import write, write_llmc

SIZES = [7, 1, 40, 3, 12]
WHOLE = np.arange(sum(SIZES), dtype=np.uint16) * 31 % 50_000


def in_shards(folder: Path, sizes: list[int] = SIZES, ids: np.ndarray = WHOLE) -> ShardedTokens:
    """Write tokens as shards for training, and return them as one sequence."""
    parts = np.split(ids, np.cumsum(sizes)[:-1])
    paths = [write(folder, part, number=number) for number, part in enumerate(parts, start=1)]
    return ShardedTokens([open_shard(path) for path in paths])


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> ShardedTokens:
    return in_shards(tmp_path_factory.mktemp("shards"))


def folder_of(tmp_path: Path) -> Path:
    """Return a folder with a shard for validation and two for training."""
    write(tmp_path, np.arange(50, dtype=np.uint16), split="val", number=0)
    write(tmp_path, np.arange(100, dtype=np.uint16), number=1)
    write(tmp_path, np.arange(30, dtype=np.uint16), number=2)
    return tmp_path


def refusal(folder: Path) -> str:
    """Return the one line that refuses a folder."""
    with pytest.raises(UserError) as caught:
        open_folder(folder)
    line = str(caught.value)
    assert "\n" not in line
    return line


# One sequence.


@settings(deadline=None)
@given(data=st.data())
def test_tokens_at_any_places_in_any_shape_are_those_of_the_whole(tokens, data: st.DataObject):
    shape = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    place = st.integers(0, len(WHOLE) - 1)
    n = int(np.prod(shape))
    places = np.array(data.draw(st.lists(place, min_size=n, max_size=n)), dtype=np.int64)
    for dtype in (np.int64, np.uint64):
        found = tokens[places.reshape(shape).astype(dtype)]
        assert found.shape == tuple(shape)
        assert np.array_equal(found, WHOLE[places].reshape(shape))


@pytest.mark.parametrize("place", [-1, len(WHOLE), 2**40])
def test_a_place_outside_is_an_error(tokens: ShardedTokens, place: int):
    with pytest.raises(IndexError, match="outside 0 to 62"):
        tokens[np.array([0, place])]


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    seq_size=st.integers(1, 40),
    seed=st.integers(0, 2**64 - 1),
    sampling=st.sampled_from(["permutation", "random"]),
)
def test_the_loader_gives_the_same_windows_as_from_memory(
    tmp_path_factory, sizes: list[int], seq_size: int, seed: int, sampling: str
):
    """So windows go over the borders of shards, and no shard's tail is dropped."""
    n = sum(sizes)
    seq_size = min(seq_size, n - 1)
    if not seq_size:
        return
    ids = np.arange(n, dtype=np.uint16)
    on_disk = in_shards(tmp_path_factory.mktemp("shards"), sizes, ids)
    streams = [WindowStream(t, seq_size, seed, sampling) for t in (on_disk, ids)]
    epochs = 2 * streams[0].windows_per_epoch
    for there, here in zip(*(stream.batch(0, epochs) for stream in streams), strict=True):
        assert torch.equal(there, here)


def test_the_evaluation_is_the_same_as_from_memory(tokens: ShardedTokens, small_run):
    torch.manual_seed(0)
    model = build_model(small_run.updated(model={"vocab_size": 50_000}).model)
    assert evaluate(model, tokens, 16) == evaluate(model, WHOLE, 16)


def test_a_shard_is_not_opened_before_it_is_read_from(tokens: ShardedTokens, monkeypatch):
    opened = []
    plain = Shard.map

    def counted(shard: Shard) -> np.ndarray:
        opened.append(shard.path.name)
        return plain(shard)

    monkeypatch.setattr(Shard, "map", counted)
    fresh = pickle.loads(pickle.dumps(tokens))
    assert len(fresh) == len(WHOLE)
    assert opened == []
    fresh[np.array([8, 9, 47, 10])]
    assert opened == ["made_train_000003.tokens"]
    fresh[np.array([8, 0])]
    assert opened == ["made_train_000003.tokens", "made_train_000001.tokens"]


def test_what_is_copied_to_another_process_is_the_list_of_files(tokens: ShardedTokens):
    everything(tokens)
    assert len(pickle.dumps(tokens)) < 5000
    assert everything(pickle.loads(pickle.dumps(tokens))) == WHOLE.tolist()


def read_into(queue, tokens: ShardedTokens) -> None:
    queue.put(everything(tokens))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_another_process_reads_the_same_tokens(tokens: ShardedTokens, method: str):
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    process = context.Process(target=read_into, args=(queue, tokens))
    process.start()
    assert queue.get() == WHOLE.tolist()
    process.join()


# Ten billion tokens, in files that take no room.

SHARD, SHARDS, CONTEXT, RANKS = 100_000_000, 100, 1024, 1024


@pytest.fixture(scope="module")
def ten_billion(tmp_path_factory: pytest.TempPathFactory) -> ShardedTokens:
    """Sparse shards; the first and last token of each is its number, all others are 0."""
    folder = tmp_path_factory.mktemp("sparse")
    for number in range(1, SHARDS + 1):
        header = {
            "name": "sparse",
            "split": "train",
            "number": number,
            "tokenizer": {"name": "gpt2"},
            "tokens": SHARD,
            "sha256": "",
            "documents": 0,
            "utf8_bytes": 0,
            "notes": {},
        }
        mark = number.to_bytes(2, "little")
        with (folder / f"sparse_train_{number:06}.tokens").open("wb") as file:
            top = f"playattention tokens 1 4096\n{json.dumps(header)}".encode()
            file.write(top.ljust(4095) + b"\n" + mark)
            file.truncate(4096 + 2 * SHARD)
            file.seek(-2, 2)
            file.write(mark)
    return ShardedTokens([open_shard(path) for path in sorted(folder.iterdir())])


def test_a_window_over_the_border_of_two_large_shards_is_whole(ten_billion: ShardedTokens):
    assert len(ten_billion) == 10_000_000_000
    borders = np.arange(1, SHARDS, dtype=np.uint64) * np.uint64(SHARD)
    found = ten_billion[borders[:, None] + np.arange(-2, 2).astype(np.uint64)]
    expected = [[0, number, number + 1, 0] for number in range(1, SHARDS)]
    assert found.tolist() == expected
    ends = ten_billion[np.array([0, 1, 10**10 - 2, 10**10 - 1])]
    assert ends.tolist() == [1, 0, 0, 100]


def test_1024_ranks_share_out_ten_billion_tokens(ten_billion: ShardedTokens):
    """Rank r takes windows r, r + R, ...: at each step all ranks' windows are disjoint."""
    stream = WindowStream(ten_billion, CONTEXT, seed=1337)
    assert stream.windows_per_epoch == 10**10 // CONTEXT
    steps = [0, 1, 2, 4000, stream.windows_per_epoch // RANKS - 1]
    seen = []
    for step in steps:
        together = stream.starts(step * RANKS, RANKS)
        for rank in (0, 1, 511, 1023):
            assert stream.starts(step * RANKS + rank, 1).tolist() == [together[rank]]
        seen.append(together)
    starts = np.concatenate(seen)
    assert len(np.unique(starts)) == len(steps) * RANKS
    offset = starts[0] % CONTEXT
    # On one grid, but for those that lie behind the place where the circle closes.
    assert np.isin((starts - offset) % CONTEXT, [0, (CONTEXT - 10**10) % CONTEXT]).all()
    assert starts.max() < 10**10
    assert np.histogram(starts, bins=10, range=(0, 10**10))[0].min() > 400


def test_batches_of_ten_billion_tokens_take_little_time_and_memory(ten_billion: ShardedTokens):
    stream = WindowStream(ten_billion, CONTEXT, seed=1)
    stream.batch(0, 1)
    tracemalloc.start()
    began = time.process_time()
    for rank in range(0, RANKS, 100):
        idx, targets = stream.batch(5 * RANKS + rank, 16)
        assert idx.shape == targets.shape == (16, CONTEXT)
        assert torch.equal(idx[:, 1:], targets[:, :-1])
    took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 5
    assert peak < 5_000_000


# Folders.


def test_a_folder_is_a_data_set_with_two_splits(tmp_path: Path):
    folder = load_corpus(str(folder_of(tmp_path)))
    assert folder.name == str(tmp_path.resolve())
    assert everything(folder.val) == list(range(50))
    assert everything(folder.train) == [*range(100), *range(30)]
    assert folder.length == 180
    splits = split(folder, folder.tokenizer("gpt2"), DataConfig(), seq_size=49)
    assert (len(splits.train), len(splits.val), splits.floor) == (130, 50, None)


@pytest.mark.parametrize("format_", [".npy", ".bin"])
def test_a_folder_of_another_project_is_a_data_set_too(tmp_path: Path, format_: str):
    for name, first in (("x_val_000000", 0), ("x_train_000001", 100), ("x_train_000002", 200)):
        ids = np.arange(first, first + 50, dtype=np.uint16)
        if format_ == ".npy":
            np.save(tmp_path / f"{name}.npy", ids)
        else:
            write_llmc(tmp_path / f"{name}.bin", ids)
    (tmp_path / "notes.txt").write_text("made by hand")
    folder = load_corpus(str(tmp_path))
    assert everything(folder.val) == list(range(50))
    assert everything(folder.train) == [*range(100, 150), *range(200, 250)]
    assert folder.tokenizer("gpt2").vocab_size == 50_257


def test_shards_are_in_the_order_of_their_numbers(tmp_path: Path):
    """Also where one has more digits than another."""
    for number in (0, 2, 10, 1_000_000, 999_999):
        split_ = "train" if number else "val"
        write_llmc(tmp_path / f"x_{split_}_{number}.bin", np.array([number % 50_000], np.uint16))
    folder = open_folder(tmp_path)
    assert everything(folder.train) == [2, 10, 999_999 % 50_000, 0]


def test_another_set_has_another_hash_and_a_copy_the_same(tmp_path: Path):
    hashes = set()
    for number in range(4):
        path = tmp_path / str(number)
        path.mkdir()
        folder_of(path)
        if number == 1:
            write(path, np.arange(1, 31, dtype=np.uint16), number=2)
        if number == 2:
            (path / "made_train_000002.tokens").unlink()
        hashes.add(open_folder(path).sha256)
    assert len(hashes) == 3


@pytest.mark.parametrize("place", [0, 4999])
def test_a_foreign_shard_that_changes_at_an_end_changes_the_hash(tmp_path: Path, place: int):
    ids = np.zeros(5000, dtype=np.uint16)
    for name in ("x_val_000000.bin", "x_train_000001.bin"):
        write_llmc(tmp_path / name, ids)
    before = open_folder(tmp_path).sha256
    ids[place] = 1
    write_llmc(tmp_path / "x_train_000001.bin", ids)
    assert open_folder(tmp_path).sha256 != before


def test_another_tokenizer_than_the_shards_is_refused_with_both_names(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        open_folder(folder_of(tmp_path)).tokenizer("char")
    assert str(caught.value) == (
        f"tokenizer = char: the shards in {tmp_path} hold tokens of gpt2; "
        "allowed: --tokenizer gpt2, or shards made with --tokenizer char"
    )


def test_the_vocabulary_of_characters_comes_from_the_shards(tmp_path: Path):
    tokenizer = CharTokenizer("to be")
    ids = np.array(tokenizer.encode("to be or not".replace("r", "b").replace("n", "t")), np.uint16)
    write(tmp_path, ids, split="val", number=0, tokenizer=tokenizer)
    write(tmp_path, ids, number=1, tokenizer=tokenizer)
    folder = open_folder(tmp_path)
    assert folder.tokenizer("char").decode(everything(folder.train)) == "to be ob tot"


def test_a_share_for_training_cannot_be_asked_of_shards(tmp_path: Path):
    folder = open_folder(folder_of(tmp_path))
    with pytest.raises(UserError, match=r"train_val_split = 0.8: the shards in .* allowed: 0.9"):
        split(folder, folder.tokenizer("gpt2"), DataConfig(train_val_split=0.8), seq_size=8)


def test_a_split_of_shards_too_short_for_a_window_is_told(tmp_path: Path):
    folder = open_folder(folder_of(tmp_path))
    with pytest.raises(UserError, match=r"the validation split of .* has 50 tokens.*up to 49"):
        split(folder, folder.tokenizer("gpt2"), DataConfig(), seq_size=50)


@pytest.mark.parametrize(("gone", "what"), [("val", "validation"), ("train", "training")])
def test_a_folder_without_one_of_the_splits_is_refused(tmp_path: Path, gone: str, what: str):
    for path in folder_of(tmp_path).glob(f"*_{gone}_*"):
        path.unlink()
    assert refusal(tmp_path).startswith(f"{tmp_path}: no shard for {what}; allowed: files called")


def test_a_folder_without_shards_is_no_data_set(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("nothing yet")
    with pytest.raises(UserError, match=r": has no shards; allowed: playhouse, "):
        load_corpus(str(tmp_path))
    assert "no shard for training" in refusal(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    assert (
        refusal(tmp_path / "gone")
        == f"{tmp_path / 'gone'}: cannot be read (No such file or directory)"
    )


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ('{"shards": null}', "not finished, 3 shards so far; the `playattention data` command"),
        ('{"shards": 5}', "3 shards, and 5 were written; the `playattention data` command"),
        ("{", "ingestion.json: damaged ("),
        ("[]", "ingestion.json: damaged ("),
    ],
)
def test_a_folder_that_is_not_all_there_is_refused(tmp_path: Path, plan: str, told: str):
    (folder_of(tmp_path) / PLAN).write_text(plan)
    assert told in refusal(tmp_path)


def test_shards_of_two_tokenizers_in_one_folder_are_refused(tmp_path: Path):
    write(folder_of(tmp_path), np.zeros(9, np.uint16), number=3, tokenizer=CharTokenizer("abc"))
    assert "made_train_000003.tokens holds tokens of char, made_val_000000.tokens of gpt2" in (
        refusal(tmp_path)
    )


def test_shards_of_two_formats_in_one_folder_are_refused(tmp_path: Path):
    write_llmc(folder_of(tmp_path) / "made_train_000003.bin")
    assert "are of two formats; allowed: one in a folder" in refusal(tmp_path)


def test_shards_of_two_data_sets_in_one_folder_are_refused(tmp_path: Path):
    write(folder_of(tmp_path), number=3).rename(tmp_path / "other")
    content = (tmp_path / "other").read_bytes().replace(b'"name":"made"', b'"name":"more"')
    (tmp_path / "more_train_000003.tokens").write_bytes(content)
    assert "are of two data sets; allowed: one in a folder" in refusal(tmp_path)


def test_a_damaged_shard_is_told_when_the_folder_is_opened(tmp_path: Path):
    path = folder_of(tmp_path) / "made_train_000002.tokens"
    path.write_bytes(path.read_bytes()[:-2])
    assert refusal(tmp_path).startswith(f"{path}: truncated: ")
