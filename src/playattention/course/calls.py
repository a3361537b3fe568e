"""What a learner's functions were called with and what they returned, in words.

Found by Python's profiling, so nothing is wrapped and any way of writing a piece is seen. Does not
know what is right.
"""

import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch
from torch import nn

from playattention.course.exercise import Probe, Solution
from playattention.course.judge import observe

MOST_CALLS = 200


@dataclass
class Call:
    """One call of a function that the exercise asks for.

    Args:
        name: "attend", "Block", "Block.forward".
        given: Its arguments in words, in their order.
        returned: What came back, in words; "" while nothing did.
    """

    name: str
    given: list[str] = field(default_factory=list)
    returned: str = ""

    @property
    def told(self) -> str:
        """How it was called: "attend was called with query of shape (2, 5, 3)"."""
        return f"{self.name} was called with {', '.join(self.given) or 'nothing'}"


def calls_of(probe: Probe, solution: Solution, seed: int, names: Iterable[str]) -> list[Call]:
    """Return the calls that a probe made, in their order, the first few.

    Args:
        probe: What is looked at.
        solution: What is asked.
        seed: Of the look.
        names: What the exercise asks for; calls of these from one another are left out.
    """
    codes = dict(_codes(solution, names))
    calls: list[Call] = []
    open_: list[tuple[FrameType, Call]] = []

    def hear(frame: FrameType, event: str, arg: object) -> None:
        if event == "call" and frame.f_code in codes and len(calls) < MOST_CALLS and not open_:
            open_.append((frame, _begun(codes[frame.f_code], frame)))
            calls.append(open_[0][1])
        elif event == "return" and open_ and frame is open_[0][0]:
            open_.pop()[1].returned = described(arg)

    before = sys.getprofile()
    sys.setprofile(hear)
    try:
        observe(probe, solution, seed)
    finally:
        sys.setprofile(before)
    return calls


def _codes(solution: Solution, names: Iterable[str]) -> Iterable[tuple[CodeType, str]]:
    for name in names:
        one = vars(solution).get(name)
        if isinstance(one, type):
            for method, function in vars(one).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    yield function.__code__, f"{name}.{method}"
            if "__init__" in vars(one):
                yield one.__init__.__code__, name  # type: ignore[misc]  # of this very class
        elif callable(one):
            function = inspect.unwrap(one)
            if inspect.isfunction(function):
                yield function.__code__, name


def _begun(name: str, frame: FrameType) -> Call:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    arguments = [one for one in code.co_varnames[:count] if one != "self"]
    return Call(name, [_given(one, frame.f_locals.get(one)) for one in arguments])


def _given(name: str, value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{name} of shape {tuple(value.shape)}"
    return f"{name} = {described(value)}"


def described(value: Any) -> str:
    """Return a value in a few words: "a tensor of shape (2, 3)", "None", "a list of 4"."""
    if isinstance(value, torch.Tensor):
        whole = (
            "" if value.is_floating_point() else f" of {str(value.dtype).removeprefix('torch.')}"
        )
        return f"a tensor{whole} of shape {tuple(value.shape)}"
    if isinstance(value, nn.Module | torch.optim.Optimizer) or " at 0x" in short(value, 200):
        return f"a {type(value).__name__}"
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        if not value:
            return f"an empty {kind}"
        nested = any(isinstance(one, list | tuple | dict) for one in value)
        inner = "" if nested else f": {', '.join(described(one) for one in value[:4])}"
        return f"a {kind} of {len(value)}{inner}{', ...' if inner and len(value) > 4 else ''}"
    if isinstance(value, dict):
        return f"a dict of {len(value)}"
    return short(value)


def short(value: Any, most: int = 60) -> str:
    """Return a value as Python writes it, cut where that is long; numbers with six digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    try:
        told = repr(value)
    except Exception:  # a learner's own class may say anything
        told = f"a {type(value).__name__}"
    return told if len(told) <= most else f"{told[: most - 4]} ..."
