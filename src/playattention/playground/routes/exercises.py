"""The course: which exercises there are, how each stands; start, check, hint."""

from playattention.playground.answers_exercises import ExerciseDetail, ExerciseList
from playattention.playground.requests import ExerciseBody, ExerciseName
from playattention.playground.routes import AskedLessons, group

router = group("exercises")


@router.get("/exercises")
def exercises(asked: AskedLessons) -> ExerciseList:
    """Return all exercises; while this is asked again and again, saved files are checked."""
    return asked.all()


@router.get("/exercises/{name}")
def one_exercise(asked: AskedLessons, name: ExerciseName) -> ExerciseDetail:
    """Return one exercise, with what the last check found."""
    return asked.one(name)


@router.post("/exercises/{name}/start")
def start_exercise(asked: AskedLessons, name: ExerciseName, _body: ExerciseBody) -> ExerciseDetail:
    """Put an exercise's file into the learner's folder; one that is there stays as it is."""
    return asked.start(name)


@router.post("/exercises/{name}/check")
def check_exercise(asked: AskedLessons, name: ExerciseName, _body: ExerciseBody) -> ExerciseDetail:
    """Check an exercise's file, and answer when it is done."""
    return asked.check(name)


@router.post("/exercises/{name}/hint")
def hint_exercise(asked: AskedLessons, name: ExerciseName, _body: ExerciseBody) -> ExerciseDetail:
    """Give one more hint."""
    return asked.hint(name)
