"""Checks each exercise as soon as its file is saved.

Files are looked at again and again, which works on every system and with every editor. A process
that has imported torch waits for the next save; each check still has one of its own. Does not know
what is printed.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from playattention.course.checking import check_file
from playattention.course.folder import Folder
from playattention.course.outcome import Outcome
from playattention.course.outline import Outline, outlines
from playattention.course.sandbox import CancelledError, Child

TICK = 0.1
"""Seconds between two looks at the files."""
SPARE = 2
"""Processes that wait: a second save soon after the first need not wait for torch."""

Stamp = tuple[int, int, int]


def watch(
    folder: Folder,
    told: Callable[[Outline, Outcome], None],
    first: Outline | None = None,
    *,
    wanted: Callable[[], bool] = lambda: True,
    asked: Callable[[], list[Outline]] = list,
    begun: Callable[[], Child] = Child,
) -> None:
    """Check what is saved until Ctrl-C; a save during a check begins it anew.

    Args:
        folder: The learner's.
        told: Called with what came of each check.
        first: Checked at once, unsaved.
        wanted: Asked now and then whether to go on; a check that runs is given up, too.
        asked: Returns what is to be checked though it was not saved.
        begun: Makes a process that waits for a file.
    """
    waiting: list[Child] = []
    known = _stamps(folder)
    due = [] if first is None else [first]
    try:
        _begin(waiting, 1, begun)
        while wanted():
            if not due:
                time.sleep(TICK)
                known, due = _changed(folder, known)
                due += [one for one in asked() if one not in due]
                continue
            one = due.pop(0)
            outcome = _checked(folder, one, waiting.pop(0) if waiting else begun(), wanted)
            if outcome is not None:
                told(one, outcome)
            _begin(waiting, SPARE, begun)
            known, more = _changed(folder, known)
            due = [*(other for other in due if other not in more), *more]
    finally:
        for child in waiting:
            child.end()


def _begin(waiting: list[Child], size: int, begun: Callable[[], Child]) -> None:
    """Start processes that wait; Ctrl-C waits too, until they are known to who ends them."""
    block = os.name != "nt"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if block else set()
    try:
        while len(waiting) < size:
            waiting.append(begun())
    finally:
        if block:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _checked(
    folder: Folder, one: Outline, child: Child, wanted: Callable[[], bool]
) -> Outcome | None:
    """Return what came of a check; None: it is not wanted, or the file changed or is gone."""
    path = folder.file(one)
    try:
        stamp, source = _stamp(path), path.read_bytes()
    except OSError:
        child.end()
        return None
    try:
        return check_file(
            folder,
            one,
            child,
            source,
            lambda: not wanted() or _stamp(path) not in (stamp, None),
        )
    except CancelledError:
        return None


def _changed(folder: Folder, known: dict[str, Stamp]) -> tuple[dict[str, Stamp], list[Outline]]:
    """Return how the files are now, and which are new or hold something else."""
    now = _stamps(folder)
    changed = [
        one for one in outlines() if one.name in now and now[one.name] != known.get(one.name)
    ]
    # An editor may empty a file before it fills it: it is looked at again once it has settled.
    settled = [one for one in changed if _settled(folder.file(one), now[one.name])]
    names = {one.name for one in settled}
    seen = {name: stamp for name, stamp in now.items() if name in names or known.get(name) == stamp}
    return seen | {name: known[name] for name in known if name in now and name not in seen}, settled


def _settled(path: Path, stamp: Stamp) -> bool:
    time.sleep(TICK / 2)
    return _stamp(path) == stamp


def _stamps(folder: Folder) -> dict[str, Stamp]:
    found = {one.name: _stamp(folder.file(one)) for one in outlines()}
    return {name: stamp for name, stamp in found.items() if stamp is not None}


def _stamp(path: Path) -> Stamp | None:
    """Return what another content of a file would have otherwise; None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
