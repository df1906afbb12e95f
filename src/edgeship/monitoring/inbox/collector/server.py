"""The server on uvicorn: one process, one event loop, and one thread that writes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import uvicorn

from edgeship.errors import InputError
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.processes.sockets import BACKLOG
from edgeship.untrusted import printable

MOST_CONNECTIONS = 2000


class Collector:
    """A server that takes reports: `url`, `serve()` until `stop()`, which any thread may call; a context manager.

    `listening`: a socket of that host; socket, inbox and the app's samples are the server's from now on.
    """

    def __init__(self, inbox: Inbox, app: Any, host: str, listening: socket.socket) -> None:
        self._inbox, self._app, self._socket = inbox, app, listening
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{listening.getsockname()[1]}"
        self._server = _make_server(app)

    def serve(self) -> None:
        """Answer until `stop`: then what was begun is still answered, and all that was taken is written."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Let `serve` end."""
        self._server.should_exit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._app.close()
        self._inbox.close()


def _make_server(app: Any) -> Any:
    class Server(uvicorn.Server):  # type: ignore[misc]
        """Signals are the command line's."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            app, lifespan="on", ws="none", access_log=False, log_config=None, log_level="warning", server_header=False,
            limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=30, timeout_keep_alive=30, backlog=BACKLOG,
        )
    )  # fmt: skip


def parse_origin(text: str) -> str:
    """An origin as browsers name it, `https://shop.example`. Raises InputError where it is none."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    default = {"http": 80, "https": 443}
    if (
        not host
        or parts.scheme not in default
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or "@" in text
        or "*" in text
    ):
        raise InputError(f"--origin {printable(text)[:100]}: must be the origin of pages, as https://shop.example")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port and port != default[parts.scheme] else "")
