"""Watch a model's own lines run: every named value of a forward pass, with the line that made it.

    trace = watch(model, idx)
    trace.find(module="blocks.0.attention.heads.1", name="weights")

While a watch runs, it takes the place of any other tracer of its thread (debugger, coverage tool,
profiler by `sys.settrace`), which is put back afterwards. Does not know any model: what is
followed is found from the classes that a model is made of.
"""

import copy
import functools
import inspect
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil
import torch
from torch import nn

import playattention
from playattention.errors import UserError, unknown
from playattention.xray.statements import Source, source_of
from playattention.xray.trace import Part, Trace, matches
from playattention.xray.tracer import Recorded, Tracer, too_large

_PACKAGE = Path(playattention.__file__).parent
_INSTALLED = (
    *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
    *site.getsitepackages(),
    site.getusersitepackages(),
    str(Path(torch.__file__).parent),
    str(_PACKAGE),
)
"""Functions in these folders are not followed, but those of the model's own classes are."""
_HOOKS = str(Path(nn.__file__).parent / "modules" / "module.py")
"""What is called from here and is no class's own is a hook, not the model."""
_WRAPPERS = {
    "torch._dynamo": "compiled by torch.compile",
    "torch.jit": "compiled by torch.jit",
    "torch.nn.parallel": "wrapped for several devices",
    "torch.distributed": "spread over several devices",
}


def watch(
    model: nn.Module,
    idx: torch.Tensor,
    targets: torch.Tensor | None = None,
    modules: Iterable[str] | str | None = None,
    *,
    limit: float | None = None,
) -> Trace:
    """Run a model's forward pass and return every value that its statements bound.

    The model runs as it is, in evaluation mode or in training mode with its dropout; where it has
    a fused branch (`flash_attention`), it takes the explicit one. A model that changes tensors in
    place is run a second time, with the same random numbers, so that each value can be copied.

    Args:
        model: A model of this package or of yours, on any device.
        idx: Token ids (B, T).
        targets: The tokens that come next (B, T); with them, the loss is computed.
        modules: Dotted paths or patterns (`blocks.0`, `blocks.*.attention`; "" is the model
            itself) of the modules whose values are kept; default: all.
        limit: Most bytes that the values may take; default: half of the memory that is free.

    Returns:
        The values in the order in which they came to be, without gradients.

    Raises:
        UserError: If the model is compiled or wrapped, the tokens do not fit it, a module is
            unknown, a source can't be read, or the values would take more than the limit.
    """
    with torch.inference_mode(False), torch.no_grad():
        return run(model, idx, targets, modules, limit=limit)


def run(
    model: nn.Module,
    idx: torch.Tensor,
    targets: torch.Tensor | None = None,
    modules: Iterable[str] | str | None = None,
    *,
    limit: float | None = None,
    seen: Callable[[torch.Tensor], None] | None = None,
) -> Trace:
    """Do what `watch` does, with gradients if they are on.

    Args:
        model: As in `watch`.
        idx: As in `watch`.
        targets: As in `watch`.
        modules: As in `watch`.
        limit: As in `watch`.
        seen: Called with each tensor that is kept, as it is bound.
    """
    refuse_wrapped(model)
    _check_tokens(model, idx, targets)
    keep = _kept_modules(model, modules)
    if limit is None:
        limit = free_memory(idx.device) / 2
    expected = memory(model, idx, targets, modules)
    if expected is not None and expected > limit:
        raise too_large(expected, limit)
    with explicit_attention(model):
        state = _random_state(idx.device)
        tracer = _traced(model, idx, targets, keep, limit, seen=seen)
        if tracer.recorded.falsified:
            _set_random_state(idx.device, state)
            tracer = _traced(model, idx, targets, keep, limit, copied=True, seen=seen)
    return _trace(model, tracer, idx, targets)


def memory(
    model: nn.Module,
    idx: torch.Tensor,
    targets: torch.Tensor | None = None,
    modules: Iterable[str] | str | None = None,
) -> int | None:
    """Return how many bytes the values of a watch will take, by a pass that computes nothing.

    Args:
        model: As in `watch`.
        idx: As in `watch`.
        targets: As in `watch`.
        modules: As in `watch`.

    Returns:
        Bytes; None if the model does not run without numbers, say because it looks at them.
    """
    keep = _kept_modules(model, modules)
    try:
        twin = _without_numbers(model)
        inputs = [None if ids is None else ids.to("meta") for ids in (idx, targets)]
        with explicit_attention(twin), torch.no_grad():
            return _traced(twin, *inputs, keep, float("inf")).recorded.nbytes  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - a learner's model may do anything; the real run will tell
        return None


@contextmanager
def explicit_attention(model: nn.Module) -> Iterator[None]:
    """Let a model attend step by step where it could in one fused operation.

    Args:
        model: Its modules with a `flash_attention` are changed, and changed back at the end.
    """
    fused = [part for part in model.modules() if vars(part).get("flash_attention") is True]
    for part in fused:
        part.flash_attention = False
    try:
        yield
    finally:
        for part in fused:
            part.flash_attention = True


def refuse_wrapped(model: nn.Module) -> None:
    """Check that a model's own source runs, and that its hooks are called.

    Raises:
        UserError: If it, or a module in it, is compiled or wrapped.
    """
    if not isinstance(model, nn.Module):
        raise UserError(f"model = {type(model).__name__}: must be a torch.nn.Module")
    for path, module in model.named_modules():
        kinds = [kind.__module__ for kind in type(module).__mro__]
        found = [
            told
            for package, told in _WRAPPERS.items()
            if any(f"{kind}.".startswith(f"{package}.") for kind in kinds)
        ]
        if module._compiled_call_impl is not None:  # noqa: SLF001 - what module.compile() sets
            found = [_WRAPPERS["torch._dynamo"]]
        if found:
            where = f"its module {path!r}" if path else "it"
            raise UserError(
                f"model = {type(model).__name__}: {where} is {found[0]}, so its source does not "
                "run line by line; allowed: the plain model"
            )


