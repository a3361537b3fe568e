"""Trainings: started, followed, stopped, resumed."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Query

from playattention.errors import UserError
from playattention.playground.answers import Error
from playattention.playground.answers_training import (
    Job,
    JobDetail,
    LogRow,
    RecipeEntry,
    Sample,
)
from playattention.playground.records import lines_of
from playattention.playground.requests import (
    JobBody,
    JobName,
    ResumeBody,
    SinceQuery,
    StopBody,
)
from playattention.playground.routes import AskedJobs, group
from playattention.playground.settings import recipes
from playattention.training.checkpoint import saved_steps
from playattention.training.report import read_log, read_samples
from playattention.training.run import LOGS, read_facts

router = group("training")

BUSY: dict[int | str, dict[str, object]] = {
    409: {"model": Error, "description": "Another training is running"}
}


@router.get("/recipes")
def all_recipes() -> list[RecipeEntry]:
    """Return what can be trained, and with which settings."""
    return recipes()


@router.post("/jobs", status_code=201, responses=BUSY)
def start(asked: AskedJobs, body: JobBody) -> Job:
    """Start a training, which goes on when the page is closed."""
    return Job(**asdict(asked.start(body.recipe, body.name, body.settings)))


@router.get("/jobs")
def jobs(asked: AskedJobs) -> list[Job]:
    """Return the trainings that were started here, the newest first."""
    return [Job(**asdict(state)) for state in asked.all()]


@router.get("/jobs/{name}")
def job(asked: AskedJobs, name: JobName, query: Annotated[SinceQuery, Query()]) -> JobDetail:
    """Return how far a training has come; of its log, what is new."""
    state = asked.state(name)  # before the log: what is written later comes with the next answer
    rows = read_log(LOGS / name)
    reset = query.since > len(rows)
    return JobDetail(
        **asdict(state),
        since=len(rows),
        reset=reset,
        rows=[LogRow(**asdict(row)) for row in rows[0 if reset else query.since :]],
        samples=[Sample(step=at, text=text) for at, text in read_samples(LOGS / name).items()],
        steps=saved_steps(LOGS / name),
        floor=_floor(name),
        log=lines_of(name),
    )


@router.post("/jobs/{name}/stop", responses=BUSY)
def stop(asked: AskedJobs, name: JobName, _body: StopBody) -> Job:
    """Ask a training to end once its step is done and saved."""
    return Job(**asdict(asked.stop(name)))


@router.post("/jobs/{name}/resume", responses=BUSY)
def resume(asked: AskedJobs, name: JobName, body: ResumeBody) -> Job:
    """Let a run go on."""
    return Job(**asdict(asked.resume(name, body.steps)))


def _floor(name: str) -> float | None:
    try:
        return read_facts(LOGS / name).floor
    except UserError:  # not laid out yet
        return None
