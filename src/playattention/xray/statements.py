"""Which statement of a source file an instruction of its code belongs to, and what it binds.

The compiler notes for each instruction the place in the source that it came from; the syntax tree
tells what stands there. So a binding is known exactly, in loops of one line and comprehensions
too. Does not know tensors, modules or tracing.
"""

import ast
import dis
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType
from typing import Any, Literal, TypeVar

from playattention.errors import UserError

Kind = TypeVar("Kind", bound=ast.stmt)
Place = tuple[int, int]
"""Line, from 1, and column in bytes, from 0."""
Locals = dict[str, Any]


@dataclass(frozen=True)
class Statement:
    """A statement of a file; of a compound one, the part before its body."""

    line: int
    """Its first line, from 1."""
    source: str
    """Its text, without the indentation that its lines share."""


@dataclass(frozen=True)
class Binding:
    """What an instruction binds, and how to read it off the local variables right afterwards."""

    name: str
    statement: Statement
    read: Callable[[Locals], object]
    when: Literal["bound", "before", "after"] = "bound"
    """Of a bare call, which may change what it names in place: whether it begins, or has ended."""


@dataclass(frozen=True)
class Plan:
    """What is to be seen in a function: offset of an instruction -> what it does."""

    bindings: dict[int, tuple[Binding, ...]]
    returns: dict[int, Statement]