def free_memory(device: torch.device) -> float:
    """Return how many bytes a device has left."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def _traced(
    model: nn.Module,
    idx: torch.Tensor,
    targets: torch.Tensor | None,
    keep: Callable[[str], bool],
    limit: float,
    *,
    copied: bool = False,
    seen: Callable[[torch.Tensor], None] | None = None,
) -> Tracer:
    names = {id(module): path for path, module in model.named_modules()}
    own = [weight.untyped_storage() for weight in (*model.parameters(), *model.buffers())]
    own += [ids.untyped_storage() for ids in (idx, targets) if ids is not None]
    follow = _Follow(model)
    ids = {id(storage) for storage in own}
    with Tracer(follow, names, keep, ids, limit, copy=copied, seen=seen) as tracer:
        model(idx) if targets is None else model(idx, targets)
    return tracer


def _trace(
    model: nn.Module, tracer: Tracer, idx: torch.Tensor, targets: torch.Tensor | None
) -> Trace:
    recorded: Recorded = tracer.recorded
    weights = {
        name: weight.detach() for name, weight in (*model.named_parameters(), *model.named_buffers())
    }
    return Trace(
        values=tuple(recorded.values),
        calls=tuple(recorded.calls),
        parts={path: _part(module) for path, module in model.named_modules()},
        weights=weights,
        sources=tracer.sources,
        idx=idx,
        targets=targets,
        versions={name: weight._version for name, weight in weights.items()},  # noqa: SLF001
    )


def _part(module: nn.Module) -> Part:
    kind = type(module)
    settings = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and isinstance(value, bool | int | float | str | None)
    }
    return Part(f"{kind.__module__}.{kind.__qualname__}", settings)


class _Follow:
    """Tells which functions belong to a model: those of its classes, and what these call.

    Args:
        model: Its modules' classes are looked through, with their bases.
    """

    def __init__(self, model: nn.Module) -> None:
        kinds = {kind for module in model.modules() for kind in type(module).__mro__}
        own = {file for kind in kinds for file in _files(kind)}
        for module in model.modules():
            own |= _file_of(vars(module).get("forward"))  # one that a module was given by hand
        self._sources: dict[str, Source | None] = {file: source_of(file) for file in own}
        self._own = own

    def __call__(self, frame: FrameType) -> Source | None:
        file = frame.f_code.co_filename
        if file not in self._sources:
            helper = not file.startswith((*_INSTALLED, "<"))
            self._sources[file] = source_of(file) if helper else None
        source = self._sources[file]
        if file not in self._own and frame.f_back and frame.f_back.f_code.co_filename == _HOOKS:
            return None
        return source


@functools.cache
def _files(kind: type) -> frozenset[str]:
    """Return the files in which a class's functions stand; of torch's and Python's own, none."""
    if kind.__module__.partition(".")[0] in {"torch", *sys.stdlib_module_names} - {"__main__"}:
        return frozenset()
    return frozenset().union(*(_file_of(member) for member in vars(kind).values()))


def _file_of(member: object) -> set[str]:
    if isinstance(member, property):
        member = member.fget
    if isinstance(member, staticmethod | classmethod):
        member = member.__func__
    function = inspect.unwrap(member) if callable(member) else None
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    return {code.co_filename} if code and code.co_filename != "<string>" else set()


def _kept_modules(
    model: nn.Module, modules: Iterable[str] | str | None
) -> Callable[[str], bool]:
    if modules is None:
        return lambda _: True
    patterns = [modules] if isinstance(modules, str) else [*modules]
    paths = [path for path, _ in model.named_modules()]
    for pattern in patterns:
        if not any(matches(path, [pattern]) for path in paths):
            raise unknown("module", pattern, paths)
    return functools.cache(lambda path: matches(path, patterns))


def _check_tokens(model: nn.Module, idx: torch.Tensor, targets: torch.Tensor | None) -> None:
    if idx.dim() != 2 or idx.dtype not in (torch.int64, torch.int32) or not idx.numel():
        raise UserError(
            f"idx = {idx.dtype} of shape {tuple(idx.shape)}: must be token ids (B, T), "
            "torch.int64, at least one"
        )
    if targets is not None and targets.shape != idx.shape:
        raise UserError(
            f"targets = shape {tuple(targets.shape)}: must be that of idx, {tuple(idx.shape)}"
        )
    config = getattr(model, "config", None)
    seq_size, vocab_size = (getattr(config, name, None) for name in ("seq_size", "vocab_size"))
    if isinstance(seq_size, int) and idx.size(1) > seq_size:
        raise UserError(
            f"idx = {idx.size(1)} tokens: the model takes seq_size = {seq_size} at most"
        )
    if isinstance(vocab_size, int) and not 0 <= int(idx.min()) <= int(idx.max()) < vocab_size:
        raise UserError(
            f"idx = ids from {int(idx.min())} to {int(idx.max())}: must be 0 to "
            f"{vocab_size - 1}, as vocab_size = {vocab_size}"
        )


def _without_numbers(model: nn.Module) -> nn.Module:
    """Return a copy of a model whose weights have shapes alone."""
    memo: dict[int, object] = {}
    for weight in model.parameters():
        memo[id(weight)] = nn.Parameter(weight.detach().to("meta"), requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    return copy.deepcopy(model, memo)


def _random_state(device: torch.device) -> list[torch.Tensor]:
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_gpu]


def _set_random_state(device: torch.device, state: list[torch.Tensor]) -> None:
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)
