"""A forward pass under Python's own tracing: what each statement of the model's source binds.

`sys.settrace`, instruction by instruction in the functions that are followed; whatever else runs
is let through. Does not know what the values mean, nor how a model is prepared for it.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from inspect import CO_GENERATOR, CO_VARARGS, CO_VARKEYWORDS
from types import CodeType, FrameType
from typing import Any

import torch

from playattention.errors import UserError
from playattention.xray.statements import Binding, Plan, Source, Statement
from playattention.xray.values import Call, Value

LocalTrace = Callable[[FrameType, str, Any], Any]


class Running:
    """A function that is running.

    Args:
        tracer: Gets what it binds and returns.
        module: Dotted path of the module that it belongs to.
        number: Which call it is; None: it is not kept.
        plan: What is to be seen in it.
    """

    def __init__(self, tracer: "Tracer", module: str, number: int | None, plan: Plan) -> None:
        self.module = module
        self.number = number
        self.touched: dict[str, dict[int, int]] = {}
        """Tensors that a bare call names, when it began: variable -> id -> how often changed."""
        self.on_event: LocalTrace = self._on_event  # bound once: it is called for each instruction
        self._tracer = tracer
        self._bindings, self._returns = plan.bindings, plan.returns
        self._bound: tuple[Binding, ...] | None = None  # by the instruction that runs now
        self._offset = -1  # of that instruction

    def _on_event(self, frame: FrameType, event: str, arg: object) -> LocalTrace:
        if self._bound is not None:
            if event != "exception":
                self._tracer.bind(self, self._bound, frame.f_locals)
            self._bound = None
        if event == "opcode":
            self._offset = offset = frame.f_lasti
            if offset in self._bindings:
                self._bound = self._bindings[offset]
        elif event == "line":  # the first; Python 3.13 would not yet obey when the call begins
            frame.f_trace_lines = False
            frame.f_trace_opcodes = self.number is not None
        elif event == "return":
            if frame.f_lasti in self._returns and self.number is not None:
                self._check_seen(frame)
                self._tracer.record(self, "return", arg, self._returns[frame.f_lasti])
            self._tracer.end(frame)
        return self.on_event

    def _check_seen(self, frame: FrameType) -> None:
        """Check that nothing was missed, as when a thread that is not traced runs the same."""
        if self._offset != frame.f_lasti:
            raise UserError(
                f"{frame.f_code.co_name} ran in another thread, too, which hides it from a watch; "
                "allowed: one thread at a time that runs the model"
            )


@dataclass(eq=False)
class Recorded:
    """What a tracer collects."""

    values: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    versions: list[tuple[torch.Tensor, int]] = field(default_factory=list)
    """Tensors as they were bound, and how often each had been changed in place."""
    storages: dict[int, torch.UntypedStorage] = field(default_factory=dict)
    """Memory of the values that is not the model's own."""
    nbytes: int = 0

    @property
    def falsified(self) -> bool:
        """Whether a value was changed in place after it had been bound."""
        return any(tensor._version != version for tensor, version in self.versions)


