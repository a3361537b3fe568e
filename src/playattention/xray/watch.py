"""Watch a model's own lines run: every named value of a forward pass, with the line that made it.

    trace = watch(model, idx)
    trace.find(module="blocks.0.attention.heads.1", name="weights")

While a watch runs, it takes the place of any other tracer of its thread (debugger, coverage tool,
profiler by `sys.settrace`), which is put back afterwards. Does not know any model: what is
followed is found from the classes that a model is made of.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass

import psutil
import torch
from torch import nn

from playattention.settings import Settings
from playattention.xray.checks import check_tokens, kept_modules, refuse_wrapped
from playattention.xray.follow import Follow
from playattention.xray.marks import changed_by
from playattention.xray.trace import Trace
from playattention.xray.tracer import Recorded, Tracer, too_large
from playattention.xray.values import Part


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
    seen: Callable[[torch.Tensor, torch.Tensor], None] | None = None,
) -> Trace:
    """Do what `watch` does, with gradients if they are on.

    Args:
        model: As in `watch`.
        idx: As in `watch`.
        targets: As in `watch`.
        modules: As in `watch`.
        limit: As in `watch`.
        seen: Called with each tensor as it is bound, and with what is kept of it.
    """
    refuse_wrapped(model)
    check_tokens(model, idx, targets)
    keep = kept_modules(model, modules)
    if limit is None:
        limit = free_memory(idx.device) / 2
    if _rough_memory(model, idx) > limit:
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
    keep = kept_modules(model, modules)
    try:
        twin = _without_numbers(model)
        following = None if targets is None else targets.to("meta")
        with explicit_attention(twin), torch.no_grad():
            tracer = _traced(twin, idx.to("meta"), following, keep, float("inf"))
            return tracer.recorded.nbytes
    except Exception:  # a learner's model may do anything; the run with numbers will tell
        return None


@contextmanager
def explicit_attention(model: nn.Module) -> Iterator[None]:
    """Let a model attend step by step where it could in one fused operation.

    Args:
        model: Its modules with a `flash_attention` are changed, and changed back at the end.
    """
    settings = [vars(part) for part in model.modules()]
    fused = [setting for setting in settings if setting.get("flash_attention") is True]
    for setting in fused:
        setting["flash_attention"] = False
    try:
        yield
    finally:
        for setting in fused:
            setting["flash_attention"] = True


def _rough_memory(model: nn.Module, idx: torch.Tensor) -> float:
    """Return many times what values usually take: only if that is too much, it is worked out."""
    rows = sum(weight.shape[0] for weight in model.parameters() if weight.dim())
    modules = sum(1 for _ in model.modules())
    return 16 * 4 * idx.numel() * (rows + modules * idx.size(1))


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
    seen: Callable[[torch.Tensor, torch.Tensor], None] | None = None,
) -> Tracer:
    names = {id(module): path for path, module in model.named_modules()}
    own = [weight.untyped_storage() for weight in (*model.parameters(), *model.buffers())]
    own += [ids.untyped_storage() for ids in (idx, targets) if ids is not None]
    follow = Follow(model)
    ids = {id(storage) for storage in own}
    with Tracer(follow, names, keep, ids, limit, copy=copied, seen=seen) as tracer:
        model(idx) if targets is None else model(idx, targets=targets)
    return tracer


def _trace(
    model: nn.Module, tracer: Tracer, idx: torch.Tensor, targets: torch.Tensor | None
) -> Trace:
    recorded: Recorded = tracer.recorded
    named = (
        *model.named_parameters(remove_duplicate=False),  # a tied weight has two names
        *model.named_buffers(remove_duplicate=False),
    )
    once = {id(weight): weight.detach() for _, weight in named}
    weights = {name: once[id(weight)] for name, weight in named}
    return Trace(
        values=tuple(recorded.values),
        calls=tuple(recorded.calls),
        parts={path: _part(module) for path, module in model.named_modules()},
        weights=weights,
        sources=tracer.sources,
        idx=idx,
        targets=targets,
        versions={name: weight._version for name, weight in weights.items()},
    )


def _part(module: nn.Module) -> Part:
    kind = type(module)
    known = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    for name, value in list(known.items()):  # settings in one object: `config.n_embd`
        if isinstance(value, Settings) or is_dataclass(value):
            known.update({f"{name}.{key}": inner for key, inner in vars(value).items()})
    settings = {
        name: value
        for name, value in known.items()
        if isinstance(value, bool | int | float | str | None)
    }
    return Part(f"{kind.__module__}.{kind.__qualname__}", settings, changed_by(module))


def _without_numbers(model: nn.Module) -> nn.Module:
    """Return a copy of a model whose weights have shapes alone."""
    memo: dict[int, object] = {}
    for weight in model.parameters():
        memo[id(weight)] = nn.Parameter(weight.detach().to("meta"), requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    twin = copy.deepcopy(model, memo)
    for module in twin.modules():
        module._forward_hooks.clear()  # they may do anything, and are no part of the model
        module._forward_pre_hooks.clear()
    return twin


def _random_state(device: torch.device) -> list[torch.Tensor]:
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_gpu]


def _set_random_state(device: torch.device, state: list[torch.Tensor]) -> None:
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)
