"""`playattention learn`: the course. The learner writes each piece, and is told what went wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from playattention.commands import StoppedError
from playattention.errors import UserError, unknown

if TYPE_CHECKING:
    from playattention.course.folder import Folder
    from playattention.course.outcome import Outcome
    from playattention.course.outline import Outline

MOST_PRINTED_LINES = 20


@dataclass(frozen=True)
class Learn:
    """Build each piece of a Transformer yourself, and be told what went wrong.

    Without an action: the list of exercises, with what you have done.

      start N      put the exercise's file into exercises/; without N: the next one
      check N      check it; without N: the one started last
      watch        check each file as soon as it is saved, until Ctrl-C
      hint N       a hint, and the next one each time
      solution N   one way to write it, once yours is right, or with --give-up
      reset N      begin anew; what you wrote is kept beside it
      run          train your own GPT, made of your pieces

    N is an exercise's number or name. Exit code: 0 right, 1 not yet.
    """

    action: Annotated[Positional[str], arg(metavar="ACTION")] = "list"
    """What to do, see above."""
    exercise: Annotated[Positional[str | None], arg(metavar="N")] = None
    """Number or name of an exercise."""
    give_up: bool = False
    """Show a solution before yours is right."""
    steps: int = 500
    """For run: optimizer steps."""
    name: Annotated[str | None, arg(name="run")] = None
    """For run: name of the run, below logs/; default: own, time and device."""

    def run(self) -> None:
        """Do what is asked."""
        from playattention.course.folder import Folder

        if self.action not in ACTIONS:
            raise unknown("action of learn", self.action, ACTIONS)
        if self.exercise is not None and self.action in ("list", "watch", "run"):
            raise UserError(f"learn {self.action}: takes no exercise; allowed: leave it out")
        ACTIONS[self.action](self, Folder())

    def show(self, folder: "Folder") -> None:
        """Print all exercises, and how each stands."""
        from playattention.course.state import listing

        marks = {"not started": " ", "started": "-", "passed": "x", "changed since it passed": "~"}
        found = listing(folder)
        width = max(len(one["name"]) for one in found)
        for one in found:
            notes = [one["state"]] if one["state"] != "not started" else []
            notes += [f"{one['hints']} hints"] if one["hints"] else []
            notes += ["solution shown"] if one["shown"] else []
            told = f"  ({', '.join(notes)})" if notes else ""
            name = one["name"].ljust(width)
            print(f"{one['number']:>3} [{marks[one['state']]}] {name}  {one['title']}{told}")
        passed = sum(one["state"] == "passed" for one in found)
        print(f"\n{passed} of {len(found)} passed. {_go_on(folder)}")

    def start(self, folder: "Folder") -> None:
        """Put an exercise's file there."""
        from playattention.course import exercise
        from playattention.course.messages import fitted

        one = self._named() or folder.next()
        if one is None:
            raise UserError("learn start: every exercise has passed; allowed: one of them by name")
        new = folder.start(one)
        found = exercise(one.name)
        what = "is there now" if new else "was there already, and stays as it is"
        print(f"{folder.file(one)} {what}.\n\n{one.number}. {one.title}")
        print(fitted(found.goal.strip()))
        if found.follows:
            print(f"It follows {found.follows}.")
        print(f"\nTo read: {found.read}\nWrite in your editor, then: playattention learn check")

    def check(self, folder: "Folder") -> None:
        """Check an exercise, and say what went wrong.

        Raises:
            StoppedError: If it is not right yet.
        """
        from playattention.course.checking import check_file
        from playattention.course.sandbox import waiting

        one = self._named() or self._last(folder)
        source = folder.read(one)
        with waiting() as child:
            outcome = check_file(folder, one, child, source)
        _tell(folder, one, outcome)
        if not outcome.passed:
            raise StoppedError(
                f"{one.name}: not right yet; a hint: playattention learn hint {one.name}", 1
            )

    def watch(self, folder: "Folder") -> None:
        """Check each file as soon as it is saved, until Ctrl-C."""
        from playattention.course.watching import watch

        print(f"watching {folder.path}/: save a file, and it is checked. Ctrl-C ends it.\n")

        def told(one: "Outline", outcome: "Outcome") -> None:
            print("-" * 40, flush=True)
            _tell(folder, one, outcome)

        chosen = folder.chosen()
        there = chosen if chosen and folder.file(chosen).is_file() else None
        try:
            watch(folder, told, there)
        except KeyboardInterrupt:
            print("stopped watching; what you have done is kept")

    def hint(self, folder: "Folder") -> None:
        """Give the next hint; after the last one, all of them."""
        from playattention.course import exercise
        from playattention.course.messages import fitted

        one = self._named() or self._last(folder)
        hints = exercise(one.name).hints
        given = folder.progress().of(one.name).hints
        if given < len(hints):
            folder.note(one, hints=given + 1)
            print(fitted(f"{one.name}, hint {given + 1} of {len(hints)}: {hints[given]}"))
            return
        for number, hint in enumerate(hints, 1):
            print(fitted(f"{one.name}, hint {number} of {len(hints)}: {hint}"))
        print(f"There are no more: playattention learn solution {one.name} --give-up shows it.")

    def solution(self, folder: "Folder") -> None:
        """Show one way to write an exercise.

        Raises:
            UserError: If it has not passed, and is not given up.
        """
        from playattention.course import exercise

        one = self._named() or self._last(folder)
        passed = folder.progress().of(one.name).passed is not None
        if not passed and not self.give_up:
            raise UserError(
                f"solution of {one.name}: yours is not right yet; allowed: after a pass, or with "
                "--give-up"
            )
        if not passed:
            folder.note(one, shown=True)
        found = exercise(one.name)
        print(f"# One way to write it; {len(found.equivalents)} others are known to be as right.\n")
        print(found.solution, end="")

    def reset(self, folder: "Folder") -> None:
        """Begin an exercise anew."""
        one = self._named() or self._last(folder)
        backup = folder.reset(one)
        print(f"{folder.file(one)} is as it began; what you wrote is in {backup}")

    def train(self, folder: "Folder") -> None:
        """Train the learner's own GPT, and say what it is made of."""
        from playattention.course.assembled import assemble, create_own_run, settings
        from playattention.models.own import told
        from playattention.training import loop
        from playattention.training.folder import CODE

        self._check_pieces(folder)
        found = assemble(folder)
        print(f"yours: {', '.join(found.own) or 'nothing yet'}")
        print(
            f"from the course, as yours are not right yet: {', '.join(found.others) or 'nothing'}"
        )
        run = create_own_run(found, settings(self.steps), self.name)
        print(f"run folder: {run}", flush=True)
        try:
            loop.resume(run)
        except loop.TrainingStoppedError as stopped:
            raise StoppedError(str(stopped), exit_code=130) from None
        except loop.TrainingDivergedError as diverged:
            raise StoppedError(str(diverged), exit_code=1) from None
        except UserError:
            raise
        except Exception as error:  # it is the learner's code that runs
            raise StoppedError(f"{run / CODE}: {told(error, run / CODE)}", exit_code=1) from error
        print(
            f'\ntry next:\n  playattention generate {run.name} "Edmund?"\n'
            f'  playattention xray {run.name} "Edmund?"\n  playattention play {run.name}'
        )

    def _check_pieces(self, folder: "Folder") -> None:
        """Check the pieces that were changed, or never checked, since they may be right by now."""
        from playattention.course.assembled import needed
        from playattention.course.checking import check_file
        from playattention.course.outline import outline
        from playattention.course.sandbox import Child

        for piece in needed():
            one = outline(piece.name)
            known = folder.progress().of(one.name).passed
            if folder.state(one) != "not started" and (folder.state(one) != "passed" or not known):
                outcome = check_file(folder, one, Child())
                print(f"checked {one.name}: {'right' if outcome.passed else 'not yet'}", flush=True)

    def _named(self) -> "Outline | None":
        from playattention.course.outline import meant

        return None if self.exercise is None else meant(self.exercise)

    def _last(self, folder: "Folder") -> "Outline":
        chosen = folder.chosen()
        if chosen is None:
            raise UserError(
                f"learn {self.action}: which exercise? allowed: a number or a name that "
                "`playattention learn` lists"
            )
        return chosen


