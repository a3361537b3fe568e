"""One thread in which all models run, one after the other.

A watch must have its model for itself, and torch would start threads of its own for each thread
that asks. Does not know what is computed.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class Alone:
    """Does one thing at a time."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._waiting = queue.SimpleQueue()
        # A daemon: Ctrl-C need not wait for a model.
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], Result]) -> Result:
        """Do something once what was asked for earlier is done, and return what it returns.

        Args:
            work: What it raises is raised here; it may call `do` and `let_others` itself.
        """
        if threading.current_thread() is self._thread:
            return work()
        future: Future[Result] = Future()
        self._waiting.put((future, work))
        return future.result()

    def let_others(self) -> None:
        """In the middle of something long, do what waits; no model may be changed just now."""
        while not self._waiting.empty() and self._next():
            pass

    def end(self) -> None:
        """Let the thread end once what waits is done."""
        self._waiting.put(None)

    def _work(self) -> None:
        while self._next():
            pass

    def _next(self) -> bool:
        """Do what has waited longest; tell whether there may be more."""
        task = self._waiting.get()
        if task is None:
            self._waiting.put(None)  # for the loop, if this was in the middle of something
            return False
        future, work = task
        try:
            future.set_result(work())
        except BaseException as error:  # whoever asked is told
            future.set_exception(error)
        return True
