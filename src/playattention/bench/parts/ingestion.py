"""Ingestion: documents to shards of GPT-2's tokens, beside tiktoken's own rate times the cores."""

import json
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from playattention.bench.documents import documents
from playattention.bench.parts import Setting
from playattention.bench.parts.processes import whole
from playattention.bench.results import Figure, Found
from playattention.bench.spread import Spread
from playattention.data.fineweb_edu import cores
from playattention.tokenizers import GPT2Tokenizer

PART = "ingestion"
FILE_TOKENS = 5_000_000
"""About how many tokens a file has."""


def measure(setting: Setting) -> Iterator[Found | str]:
    """Take turns: tiktoken alone on one thread, and the whole command on all cores."""
    scale = setting.scale
    yield "writing documents"
    source = setting.folder / "source"
    sample = write_source(source, scale.ingested, scale.encoded)
    alone: list[float] = []
    ours: list[float] = []
    for number in range(scale.repetitions):
        yield f"turn {number + 1} of {scale.repetitions}"
        alone.append(_tiktoken(sample))
        out = setting.folder / f"shards-{number}"
        words = ["data", "fineweb-edu", "--from", str(source), "--out", str(out)]
        words += ["--max-tokens", str(scale.ingested)]
        words += ["--shard-tokens", str(scale.ingested // 10)]
        ours.append(scale.ingested / whole(words, setting.folder))
        for shard in out.iterdir():
            shard.unlink()  # of each turn 80 MB
    limit = cores() * Spread.of(alone).median
    yield Figure(PART, "tiktoken alone, one thread", "tokens/s", alone)
    name = f"JSON lines to shards, {cores()} workers"
    note = f"the limit: {cores()} times tiktoken alone"
    yield Figure(PART, name, "tokens/s", ours, limit=limit, note=note)


def write_source(folder: Path, tokens: int, encoded: int) -> list[str]:
    """Write JSON-lines files with enough tokens, and return documents for tiktoken alone.

    The same file is linked as often as it is needed: what is measured does not know.
    """
    folder.mkdir()
    tokenizer = GPT2Tokenizer()
    texts: list[str] = []
    counted = sample = 0
    per_file = min(FILE_TOKENS, tokens)
    for text in documents(seed=1337):
        texts.append(text)
        counted += len(tokenizer.encode(text)) + 1
        sample = sample or (len(texts) if counted >= encoded else 0)
        if counted >= per_file:
            break
    first = folder / "000.jsonl"
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    first.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for number in range(1, -(-tokens // per_file) + 1):
        os.link(first, folder / f"{number:03}.jsonl")
    return texts[: sample or len(texts)]


def _tiktoken(texts: list[str]) -> float:
    """Return the tokens a second that tiktoken makes on this thread, and nothing else."""
    encode = GPT2Tokenizer()._encoding.encode_ordinary
    for text in islice(texts, 20):
        encode(text)
    began = time.perf_counter()
    tokens = sum(len(encode(text)) for text in texts)
    return tokens / (time.perf_counter() - began)
