"""Is a solution right, and if not, what went wrong: by what it does, never by how it is written.

Does not know files or processes: it is given a loaded solution, and whoever calls it takes care
that a solution can do no harm (`sandbox.py`).
"""

import linecache
import math
import random
import sys
import time
import traceback
import types
import warnings
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations
from pathlib import PurePath
from typing import Any

import torch

from playattention.course.exercise import SEEDS, Exercise, Mistake, Probe, Solution

MOST_AT_ONCE = 3
"""Mistakes that are looked for together."""
SECONDS_FOR_SEVERAL = 2.0
"""Of the processor, to look through mistakes that come together; then none is named."""


@dataclass(frozen=True)
class Place:
    """A line of the solution.

    Args:
        file: Name of its file, without folders.
        line: Its number, from 1.
        function: In which function it stands: "Block.forward"; "" outside of any.
        text: The line itself.
    """

    file: str
    line: int
    function: str
    text: str


@dataclass(frozen=True)
class Raised:
    """What a probe met instead of a value.

    Args:
        kind: Name of the exception's class.
        message: Its first line.
        place: Where in the solution; None: its code had returned by then.
    """

    kind: str
    message: str
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Difference:
    """Where two observations part.

    Args:
        place: Index of the first element that differs, or the way there: "[1]['loss'][0, 2]".
        got: What the solution gives there.
        wanted: What is right there.
        within: The two tensors that hold these elements; None where it is not about tensors.
        index: Of the element in these tensors; () where they differ as a whole, as in shape.
        many: How many of their elements differ.
    """

    place: str
    got: Any
    wanted: Any
    within: tuple[torch.Tensor, torch.Tensor] | None = None
    index: tuple[int, ...] = ()
    many: int = 0


@dataclass(frozen=True)
class Verdict:
    """What became of a solution.

    Args:
        passed: Whether every property holds.
        held: How many of the properties hold before the first that fails.
        probe: The first that fails, or None.
        seed: With which seed it failed.
        got: What was observed there, and `wanted`: what is right.
        difference: Where they part.
        mistakes: The known mistakes that together do just the same in every probe; mostly one.
    """

    passed: bool
    held: int
    probe: Probe | None = None
    seed: int = 0
    got: Any = None
    wanted: Any = None
    difference: Difference | None = None
    mistakes: tuple[Mistake, ...] = ()


def load(source: str | bytes, name: str, path: str = "") -> Solution:
    """Return a file's source as a module; what it raises while it runs is passed on.

    Args:
        source: What is in the file.
        name: The module's.
        path: Of the file, for tracebacks; with it, the module can be imported by its name, which
            dataclasses and the files beside it do.
    """
    module = types.ModuleType(name)
    module.__file__ = path or f"{name}.py"
    if path:
        sys.modules[name] = module
    exec(compile(source, module.__file__, "exec"), vars(module))
    return module


def judge(exercise: Exercise, solution: Solution) -> Verdict:
    """Look at every property of a solution, and find the cause if one fails.

    Args:
        exercise: What it is to be a solution of.
        solution: Loaded: a module with what the exercise asks for.
    """
    verdict = first_failure(exercise, solution)
    if verdict.probe is None:
        return verdict
    return replace(verdict, mistakes=diagnose(exercise, solution, verdict.probe))


def first_failure(exercise: Exercise, solution: Solution) -> Verdict:
    """Look at the properties until one fails; the cause is not looked for.

    Args:
        exercise: What it is to be a solution of.
        solution: Loaded.
    """
    for held, probe in enumerate(exercise.probes):
        for seed in SEEDS:
            got, wanted = observe(probe, solution, seed), wanted_of(exercise, probe, seed)
            difference = first_difference(got, wanted, probe.tolerance)
            if difference is not None:
                return Verdict(False, held, probe, seed, got, wanted, difference)
    return Verdict(True, len(exercise.probes))


def look_ahead(exercise: Exercise) -> None:
    """Find out all that is right: what a file does to torch later no longer reaches it."""
    for probe in exercise.probes:
        for seed in SEEDS:
            wanted_of(exercise, probe, seed)


@cache
def wanted_of(exercise: Exercise, probe: Probe, seed: int) -> Any:
    """Return what is right in a probe: what the reference gives."""
    return observe(probe, _reference(exercise), seed)


@cache
def _reference(exercise: Exercise) -> Solution:
    return load(exercise.solution, "reference")


