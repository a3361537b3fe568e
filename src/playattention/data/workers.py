"""Pieces of documents to tokens, on as many processes as wanted, in the order of the pieces.

The processes are started afresh (spawn), which is safe beside threads and the same on every
system. Each reads its pieces by itself, so little but tokens goes through the parent. Does not know
shards.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice
from multiprocessing.synchronize import Event
from pathlib import PurePosixPath
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from playattention.data import documents_json, documents_parquet
from playattention.data.documents import Opener, Piece, SourceFile, UnreadableError
from playattention.errors import UserError
from playattention.tokenizers import GPT2Tokenizer

T = TypeVar("T")

READERS = {".parquet": documents_parquet, ".jsonl": documents_json}
"""What reads each kind of file."""

AHEAD = 4
"""Pieces per process that are begun or waiting to be taken: this bounds the memory."""


class Encoded(NamedTuple):
    """The tokens of a piece."""

    ids: npt.NDArray[np.uint16]
    """Each document's, after <|endoftext|>."""
    notes: dict[str, int]
    """What was found in the documents, of NOTES -> how often."""


@cache
def gpt2() -> GPT2Tokenizer:
    """Return this process's tokenizer: to read its vocabulary takes a moment."""
    return GPT2Tokenizer()


def pieces(opener: Opener, file: SourceFile) -> list[Piece]:
    """Return a file in pieces.

    Raises:
        UserError: If it is damaged or has no texts; names it.
    """
    reader = READERS[PurePosixPath(file.name).suffix]
    return _patiently(opener, lambda: list(reader.pieces(opener, file)))


def text_bytes(opener: Opener, file: SourceFile) -> int:
    """Return about how many bytes of text a file holds.

    Raises:
        UserError: If it is damaged or has no texts; names it.
    """
    reader = READERS[PurePosixPath(file.name).suffix]
    return _patiently(opener, lambda: reader.text_bytes(opener, file))


def encode(opener: Opener, piece: Piece) -> Encoded:
    """Read a piece and return its tokens.

    Raises:
        UserError: If its file is damaged; names it.
    """
    notes: Counter[str] = Counter()

    def note(what: str) -> None:
        notes[what] += 1

    tokenizer = gpt2()
    before = np.array([tokenizer.end_of_text], dtype=np.uint16)
    ids = [before[:0]]
    for text in READERS[PurePosixPath(piece.file).suffix].texts(opener, piece, note):
        if _stop and _stop[0].is_set():
            break  # nobody waits for the rest
        if text is None:
            note("null")
            continue
        if not text:
            note("empty")
        ids += [before, tokenizer.encode_array(text)]
    return Encoded(np.concatenate(ids), dict(notes))


def encode_all(
    opener: Opener, wanted: Iterable[Piece], workers: int
) -> Generator[tuple[Piece, Encoded], None, None]:
    """Yield pieces with their tokens, in the order of the pieces.

    Args:
        opener: Where their files are.
        wanted: The pieces.
        workers: Processes that tokenize; 1: this process does it itself.

    Raises:
        UserError: If a file is damaged, or a process was killed.
    """
    if workers == 1:
        try:
            for piece in wanted:
                yield piece, _patiently(opener, partial(encode, opener, piece))
        finally:
            documents_parquet.close()
        return
    waiting: deque[tuple[Piece, Future[Encoded]]] = deque()
    left = iter(wanted)
    with _pool(workers) as pool:
        try:
            while True:
                for piece in islice(left, AHEAD * workers - len(waiting)):
                    waiting.append((piece, pool.submit(encode, opener, piece)))
                if not waiting:
                    return
                piece, future = waiting.popleft()
                yield piece, _result(pool, opener, piece, future)
        except BrokenProcessPool:
            raise UserError(
                "one of the processes that tokenize was killed, perhaps for want of memory; what "
                "is finished is kept, and the same command goes on, also with fewer --workers"
            ) from None


def _result(
    pool: ProcessPoolExecutor, opener: Opener, piece: Piece, future: Future[Encoded]
) -> Encoded:
    begun = [future]

    def attempt() -> Encoded:
        return (begun.pop() if begun else pool.submit(encode, opener, piece)).result()

    return _patiently(opener, attempt)


def _patiently(opener: Opener, attempt: Callable[[], T]) -> T:
    """Try again, after a pause, what was out of reach."""
    for pause in opener.pauses:
        try:
            return attempt()
        except UnreadableError:
            time.sleep(pause)
    return attempt()


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_live_with_parent, initargs=(stop,)
    )
    try:
        with _without_ctrl_c():  # what is ignored here is ignored by a process started here
            for _ in range(workers):
                pool.submit(gpt2)
        yield pool
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Ignore Ctrl-C for a moment: it reaches all processes, and it is the parent that ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_stop: list[Event] = []
"""What tells this process, if it is a worker, that its work is no longer wanted."""


def _live_with_parent(stop: Event) -> None:
    """End this process when its parent is gone: a killed one has no time to say so."""
    _stop.append(stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
