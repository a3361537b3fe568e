"""Who may ask: this page alone, in a browser of this machine, or who has the token.

A server on 127.0.0.1 can be reached by any page that the browser has open; what such a page can't
do is read its answers, set headers of its own, or name itself as this origin. Does not know what
is asked.
"""

import hmac
import json
from collections.abc import Iterable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-playattention"
"""Of every request that changes something: a page of another origin can't set it unasked."""
COOKIE = "playattention"
"""And the port: of two servers of one machine, each has its own."""
MOST_BODY = 256 * 1024

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


class RefusedError(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, told: str) -> None:
        super().__init__(told)
        self.status = status


class Guard:
    """Answers 4xx to what this page would not ask, and gives every answer its security headers.

    Args:
        app: What is guarded.
        hosts: Names that a request's Host may have, without port; None: any, as with a token.
        token: What has to be known; None: nothing.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None, token: str | None) -> None:
        self.app = app
        self.hosts = None if hosts is None else {host.lower() for host in hosts}
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no other kind is served
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers[name] = value
                # Numbers change with a training; the page's files are asked for anew each time.
                own = "no-store" if scope["path"].startswith("/api/") else "no-cache"
                headers.setdefault("cache-control", own)
            await send(message)

        try:
            headers = Headers(scope=scope)
            if "\0" in scope["path"]:  # no file has such a name, and not every server asks first
                raise RefusedError(404, "path: must not have a zero in it")
            self._check_origin(scope, headers)
            if self._brings_token(scope):
                await _redirect(secured, _cookie(scope), str(self.token))
                return
            self._check_token(scope, headers)
            length = headers.get("content-length", "0")
            if not length.isdecimal() or int(length) > MOST_BODY:
                raise _too_large()
            await self.app(scope, _limited(receive), secured)
        except RefusedError as refused:
            await _answer(secured, refused)

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Check that the request goes to this machine and comes from its own page."""
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            raise RefusedError(403, f"Host {host[:100]!r}: not served here")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}".lower():
            raise RefusedError(403, f"Origin {origin[:100]!r}: only the page itself may ask")
        site, reads = headers.get("sec-fetch-site"), scope["method"] in ("GET", "HEAD")
        opens = reads and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in (None, "same-origin", "none") and not opens:
            raise RefusedError(403, f"Sec-Fetch-Site {site[:100]!r}: only the page itself may ask")
        if not reads and HEADER not in headers:
            raise RefusedError(403, "header X-Playattention: is missing; allowed: 1")

    def _brings_token(self, scope: Scope) -> bool:
        """Tell whether the page is opened with the right token in its URL."""
        if self.token is None or scope["path"] != "/":
            return False
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return any(_same(given, self.token) for given in query.get("token", []))

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        if self.token is None:
            return
        cookies = SimpleCookie()
        with suppress(CookieError):
            cookies.load(headers.get("cookie", ""))
        found = cookies.get(_cookie(scope))
        if found is None or not _same(found.value, self.token):
            raise RefusedError(403, "token: is missing or wrong; open the URL that was printed")


def _name(host: str) -> str:
    """Return a Host header's name without its port; "" if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _cookie(scope: Scope) -> str:
    _, port = scope["server"] or ("", 0)
    return f"{COOKIE}_{port}"


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _too_large() -> RefusedError:
    return RefusedError(413, f"body: must be {MOST_BODY:,} bytes at most")


def _limited(receive: Receive) -> Receive:
    """Count what is received, whatever its headers said."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_BODY:
            raise _too_large()
        return message

    return counted


async def _redirect(send: Send, name: str, token: str) -> None:
    """Send the browser to the page without the token, which a cookie keeps from now on."""
    # Lax: the page may be opened by a link; what else it asks, it asks of its own origin.
    cookie = f"{name}={token}; HttpOnly; SameSite=Lax; Path=/"
    headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _answer(send: Send, refused: RefusedError) -> None:
    body = json.dumps({"error": str(refused)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
