"""A source of documents to shards, so that a kill at any moment costs at most the shard begun.

The tokens of all documents, each after <|endoftext|>, are one long sequence, which is cut every so
many tokens; the first shard is for validation. A finished shard says where in the source the next
one goes on, and nothing depends on how many processes there are. Does not know where a source comes
from, nor how its files are read.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from playattention.data.documents import Opener, Piece
from playattention.data.ingestion_plan import (
    Plan,
    alone_in,
    finished_shards,
    shard_path,
    write_plan,
)
from playattention.data.ingestion_progress import IngestionProgress
from playattention.data.shards import Header, Position, ShardWriter, byte_lengths
from playattention.data.workers import Encoded, encode_all, gpt2, pieces
from playattention.errors import UserError

BYTES_PER_TOKEN = 2
"""Of a shard."""


class IngestionStoppedError(Exception):
    """The user stopped; the message is one line that says how to go on."""


def ingest(
    plan: Plan,
    opener: Opener,
    out: Path,
    workers: int,
    expected: int | None,
    *,
    quiet: bool = False,
) -> None:
    """Write the shards of a source, or those that are still missing.

    Args:
        plan: What is made of which files.
        opener: Where these files are.
        out: The folder of the shards.
        workers: Processes that tokenize.
        expected: About how many tokens the source has; None: not known.
        quiet: Say nothing in the terminal.

    Raises:
        UserError: If other shards are in the folder, a file is damaged, or the disk is too small;
            what is finished is kept.
        IngestionStoppedError: If the user pressed Ctrl-C; what is finished is kept.
    """
    with alone_in(out):
        finished = finished_shards(plan, out)
        if not _is_done(plan, finished):
            expected = min(filter(None, (plan.max_tokens, expected)), default=None)
            _check_space(out, expected, _total(finished))
            write_plan(out, plan)
            source_bytes = sum(file.size for file in plan.files)
            with IngestionProgress(
                out, source_bytes, expected, _total(finished), len(finished), quiet=quiet
            ) as progress:
                cutter = _Cutter(plan, out, finished)
                _write_shards(cutter, opener, workers, progress)
                finished = cutter.finished
        write_plan(out, plan.model_copy(update={"shards": len(finished)}))


def _is_done(plan: Plan, finished: list[Header]) -> bool:
    at_the_end = finished and finished[-1].position is None
    return bool(at_the_end) or _total(finished) == plan.max_tokens


def _total(finished: list[Header]) -> int:
    return sum(header.tokens for header in finished)


def _check_space(out: Path, expected: int | None, there: int) -> None:
    free = shutil.disk_usage(out).free
    needed = 0 if expected is None else BYTES_PER_TOKEN * (expected - there)
    if needed > free:
        fits = there + free // BYTES_PER_TOKEN // 1_000_000 * 1_000_000
        raise UserError(
            f"{out}: the shards will not fit: they take about {needed / 1e9:.2f} GB, and "
            f"{free / 1e9:.2f} GB are free; allowed: --max-tokens up to {fits}, or --out on "
            "another disk"
        )


def _write_shards(
    cutter: "_Cutter", opener: Opener, workers: int, progress: IngestionProgress
) -> None:
    """Go on after the shards that are finished."""
    start = cutter.finished[-1].position if cutter.finished else None
    wanted = _pieces(cutter.plan, opener, start, progress)
    try:
        with closing(encode_all(opener, wanted, workers)) as all_encoded:
            for piece, encoded in all_encoded:
                already = start.tokens if start else 0
                start = None
                cutter.add(piece, encoded, already)
                progress.move(piece.weight, cutter.total, len(cutter.finished))
                if cutter.total == cutter.plan.max_tokens:
                    break
        cutter.end()
    except KeyboardInterrupt:
        # Counted on the disk: the key may have come just after a shard had appeared there.
        there = len(finished_shards(cutter.plan, cutter.out))
        raise IngestionStoppedError(
            f"stopped; {there} shards are finished in {cutter.out}, and the same "
            "command goes on from there"
        ) from None
    finally:
        cutter.discard()


def _pieces(
    plan: Plan, opener: Opener, start: Position | None, progress: IngestionProgress
) -> Iterator[Piece]:
    """Yield the pieces of the source, from the one at a position on."""
    names = [file.name for file in plan.files]
    first = 0 if start is None else names.index(start.file)
    progress.pass_over(sum(file.size for file in plan.files[:first]))
    waits = start is not None
    for file in plan.files[first:]:
        for piece in pieces(opener, file):
            if start is not None and waits:
                at = (start.file, start.group, start.first)
                waits = (piece.file, piece.group, piece.first) != at
            if waits:
                progress.pass_over(piece.weight)
            else:
                yield piece
        if waits:
            raise UserError(f"{file.name}: another file than the shards were made of")


@cache  # when the first tokens come: the workers have been set to work by then
def _gpt2_lengths() -> npt.NDArray[np.int32]:
    return byte_lengths(gpt2(), gpt2().end_of_text)


class _Cutter:
    """Cuts the stream of tokens into shards.

    Args:
        plan: How large they are, and where the stream ends.
        out: Their folder.
        finished: Those that are there already; new ones are added.
    """

    def __init__(self, plan: Plan, out: Path, finished: list[Header]) -> None:
        self.finished = list(finished)
        self.total = _total(finished)
        """Tokens in all shards, with the one begun."""
        self.plan, self.out = plan, out
        self._writer: ShardWriter | None = None
        # Of the pieces that are in the shards to their last token: one cut in two is read again.
        self._notes = Counter(finished[-1].notes if finished else {})

    def add(self, piece: Piece, encoded: Encoded, used: int) -> None:
        """Take a piece's tokens but for the first ones, which are in shards already."""
        end = len(encoded.ids)
        if self.plan.max_tokens is not None:
            end = min(end, used + self.plan.max_tokens - self.total)
        with self._writing():
            while used < end:
                writer = self._writer = self._writer or self._begin()
                part = encoded.ids[used : min(end, used + self.plan.shard_tokens - writer.tokens)]
                writer.append(part)
                used += len(part)
                self.total += len(part)
                if writer.tokens == self.plan.shard_tokens or self.total == self.plan.max_tokens:
                    self._finish(
                        Position(file=piece.file, group=piece.group, first=piece.first, tokens=used)
                    )
        if used == len(encoded.ids):
            self._notes.update(encoded.notes)

    def end(self) -> None:
        """Finish the last shard, which may be short.

        Raises:
            UserError: If there is none to train on.
        """
        if len(self.finished) + (self._writer is not None) < 2:
            shard_path(self.plan, self.out, 0).unlink(missing_ok=True)
            raise UserError(
                f"shard_tokens = {self.plan.shard_tokens}: the source has {self.total} tokens, "
                "and shard 0 is for validation, so none are left to train on; "
                f"allowed: --shard-tokens below {self.total}, such as {max(1, self.total // 10)}"
            )
        with self._writing():
            if self._writer is not None:
                self._finish(None)

    def discard(self) -> None:
        """Delete a shard that was begun and not finished."""
        if self._writer is not None:
            self._writer.discard()

    def _begin(self) -> ShardWriter:
        path = shard_path(self.plan, self.out, len(self.finished))
        return ShardWriter(path, gpt2(), _gpt2_lengths(), gpt2().end_of_text)

    def _finish(self, position: Position | None) -> None:
        assert self._writer is not None
        number = len(self.finished)
        header = self._writer.finish(
            name=self.plan.name,
            split="train" if number else "val",
            number=number,
            position=position,
            notes=dict(self._notes),
        )
        self.finished.append(header)
        self._writer = None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self.out}: cannot be written ({error.strerror}); {len(self.finished)} finished "
                "shards are kept, and the same command goes on once there is room"
            ) from None