def diagnose(exercise: Exercise, solution: Solution, failed: Probe) -> tuple[Mistake, ...]:
    """Return the mistakes that together behave in every probe as a solution does, or ().

    They are as few as possible, those first that `failed` shows by themselves; where others would
    do as well, none is named. What raises everywhere tells of no mistake in particular.

    Args:
        exercise: What it is to be a solution of.
        solution: One that is wrong.
        failed: The probe that showed it, where most mistakes already show to be others.
    """
    probes = sorted(exercise.probes, key=lambda probe: probe is not failed)
    own = [(probe, seed, observe(probe, solution, seed)) for seed in SEEDS for probe in probes]
    if all(isinstance(seen, Raised) for *_, seen in own):
        return ()
    late = math.inf
    for many in range(1, MOST_AT_ONCE + 1):
        alike = []
        for some in combinations(exercise.mistakes, many):
            source = exercise.together(some)
            if source and _does(load(source, "mistake"), own):
                alike.append(some)
            if time.process_time() > late:
                return ()
        if alike:
            right = [(failed, SEEDS[0], wanted_of(exercise, failed, SEEDS[0]))]
            hides = {one: _does(load(exercise.wrong(one), "mistake"), right) for one in alike[0]}
            return tuple(sorted(alike[0], key=hides.__getitem__)) if len(alike) == 1 else ()
        late = min(late, time.process_time() + SECONDS_FOR_SEVERAL)
    return ()


def _does(variant: Solution, own: list[tuple[Probe, int, Any]]) -> bool:
    """Tell whether in each look (probe, seed, what was seen) a variant gives what was seen."""
    return all(
        first_difference(seen, observe(probe, variant, seed), probe.tolerance) is None
        for probe, seed, seen in own
    )


def observe(probe: Probe, solution: Solution, seed: int) -> Any:
    """Return what a probe sees: in float64, with every source of chance begun at the seed."""
    before, state, default = random.getstate(), torch.get_rng_state(), torch.get_default_dtype()
    random.seed(seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed also asks every GPU library
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return detached(probe.look(solution, seed))
    except Exception as error:  # a solution may raise anything; that, too, is what it does
        message = str(error).strip().partition("\n")[0]
        return Raised(type(error).__name__, message, place_of(error, solution))
    finally:
        torch.set_default_dtype(default)
        torch.set_rng_state(state)
        random.setstate(before)


def place_of(error: BaseException, solution: Solution) -> Place | None:
    """Return the innermost line of an error that is in the solution, or in a file beside it."""
    own = PurePath(solution.__file__ or "").parent
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        code = frame.f_code
        path = PurePath(code.co_filename)
        if path.parent == own and path.name not in ("reference.py", "mistake.py"):
            function = "" if code.co_name == "<module>" else code.co_qualname
            return Place(path.name, line, function, linecache.getline(str(path), line).strip())
    return None


def detached(seen: Any) -> Any:
    """Return an observation with tensors that nothing changes any more."""
    if isinstance(seen, torch.Tensor):
        return seen.detach().clone()
    if isinstance(seen, dict):
        return {key: detached(one) for key, one in seen.items()}
    if isinstance(seen, list | tuple):
        return [detached(one) for one in seen]
    return seen


def first_difference(got: Any, wanted: Any, tolerance: float) -> Difference | None:
    """Return where two observations part first, or None if they are the same.

    Args:
        got: What was observed.
        wanted: What is right.
        tolerance: How far numbers may lie apart, as a share of the largest one wanted.
    """
    if isinstance(wanted, torch.Tensor) and isinstance(got, torch.Tensor):
        return _of_tensors(got, wanted, tolerance)
    if isinstance(wanted, Raised) and isinstance(got, Raised):
        return None if got.kind == wanted.kind else Difference("", got, wanted)
    if isinstance(wanted, dict) and isinstance(got, dict) and got.keys() == wanted.keys():
        pairs = [(f"[{key!r}]", got[key], wanted[key]) for key in wanted]
    elif isinstance(wanted, list) and isinstance(got, list) and len(got) == len(wanted):
        pairs = [(f"[{n}]", *pair) for n, pair in enumerate(zip(got, wanted, strict=True))]
    elif isinstance(wanted, float) and isinstance(got, float | int):
        near = abs(got - wanted) <= tolerance * max(1.0, abs(wanted))
        same = near or got == wanted or (math.isnan(got) and math.isnan(wanted))
        return None if same else Difference("", got, wanted)
    else:
        same = type(got) is type(wanted) and got == wanted
        return None if same else Difference("", got, wanted)
    for place, one, other in pairs:
        found = first_difference(one, other, tolerance)
        if found is not None:
            return replace(found, place=place + found.place)
    return None


def _of_tensors(got: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> Difference | None:
    if got.shape != wanted.shape:
        return Difference("", tuple(got.shape), tuple(wanted.shape), (got, wanted))
    if got.is_floating_point() != wanted.is_floating_point():
        return Difference("", str(got.dtype), str(wanted.dtype), (got, wanted))
    if got.device != wanted.device:
        return Difference("", str(got.device), str(wanted.device), (got, wanted))
    one, other = got.double(), wanted.double()
    finite = other[other.isfinite()]
    largest = finite.abs().max().item() if finite.numel() else 1.0
    near = torch.isclose(one, other, rtol=0.0, atol=tolerance * max(largest, 1e-30), equal_nan=True)
    if near.all():
        return None
    index = (~near).nonzero()[0].tolist()
    place = str(index) if index else ""
    elements = got[*index].item(), wanted[*index].item()
    return Difference(place, *elements, (got, wanted), tuple(index), int((~near).sum()))
