"""Ctrl-C that waits for the end of a step. Does not know what is stopped."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def stoppable(say: Callable[[str], None], *, alone: bool) -> Iterator[threading.Event]:
    """Let the first Ctrl-C or SIGTERM set an event; a second one does not wait.

    Outside the main thread, where Python takes no signals, nothing changes.

    Args:
        say: Tells the user that the signal was heard.
        alone: Whether this is the only process of the run. Of several each waits, whatever comes:
            torchrun sends a SIGTERM after the terminal's Ctrl-C.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: object) -> None:  # noqa: ARG001 - the form that signal wants
        asked.set()
        with suppress(SystemExit):  # of rich, where Ctrl-C has ended the reader of a pipe, too
            again = " (again: at once)" if alone else ""
            say(f"stopping once this step is done and saved{again}")
        if alone:
            signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
