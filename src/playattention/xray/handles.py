"""What of a model can be changed from outside, and how it is put back afterwards.

A model is asked for its parts by the names that its source gives them: `blocks`, each with an
`attention` and a `feed_forward`; modules that attend, which have a `causal_mask` or a `scale`.
Does not know what a change is for.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import nn

from playattention.errors import UserError, unknown
from playattention.models.kv_cache import KVCache
from playattention.xray.checks import refuse_wrapped
from playattention.xray.marks import marked
from playattention.xray.watch import explicit_attention

Edit = Callable[[torch.Tensor], torch.Tensor]


class Change:
    """Hooks and values given to a model, to be taken back together.

    Args:
        taken_back: Undoes each, the last first.
        name: What the change is called.
        cached: Whether the change can be made to the tokens of a cache one by one.
    """

    def __init__(self, taken_back: ExitStack, name: str, cached: bool) -> None:
        self.start = 0
        """Position of the first token of the pass that runs: 0, or what its cache holds."""
        self.growing = False
        """Whether the pass that runs has a cache."""
        self._taken_back = taken_back
        self._name, self._cached = name, cached
        self._known: WeakSet[KVCache] = WeakSet()

    def output(self, module: nn.Module, edit: Edit) -> None:
        """Put another tensor in the place of a module's output."""

        def hook(_module: nn.Module, _args: object, output: object) -> torch.Tensor:
            if not isinstance(output, torch.Tensor):
                raise UserError(
                    f"module {type(module).__name__}: returns a {type(output).__name__}; "
                    "allowed: a module that returns one tensor"
                )
            return edit(output)

        self._take_back(module.register_forward_hook(hook), module)

    def input(self, module: nn.Module, edit: Edit, *, first: bool = False) -> None:
        """Put another tensor in the place of the first that a module is given.

        Args:
            module: Whose input.
            edit: Returns the other tensor.
            first: Before all other changes of this input, not after them.
        """

        def hook(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            if not args:
                raise UserError(
                    f"module {type(module).__name__}: is called by keywords alone; "
                    "allowed: a first argument by its place"
                )
            return edit(args[0]), *args[1:]

        self._take_back(module.register_forward_pre_hook(hook, prepend=first), module)

    def put(self, module: nn.Module, name: str, value: object) -> None:
        """Give another value to a module's attribute or buffer."""
        self._taken_back.callback(setattr, module, name, getattr(module, name))
        setattr(module, name, value)

    def follow(self, model: nn.Module) -> None:
        """Note where each pass of the model begins, and refuse caches that would mix two models."""

        def hook(_model: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            given = (*args, *options.values())
            cache = next((one for one in given if isinstance(one, KVCache)), None)
            if cache is not None:
                self._check(cache)
            self.start = 0 if cache is None else cache.length
            self.growing = cache is not None

        self._take_back(model.register_forward_pre_hook(hook, with_kwargs=True))

    def _check(self, cache: KVCache) -> None:
        if not self._cached:
            raise UserError(
                "cache: earlier tokens would have to look at those that come later; "
                "allowed: use_cache=False"
            )
        if cache.length == 0:
            self._known.add(cache)
        if cache not in self._known:
            raise UserError(
                f"cache: holds {cache.length} tokens of the model before it was changed; "
                "allowed: a cache that begins inside of the change"
            )

    def _take_back(
        self, handle: torch.utils.hooks.RemovableHandle, changed: nn.Module | None = None
    ) -> None:
        self._taken_back.callback(handle.remove)
        if changed is not None:
            self._taken_back.enter_context(marked(changed, self._name))


@contextmanager
def changing(model: nn.Module, name: str, *, cached: bool = True) -> Iterator[Change]:
    """Let a model be changed, and put it back as it was, whatever happens.

    Args:
        model: Attends step by step meanwhile, as a fused operation shows no weights to change.
        name: What the change is called, in an explanation of what it changed.
        cached: Whether the change holds where keys and values come from a cache.

    Raises:
        UserError: If the model is compiled or wrapped, so that its hooks would not be called.
    """
    refuse_wrapped(model)
    with explicit_attention(model), ExitStack() as taken_back:
        change = Change(taken_back, name, cached)
        change.follow(model)
        yield change


def layers(model: nn.Module) -> list[nn.Module]:
    """Return a model's blocks.

    Raises:
        UserError: If it has none.
    """
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.ModuleList):
        raise UserError(
            f"model = {type(model).__name__}: has no 'blocks'; allowed: a model with a ModuleList "
            "of that name"
        )
    return [*blocks]


def layer(model: nn.Module, number: int) -> nn.Module:
    """Return a block.

    Raises:
        UserError: If there is none of that number.
    """
    blocks = layers(model)
    check_number("layer", number, len(blocks))
    return blocks[number]


def part(model: nn.Module, number: int, name: str) -> nn.Module:
    """Return a part of a block: its `attention`, its `feed_forward`.

    Raises:
        UserError: If there is none of that name.
    """
    children = dict(layer(model, number).named_children())
    if name not in children:
        raise unknown(f"part of layer {number}", name, children)
    return children[name]


def attending(model: nn.Module, number: int) -> list[nn.Module]:
    """Return the modules of a block that attend: one for each head, or one for all."""
    return [
        module
        for module in part(model, number, "attention").modules()
        if "scale" in vars(module) or "causal_mask" in dict(module.named_buffers(recurse=False))
    ]


def check_number(field: str, number: int, count: int) -> None:
    """Check that a number, from 0, is one of so many.

    Raises:
        UserError: If it is not.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
        raise UserError(f"{field} = {number}: must be a whole number from 0 to {count - 1}")


def chosen(model: nn.Module, numbers: Iterable[int] | None) -> list[int]:
    """Return the numbers of the layers that are meant; None: of all.

    Raises:
        UserError: If they are no row of numbers, or there is no such layer.
    """
    count = len(layers(model))
    if numbers is None:
        return [*range(count)]
    if not isinstance(numbers, Iterable) or isinstance(numbers, str):
        raise UserError(f"layers = {numbers!r}: must be several, such as [{numbers!r}]")
    asked = [*numbers]
    for number in asked:
        check_number("layer", number, count)
    return asked
