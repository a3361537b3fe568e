"""What the page looks at: a run's model at one of its steps, reading a text, changed or not.

A few looks are kept, so that another layer, head or position of the same text costs nothing.
Does not know HTTP.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from playattention.errors import UserError, unknown
from playattention.playground.alone import Alone
from playattention.playground.changes import Changes, parse
from playattention.playground.opened import Known, MissingError, Opened, Shelf, opened
from playattention.xray.backward import Backward, backward
from playattention.xray.lens import IGNORED
from playattention.xray.trace import Trace
from playattention.xray.values import Value
from playattention.xray.watch import free_memory, watch

Result = TypeVar("Result")
Key = tuple[object, ...]

MOST_LOOKS = 32
SHARE_OF_MEMORY = 0.2
"""Of the free memory at the start: what looks may keep, and as much again for models."""


class Looks:
    """Opens runs and looks, and keeps those asked for last.

    Args:
        shelf: The runs there are.
        limit: Most bytes that looks may keep, and models too; the last of each always stays.
    """

    def __init__(self, shelf: Shelf, limit: float | None = None) -> None:
        self.shelf = shelf
        free = free_memory(torch.device("cpu"))
        self.limit = SHARE_OF_MEMORY * free if limit is None else limit
        self.alone = Alone()
        self._lock = threading.Lock()
        self._opened: OrderedDict[Key, Opened] = OrderedDict()
        self._looks: OrderedDict[Key, Look] = OrderedDict()

    def open(self, name: str, step: int | None = None) -> Opened:
        """Return a run's model.

        Args:
            name: As the page names it.
            step: Which checkpoint; default: the last.

        Raises:
            MissingError: If there is no such run or checkpoint.
            UserError: If it is damaged.
        """
        known = self.shelf.find(name)
        return self._open(known, known.step(step))

    def look(self, run: str, step: int | None = None, text: str = "", change: str = "") -> "Look":
        """Return a look; nothing is computed yet.

        Args:
            run: As the page names it.
            step: Which checkpoint; default: the last.
            text: What the model reads; "": the text that a sample without a prompt starts from.
            change: The words of `changes.py`.

        Raises:
            MissingError: If there is no such run or checkpoint.
            UserError: If the text does not fit the model, or a word is no change.
        """
        known = self.shelf.find(run)
        chosen = known.step(step)
        changes = parse(change)
        key = run, chosen, known.stamp(chosen), text, changes.text
        with self._lock:
            if key in self._looks:
                self._looks.move_to_end(key)
                return self._looks[key]
        made = Look(self, key, self._open(known, chosen), text, changes)
        with self._lock:
            self._looks.setdefault(key, made)
            return self._looks[key]

    def trim(self, used: "Look | None" = None) -> None:
        """Forget the looks and models that were used longest ago, where they are too many.

        Args:
            used: A look that was just used.
        """
        with self._lock:
            if used is not None and self._looks.get(used.key) is used:
                self._looks.move_to_end(used.key)
            _trim(self._looks, self.limit)
            _trim(self._opened, self.limit)

    def end(self) -> None:
        """Let the thread of the models end."""
        self.alone.end()

    def _open(self, known: Known, step: int) -> Opened:
        key = known.name, step, known.stamp(step)

        def work() -> Opened:
            with self._lock:
                if key in self._opened:
                    self._opened.move_to_end(key)
                    return self._opened[key]
            made = opened(known, step)
            with self._lock:
                self._opened[key] = made
            return made

        with self._lock:
            if key in self._opened:
                return self._opened[key]
        found = self.alone.do(work)
        self.trim()
        return found


class Look:
    """One model on one text. What is asked for is computed once.

    Args:
        looks: Where it is kept.
        key: Under what.
        opened: The model.
        text: As in `Looks.look`.
        changes: As in `Looks.look`.

    Raises:
        UserError: If the text does not fit the model.
    """

    def __init__(self, looks: Looks, key: Key, opened: Opened, text: str, changes: Changes) -> None:
        self.looks = looks
        self.key = key
        self.opened = opened
        self.changes = changes
        ids = encoded(opened, text)
        most = opened.config.model.seq_size
        if len(ids) > most:
            raise UserError(f"text = {len(ids)} tokens: the model takes seq_size = {most} at most")
        self.idx = changes.tokens(torch.tensor([ids]))
        self.nbytes = 0
        """Memory of what is kept."""
        self._kept: dict[str, object] = {}

    @property
    def ids(self) -> list[int]:
        """The tokens that the model reads."""
        ids: list[int] = self.idx[0].tolist()
        return ids

    @property
    def targets(self) -> torch.Tensor | None:
        """The tokens that come next (1, T), nothing after the last; None for a single token."""
        if self.idx.size(1) == 1:
            return None
        end = torch.tensor([[IGNORED]])
        return torch.cat([self.idx[:, 1:], end], dim=1)

    def has(self, name: str) -> bool:
        """Tell whether something was computed."""
        return name in self._kept

    def kept(self, name: str, make: Callable[[nn.Module], Result]) -> Result:
        """Return what was computed under a name, or compute it.

        Args:
            name: Of the result.
            make: Computes it from the model, which is changed meanwhile.
        """
        if name not in self._kept:
            self.looks.alone.do(lambda: self._make(name, make))
            self.looks.trim(self)
        result: Result = self._kept[name]  # type: ignore[assignment]  # of the same `make`
        return result

    @property
    def trace(self) -> Trace:
        """Every value of the forward pass."""

        def make(model: nn.Module) -> Trace:
            trace = watch(model, self.idx, self.targets)
            return trace.labelled(self.opened.tokenizer.decode)

        return self.kept("trace", make)

    @property
    def backward(self) -> Backward:
        """The gradients of the loss on the text's own next tokens.

        Raises:
            UserError: If the text has one token alone, and so none to predict.
        """
        targets = self.targets
        if targets is None:
            raise UserError("text = 1 token: must be 2 at least, one to predict")
        return self.kept("backward", lambda model: backward(model, self.idx, targets))

    def value(self, module: str, name: str, occurrence: int = -1, of: Trace | None = None) -> Value:
        """Return a single value of the trace.

        Args:
            module: Dotted path, exactly.
            name: The variable, exactly.
            occurrence: Which of them, from 0; -1: the last.
            of: Another trace than this look's.

        Raises:
            MissingError: If there is none.
        """
        return value_of(self.trace if of is None else of, module, name, occurrence)

    def _make(self, name: str, make: Callable[[nn.Module], object]) -> None:
        if name not in self._kept:  # not made meanwhile, for another request
            model = self.opened.model
            with self.changes.made(model, self.idx):
                self._kept[name] = make(model)
            self.nbytes = self._size()  # once, as it takes a look at every value

    def _size(self) -> int:
        trace, back = self._kept.get("trace"), self._kept.get("backward")
        total = trace.nbytes if isinstance(trace, Trace) else 0
        if isinstance(back, Backward):
            found = (*back.gradients.values(), *back.of_values.values())
            total += back.trace.nbytes + sum(one.nbytes for one in found if one is not None)
        return total


def value_of(trace: Trace, module: str, name: str, occurrence: int = -1) -> Value:
    """Return a single value; arguments and errors as in `Look.value`."""
    inside = [value for value in trace.values if value.module == module]
    if not inside:
        raise MissingError(str(unknown("module", module, trace.modules)))
    named = [value for value in inside if value.name == name]
    if not named:
        choices = dict.fromkeys(value.name for value in inside)
        raise MissingError(str(unknown(f"value of module {module!r}", name, choices)))
    if occurrence >= len(named):
        raise MissingError(
            f"occurrence = {occurrence}: {module}:{name} was bound {len(named)} times; "
            f"allowed: 0 to {len(named) - 1}"
        )
    return named[occurrence]


def encoded(opened: Opened, text: str) -> list[int]:
    """Return a text's token ids, at least one.

    Raises:
        UserError: If the run does not know a character.
    """
    return opened.tokenizer.encode(text or opened.tokenizer.start)


def _trim(kept: "OrderedDict[Key, Look] | OrderedDict[Key, Opened]", most: float) -> None:
    """Forget what was asked for longest ago, but for the last."""
    sizes = {key: one.nbytes for key, one in kept.items()}
    while len(kept) > 1 and (sum(sizes.values()) > most or len(kept) > MOST_LOOKS):
        key, _ = kept.popitem(last=False)
        del sizes[key]
