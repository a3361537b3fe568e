"""The routes below /api: a router for each group of the page's questions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from playattention.playground.answers import Error
from playattention.playground.jobs import Jobs
from playattention.playground.lessons import Lessons
from playattention.playground.looks import Looks

ERRORS: dict[int | str, dict[str, object]] = {
    400: {"model": Error, "description": "A value that does not fit"},
    403: {"model": Error, "description": "Not asked by this page"},
    404: {"model": Error, "description": "No such run, checkpoint, value, exercise"},
    422: {"model": Error, "description": "A key that is missing, unknown, or of the wrong form"},
}
"""What every route may answer."""


def _looks(request: Request) -> Looks:
    found: Looks = request.app.state.looks
    return found


def _jobs(request: Request) -> Jobs:
    found: Jobs = request.app.state.jobs
    return found


def _lessons(request: Request) -> Lessons:
    found: Lessons = request.app.state.lessons
    return found


Asked = Annotated[Looks, Depends(_looks)]
"""What answers questions about models."""
AskedJobs = Annotated[Jobs, Depends(_jobs)]
"""What answers questions about trainings."""
AskedLessons = Annotated[Lessons, Depends(_lessons)]
"""What answers questions about the course."""


def group(name: str) -> APIRouter:
    """Return a router for one group of routes.

    Args:
        name: Of the group, as OpenAPI shows it.
    """
    return APIRouter(prefix="/api", tags=[name], responses=ERRORS)
