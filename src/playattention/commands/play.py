"""`playattention play`: the playground page, in the browser."""

import os
import socket
import sys
import threading
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from tyro.conf import Positional, arg

from playattention.errors import UserError

if TYPE_CHECKING:
    from playattention.playground.looks import Looks

HERE = "127.0.0.1"
PORT = 8765
TRIED_PORTS = 20
SECONDS_TO_END = 1.5
"""From Ctrl-C to the end, whatever is being computed."""


@dataclass(frozen=True)
class Play:
    """Open the playground: train, look inside, change things and see."""

    name: Annotated[Positional[str | None], arg(metavar="RUN")] = None
    """The run that the page begins with, its name below logs/ or a path; default: the newest."""
    browser: bool = True
    """Open it in the browser."""
    port: int | None = None
    """Where it listens, 0: any free port; default: 8765, or the next free one."""
    host: str = HERE
    """Address of this machine to listen at. Other than 127.0.0.1, who asks needs a token."""

    def run(self) -> None:
        """Serve the page until Ctrl-C."""
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise UserError(f"port = {self.port}: must be 0 to 65535; 0 takes any free one")
        with _listening(self.host, self.port) as listener:
            print("starting the playground ...", flush=True)
            self._serve(listener)

    def _serve(self, listener: socket.socket) -> None:
        """Answer until Ctrl-C."""
        import secrets

        import torch
        import uvicorn

        from playattention.data.fineweb_edu import cores
        from playattention.playground.server import LOCAL, create_app

        # Small sums are no faster in more threads, and much slower where a training has the rest.
        torch.set_num_threads(max(1, cores() // 2))

        local = self.host in LOCAL
        token = None if local else secrets.token_urlsafe(24)
        app = create_app(self.name, hosts=LOCAL if local else None, token=token)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        url = _url(self.host, listener.getsockname()[1], token)
        print(f"{url}\nCtrl-C ends it; trainings go on", flush=True)
        if self.browser:
            # Away from this thread: a browser in the terminal would hold it.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        threading.Thread(target=_warm, args=(app.state.looks,), daemon=True).start()
        # In a thread, so that Ctrl-C ends it even while a model computes.
        serving = threading.Thread(target=server.run, args=([listener],), daemon=True)
        serving.start()
        try:
            while serving.is_alive():
                serving.join(3600)  # with a time: Windows hears Ctrl-C in no other wait
        except KeyboardInterrupt:
            server.should_exit = True
            app.state.lessons.end()  # a file that is being checked may loop for ever
            _end(serving)


def _listening(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens; without a port of the user's, at the first that is free."""
    ports = [*range(PORT, PORT + TRIED_PORTS), 0] if port is None else [port]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    told = ""
    for tried in ports:
        # By its protocol asyncio knows that small answers need not wait for others (TCP_NODELAY).
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name != "nt":  # there it would let two servers take the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, tried))
            listener.listen(128)
        except OSError as error:  # also a name that no address is known for
            listener.close()
            told = error.strerror or str(error)
            continue
        return listener
    asked = "host" if port is None else "port"
    value = host if port is None else port
    raise UserError(f"{asked} = {value}: can't listen at {host} ({told}); allowed: another {asked}")


def _warm(looks: "Looks") -> None:
    """Look at what the page will ask for first: what torch loads for it, it loads by then."""
    from playattention.playground.runs import entries
    from playattention.playground.texts import examples

    with suppress(UserError):  # the page will be told
        run = entries(looks.shelf)[0].name
        first = examples(looks.open(run))[0]
        assert looks.look(run, text=first.text).trace


def _url(host: str, port: int, token: str | None) -> str:
    """Return what is opened in a browser."""
    # A server that listens everywhere is asked by a name of this machine.
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{shown}]" if ":" in shown else shown
    return f"http://{name}:{port}/" + ("" if token is None else f"?token={quote(token)}")


def _end(serving: threading.Thread) -> None:
    """Let the server answer what it can, then end, whatever a model computes."""
    serving.join(SECONDS_TO_END)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # Python's own end would wait for threads, or abort in the middle of torch's work
