"""One check, from the file in the learner's folder to what is remembered of it.

Does not know what a check prints, nor how the file is run.
"""

from collections.abc import Callable

from playattention.course.folder import Folder
from playattention.course.outcome import Outcome
from playattention.course.outline import Outline
from playattention.course.progress import fingerprint
from playattention.course.sandbox import Child


def check_file(
    folder: Folder,
    one: Outline,
    child: Child,
    source: bytes | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Check an exercise's file, write down a pass, and keep what was found for the page.

    Args:
        folder: The learner's.
        one: The exercise.
        child: The process to run the file in.
        source: What the file holds, if it was read already.
        cancelled: Asked now and then whether the check is still wanted.

    Raises:
        UserError: If the file is not there.
        CancelledError: If the check is no longer wanted.
    """
    try:
        if source is None:
            source = folder.read(one)
        outcome = child.check(one.name, folder.file(one), source, cancelled)
    finally:
        child.end()
    if outcome.passed:
        folder.note(one, started=True, passed=fingerprint(source))
    folder.keep(one, source, outcome.state())
    return outcome
