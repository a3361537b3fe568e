"""Which functions belong to a model: those of its modules' classes, and what these call.

Functions of installed packages are let through, torch's and Python's own among them. Does not
know what is looked for in a function.
"""

import functools
import inspect
import site
import sys
import sysconfig
from pathlib import Path
from types import FrameType, MethodType

import torch
from torch import nn

from playattention.errors import UserError
from playattention.xray.statements import Source, source_of

_PACKAGE = Path(__file__).parents[1]
_TORCH = str(Path(torch.__file__).parent)
_INSTALLED = (
    *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
    *site.getsitepackages(),
    site.getusersitepackages(),
    _TORCH,
    str(_PACKAGE),
)
"""Functions in these folders are not followed, but those of the model's own classes are."""
_HOOKS = str(Path(nn.__file__).parent / "modules" / "module.py")
"""What is called from here and is no class's own is a hook, not the model."""


class Follow:
    """Tells which functions belong to a model: those of its classes, and what these call.

    Args:
        model: Its modules' classes are looked through, with their bases.
    """

    def __init__(self, model: nn.Module) -> None:
        kinds = {kind for module in model.modules() for kind in type(module).__mro__}
        own = {file for kind in kinds for file in _files(kind)}
        for module in model.modules():
            own |= _file_of(vars(module).get("forward"))  # one that a module was given by hand
        if not own:
            raise UserError(
                f"model = {type(model).__name__}: all its lines are in torch's own files, which "
                "are not shown; allowed: a class of yours around it, with a forward"
            )
        self._sources: dict[str, Source | None] = {file: source_of(file) for file in own}
        self._own = own

    def __call__(self, frame: FrameType) -> Source | None:
        """Return the source of a function that is followed, None for any other."""
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
    files: frozenset[str] = frozenset().union(*map(_file_of, vars(kind).values()))
    # What a class takes over from torch, and what is made for it (dataclasses, named tuples).
    others = {file for file in files if file.startswith(_TORCH)} | {"<string>"}
    return files - others | _file_of(vars(kind).get("forward"))


def _file_of(member: object) -> set[str]:
    """Return the file in which a function stands, behind what decorates it."""
    if isinstance(member, property):
        member = member.fget
    if isinstance(member, staticmethod | classmethod | MethodType):
        member = member.__func__
    code = getattr(inspect.unwrap(member), "__code__", None) if callable(member) else None
    return {code.co_filename} if code else set()