class Tracer:
    """Records while it is entered; per thread, as Python's tracing is.

    Args:
        follow: Returns a followed function's source, None for any other function.
        names: The model's modules: id -> dotted path.
        keep: Tells by its dotted path whether a module's values are kept.
        own: The model's own memory, which is not counted.
        limit: Most bytes to keep.
        copy: Keeps copies, for a model that changes tensors in place.
        seen: Called with each tensor as it is bound, and with what is kept of it.
    """

    def __init__(
        self,
        follow: Callable[[FrameType], Source | None],
        names: dict[int, str],
        keep: Callable[[str], bool],
        own: set[int],
        limit: float,
        *,
        copy: bool = False,
        seen: Callable[[torch.Tensor, torch.Tensor], None] | None = None,
    ) -> None:
        self.recorded = Recorded()
        self.sources: dict[str, str] = {}
        self._follow, self._names, self._keep = follow, names, keep
        self._own, self._limit, self._copy, self._seen = own, limit, copy, seen
        self._running: dict[FrameType, Running] = {}
        self._times: dict[tuple[str, str], int] = {}
        self._copies: dict[tuple[int, int], torch.Tensor] = {}

    def __enter__(self) -> "Tracer":
        self._previous = sys.gettrace()
        # Python 3.12 asks only at the start whether any frame wants to see its instructions.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._on_call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._previous)
        self._running.clear()

    def _on_call(self, frame: FrameType, _event: str, _arg: object) -> LocalTrace | None:
        running = self._running.get(frame)
        if running is None:  # else a generator that goes on
            source = self._follow(frame)
            if source is None:
                return None
            running = self._running[frame] = self._begin(frame, source)
        return running.on_event

    def end(self, frame: FrameType) -> None:
        """Forget a function that has ended; a generator may go on."""
        if not frame.f_code.co_flags & CO_GENERATOR:
            del self._running[frame]

    def _begin(self, frame: FrameType, source: Source) -> Running:
        """Note that a followed function began."""
        code, known = frame.f_code, frame.f_locals
        caller = self._caller(frame)
        first = known.get(code.co_varnames[0]) if code.co_argcount else None
        module = self._names.get(id(first), caller.module if caller else "")
        plan = source.plan(code)
        if not self._keep(module):
            return Running(self, module, None, plan)
        number = caller.number if caller else None
        if code.co_name.isidentifier() or number is None:  # a comprehension is its caller's part
            names = _parameters(code)
            given = {
                place: self._as_kept(tensor)
                for name in names
                for place, tensor in tensors(name, known.get(name))
            }
            self.recorded.calls.append(
                Call(module, code.co_name, source.file, code.co_firstlineno, given, number)
            )
            self.sources[source.file] = source.text
            number = len(self.recorded.calls) - 1
        return Running(self, module, number, plan)

    def _caller(self, frame: FrameType) -> Running | None:
        """Return the followed function that called this one, torch's own in between."""
        outer = frame.f_back
        while outer is not None and outer not in self._running:
            outer = outer.f_back
        return None if outer is None else self._running[outer]

    def bind(self, running: Running, bound: tuple[Binding, ...], known: dict[str, Any]) -> None:
        """Keep what an instruction bound."""
        for binding in bound:
            value = binding.read(known)
            if binding.when == "bound":
                self.record(running, binding.name, value, binding.statement)
                continue
            versions = {id(tensor): tensor._version for _, tensor in tensors("", value)}
            before = running.touched.pop(binding.name, {})
            if binding.when == "before":
                running.touched[binding.name] = versions
            elif any(before.get(one, version) != version for one, version in versions.items()):
                self.record(running, binding.name, value, binding.statement)

    def record(self, running: Running, variable: str, value: object, statement: Statement) -> None:
        """Keep a value's tensors."""
        assert running.number is not None  # else its instructions are not seen
        module, call = running.module, running.number
        ran = self.recorded.calls[call]
        for name, tensor in tensors(variable, value):
            kept = self._as_kept(tensor)
            occurrence = self._times.get((module, name), 0)
            self._times[module, name] = occurrence + 1
            self.recorded.values.append(
                Value(
                    module,
                    name,
                    occurrence,
                    ran.function,
                    call,
                    ran.file,
                    statement.line,
                    statement.source,
                    kept,
                )
            )

    def _as_kept(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor, or its copy, and count its memory; the same for the same tensor."""
        key = id(tensor), tensor._version
        if key in self._copies:
            return self._copies[key]
        self.recorded.versions.append((tensor, key[1]))  # which also keeps its id its own
        kept = tensor.detach() if tensor.requires_grad else tensor
        if self._copy:
            kept = kept.clone()
        self._copies[key] = kept
        storage = kept.untyped_storage()
        if id(storage) not in self._own and id(storage) not in self.recorded.storages:
            self.recorded.storages[id(storage)] = storage
            self.recorded.nbytes += storage.nbytes()
            if self.recorded.nbytes > self._limit:
                raise too_large(self.recorded.nbytes, self._limit, "at least ")
        if self._seen is not None:
            self._seen(tensor, kept)
        return kept


def tensors(name: str, value: object) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield a value's tensors by name, those of lists, tuples and dictionaries one by one."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, list | tuple):
        for place, element in enumerate(value):
            yield from tensors(f"{name}[{place}]", element)
    elif isinstance(value, dict):
        for key, element in value.items():
            yield from tensors(f"{name}[{key!r}]", element)


def too_large(nbytes: float, limit: float, about: str = "") -> UserError:
    """Return the error for a watch that would keep too much."""
    return UserError(
        f"limit = {limit:,.0f} bytes: the values would take {about}{nbytes:,.0f}; "
        "allowed: fewer tokens, fewer modules (modules=), or a higher limit"
    )


def _parameters(code: CodeType) -> tuple[str, ...]:
    """Return the names of a function's parameters."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & CO_VARARGS) + bool(code.co_flags & CO_VARKEYWORDS)
    return code.co_varnames[:count]
