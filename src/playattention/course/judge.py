"""Is a solution right, and if not, what went wrong: by what it does, never by how it is written.

Does not know files or processes: it is given a loaded solution, and whoever calls it takes care
that a solution can do no harm (`sandbox.py`).
"""

import math
import random
import types
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from playattention.course.exercise import SEEDS, Exercise, Mistake, Probe, Solution


@dataclass(frozen=True)
class Raised:
    """What a probe met instead of a value.

    Args:
        kind: Name of the exception's class.
        message: Its first line.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class Difference:
    """Where two observations part.

    Args:
        place: Index of the first element that differs, or the way there: "[1]['loss'][0, 2]".
        got: What the solution gives there.
        wanted: What is right there.
    """

    place: str
    got: Any
    wanted: Any


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
        mistake: The one known mistake that does just the same in every probe, or None.
    """

    passed: bool
    held: int
    probe: Probe | None = None
    seed: int = 0
    got: Any = None
    wanted: Any = None
    difference: Difference | None = None
    mistake: Mistake | None = None


def load(source: str, name: str) -> Solution:
    """Return a file's source as a module; what it raises while it runs is passed on."""
    module = types.ModuleType(name)
    exec(compile(source, f"{name}.py", "exec"), vars(module))
    return module


def judge(exercise: Exercise, solution: Solution) -> Verdict:
    """Look at every property of a solution, and find the cause if one fails.

    Args:
        exercise: What it is to be a solution of.
        solution: Loaded: a module with what the exercise asks for.
    """
    for held, probe in enumerate(exercise.probes):
        for seed in SEEDS:
            got, wanted = observe(probe, solution, seed), wanted_of(exercise, probe, seed)
            difference = first_difference(got, wanted, probe.tolerance)
            if difference is not None:
                mistake = diagnose(exercise, solution, probe)
                return Verdict(False, held, probe, seed, got, wanted, difference, mistake)
    return Verdict(True, len(exercise.probes))


@cache
def wanted_of(exercise: Exercise, probe: Probe, seed: int) -> Any:
    """Return what is right in a probe: what the reference gives."""
    return observe(probe, _reference(exercise), seed)


@cache
def _reference(exercise: Exercise) -> Solution:
    return load(exercise.solution, "reference")


def diagnose(exercise: Exercise, solution: Solution, failed: Probe) -> Mistake | None:
    """Return the one mistake that behaves in every probe as a solution does; None if not one.

    What raises everywhere is like all else that does: it tells of no mistake in particular.

    Args:
        exercise: What it is to be a solution of.
        solution: One that is wrong.
        failed: The probe that showed it, where most mistakes already show to be others.
    """
    probes = sorted(exercise.probes, key=lambda probe: probe is not failed)
    looks = [(probe, seed) for seed in SEEDS for probe in probes]
    own = [observe(probe, solution, seed) for probe, seed in looks]
    if all(isinstance(seen, Raised) for seen in own):
        return None
    alike = []
    for mistake in exercise.mistakes:
        variant = load(exercise.wrong(mistake), "mistake")
        if all(
            first_difference(seen, observe(probe, variant, seed), probe.tolerance) is None
            for (probe, seed), seen in zip(looks, own, strict=True)
        ):
            alike.append(mistake)
    return alike[0] if len(alike) == 1 else None


def observe(probe: Probe, solution: Solution, seed: int) -> Any:
    """Return what a probe sees: in float64, with every source of chance begun at the seed."""
    before, state, default = random.getstate(), torch.get_rng_state(), torch.get_default_dtype()
    random.seed(seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed also keeps tracebacks, for GPUs
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return detached(probe.look(solution, seed))
    except Exception as error:  # a solution may raise anything; that, too, is what it does
        return Raised(type(error).__name__, str(error).partition("\n")[0])
    finally:
        torch.set_default_dtype(default)
        torch.set_rng_state(state)
        random.setstate(before)


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
            return Difference(place + found.place, found.got, found.wanted)
    return None


def _of_tensors(got: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> Difference | None:
    if got.shape != wanted.shape:
        return Difference("", tuple(got.shape), tuple(wanted.shape))
    if got.is_floating_point() != wanted.is_floating_point():
        return Difference("", str(got.dtype), str(wanted.dtype))
    one, other = got.double(), wanted.double()
    finite = other[other.isfinite()]
    largest = finite.abs().max().item() if finite.numel() else 1.0
    near = torch.isclose(one, other, rtol=0.0, atol=tolerance * max(largest, 1e-30), equal_nan=True)
    if near.all():
        return None
    index = (~near).nonzero()[0].tolist()
    return Difference(str(index) if index else "", got[*index].item(), wanted[*index].item())
