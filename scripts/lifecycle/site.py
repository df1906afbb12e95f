"""A web server of one folder, as a channel's static files need it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _QuietHandler(SimpleHTTPRequestHandler):
    """Connections stay open, and nothing is printed."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each file waits 40 ms for the acknowledgement of its header

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True


@contextlib.contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """The address of a folder's files on this machine, until the block ends."""
    server = _Server(("127.0.0.1", 0), functools.partial(_QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
