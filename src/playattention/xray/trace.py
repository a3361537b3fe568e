"""What a watch saw: values in the order in which they came to be, and the source that made them.

Knows neither how they were seen (`tracer.py`) nor what they mean (`glossary.py`).
"""

import fnmatch
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from playattention.errors import UserError, unknown
from playattention.xray.files import Shelf, read, write
from playattention.xray.listing import Listing, listed
from playattention.xray.values import Call, Part, Value


@dataclass(frozen=True, eq=False)
class Trace:
    """A forward pass: every value, every call, and the source and weights behind them."""

    values: tuple[Value, ...]
    """In the order in which they came to be."""
    calls: tuple[Call, ...]
    """In the order in which they began."""
    parts: dict[str, Part]
    """Every module of the model: dotted path -> what it is."""
    weights: dict[str, torch.Tensor]
    """Parameters and buffers by their dotted names: the model's own, not copies."""
    sources: dict[str, str]
    """File -> its text as it ran."""
    idx: torch.Tensor
    """The token ids that went in (B, T)."""
    targets: torch.Tensor | None = None
    """The tokens that come next (B, T)."""
    tokens: tuple[str, ...] | None = None
    """How the ids of the first sequence are shown; None: as numbers."""
    versions: dict[str, int] = field(default_factory=dict)
    """How often each weight had been changed in place when the watch ended."""

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values)

    def __getitem__(self, number: int) -> Value:
        return self.values[number]

    def __repr__(self) -> str:
        size = self.nbytes / 2**20
        return f"<Trace: {len(self)} values in {len(self.modules)} modules, {size:.1f} MiB>"

    @property
    def modules(self) -> list[str]:
        """Dotted paths of the modules that bound a value, in the order of their calls."""
        return list(dict.fromkeys(value.module for value in self.values))

    @property
    def nbytes(self) -> int:
        """Bytes that the values and arguments take: shared memory once, the model's own not."""
        given = [tensor for call in self.calls for tensor in call.arguments.values()]
        own = [
            *self.weights.values(),
            *(ids for ids in (self.idx, self.targets) if ids is not None),
        ]
        kept = _storages([*(value.tensor for value in self.values), *given])
        return sum(kept[number].nbytes() for number in kept.keys() - _storages(own).keys())

    @property
    def labels(self) -> list[str]:
        """How the tokens of the first sequence are shown."""
        return [str(id_) for id_ in self.idx[0].tolist()] if self.tokens is None else [*self.tokens]

    def labelled(self, decode: Callable[[list[int]], str]) -> "Trace":
        """Return the trace with its tokens shown as text.

        Args:
            decode: Token ids -> their text, as a tokenizer's `decode`.
        """
        return replace(self, tokens=tuple(decode([id_]) for id_ in self.idx[0].tolist()))

    def find(self, module: str | None = None, name: str | None = None) -> list[Value]:
        """Return the values of a module, of a name, or of both, in their order.

        Args:
            module: Dotted path, or a pattern such as `blocks.*.attention`; "" is the model itself.
            name: A variable of the source (`mixed` means each of its elements, `mixed[0]` one).

        Raises:
            UserError: If no module, or none of these modules' values, is called so.
        """
        for field_name, asked in (("module", module), ("name", name)):
            if asked is not None and not isinstance(asked, str):
                raise UserError(f"{field_name} = {asked!r}: must be a text, as in trace.modules")
        found = [
            value for value in self.values if module is None or matches(value.module, [module])
        ]
        if not found:
            raise self._without_values(str(module))
        if name is None:
            return found
        named = [value for value in found if name in (value.name, value.variable)]
        if not named and module is not None:
            self._check_argument(module, name)
        if not named:
            where = "" if module is None else f" in module {module!r}"
            raise unknown(f"value{where}", name, dict.fromkeys(value.name for value in found))
        return named

    def one(self, module: str, name: str, occurrence: int = -1) -> Value:
        """Return a single value; where its name was bound more than once, the last.

        Args:
            module: Dotted path.
            name: As in `find`.
            occurrence: Which of them, from 0.

        Raises:
            UserError: If there is none.
        """
        found = self.find(module, name)
        try:
            return found[occurrence]
        except IndexError:
            title = f"{module}:{name}".removeprefix(":")
            raise UserError(
                f"occurrence = {occurrence}: {title} was bound {len(found)} times; "
                f"allowed: 0 to {len(found) - 1}"
            ) from None

    def lines(self, module: str, function: str = "forward") -> Listing:
        """Return a function's source, line by line, each with the values that it made.

        Args:
            module: Dotted path of the module that ran it.
            function: Its name.

        Raises:
            UserError: If the module did not run, or not this function.
        """
        run = [call for call in self.calls if call.module == module]
        if not run:
            raise self._without_values(module)
        chosen = [call for call in run if call.function == function]
        if not chosen:
            names = dict.fromkeys(call.function for call in run)
            raise unknown(f"function of module {module!r}", function, names)
        numbers = {number for number, call in enumerate(self.calls) if call in chosen}
        values = [value for value in self.values if value.call in numbers]
        return listed(chosen, self.sources[chosen[0].file], values)

    def _without_values(self, module: str) -> UserError:
        """Return the error for a module that bound nothing here."""
        if module not in self.parts:
            return unknown("module", module, self.modules)
        kind = self.parts[module].kind
        return UserError(
            f"module {module!r}: {kind} has no lines that were watched; what it returns is a value "
            f"of the module around it, {module.rpartition('.')[0] or 'the model itself'!r}"
        )

    def _check_argument(self, module: str, name: str) -> None:
        """Check that a name is not an argument, whose value belongs to the caller."""
        for call in self.calls:
            if call.module == module and name in call.arguments:
                given = call.arguments[name]
                made = [value.shown for value in self.values if value.tensor is given]
                whose = f"it is {made[0]!r}" if made else "it is what went into the model"
                raise UserError(f"name = {name}: {call.function} was given it; {whose}")

    def check_weights(self) -> None:
        """Check that the weights are still those that made the values.

        Raises:
            UserError: If one was changed since, say by training on.
        """
        for name, version in self.versions.items():
            if self.weights[name]._version != version:
                raise UserError(f"weight {name!r}: changed since the watch; watch again")

    def save(self, path: str | Path, *, weights: bool = True) -> None:
        """Write all of it into one safetensors file, its words as JSON in the header.

        Args:
            path: The file.
            weights: Keeps the weights, too, without which `explain` can't recompute.

        Raises:
            UserError: If the disk is full or can't be written.
        """
        shelf = Shelf()
        facts = {
            "values": [_put(value, "tensor", shelf.put(value.tensor)) for value in self.values],
            "calls": [
                _put(call, "arguments", {n: shelf.put(t) for n, t in call.arguments.items()})
                for call in self.calls
            ],
            "parts": {path: asdict(part) for path, part in self.parts.items()},
            "weights": {n: shelf.put(t) for n, t in self.weights.items()} if weights else {},
            "sources": self.sources,
            "idx": shelf.put(self.idx),
            "targets": None if self.targets is None else shelf.put(self.targets),
            "tokens": self.tokens,
        }
        write(Path(path), shelf.tensors, facts)

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Read what `save` wrote.

        Raises:
            UserError: If the file is missing, damaged, or no trace.
        """
        tensors, facts = read(Path(path))
        try:
            weights = _taken(tensors, facts["weights"])
            return cls(
                values=tuple(
                    Value(**{**value, "tensor": tensors[value["tensor"]]})
                    for value in facts["values"]
                ),
                calls=tuple(
                    Call(
                        **{
                            **call,
                            "arguments": {n: tensors[t] for n, t in call["arguments"].items()},
                        }
                    )
                    for call in facts["calls"]
                ),
                parts={path: Part(**part) for path, part in facts["parts"].items()},
                weights=weights,
                sources=facts["sources"],
                idx=tensors[facts["idx"]],
                targets=None if facts["targets"] is None else tensors[facts["targets"]],
                tokens=None if facts["tokens"] is None else tuple(facts["tokens"]),
                versions={name: weight._version for name, weight in weights.items()},
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: of another version ({error}); watch again") from None


def _taken(tensors: dict[str, torch.Tensor], numbers: dict[str, str]) -> dict[str, torch.Tensor]:
    return {name: tensors[number] for name, number in numbers.items()}


def _put(record: Value | Call, field_name: str, number: object) -> dict[str, Any]:
    """Return a record's fields, a number in the place of its tensors."""
    return {**vars(record), field_name: number}


def matches(module: str, patterns: Iterable[str]) -> bool:
    """Tell whether a module's dotted path is one of these, or fits a pattern such as `blocks.*`."""
    return any(module == pattern or fnmatch.fnmatchcase(module, pattern) for pattern in patterns)


def _storages(tensors: Iterable[torch.Tensor]) -> dict[int, torch.UntypedStorage]:
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {id(storage): storage for storage in storages}
