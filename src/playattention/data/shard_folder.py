"""A folder of shards as a data set: two splits, each one sequence of tokens however many its files.

Does not know how the files are laid out (`shards.py`), nor how they came there.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from playattention.data.shards import NAME, Ids, Shard, Split, open_shard
from playattention.errors import UserError
from playattention.tokenizers import Tokenizer, tokenizer_class

PLAN = "ingestion.json"
"""Beside shards of ours: what they are made of, and whether they are all there."""


class ShardedTokens:
    """Many shards as one sequence of tokens, read where they lie.

    A shard is mapped into memory when it is first read from. What is copied to another process is
    the list of files alone, which maps them anew.

    Args:
        shards: In their order; at least one.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = list(shards)
        # Where each shard ends among all tokens; uint64, as the loader's places are.
        self._ends = np.cumsum([shard.tokens for shard in self.shards], dtype=np.uint64)
        self._dtype = np.result_type(*{shard.dtype for shard in self.shards})
        self._maps: dict[int, Ids] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, places: npt.NDArray[np.uint64] | npt.NDArray[np.int64]) -> Ids:
        """Return the tokens at these places, in the shape of the places.

        Raises:
            IndexError: If a place is negative or beyond the end.
        """
        wanted = places.astype(np.uint64).ravel()  # a negative one becomes huge
        if len(wanted) and wanted.max() >= self._ends[-1]:
            raise IndexError(f"a place outside 0 to {len(self) - 1}")
        found = np.empty(wanted.shape, dtype=self._dtype)
        which = np.searchsorted(self._ends, wanted, side="right")
        # Neighbours lie in one shard nearly always, so runs of one shard are few.
        cuts = np.flatnonzero(np.diff(which)) + 1
        for begin, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(wanted)], strict=True):
            if begin < end:
                number = int(which[begin])
                before = self._ends[number - 1] if number else np.uint64(0)
                found[begin:end] = self._map(number)[wanted[begin:end] - before]
        return found.reshape(places.shape)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    def _map(self, number: int) -> Ids:
        if number not in self._maps:
            self._maps[number] = self.shards[number].map()
        return self._maps[number]


@dataclass(frozen=True)
class ShardFolder:
    """A data set that lies in shards on disk, its splits made when it was written."""

    name: str
    """A registered name, or the absolute path of the folder."""
    folder: Path
    train: ShardedTokens
    val: ShardedTokens
    state: dict[str, Any]
    """Of the tokenizer that made the tokens."""

    @property
    def shards(self) -> list[Shard]:
        """All files: those for validation, then those for training."""
        return [*self.val.shards, *self.train.shards]

    @property
    def sha256(self) -> str:
        """Hash that tells this set from any other; reads headers, not tokens."""
        known = [[shard.split, shard.tokens, shard.fingerprint()] for shard in self.shards]
        return hashlib.sha256(json.dumps([self.state, known]).encode()).hexdigest()

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.train) + len(self.val)

    def tokenizer(self, name: str) -> Tokenizer:
        """Return the tokenizer that made the tokens.

        Args:
            name: What the run asks for, which must be that.

        Raises:
            UserError: If it is another.
        """
        asked, made_by = tokenizer_class(name), self.state.get("name")
        if asked.name != made_by:
            raise UserError(
                f"tokenizer = {name}: the shards in {self.folder} hold tokens of {made_by}; "
                f"allowed: --tokenizer {made_by}, or shards made with --tokenizer {name}"
            )
        return asked.from_state(self.state)


def has_shards(folder: Path) -> bool:
    """Tell whether files in a folder are called as shards are."""
    return any(NAME.fullmatch(path.name) for path in folder.iterdir())


def open_folder(folder: Path, name: str | None = None) -> ShardFolder:
    """Return a folder of shards, of one of the three formats, each checked by header and size.

    Args:
        folder: With files called *_val_NNNNNN and *_train_NNNNNN.
        name: What the data set is called; default: the folder's absolute path.

    Raises:
        UserError: If a shard is damaged, a split is missing, or the shards do not fit together.
    """
    try:
        paths = [path for path in folder.iterdir() if NAME.fullmatch(path.name)]
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from None
    _check_complete(folder, len(paths))
    shards = [open_shard(path) for path in sorted(paths, key=_number)]
    _check_alike(folder, shards)
    return ShardFolder(
        name or str(folder.resolve()),
        folder,
        ShardedTokens(_of(shards, "train", folder)),
        ShardedTokens(_of(shards, "val", folder)),
        shards[0].tokenizer,
    )


def _number(path: Path) -> tuple[int, str]:
    """Return a shard's place by its name, whose number may have more digits than others'."""
    named = NAME.fullmatch(path.name)
    return int((named and named[2]) or 0), path.name


def _of(shards: list[Shard], split: Split, folder: Path) -> list[Shard]:
    found = [shard for shard in shards if shard.split == split]
    if not found:
        raise UserError(
            f"{folder}: no shard for {'training' if split == 'train' else 'validation'}; "
            f"allowed: files called *_{split}_NNNNNN with .tokens, .npy or .bin"
        )
    return found


def _check_complete(folder: Path, there: int) -> None:
    """Check that what `playattention data` began there is finished, and all still there."""
    try:
        promised = json.loads((folder / PLAN).read_bytes())["shards"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / PLAN}: damaged ({error})") from None
    if promised is None:
        raise UserError(
            f"{folder}: not finished, {there} shards so far; the `playattention data` command "
            "that began it goes on"
        )
    if promised != there:
        raise UserError(
            f"{folder}: {there} shards, and {promised} were written; the `playattention data` "
            "command that wrote them makes the missing ones again"
        )


def _check_alike(folder: Path, shards: list[Shard]) -> None:
    for shard in shards:
        if shard.tokenizer != shards[0].tokenizer:
            raise UserError(
                f"{folder}: {shard.path.name} holds tokens of {shard.tokenizer.get('name')}, "
                f"{shards[0].path.name} of {shards[0].tokenizer.get('name')}, or of another "
                "vocabulary; allowed: one tokenizer in a folder"
            )
        if shard.path.suffix != shards[0].path.suffix:
            raise UserError(
                f"{folder}: {shards[0].path.name} and {shard.path.name} are of two formats; "
                "allowed: one in a folder"
            )
        if shard.header and shards[0].header and shard.header.name != shards[0].header.name:
            raise UserError(
                f"{folder}: {shards[0].path.name} and {shard.path.name} are of two data sets; "
                "allowed: one in a folder"
            )
