"""The course as a list that JSON can carry: what the page shows, asked again and again.

Reads small files alone; nothing is run, and torch is not imported. Does not know HTTP.
"""

from typing import Any

from playattention.course.folder import Folder
from playattention.course.outline import Outline, outlines
from playattention.course.progress import fingerprint


def listing(folder: Folder) -> list[dict[str, Any]]:
    """Return all exercises, in the order of the course, with how each stands.

    Args:
        folder: The learner's.

    Returns:
        For each: "number", "name", "title"; "state": "not started", "started", "passed" or
        "changed since it passed"; "file": its path, or None while there is none; "hints": how many
        were asked for; "shown": whether the solution was shown before a pass; "last": whether it
        was started last; "verdict": what the last check found, as `sandbox.Outcome` with
        "message" by its four parts, "got" and "wanted" as in `wording.picture`, and "current":
        whether the file still holds what was checked; None: it was not checked.
    """
    progress = folder.progress()
    found = []
    for one in outlines():
        state = folder.state(one, progress)
        done = progress.of(one.name)
        found.append(
            {
                "number": one.number,
                "name": one.name,
                "title": one.title,
                "state": state,
                "file": None if state == "not started" else folder.file(one).as_posix(),
                "hints": done.hints,
                "shown": done.shown,
                "last": progress.last == one.name,
                "verdict": None if state == "not started" else _verdict(folder, one),
            }
        )
    return found


def _verdict(folder: Folder, one: Outline) -> dict[str, Any] | None:
    kept = folder.kept(one)
    if kept is None:
        return None
    try:
        content = fingerprint(folder.file(one).read_bytes())
    except OSError:  # it vanished meanwhile
        return None
    checked = kept.pop("of_content", "")
    return {**kept, "current": checked == content}
