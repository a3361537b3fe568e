"""What shards in a folder are made of, and which of them are finished.

Beside the shards lies `ingestion.json`: the source's files with their sizes, and the sizes of the
shards. Whoever goes on must want the same. Does not know how shards are made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from playattention.data.documents import SourceFile
from playattention.data.shard_folder import PLAN, has_shards
from playattention.data.shards import Header, open_shard, shard_name
from playattention.errors import UserError
from playattention.settings import Settings


class Plan(Settings):
    """What is made of what."""

    name: str
    """The data set."""
    tokenizer: str
    """Name of the tokenizer."""
    shard_tokens: int
    """In each shard but the last."""
    max_tokens: int | None = None
    """Where to stop; None: at the source's end."""
    subset: str | None = None
    """Of the data set, where it has some."""
    revision: str | None = None
    """Of the source, where it says so."""
    files: list[SourceFile]
    """Of the source, in their order."""
    shards: int | None = None
    """How many there are; None: not finished."""


def read_plan(out: Path) -> Plan | None:
    """Return what the shards in a folder are made of; None: nothing was begun there.

    Raises:
        UserError: If that can't be read.
    """
    path = out / PLAN
    try:
        return Plan.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(
            f"{path}: damaged ({str(error).splitlines()[0]}); delete it and the shards beside it "
            "to begin anew"
        ) from None


def write_plan(out: Path, plan: Plan) -> None:
    """Write down what the shards in a folder are made of, by one rename.

    Raises:
        UserError: If the disk is full or can't be written.
    """
    partial = out / f".{PLAN}.partial"
    try:
        partial.write_text(plan.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(out / PLAN)
    except OSError as error:
        raise UserError(f"{out / PLAN}: cannot be written ({error.strerror})") from None


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Make the folder and let no other process write shards there, nor leave halves of them.

    Raises:
        UserError: If another one does, or the folder can't be made.
    """
    lock = FileLock(out / ".lock", timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"{out}: another process writes shards there; wait, or --out") from None
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from None
    try:
        for partial in out.glob(".*.partial"):  # of a process that was killed
            partial.unlink()
        yield
    finally:
        lock.release()


def finished_shards(plan: Plan, out: Path) -> list[Header]:
    """Return the headers of the shards that a plan need not make again.

    These are the ones from the first up to one that is missing or damaged, or that ended where an
    earlier plan stopped. Of the last, the tokens are read and checked too.

    Args:
        plan: What is wanted.
        out: The folder.

    Raises:
        UserError: If shards there are made of something else; says what.
    """
    if plan_before(plan, out) is None:
        return []
    found: list[Header] = []
    while header := _header(plan, out, len(found)):
        found.append(header)
    total = sum(header.tokens for header in found)
    if plan.max_tokens is not None and total > plan.max_tokens:
        raise UserError(
            f"max_tokens = {plan.max_tokens}: {out} has {total} tokens already; "
            f"allowed: {total} or more, or another --out"
        )
    # A short shard is the last one: where the source ends, or where an earlier plan stopped.
    stopped = found and found[-1].position is not None and found[-1].tokens < plan.shard_tokens
    if stopped and total != plan.max_tokens:
        found.pop()
    while found and not _is_whole(plan, out, len(found) - 1):
        found.pop()
    return found


def plan_before(plan: Plan, out: Path) -> Plan | None:
    """Return the plan by which shards in a folder were made; None: there are none.

    Raises:
        UserError: If they are made of something else than is wanted now; says what.
    """
    before = read_plan(out)
    if not has_shards(out):
        return None
    if before is None:
        raise UserError(f"{out}: holds shards that were not made here; allowed: another --out")
    _check_same(plan, before, out)
    return before


def shard_path(plan: Plan, out: Path, number: int) -> Path:
    """Return the place of a shard: the first is for validation, the others for training."""
    return out / shard_name(plan.name, "train" if number else "val", number)


def _header(plan: Plan, out: Path, number: int) -> Header | None:
    """Return a shard's header; None: it is missing or damaged."""
    path = shard_path(plan, out, number)
    try:
        return open_shard(path).header if path.exists() else None
    except UserError:
        return None


def _is_whole(plan: Plan, out: Path, number: int) -> bool:
    try:
        open_shard(shard_path(plan, out, number)).verify()
    except UserError:
        return False
    return True


def _check_same(plan: Plan, before: Plan, out: Path) -> None:
    for field in ("name", "subset", "tokenizer", "shard_tokens"):
        wanted, there = getattr(plan, field), getattr(before, field)
        if wanted != there:
            raise UserError(
                f"{field} = {wanted}: the shards in {out} were made with {there}; "
                f"allowed: {there}, or another --out"
            )
    changed = next(_changes(before, plan), None)
    if changed is not None:
        raise UserError(
            f"{changed} since the shards in {out} were begun; allowed: the source as it was, or "
            "another --out"
        )


def _changes(before: Plan, plan: Plan) -> Iterator[str]:
    old, new = dict(before.files), dict(plan.files)
    for name, size in new.items():
        if name not in old:
            yield f"{name} is new in the source"
        elif old[name] != size:
            yield f"{name} has changed in the source, from {old[name]:,} to {size:,} bytes,"
    yield from (f"{name} has gone from the source" for name in old if name not in new)
    if before.revision != plan.revision:
        yield f"the source is at {plan.revision}, and was at {before.revision},"
