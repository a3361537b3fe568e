"""What the tests of shards share: files in FineWeb-Edu's schema, and what must come of them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from playattention.data.shard_folder import ShardedTokens, ShardFolder
from playattention.tokenizers import GPT2Tokenizer
from tests.conftest import TEXT

END = 50_256
TOKENIZER = GPT2Tokenizer()

DOCUMENTS = [TEXT[place : place + 97 + place % 211] for place in range(0, 6000, 60)]
"""100 of them, about 5,000 tokens."""

SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "id": pa.string(),
        "dump": pa.string(),
        "url": pa.string(),
        "date": pa.string(),
        "file_path": pa.string(),
        "language": pa.string(),
        "language_score": pa.float64(),
        "token_count": pa.int64(),
        "score": pa.float64(),
        "int_score": pa.int64(),
    }
)


def row(number: int, text: str | None) -> dict[str, object]:
    """Return a row of FineWeb-Edu."""
    return {
        "text": text,
        "id": f"<urn:uuid:{number:032x}>",
        "dump": "CC-MAIN-2024-10",
        "url": f"https://example.org/{number}",
        "date": "2024-02-20T22:12:47Z",
        "file_path": "s3://commoncrawl/a.warc.gz",
        "language": "en",
        "language_score": 0.98,
        "token_count": len(text or "") // 4,
        "score": 3.1,
        "int_score": 3,
    }


def write_parquet(path: Path, texts: Sequence[str | None], rows_in_group: int = 7) -> Path:
    """Write a parquet file with all columns of FineWeb-Edu."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([row(*numbered) for numbered in enumerate(texts)], SCHEMA)
    pq.write_table(table, path, row_group_size=rows_in_group)
    return path


def write_jsonl(path: Path, texts: Sequence[str | None]) -> Path:
    """Write the same as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row(*numbered), ensure_ascii=False) for numbered in enumerate(texts)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def tokens_of(texts: Iterable[str]) -> list[int]:
    """Return the tokens of documents, plainly: each after <|endoftext|>."""
    return [id_ for text in texts for id_ in (END, *TOKENIZER.encode(text))]


def everything(tokens: ShardedTokens) -> list[int]:
    """Return all tokens of a split."""
    places: npt.NDArray[np.int64] = np.arange(len(tokens))
    return tokens[places].tolist()


def stream(folder: ShardFolder) -> list[int]:
    """Return all tokens of ingested shards: the first is for validation."""
    return everything(folder.val) + everything(folder.train)


def hashes(out: Path) -> dict[str, str]:
    """Return the bytes of all finished shards, headers and all, by name."""
    return {path.name: path.read_bytes().hex() for path in sorted(out.glob("[!.]*.tokens"))}
