"""The page for labelling, on this machine only."""

from __future__ import annotations

import http.server
import json
import secrets
import socketserver
import threading
from importlib.resources import files
from typing import Any, Self
from urllib.parse import urlsplit

from edgeship.errors import EdgeshipError, InputError
from edgeship.learning.labels.label_session import LabelSession
from edgeship.types import to_json

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
PAGE = {
    "/": ("label.html", "text/html"),
    "/label.js": ("label.js", "text/javascript"),
    "/label.css": ("label.css", "text/css"),
}
MOST_BODY = 1 << 16
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TOKEN = "@@token@@"  # in the page: what its requests carry, so that no other site's page can send any  # noqa: S105


class LabelServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves the page of a session until `stop`; `url` says where. A context manager.

    It answers to this machine's own names only, so that no other site's page can be led to it. Raises InputError where the port
    is taken.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, session: LabelSession, port: int = 0) -> None:
        self.session, self.token = session, secrets.token_hex(16)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InputError(f"{HOST}:{port} cannot be served on ({error.strerror}); choose another --port") from error

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def serve(self) -> None:
        """Serve until `stop`, or Ctrl-C."""
        self.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.server_close()

    def start(self) -> threading.Thread:
        """Serve in a thread."""
        thread = threading.Thread(target=self.serve, daemon=True)
        thread.start()
        return thread


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer must not wait 40 ms for the acknowledgement of its header (Nagle's algorithm).
    disable_nagle_algorithm = True
    server_version = "edgeship"
    sys_version = ""
    timeout = 60
    server: LabelServer

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if not self._is_for_us():
            return
        if path == "/state":
            self._answer_state()
        elif path in PAGE:
            name, kind = PAGE[path]
            text = files("edgeship.learning.labels").joinpath(name).read_text(encoding="utf-8")
            self._send(200, kind, text.replace(TOKEN, self.server.token))
        else:
            self._send(404, "text/plain", "there is no such page")

    def do_POST(self) -> None:
        if not self._is_for_us():
            return
        size = self.headers.get("Content-Length", "")
        if not size.isdigit() or int(size) > MOST_BODY:
            self.close_connection = True
            self._send(413, "text/plain", "too long")
            return
        body = self.rfile.read(int(size))
        if not secrets.compare_digest(self.headers.get("X-Label-Token", "").encode(), self.server.token.encode()):
            self._send(403, "text/plain", "reload the page")
            return
        try:
            self._obey(urlsplit(self.path).path, json.loads(body or b"{}"))
            self._answer_state()
        except EdgeshipError as error:
            self._send(400, "text/plain", str(error))
        except (ValueError, KeyError, TypeError):
            self._send(400, "text/plain", "not understood")

    def _obey(self, path: str, content: dict[str, Any]) -> None:
        session = self.server.session
        if path == "/label":
            session.give(str(content["sample"]), str(content["label"]))
        elif path == "/later":
            session.leave(str(content["sample"]))
        elif path == "/undo":
            session.take_back()
        else:
            raise KeyError(path)

    def _answer_state(self) -> None:
        try:
            text = json.dumps(to_json(self.server.session.state), allow_nan=False)
        except EdgeshipError as error:
            self._send(500, "text/plain", str(error))
            return
        self._send(200, "application/json", text)

    def _is_for_us(self) -> bool:
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            name = None
        if name not in NAMES:
            self.close_connection = True
            self._send(421, "text/plain", "open the page by its address")
        return name in NAMES

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the command says where the page is."""