class Source:
    """A source file and its statements.

    Args:
        file: Path of the file, or the name of a notebook's cell.
        text: What stands in it.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._rows = [row.encode() for row in text.splitlines()]
        self._targets: dict[Place, tuple[ast.expr, ast.stmt]] = {}
        self._returns: list[ast.Return] = []
        self._bare: list[ast.Expr] = []
        self._plans: dict[CodeType, Plan] = {}
        self._walk(ast.parse(text), None)

    def plan(self, code: CodeType) -> Plan:
        """Return what is to be seen in a function of this file.

        Raises:
            UserError: If the file is not the one that the code was made from, or the code says
                nothing of columns.
        """
        if code not in self._plans:
            self._check(code)
            bindings: dict[int, tuple[Binding, ...]] = {}
            returns: dict[int, Statement] = {}
            last: ast.Return | None = None
            begun: ast.Expr | None = None
            for instruction in dis.get_instructions(code):
                place = _place(instruction)
                if place in self._targets and instruction.opname.startswith("STORE"):
                    bindings[instruction.offset] = tuple(self._bound(instruction, place))
                # What leaves a `with` or runs a `finally` may stand before the return itself.
                last = _at(place, self._returns) or last
                bare = _at(place, self._bare)
                ends = instruction.opname == "POP_TOP"  # the last of a bare call's instructions
                if bare and (ends or begun is not bare) and instruction.offset not in bindings:
                    bindings[instruction.offset] = tuple(self._touched(bare, ends=ends))
                    begun = None if ends else bare
                if last is not None and instruction.opname.startswith("RETURN"):
                    returns[instruction.offset] = self._statement(last)
            self._plans[code] = Plan(bindings, returns)
        return self._plans[code]

    def _walk(self, node: ast.AST, statement: ast.stmt | None) -> None:
        """Note where names are bound and values returned; comprehensions' own names are not."""
        if isinstance(node, ast.stmt):
            statement = node
        if isinstance(node, ast.Return):
            self._returns.append(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._bare.append(node)
        for target in _targets(node):
            assert statement is not None  # only statements have targets inside
            self._targets[target.lineno, target.col_offset] = target, statement
        for child in ast.iter_child_nodes(node):
            self._walk(child, statement)

    def _touched(self, node: ast.Expr, *, ends: bool) -> Iterator[Binding]:
        """Yield what a bare call names, so that it can be seen whether it was changed in place."""
        statement = self._statement(node)
        for target in _named(node):
            when: Literal["before", "after"] = "after" if ends else "before"
            yield Binding(ast.unparse(target), statement, _held(target), when)

    def _bound(self, instruction: dis.Instruction, place: Place) -> Iterator[Binding]:
        target, node = self._targets[place]
        statement, stored = self._statement(node), instruction.argval
        # Python 3.13 joins two neighbouring instructions into one, with two names.
        names = stored if isinstance(stored, tuple) else (stored,)
        if isinstance(target, ast.Name) and names[0] != target.id:
            return  # the end of an `except ... as name`, which clears that name
        yield Binding(_name(target), statement, _reader(target))
        if instruction.opname == "STORE_FAST_STORE_FAST":
            yield Binding(names[1], statement, _reader(ast.Name(names[1])))

    def _statement(self, node: ast.stmt) -> Statement:
        body = getattr(node, "body", None)
        assert node.end_lineno is not None and node.end_col_offset is not None
        end = (
            (body[0].lineno, body[0].col_offset) if body else (node.end_lineno, node.end_col_offset)
        )
        rows = self._rows[node.lineno - 1 : end[0]]
        rows[-1] = rows[-1][: end[1]]
        rows[0] = rows[0][node.col_offset :]
        indent = b" " * node.col_offset
        return Statement(
            node.lineno, b"\n".join(row.removeprefix(indent) for row in rows).decode().rstrip()
        )

    def _check(self, code: CodeType) -> None:
        """Check that the code was made from this text."""
        rewritten = any(name.startswith("@py") for name in code.co_varnames)  # asserts, by pytest
        if not rewritten and _outline(code) not in self._outlines:
            raise UserError(
                f"{self.file}: changed since it was imported ({code.co_name}, line "
                f"{code.co_firstlineno}, is no longer what ran); import it anew, say in a new "
                "process"
            )
        positions = (instruction.positions for instruction in dis.get_instructions(code))
        if all(position is None or position.col_offset is None for position in positions):
            raise UserError(
                f"{self.file}: its code says nothing of columns; allowed: Python without "
                "-X no_debug_ranges and PYTHONNODEBUGRANGES"
            )

    @cached_property
    def _outlines(self) -> set[tuple[object, ...]]:
        """What the functions are that this text makes."""
        found, waiting = set(), [compile(self.text, self.file, "exec", dont_inherit=True)]
        while waiting:
            code = waiting.pop()
            found.add(_outline(code))
            waiting.extend(inner for inner in code.co_consts if isinstance(inner, CodeType))
        return found


def source_of(file: str) -> Source:
    """Return a file's statements, as it stands now.

    Args:
        file: Path of a file, or the name of a notebook's cell.

    Raises:
        UserError: If its text can't be read.
    """
    linecache.checkcache(file)
    text = "".join(linecache.getlines(file))
    if not text:
        raise UserError(f"{file}: its source can't be read; allowed: a file, or a notebook's cell")
    return _parsed(file, text)


@lru_cache(maxsize=64)
def _parsed(file: str, text: str) -> Source:
    return Source(file, text)


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a node binds: names, attributes, and items of a name."""
    match node:
        case ast.Assign(targets=targets):
            waiting = [*targets]
        case ast.AugAssign(target=target) | ast.For(target=target) | ast.NamedExpr(target=target):
            waiting = [target]
        case ast.AnnAssign(target=target, value=ast.expr()):
            waiting = [target]
        case ast.withitem(optional_vars=ast.expr() as target):
            waiting = [target]
        case _:
            waiting = []
    while waiting:
        match waiting.pop():
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                waiting.extend(elements)
            case ast.Starred(value=inner):
                waiting.append(inner)
            case ast.Name() | ast.Attribute(value=ast.Name()) | ast.Subscript() as bound:
                if not isinstance(bound, ast.Subscript) or isinstance(bound.value, ast.Name):
                    yield bound
            case _:
                pass


def _at(place: Place | None, nodes: list[Kind]) -> Kind | None:
    """Return which of these has a place in its text."""
    for node in nodes if place else ():
        end = node.end_lineno, node.end_col_offset
        if (node.lineno, node.col_offset) <= place < end:  # type: ignore[operator]
            return node
    return None


def _named(node: ast.Expr) -> Iterator[ast.Name | ast.Attribute]:
    """Yield the variables and attributes in a bare call, each once."""
    called = {id(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
    seen = set()
    for inner in ast.walk(node):
        match inner:
            case ast.Name() | ast.Attribute(value=ast.Name()) if id(inner) not in called:
                if ast.unparse(inner) not in seen:
                    seen.add(ast.unparse(inner))
                    yield inner


def _held(target: ast.Name | ast.Attribute) -> Callable[[Locals], object]:
    """Return what reads a variable or attribute without running a property."""
    if isinstance(target, ast.Name):
        return _reader(target)
    owner, name = ast.unparse(target.value), target.attr

    def read(known: Locals) -> object:
        own = getattr(known.get(owner), "__dict__", {})
        for held in (own, own.get("_parameters", {}), own.get("_buffers", {})):
            if name in held:
                return held[name]
        return None

    return read


def _place(instruction: dis.Instruction) -> Place | None:
    position = instruction.positions
    if position is None or position.lineno is None or position.col_offset is None:
        return None
    return position.lineno, position.col_offset


def _outline(code: CodeType) -> tuple[object, ...]:
    """Return what tells a function's code from that of another text."""
    constants = tuple(repr(one) for one in code.co_consts if not isinstance(one, CodeType))
    return code.co_name, code.co_firstlineno, code.co_code, code.co_names, constants


def _name(target: ast.expr) -> str:
    """Return what a target is called; an item's change is one of the whole."""
    return ast.unparse(target.value if isinstance(target, ast.Subscript) else target)


def _reader(target: ast.expr) -> Callable[[Locals], object]:
    match target:
        case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
            return lambda known: getattr(known[owner], attribute)
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return lambda known: known.get(name)  # None: a global
        case _:
            raise AssertionError(target)
