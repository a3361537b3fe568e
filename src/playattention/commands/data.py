"""`playattention data`: a data set is put in place and described."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Annotated

import numpy as np
from tyro.conf import Positional, arg

from playattention.commands import StoppedError
from playattention.data import Corpus, load_corpus, tinyshakespeare
from playattention.data.documents import NOTES
from playattention.data.shard_folder import ShardFolder
from playattention.errors import UserError

FINEWEB = "fineweb-edu"

SHARD_TOKENS = 100_000_000
"""10 billion tokens are 100 files of 200 MB, and one is enough for validation."""


@dataclass(frozen=True)
class Data:
    """Put a data set in place and say what is in it."""

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """playhouse, tinyshakespeare, fineweb-edu, or the path of a text file or a folder of shards."""
    source: Annotated[Path | None, arg(name="from")] = None
    """A copy of Tiny Shakespeare, or a folder of parquet or JSON-lines files, not a download."""
    shards: bool = False
    """Write a text as shards of tokens, the form of a large data set."""
    tokenizer: str | None = None
    """What a text becomes tokens by: char or gpt2 (the default)."""
    subset: str | None = None
    """Of fineweb-edu: sample-10BT, sample-100BT, sample-350BT, a crawl (CC-MAIN-...), default."""
    shard_tokens: int | None = None
    """Tokens in a shard; default: 100,000,000."""
    max_tokens: int | None = None
    """Of fineweb-edu: where to stop; default: at the end of the subset."""
    workers: int | None = None
    """Of fineweb-edu: processes that tokenize; default: one for each core."""
    out: Path | None = None
    """Folder of the shards; default: one below data/."""
    verify: bool = False
    """Read every token of the shards and compare with their hashes."""

    def run(self) -> None:
        """Load it, which puts it in place, and describe it."""
        self._check()
        if self.name == FINEWEB:
            _describe_shards(self._fineweb_edu(), self.verify)
            return
        if self.source is not None:
            tinyshakespeare.load(self.source)
        corpus = load_corpus(self.name)
        if isinstance(corpus, ShardFolder):
            _describe_shards(corpus, self.verify)
        elif self.shards:
            _describe_shards(self._as_shards(corpus), self.verify)
        else:
            _describe_text(corpus, self.name)

    def _check(self) -> None:
        """Refuse options that the data set has no use for."""
        if self.source is not None and self.name not in ("tinyshakespeare", FINEWEB):
            raise UserError(
                f"--from {self.source}: only tinyshakespeare and {FINEWEB} take a source"
            )
        is_fineweb, with_shards = self.name == FINEWEB, f"{FINEWEB}, or a text with --shards"
        for option, value, is_allowed, allowed in (
            ("--subset", self.subset, is_fineweb, FINEWEB),
            ("--max-tokens", self.max_tokens, is_fineweb, FINEWEB),
            ("--workers", self.workers, is_fineweb, FINEWEB),
            ("--shard-tokens", self.shard_tokens, is_fineweb or self.shards, with_shards),
            ("--out", self.out, is_fineweb or self.shards, with_shards),
            ("--tokenizer", self.tokenizer, self.shards and not is_fineweb, "a text with --shards"),
        ):
            if value is not None and not is_allowed:
                raise UserError(
                    f"{option} {value}: {self.name} does not take it; allowed: {allowed}"
                )

    def _fineweb_edu(self) -> ShardFolder:
        from playattention.data import fineweb_edu
        from playattention.data.ingestion import IngestionStoppedError

        try:
            return fineweb_edu.make(
                fineweb_edu.HOME if self.out is None else self.out,
                subset=self.subset,
                source=self.source,
                shard_tokens=SHARD_TOKENS if self.shard_tokens is None else self.shard_tokens,
                max_tokens=self.max_tokens,
                workers=self.workers,
            )
        except IngestionStoppedError as stopped:
            raise StoppedError(str(stopped), exit_code=130) from None

    def _as_shards(self, corpus: Corpus) -> ShardFolder:
        from playattention.data import text_shards

        return text_shards.write(
            corpus,
            self.tokenizer or "gpt2",
            self.out,
            SHARD_TOKENS if self.shard_tokens is None else self.shard_tokens,
        )


def _describe_text(corpus: Corpus, name: str) -> None:
    distinct = "".join(sorted(set(corpus.text)))
    print(f"{corpus.name}: {corpus.length:,} characters, {len(distinct)} distinct")
    print(f"sha256 {corpus.sha256}\ncharacters {distinct!r}")
    if corpus.entropy is not None:
        cut = int(0.9 * len(corpus.text))
        floor = corpus.entropy(cut) / (len(corpus.text) - cut)
        print(f"floor {floor:.4f} nats per character: the entropy of its last tenth")
    print(f"\n{corpus.text[:400]}...\n")
    print(f"train on it: playattention train gpt --dataset {name}")


def _describe_shards(folder: ShardFolder, verify: bool) -> None:
    made_by = folder.state["name"]
    print(f"{folder.name}: {folder.length:,} tokens of {made_by}\nsha256 {folder.sha256}")
    for what, tokens in (("training", folder.train), ("validation", folder.val)):
        headers = [shard.header for shard in tokens.shards if shard.header is not None]
        told = f"{what}: {len(tokens):,} tokens in {len(tokens.shards):,} shards"
        if headers:
            text = sum(header.utf8_bytes for header in headers)
            documents = sum(header.documents for header in headers)
            told += f", {text / len(tokens):.2f} bytes of text a token"
            told += f", {documents:,} documents begin there" if documents else ""
        print(told)
    last = folder.train.shards[-1].header
    for note, times in (last.notes if last is not None else {}).items():
        print(f"{NOTES[note]}: {times:,}")
    if verify:
        for shard in folder.shards:
            shard.verify()
        print("every token is as it was written")
    first = folder.train[np.arange(min(100, len(folder.train)))].tolist()
    print(f"\n{folder.tokenizer(made_by).decode(first)}...\n")
    recipe = "gpt2" if made_by == "gpt2" else "gpt"
    name = folder.name if folder.name == FINEWEB else quote(str(folder.folder))
    print(f"train on it: playattention train {recipe} --dataset {name}")
