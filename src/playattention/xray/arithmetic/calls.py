"""What a call, an operator or an attribute makes of nodes and of Python's own numbers.

Finds the handler by name (`operations.py`, `layers.py`), or the movement, or simply asks Python.
Does not know names or source text.
"""

import ast
import builtins
import functools
import inspect
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from playattention.xray.arithmetic.cells import Leaf, Node, UnknownError, moved, plainly
from playattention.xray.arithmetic.layers import LAYERS
from playattention.xray.arithmetic.names import Module
from playattention.xray.arithmetic.operations import MOVEMENTS, OPERATIONS, SAME, as_node

_EXACT = "ones zeros full eye tensor linspace finfo iinfo Size device"
EXACT = frozenset(_EXACT.split())
"""Functions of torch that draw nothing at random: simply called."""

_PYTHON = """float int bool len range min max abs round pow enumerate zip list tuple reversed sorted
    dict slice"""
PYTHON = frozenset(_PYTHON.split())
"""Python's own functions that are simply called."""

OPERATORS: dict[type[ast.AST], tuple[str, Callable[..., Any]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("sub", operator.sub),
    ast.Mult: ("mul", operator.mul),
    ast.Div: ("div", operator.truediv),
    ast.FloorDiv: ("floor_divide", operator.floordiv),
    ast.Mod: ("remainder", operator.mod),
    ast.Pow: ("pow", operator.pow),
    ast.MatMult: ("matmul", operator.matmul),
    ast.BitAnd: ("logical_and", operator.and_),
    ast.BitOr: ("logical_or", operator.or_),
    ast.USub: ("neg", operator.neg),
    ast.UAdd: ("", operator.pos),
    ast.Invert: ("logical_not", operator.invert),
    ast.Not: ("", operator.not_),
    ast.Lt: ("lt", operator.lt),
    ast.LtE: ("le", operator.le),
    ast.Gt: ("gt", operator.gt),
    ast.GtE: ("ge", operator.ge),
    ast.Eq: ("eq", operator.eq),
    ast.NotEq: ("ne", operator.ne),
    ast.Is: ("", operator.is_),
    ast.IsNot: ("", operator.is_not),
}


@dataclass(frozen=True)
class Method:
    """A method of a tensor."""

    node: Node
    name: str

    @property
    def told(self) -> str:
        """What it is called in a message."""
        return f"the method {self.name}"


def operate(op: ast.AST, values: list[Any]) -> Any:
    """Return what an operator makes of one or two operands."""
    if type(op) not in OPERATORS:
        raise UnknownError(f"{type(op).__name__} is not followed")
    name, function = OPERATORS[type(op)]
    if isinstance(op, ast.UAdd) and isinstance(values[0], Node):
        return values[0]
    if not any(isinstance(value, Node) for value in values) or not name:
        return asked(function, values, {})
    return handled(OPERATIONS[name], [as_node(value) for value in values], {})


def item(owner: Any, index: Any) -> Any:
    """Return an element of a list, of a list of modules, or cells of a tensor."""
    if isinstance(owner, Node):
        return moved_by("__getitem__", [owner], [_real(index)], {})
    if isinstance(owner, Module):
        if isinstance(index, str):
            found = owner.child(index)
            if found is None:
                raise UnknownError(f"{owner.text}[{index!r}] is not in the model")
            return found
        return asked(operator.getitem, [owner.children, index], {})
    return asked(operator.getitem, [owner, index], {})


def of_tensor(node: Node, name: str) -> Any:
    """Return an attribute of a tensor."""
    if name in ("T", "mT", "H"):
        return moved(lambda parts: getattr(parts[0], name), [node])
    plain = {"shape": node.shape, "ndim": len(node.shape), "dtype": node.dtype}
    if name in plain:
        return plain[name]
    if name == "device":
        return torch.device("cpu")  # where it is worked out again
    if name == "data":
        return node
    return Method(node, name)


def method(function: Method, given: Iterable[Any], named: dict[str, Any], made: Any) -> Any:
    """Return what a tensor's method gives."""
    node, name = function.node, function.name
    given = list(given)
    sizes = {"dim": len(node.shape), "ndimension": len(node.shape)}
    if name == "size":
        return node.shape[given[0]] if given else node.shape
    if name == "numel":
        return torch.Size(node.shape).numel()
    if name in sizes:
        return sizes[name]
    if name == "item":
        return number_of(node)
    if name == "where":  # the method's operands are in another order than the function's
        return handled(OPERATIONS["where"], [given[0], node, *given[1:]], named)
    return _named(name, [node, *given], named, made)


def called(function: Any, given: Iterable[Any], named: dict[str, Any], made: Any) -> Any:
    """Return what a function of torch or Python gives."""
    given = list(given)
    name = getattr(function, "__name__", "")
    home = getattr(function, "__module__", None) or ""
    if function is builtins.sum and given and any(isinstance(one, Node) for one in given[0]):
        return _total(given)
    if name in PYTHON and getattr(builtins, name) is function:
        return _python(name, function, given, named)
    if home == "math":
        return asked(function, given, named)
    if home.partition(".")[0] != "torch" and function is not getattr(torch, name, None):
        raise UnknownError(f"what {name or function!r} does")
    if name in EXACT:
        found = asked(function, given, named)
        return Leaf("", found) if isinstance(found, torch.Tensor) else found
    return _named(name, given, named, made)


def layer(module: Module, given: Iterable[Any], named: dict[str, Any], made: Any) -> Any:
    """Return what a module of torch gives."""
    kind = module.kind.rpartition(".")[2]
    if kind not in LAYERS:
        raise UnknownError(f"what a {kind} does")
    return handled(LAYERS[kind], [module, *given], named, made)


def _python(name: str, function: Any, given: list[Any], named: dict[str, Any]) -> Any:
    """Return what one of Python's own functions gives, of tensors too where it takes them."""
    first = given[0] if given else None
    if name in ("max", "min") and not named:
        items = given if len(given) > 1 else as_items(first)
        if any(isinstance(one, Node) for one in items):
            return functools.reduce(OPERATIONS[f"{name}imum"], items)
    if isinstance(first, Node):
        if name in ("abs", "pow"):
            return handled(OPERATIONS[name], given, named)
        if name == "len":
            return first.shape[0]
        if name in ("float", "int", "bool"):
            return function(number_of(first))
    loops = name in ("list", "tuple", "enumerate", "zip", "reversed")
    whole = (Module, Node) if loops else (Module,)
    return asked(
        function, [as_items(one) if isinstance(one, whole) else one for one in given], named
    )


def number_of(node: Node) -> float:
    """Return the number in a tensor that has a single one."""
    if torch.Size(node.shape).numel() != 1:
        raise UnknownError(f"a number of a tensor of shape {node.shape}")
    return float(node.numbers(torch.zeros(len(node.shape), dtype=torch.long)))


def put(node: Node, index: Any, new: Node) -> Any:
    """Return a tensor with other numbers in the place of some of its own."""
    place = _real(index)

    def apply(parts: list[torch.Tensor]) -> torch.Tensor:
        made = parts[0].clone()
        made[place] = parts[1].to(made)
        return made

    return moved(apply, [node, new])


def _named(name: str, given: list[Any], named: dict[str, Any], made: Any) -> Any:
    """Return what the function or method of this name makes."""
    if name in SAME and given and isinstance(given[0], Node):
        return given[0]
    asked_for, name = name, name.removesuffix("_")  # in place
    if name in MOVEMENTS and given:
        several = isinstance(given[0], list | tuple)
        bases = list(given[0]) if several else [given[0]]
        if all(isinstance(base, Node) for base in bases):
            rest = [_real(one) for one in given[1:]]
            real = {key: _real(value) for key, value in named.items()}
            return moved_by(name, bases, rest, real, together=several)
    if name not in OPERATIONS:
        raise UnknownError(f"what {asked_for} does")
    return handled(OPERATIONS[name], given, named, made)


def moved_by(
    name: str,
    bases: list[Node],
    rest: list[Any],
    named: dict[str, Any],
    *,
    together: bool = False,
) -> Any:
    """Return what a movement makes of nodes.

    Args:
        name: Of a method of tensors, or a function of torch.
        bases: What is moved.
        rest: Its other arguments.
        named: The same, by name.
        together: Whether the function takes the bases as a list.
    """
    function = getattr(torch.Tensor, name, None)
    if together or function is None:
        function = getattr(torch, name, None) or getattr(torch.nn.functional, name)

    def apply(parts: list[torch.Tensor]) -> Any:
        return function(parts if together else parts[0], *rest, **named)

    try:
        return moved(apply, bases)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        raise UnknownError(f"{name}: {str(error).splitlines()[0]}") from None


def handled(
    handler: Callable[..., Any], given: list[Any], named: dict[str, Any], made: Any = None
) -> Any:
    """Return what a handler makes of arguments, if it takes them."""
    signature = inspect.signature(handler)
    if "made" in signature.parameters:
        named = {**named, "made": made}
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        raise UnknownError(plainly(handler.__name__, error)) from None
    try:
        return handler(*given, **named)
    except (TypeError, AttributeError, IndexError, ValueError) as error:
        raise UnknownError(plainly(handler.__name__, error)) from None


def asked(function: Callable[..., Any], given: Iterable[Any], named: dict[str, Any]) -> Any:
    """Return what Python itself gives."""
    try:
        return function(*given, **named)
    except Exception as error:
        name = getattr(function, "__name__", str(function))
        raise UnknownError(plainly(name, error)) from None


def as_items(found: Any) -> list[Any]:
    """Return the elements that a loop over something goes through."""
    if isinstance(found, Module):
        return list(found.children)
    if isinstance(found, Node):
        parts = moved(lambda parts: parts[0].unbind(0), [found])
        assert isinstance(parts, list)
        return parts
    return list(asked(iter, [found], {}))


def _total(given: list[Any]) -> Any:
    """Return the sum of a list of nodes."""
    found = given[1] if len(given) > 1 else None
    for one in given[0]:
        found = one if found is None else OPERATIONS["add"](found, one)
    return found


def _real(index: Any) -> Any:
    """Return an argument with its nodes as tensors: which cells are chosen hangs on them."""
    if isinstance(index, Node):
        whole = index.whole().cpu()
        return whole if index.dtype.is_floating_point else whole.to(index.dtype)
    if isinstance(index, list | tuple):
        return type(index)(_real(one) for one in index)
    return index
