"""The page's files, served from memory.

A page of eighty small modules is there four times sooner than when each is opened anew. Does not
know what is in them, nor who may ask (`guard.py`).
"""

import mimetypes
from hashlib import blake2b
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Stamp = tuple[int, int]


class PageFiles:
    """Answers with the files of a folder; nothing that is not there at the start has a path.

    Args:
        folder: With an index.html, and folders below it.
    """

    def __init__(self, folder: Path) -> None:
        files = (path for path in folder.rglob("*") if path.is_file())
        self._paths = {f"/{path.relative_to(folder).as_posix()}": path for path in files}
        self._paths["/"] = folder / "index.html"
        self._kept: dict[Path, tuple[Stamp, Response]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope)
        if request.method not in ("GET", "HEAD"):
            raise HTTPException(405)
        path = self._paths.get(scope["path"])
        if path is None or not path.is_file():
            raise HTTPException(404)
        answer = self._answer(path)
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            answer = Response(status_code=304, headers={"etag": answer.headers["etag"]})
        elif request.method == "HEAD":
            answer = Response(headers=dict(answer.headers))
        await answer(scope, receive, send)

    def _answer(self, path: Path) -> Response:
        """Return a file as an answer, read again where it has changed."""
        found = path.stat()
        stamp = found.st_mtime_ns, found.st_size
        kept = self._kept.get(path)
        if kept is None or kept[0] != stamp:
            content = path.read_bytes()
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            # On some systems the registry calls a module plain text, and browsers refuse it then.
            kind = "text/javascript" if path.suffix == ".js" else kind
            etag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
            kept = stamp, Response(content, media_type=kind, headers={"etag": etag})
            self._kept[path] = kept
        return kept[1]
