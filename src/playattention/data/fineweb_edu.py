"""FineWeb-Edu: educational pages of the web (Penedo et al. 2024), as shards of GPT-2's tokens.

The documents come from the hub as a stream, a row group at a time, or from parquet and JSON-lines
files at hand. Does not know how shards are made (`ingestion.py`).
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from playattention.data.documents import LocalFolder, Opener, SourceFile, local_files
from playattention.data.ingestion import ingest
from playattention.data.ingestion_plan import Plan, read_plan
from playattention.data.shard_folder import ShardFolder, open_folder
from playattention.data.workers import text_bytes
from playattention.errors import UserError, unknown
from playattention.tokenizers import GPT2Tokenizer

NAME = "fineweb-edu"
REPOSITORY = "HuggingFaceFW/fineweb-edu"
HOME = Path("data", NAME)

SAMPLES = {
    "sample-10BT": 10_000_000_000,
    "sample-100BT": 100_000_000_000,
    "sample-350BT": 350_000_000_000,
}
"""Random parts of the whole, and about how many tokens each has by its name."""

LEAST_BYTES_PER_TOKEN = 4
"""Of English text, to tell about how many tokens a source has; FineWeb-Edu has more."""


@dataclass(frozen=True)
class HubRepository:
    """The data set on the hub, at one revision."""

    revision: str

    @property
    def pauses(self) -> tuple[int, ...]:
        """Of a network that comes back; the hub's client has tried for some seconds already."""
        return (10, 60, 300)

    def open(self, name: str) -> IO[bytes]:
        """Return a file that is read over the network, in blocks of 4 MiB."""
        from huggingface_hub import HfFileSystem  # noqa: PLC0415 - optional, slow to import

        path = f"datasets/{REPOSITORY}/{name}"
        file: Any = HfFileSystem().open(path, "rb", revision=self.revision, block_size=4 * 2**20)
        return file  # an fsspec file, which has what IO has


class _Source(NamedTuple):
    opener: Opener
    files: list[SourceFile]
    revision: str | None
    expected: int | None
    """About how many tokens it has; None: not known."""


def load() -> ShardFolder:
    """Return the shards in `data/fineweb-edu/`.

    Raises:
        UserError: If there are none, or they are not finished.
    """
    if not HOME.is_dir():
        raise UserError(
            f"{NAME}: no shards in {HOME}; make them first: playattention data {NAME} "
            "(--help tells how much, and from where)"
        )
    return open_folder(HOME, NAME)


def make(
    out: Path,
    *,
    subset: str | None = None,
    source: Path | None = None,
    shard_tokens: int,
    max_tokens: int | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> ShardFolder:
    """Make the shards that are not there yet, and return all of them.

    Args:
        out: The folder of the shards.
        subset: A sample, a crawl such as CC-MAIN-2024-10, or "default", the whole; default: all
            of the source where there is one, else sample-10BT.
        source: A folder with parquet or JSON-lines files; default: the hub.
        shard_tokens: In each shard but the last.
        max_tokens: Where to stop; default: at the end of the subset.
        workers: Processes that tokenize; default: one for each core.
        quiet: Say nothing in the terminal.

    Raises:
        UserError: If an option is not usable, a file is damaged, the hub can't be reached, the disk
            is too small, or other shards are in the folder.
        IngestionStoppedError: If the user pressed Ctrl-C; what is finished is kept.
    """
    _check(shard_tokens, max_tokens, workers)
    if source is None:
        subset = subset or "sample-10BT"
        found = _on_hub(subset, out)
    else:
        found = _at_hand(subset, source)
    plan = Plan(
        name=NAME,
        tokenizer=GPT2Tokenizer.name,
        shard_tokens=shard_tokens,
        max_tokens=max_tokens,
        subset=subset,
        revision=found.revision,
        files=found.files,
    )
    ingest(plan, found.opener, out, workers or cores(), found.expected, quiet=quiet)
    return open_folder(out, NAME if out == HOME else None)


def cores() -> int:
    """Return how many cores this process may use."""
    if "sched_getaffinity" in dir(os):  # Linux, where a container may have fewer than the machine
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(shard_tokens: int, max_tokens: int | None, workers: int | None) -> None:
    for field, value in (("shard_tokens", shard_tokens), ("workers", workers)):
        if value is not None and value < 1:
            raise UserError(f"{field} = {value}: allowed: 1 or more")
    if max_tokens is not None and max_tokens <= shard_tokens:
        raise UserError(
            f"max_tokens = {max_tokens}: shard 0, of shard_tokens = {shard_tokens}, is for "
            "validation, so none are left to train on; allowed: more than shard_tokens, or "
            f"--shard-tokens {max(1, max_tokens // 10)}"
        )


def _folder_of(subset: str) -> str:
    """Return the folder of the repository that a subset lies in.

    Raises:
        UserError: If there is no such subset.
    """
    if subset in SAMPLES:
        return subset.replace("-", "/")
    if re.fullmatch(r"CC-MAIN-\d{4}-\d{2}", subset):
        return f"data/{subset}"
    if subset == "default":
        return "data"
    raise unknown("subset", subset, [*SAMPLES, "default", "a crawl such as CC-MAIN-2024-10"])


def _at_hand(subset: str | None, folder: Path) -> _Source:
    """Return the files of a folder, or those of a subset where it is a copy of the repository."""
    if subset is not None and (folder / _folder_of(subset)).is_dir():
        folder = folder / _folder_of(subset)
    files, opener = local_files(folder), LocalFolder(folder.resolve())
    size = sum(text_bytes(opener, file) for file in files)
    return _Source(opener, files, None, size // LEAST_BYTES_PER_TOKEN)


def _on_hub(subset: str, out: Path) -> _Source:
    """Return a subset's files and the revision they are of.

    What was begun goes on with the revision it was begun with, whatever the hub has by then.
    """
    folder, before = _folder_of(subset), read_plan(out)
    if before is not None and before.revision is not None and before.subset == subset:
        files, revision = before.files, before.revision
    else:
        files, revision = _listed(folder)
    if not files:
        raise UserError(f"subset = {subset}: no parquet files in {folder} of {REPOSITORY}")
    return _Source(HubRepository(revision), files, revision, SAMPLES.get(subset))


def _listed(folder: str) -> tuple[list[SourceFile], str]:
    """Ask the hub for the files of a folder and for their revision."""
    try:
        from huggingface_hub import HfApi, RepoFile  # noqa: PLC0415 - optional, slow to import
    except ImportError:
        raise UserError(
            f"{NAME}: the hub needs its client: pip install 'playattention[fineweb]'"
        ) from None
    try:
        api = HfApi()
        revision = str(api.dataset_info(REPOSITORY).sha)
        listed = api.list_repo_tree(
            REPOSITORY, folder, recursive=True, revision=revision, repo_type="dataset"
        )
        files = [
            SourceFile(entry.path, entry.size)
            for entry in listed
            if isinstance(entry, RepoFile) and entry.path.endswith(".parquet")
        ]
    except Exception as error:  # of the client, of its transport, of the system
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{NAME}: the hub cannot be read ({reason}); allowed: a network, or --from DIR with "
            "parquet or JSON-lines files at hand"
        ) from None
    return sorted(files), revision
