"""Which modules of a model are changed from outside while it runs, and by what.

So that a trace can tell it where the source does not. Does not know the changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

_MARKS: WeakKeyDictionary[nn.Module, list[str]] = WeakKeyDictionary()


@contextmanager
def marked(module: nn.Module, name: str) -> Iterator[None]:
    """Note that one hook of a module changes its input or output.

    Args:
        module: Whose.
        name: What changes it: `no_positions`.
    """
    names = _MARKS.setdefault(module, [])
    names.append(name)
    try:
        yield
    finally:
        names.remove(name)


def changed_by(module: nn.Module) -> str:
    """Return what changes a module's input or output now; hooks of others count, too."""
    names = list(dict.fromkeys(_MARKS.get(module, [])))
    hooks = len(module._forward_hooks) + len(module._forward_pre_hooks)
    if hooks > len(_MARKS.get(module, [])):
        names.append("a hook")
    return ", ".join(names)