ACTIONS: dict[str, Callable[[Learn, "Folder"], None]] = {
    "list": Learn.show,
    "start": Learn.start,
    "check": Learn.check,
    "watch": Learn.watch,
    "hint": Learn.hint,
    "solution": Learn.solution,
    "reset": Learn.reset,
    "run": Learn.train,
}


def _tell(folder: "Folder", one: "Outline", outcome: "Outcome") -> None:
    """Print what came of a check."""
    from playattention.course.messages import prediction_text

    took = f"{outcome.seconds:.1f} s"
    if outcome.passed:
        print(f"{one.name}: right; all {outcome.of} properties hold ({took}).")
        for found in outcome.predictions:
            print(f"\n{prediction_text(found)}")
        print(_go_on(folder))
        return
    print(f"{one.name}: not yet ({took})\n", flush=True)
    if outcome.message is not None:
        print(outcome.message.text)
    lines = outcome.printed.splitlines()
    if lines:
        print("\nWhat your file printed meanwhile:")
        for line in lines[:MOST_PRINTED_LINES]:
            print(f"  {line[:200]}")
        if len(lines) > MOST_PRINTED_LINES:
            print("  ...")
    print(flush=True)


def _go_on(folder: "Folder") -> str:
    """Return what to do next, in a sentence."""
    one = folder.next()
    if one is None:
        return "All have passed: playattention learn run trains your own GPT."
    verb = "check" if folder.file(one).is_file() else "start"
    return f"Next: playattention learn {verb} {one.name}"
