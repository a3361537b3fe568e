"""The same tokens through a run's checkpoints, and how two traces differ.

    formed = across("my_run", idx)
    difference(formed[2000], formed[0])

Does not know what the values mean.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from playattention.errors import UserError
from playattention.training.checkpoint import saved_steps
from playattention.training.run import Run, find_run, load_run
from playattention.xray.checks import check_ids
from playattention.xray.trace import Trace
from playattention.xray.tracer import too_large
from playattention.xray.values import Value
from playattention.xray.watch import free_memory, memory, watch


@dataclass(frozen=True, eq=False)
class Across:
    """A run's traces of the same tokens: `formed[step]`, or one after the other."""

    run: Path
    """The run's folder."""
    traces: dict[int, Trace]
    """Step -> trace, ascending."""

    @property
    def steps(self) -> list[int]:
        """The checkpoints, ascending."""
        return [*self.traces]

    def __getitem__(self, step: int) -> Trace:
        if step not in self.traces:
            raise UserError(f"step = {step}: was not watched; allowed: {self.steps}")
        return self.traces[step]

    def __len__(self) -> int:
        return len(self.traces)

    def __iter__(self) -> Iterator[Trace]:
        return iter(self.traces.values())

    def one(self, module: str, name: str, occurrence: int = -1) -> dict[int, Value]:
        """Return a single value at each step.

        Args, errors: as in `Trace.one`.
        """
        return {step: trace.one(module, name, occurrence) for step, trace in self.traces.items()}

    def __repr__(self) -> str:
        size = sum(trace.nbytes for trace in self) / 2**20
        between = f"{self.steps[0]} to {self.steps[-1]}"
        return f"<Across {self.run.name}: {len(self)} steps, {between}, {size:.1f} MiB>"


def across(
    run: str | Path | Run,
    idx: torch.Tensor,
    steps: Iterable[int] | None = None,
    *,
    targets: torch.Tensor | None = None,
    modules: Iterable[str] | str | None = None,
    limit: float | None = None,
) -> Across:
    """Watch a run's model at several checkpoints, each as if it were loaded alone.

    Args:
        run: The run's folder, its name below `logs/`, or what `load_run` returned.
        idx: Token ids (B, T).
        steps: Which checkpoints; default: all that are saved.
        targets: As in `watch`.
        modules: As in `watch`. Weights are kept whole, as `explain` needs them.
        limit: Most bytes that all values and weights may take; default: half of the memory
            that is free.

    Raises:
        UserError: If the run has no such checkpoint, all would take more than the limit, or as
            in `watch`.
    """
    check_ids(idx)
    folder = run.path if isinstance(run, Run) else find_run(run)
    saved = saved_steps(folder)
    asked = saved if steps is None else sorted(set(steps))
    missing = sorted({*asked} - {*saved})
    if missing or not asked:
        raise UserError(f"steps = {missing}: {folder} has no such checkpoint; allowed: {saved}")
    modules = modules if modules is None or isinstance(modules, str) else [*modules]
    limit = free_memory(idx.device) / 2 if limit is None else limit
    traces: dict[int, Trace] = {}
    for step in asked:
        loaded = load_run(folder, step)
        if not traces:
            model = loaded.model
            weights = sum(weight.nbytes for weight in (*model.parameters(), *model.buffers()))
            expected = len(asked) * (weights + (memory(model, idx, targets, modules) or 0))
            if expected > limit:
                raise too_large(expected, limit)
        trace = watch(loaded.model, idx, targets, modules, limit=limit)
        tokens = tuple(loaded.tokenizer.decode([id_]) for id_ in idx[0].tolist())
        traces[step] = replace(trace, tokens=tokens)
    return Across(folder, traces)


@dataclass(frozen=True, eq=False)
class Difference:
    """What one trace has more or less of than another, value by value."""

    trace: Trace
    """The first trace's values, each with the difference for its tensor; no weights."""
    shares: dict[Value, float]
    """Length of each difference as a share of the longer of the two tensors, largest first."""
    only_first: tuple[str, ...]
    """Titles of the values that the first trace alone has."""
    only_second: tuple[str, ...]
    """Titles of the values that the second trace alone has."""
    reshaped: tuple[str, ...]
    """Titles of the values that have another shape in each."""

    def __len__(self) -> int:
        return len(self.shares)

    def __iter__(self) -> Iterator[Value]:
        """Return the differences, the largest first."""
        return iter(self.shares)

    def one(self, module: str, name: str, occurrence: int = -1) -> Value:
        """Return a single difference.

        Args, errors: as in `Trace.one`.
        """
        return self.trace.one(module, name, occurrence)

    def __repr__(self) -> str:
        rows = [f"<Difference of {len(self)} values, the largest first>"]
        rows += [
            f"{share:>8.1%}  {value.shown[-50:]:<50} {value.shape}"
            for value, share in [*self.shares.items()][:12]
        ]
        rows += [f"     ...  {len(self) - 12} more"] if len(self) > 12 else []
        for told, titles in (
            ("only in the first", self.only_first),
            ("only in the second", self.only_second),
            ("of another shape", self.reshaped),
        ):
            if titles:
                first = titles[0].removeprefix(":")
                rows.append(f"{told}: {len(titles)} values, such as {first}")
        return "\n".join(row[:80] for row in rows)


def difference(first: Trace, second: Trace) -> Difference:
    """Return the values of one trace less those of another.

    Values belong together by module, name and occurrence. Where both are equal, the difference
    is 0, of two infinite ones too.

    Args:
        first: A trace: of a later checkpoint, of a changed model, of other tokens.
        second: What it is compared with.

    Raises:
        UserError: If one of them is no trace.
    """
    for field, trace in (("first", first), ("second", second)):
        if not isinstance(trace, Trace):
            raise UserError(f"{field} = {type(trace).__name__}: must be a trace, as watch gives")
    others = {_key(value): value for value in second}
    pairs = [(value, others.get(_key(value))) for value in first]
    own = {_key(value) for value in first}
    both = [(one, other) for one, other in pairs if other is not None]
    alike = [(one, other) for one, other in both if one.shape == other.shape]
    values = [replace(one, tensor=_less(one.tensor, other.tensor)) for one, other in alike]
    shares = {
        value: _share(value.tensor, one.tensor, other.tensor)
        for value, (one, other) in zip(values, alike, strict=True)
    }
    return Difference(
        trace=replace(
            first,
            values=tuple(values),
            calls=tuple(replace(call, arguments={}) for call in first.calls),
            weights={},
            versions={},
        ),
        shares=dict(sorted(shares.items(), key=_by_share, reverse=True)),
        only_first=tuple(one.title for one, other in pairs if other is None),
        only_second=tuple(value.title for value in second if _key(value) not in own),
        reshaped=tuple(one.title for one, other in both if one.shape != other.shape),
    )


def _key(value: Value) -> tuple[str, str, int]:
    return value.module, value.name, value.occurrence


def _by_share(item: tuple[Value, float]) -> float:
    return item[1]


def _less(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return one tensor less the other; 0 where they are equal, in infinity too."""
    if torch.bool in (one.dtype, other.dtype):
        one, other = one.to(torch.int8), other.to(torch.int8)
    other = other.to(one.device)
    return (one - other).where(one != other, 0)


def _share(less: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the length of a difference as a share of the longer tensor, where all are finite."""
    counts = less.isfinite() & one.isfinite() & other.to(one.device).isfinite()
    lengths = [tensor.to(one.device)[counts].float().norm().item() for tensor in (less, one, other)]
    longer = max(lengths[1:])
    return lengths[0] / longer if longer else 0.0
