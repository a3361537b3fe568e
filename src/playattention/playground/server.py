"""The playground's server: the page's files, and what the page asks.

Does not know how anything is computed (`looks.py`, `routes/`), nor who starts it.
"""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from playattention import __version__
from playattention.errors import UserError
from playattention.playground.guard import Guard
from playattention.playground.jobs import BusyError, Jobs
from playattention.playground.lessons import Lessons
from playattention.playground.looks import Looks
from playattention.playground.opened import MissingError, Shelf
from playattention.playground.page_files import PageFiles
from playattention.playground.routes import (
    exercises,
    learning,
    looking,
    predicting,
    shelf,
    training,
    writing,
)

PAGE = Path(__file__).parent / "page"
LOCAL = ("127.0.0.1", "localhost", "::1")
"""Names of this machine to itself."""


def create_app(
    run: str | None = None,
    *,
    hosts: Iterable[str] | None = LOCAL,
    token: str | None = None,
    limit: float | None = None,
) -> FastAPI:
    """Return the application.

    Args:
        run: A run that the page begins with: its name below `logs/`, or a path; default: the
            newest.
        hosts: Names by which the server may be asked; None: any, for which there must be a token.
        token: What a browser has to know; None: nothing.
        limit: As in `Looks`.

    Raises:
        UserError: If there is no such run.
    """
    if hosts is None and token is None:
        raise ValueError("any host may ask: there must be a token")
    looks, lessons = Looks(Shelf(run), limit), Lessons()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        lessons.end()
        looks.end()

    app = FastAPI(
        title="playattention's playground",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page would come from another machine
        redoc_url=None,
        lifespan=lifespan,
        # Where its surroundings ask for it, FastAPI would tell another machine what is asked here.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.looks, app.state.jobs, app.state.lessons = looks, Jobs(), lessons
    for part in (shelf, looking, predicting, learning, writing, training, exercises):
        app.include_router(part.router)
    _tell_errors(app)
    app.add_api_route("/plotly.js", plotly, include_in_schema=False)
    app.mount("/", PageFiles(PAGE))
    app.add_middleware(Guard, hosts=hosts, token=token)
    return app


def plotly() -> Response:
    """Return plotly.js out of the wheel of that name, which the training view alone asks for."""
    wheel = find_spec("plotly")  # found, not imported: that takes a second
    if wheel is None or wheel.origin is None:
        raise MissingError("plotly: is not installed; pip install plotly")
    file = Path(wheel.origin).parent / "package_data" / "plotly.min.js"
    # It changes with the wheel alone, and is megabytes.
    return FileResponse(
        file, media_type="text/javascript", headers={"cache-control": "max-age=86400"}
    )


def _tell_errors(app: FastAPI) -> None:
    """Let every error be told in one line."""

    def told(status: int, message: str) -> JSONResponse:
        return JSONResponse({"error": " ".join(message.split())}, status)

    @app.exception_handler(UserError)
    def user_error(_: Request, error: UserError) -> JSONResponse:
        known = {MissingError: 404, BusyError: 409}
        return told(known.get(type(error), 400), str(error))

    @app.exception_handler(RequestValidationError)
    def wrong_form(_: Request, error: RequestValidationError) -> JSONResponse:
        return told(422, "; ".join(_words(detail) for detail in error.errors()[:5]))

    @app.exception_handler(HTTPException)
    def http_error(_: Request, error: HTTPException) -> JSONResponse:
        return told(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    def own_fault(request: Request, error: Exception) -> JSONResponse:
        logging.getLogger("playattention").exception("%s", request.url.path, exc_info=error)
        return told(500, f"{type(error).__name__}: a mistake of playattention's, not yours")


def _words(detail: dict[str, object]) -> str:
    """Return what is wrong with a key, in one line."""
    place = detail["loc"]
    field = ".".join(map(str, place[1:])) if isinstance(place, tuple) else ""
    message = str(detail["msg"])
    given = ascii(detail.get("input"))
    value = f" = {given[:60]}" if detail["type"] not in ("missing", "json_invalid") else ""
    return f"{field or 'request'}{value}: {message[:1].lower()}{message[1:]}"
