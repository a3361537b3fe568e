"""Documents to shards against the limit: tiktoken's own single-thread rate times the cores.

`python benchmarks/ingestion.py` prints a table and writes `benchmarks/results/ingestion.json`.
The documents are made on the spot, in parquet files of FineWeb-Edu's schema: sentences of a text,
drawn at random, with numbers and rare words among them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import tyro

from measure import RESULTS, at_least_one, write
from playattention.bench.documents import documents
from playattention.bench.spread import Spread
from playattention.data.fineweb_edu import cores
from playattention.tokenizers import GPT2Tokenizer

FILE_TOKENS = 10_000_000
"""About how many tokens a file has."""

ROWS_IN_GROUP = 1000
"""As datatrove, which FineWeb-Edu was written with, writes them."""


@dataclass(frozen=True)
class Options:
    """What is measured, and how often."""

    repetitions: int = 5
    """Turns of each side."""
    tokens: int = 200_000_000
    """Tokens of an ingestion whose speed is measured."""
    raw_tokens: int = 5_000_000
    """Tokens of a turn of tiktoken alone."""
    memory_tokens: tuple[int, ...] = (10_000_000, 50_000_000, 200_000_000)
    """Tokens of the ingestions whose memory is measured."""
    workers: int | None = None
    """Processes that tokenize; default: one for each core."""
    text: Path | None = None
    """A text whose sentences are drawn, such as Tiny Shakespeare; default: the built-in plays."""
    seed: int = 1337
    """Decides the documents."""
    output: Path = RESULTS / "ingestion.json"
    """Where the results go."""


def main(options: Options) -> None:
    """Measure, write and print."""
    at_least_one(repetitions=options.repetitions, tokens=options.tokens, workers=options.workers)
    workers = options.workers or cores()
    with tempfile.TemporaryDirectory(prefix="ingestion-") as name:
        folder = Path(name)
        sample = write_source(folder / "source", options)
        raw, ours, loads = [], [], []
        for _ in range(options.repetitions):
            loads.append(os.getloadavg()[0])
            raw.append(tiktoken_alone(sample))
            ours.append(ingest(folder, options.tokens, workers))
        peaks = {
            str(tokens): ingest(folder, tokens, workers).peak_mib
            for tokens in options.memory_tokens
        }
    pairs = list(zip(ours, raw, strict=True))
    results = {
        "what": "documents in parquet files to shards of GPT-2's tokens",
        "settings": {
            "tokens": options.tokens,
            "workers": workers,
            "cores": cores(),
            "text": "playhouse" if options.text is None else options.text.name,
            "repetitions": options.repetitions,
            "seed": options.seed,
        },
        "load_before_each_repetition": loads,
        "tiktoken_one_thread_tokens_per_second": asdict(Spread.of([turn.speed for turn in raw])),
        "ingestion_tokens_per_second": asdict(Spread.of([turn.speed for turn in ours])),
        "share_of_limit": asdict(
            Spread.of([mine.speed / (alone.speed * cores()) for mine, alone in pairs])
        ),
        "share_of_limit_by_processor_time": asdict(
            Spread.of([mine.economy / alone.economy for mine, alone in pairs])
        ),
        "peak_mib_of_all_processes": peaks,
    }
    show(write(options.output, results))


def write_source(folder: Path, options: Options) -> list[str]:
    """Write parquet files with enough tokens, and return documents for tiktoken alone.

    The same file is linked as often as it is needed: what is measured does not know.
    """
    folder.mkdir()
    text = None if options.text is None else options.text.read_text()
    drawn = documents(options.seed, text)
    tokenizer = GPT2Tokenizer()
    texts: list[str] = []
    tokens, sample = 0, 0
    while tokens < FILE_TOKENS:
        texts.append(next(drawn))
        tokens += len(tokenizer.encode(texts[-1])) + 1
        sample = sample or (len(texts) if tokens >= options.raw_tokens else 0)
    rows = [
        {
            "text": text,
            "id": f"<urn:uuid:{number:032x}>",
            "dump": "CC-MAIN-2024-10",
            "url": f"https://example.org/{number}",
            "date": "2024-02-20T22:12:47Z",
            "file_path": "s3://commoncrawl/a.warc.gz",
            "language": "en",
            "language_score": 0.98,
            "token_count": len(text) // 4,
            "score": 3.1,
            "int_score": 3,
        }
        for number, text in enumerate(texts)
    ]
    first = folder / "000_00000.parquet"
    pq.write_table(pa.Table.from_pylist(rows), first, row_group_size=ROWS_IN_GROUP)
    most = max(options.tokens, *options.memory_tokens)
    for number in range(1, -(-most // FILE_TOKENS) + 1):
        os.link(first, folder / f"{number:03}_00000.parquet")
    return texts[: sample or len(texts)]


@dataclass(frozen=True)
class Turn:
    """What a turn took."""

    tokens: int
    seconds: float
    processor_seconds: float
    """Of all processes: what busy neighbours hardly change."""
    peak_mib: float = 0.0

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds

    @property
    def economy(self) -> float:
        """Tokens a second of processor time."""
        return self.tokens / self.processor_seconds


def tiktoken_alone(texts: list[str]) -> Turn:
    """Let tiktoken make tokens of documents on one thread, and nothing else."""
    encode = GPT2Tokenizer()._encoding.encode_ordinary
    for text in islice(texts, 20):
        encode(text)
    began, processor = time.perf_counter(), time.process_time()
    tokens = sum(len(encode(text)) for text in texts)
    return Turn(tokens, time.perf_counter() - began, time.process_time() - processor)


def ingest(folder: Path, tokens: int, workers: int) -> Turn:
    """Run the whole command, with its start."""
    out = folder / "shards"
    shutil.rmtree(out, ignore_errors=True)
    words = ["data", "fineweb-edu", "--from", str(folder / "source"), "--out", str(out)]
    words += ["--shard-tokens", str(max(1, tokens // 10)), "--max-tokens", str(tokens)]
    began, processor = time.perf_counter(), processor_seconds_of_children()
    process = subprocess.Popen(
        [sys.executable, "-m", "playattention", *words, "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
    )
    peak = Peak(process.pid)
    peak.start()
    if process.wait():
        raise SystemExit("the ingestion failed")
    seconds = time.perf_counter() - began
    peak.join()
    return Turn(tokens, seconds, processor_seconds_of_children() - processor, peak.mib)


def processor_seconds_of_children() -> float:
    """Return what all processes that this one started, and those they started, have used."""
    times = os.times()
    return times.children_user + times.children_system


class Peak(threading.Thread):
    """Watches the memory of a process and of all that it started: resident, shared pages twice."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.process = psutil.Process(pid)
        self.mib = 0.0

    def run(self) -> None:
        """Look ten times a second until the process ends."""
        while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
            now = 0
            try:
                for process in (self.process, *self.process.children(recursive=True)):
                    now += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            self.mib = max(self.mib, now / 2**20)
            time.sleep(0.1)


def show(results: dict[str, Any]) -> None:
    """Print what `write` wrote."""
    settings = results["settings"]
    print(
        f"{results['what']}: {settings['tokens']:,} tokens, {settings['workers']} workers, ", end=""
    )
    print(f"{settings['cores']} cores, {results['machine']['processor']}")
    for name, digits in (
        ("tiktoken_one_thread_tokens_per_second", 0),
        ("ingestion_tokens_per_second", 0),
        ("share_of_limit", 3),
        ("share_of_limit_by_processor_time", 3),
    ):
        spread = results[name]
        figures = [f"{spread[key]:,.{digits}f}" for key in ("median", "minimum", "maximum")]
        print(f"{name:<40}{figures[0]:>12}  ({figures[1]} to {figures[2]})")
    for tokens, mib in results["peak_mib_of_all_processes"].items():
        print(f"peak memory at {int(tokens):>13,} tokens  {mib:>8,.0f} MiB")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
