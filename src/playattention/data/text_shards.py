"""A text as shards, so that a small set takes the way of a large one.

The splits are those of the text itself: its end is held back for validation, and the tokens are
the same, one for one, so a run on the shards is a run on the text. The first shards are for
validation, the others for training; where the text is short, that is one of each.
"""

from pathlib import Path

import numpy as np

from playattention.config import DataConfig
from playattention.data import Corpus, Tokens, split
from playattention.data.documents import SourceFile
from playattention.data.ingestion_plan import Plan, alone_in, plan_before, write_plan
from playattention.data.shard_folder import ShardFolder, open_folder
from playattention.data.shards import ShardWriter, Split, byte_lengths, shard_name
from playattention.errors import UserError
from playattention.tokenizers import Tokenizer

AT_ONCE = 1_000_000
"""Tokens copied at once."""


def write(corpus: Corpus, tokenizer_name: str, out: Path | None, shard_tokens: int) -> ShardFolder:
    """Write a text's shards, unless they are there, and return them.

    Args:
        corpus: The text, which must fit into memory.
        tokenizer_name: What turns it into tokens.
        out: The folder of the shards; default: data/NAME-TOKENIZER.
        shard_tokens: In each shard but the last of each split.

    Raises:
        UserError: If other shards are in the folder, or it can't be written.
    """
    if shard_tokens < 1:
        raise UserError(f"shard_tokens = {shard_tokens}: allowed: 1 or more")
    tokenizer = corpus.tokenizer(tokenizer_name)
    if tokenizer.vocab_size > 2**16:
        raise UserError(
            f"tokenizer = {tokenizer_name}: {tokenizer.vocab_size:,} tokens here, and a shard has "
            "two bytes for each; allowed: up to 65,536"
        )
    name = Path(corpus.name).stem
    plan = Plan(
        name=name,
        tokenizer=tokenizer.name,
        shard_tokens=shard_tokens,
        revision=corpus.sha256,
        files=[SourceFile(Path(corpus.name).name, len(corpus.text.encode()))],
    )
    out = out or Path("data", f"{name}-{tokenizer.name}")
    with alone_in(out):
        before = plan_before(plan, out)
        if before is None or not _are_there(before, out):
            write_plan(out, plan)
            shards = _write_all(plan, corpus, tokenizer, out)
            write_plan(out, plan.model_copy(update={"shards": shards}))
    return open_folder(out)


def _are_there(before: Plan, out: Path) -> bool:
    """Tell whether all shards are there, each token of them as it was written."""
    if before.shards is None:
        return False
    try:
        for shard in open_folder(out).shards:
            shard.verify()
    except UserError:
        return False
    return True


def _write_all(plan: Plan, corpus: Corpus, tokenizer: Tokenizer, out: Path) -> int:
    """Write every shard anew and return how many there are."""
    splits = split(corpus, tokenizer, DataConfig(), seq_size=1)
    lengths = byte_lengths(tokenizer, end_of_text=None)
    named: list[tuple[Split, Tokens]] = [("val", splits.val), ("train", splits.train)]
    parts = [
        (name, ids, first, min(first + plan.shard_tokens, len(ids)))
        for name, ids in named
        for first in range(0, len(ids), plan.shard_tokens)
    ]
    for number, (name, ids, first, end) in enumerate(parts):
        path = out / shard_name(plan.name, name, number)
        try:
            writer = ShardWriter(path, tokenizer, lengths, end_of_text=None)
            try:
                for begin in range(first, end, AT_ONCE):
                    writer.append(ids[np.arange(begin, min(begin + AT_ONCE, end))])
                writer.finish(name=plan.name, split=name, number=number, position=None, notes={})
            finally:
                writer.discard()
        except OSError as error:
            raise UserError(
                f"{out}: cannot be written ({error.strerror}); the same command begins anew once "
                "there is room"
            ) from None
    return len(parts)
