"""The server of the runner page, on this machine's own address only: its files, the model's, and the binary messages.

It answers nobody but the browser that holds its token, as a cookie, and no page but its own: other users of this machine
reach the port, and pages in their browsers do. COOP and COEP isolate the page, which gives it threads and a clock of 5
microseconds instead of 100.
"""

from __future__ import annotations

import hmac
import http.cookies
import http.server
import queue
import secrets
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from edgeship.processes import wire

TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json",
    ".wasm": "application/wasm",
}  # fmt: skip
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Nothing is loaded from elsewhere and nothing is sent there.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; "
    "worker-src 'self' blob:; connect-src 'self' blob: data:; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
}
COOKIE = "edgeship"


class Server:
    """Serves `page` at `/` and, once set, the folder of `model` at `/model/`; a context manager.

    `requests` holds what the page is to fetch from `/request`, which waits for one; `answers` what it posted to `/answer`.
    `token` is what the browser shows in the cookie of the name `COOKIE`.
    """

    def __init__(self, page: Path) -> None:
        self.page = page.resolve()
        self.token = secrets.token_urlsafe(32)
        self.model: Path | None = None
        self.requests: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[tuple[dict[str, Any], wire.Arrays]] = queue.SimpleQueue()
        server = self

        class Bound(_Handler):
            owner = server

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def open_model(self, path: Path) -> str:
        """The address at which the page finds a model file, or the `model.json` of a folder; its shards lie beside it."""
        self.model = path.resolve() if path.is_file() else path.resolve() / "model.json"
        return f"{self.url}/model/{self.model.name}"

    def find(self, path: str) -> Path | None:
        """The file of an address, or None; nothing outside the two folders is served."""
        name = unquote(urlsplit(path).path).removeprefix("/")
        root = self.page
        if name.startswith("model/") and self.model:
            root, name = self.model.parent, name.removeprefix("model/")
        try:
            file = (root / (name or "index.html")).resolve()
            return file if file.is_file() and file.is_relative_to(root) else None
        except (OSError, ValueError):  # a name that is too long, or with a character that no name has
            return None

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"
    # Small answers must not wait for the acknowledgement of the header before them (Nagle's algorithm).
    disable_nagle_algorithm = True
    wbufsize = -1

    def _is_own_request(self) -> bool:
        """Whether the browser that we started asks, for our own page. What does not is refused, and its connection ended."""
        cookies = http.cookies.SimpleCookie()
        try:
            cookies.load(self.headers.get("Cookie", ""))
        except http.cookies.CookieError:
            cookies.clear()
        token = cookies[COOKIE].value if COOKIE in cookies else ""
        ours = (
            hmac.compare_digest(token.encode(), self.owner.token.encode())
            and self.headers.get("Host") == urlsplit(self.owner.url).netloc
            and self.headers.get("Origin", "" if self.command == "POST" else self.owner.url) == self.owner.url
        )
        if not ours:
            self.close_connection = True
            self._send_answer(403, "text/plain", b"not for you")
        return ours

    def do_GET(self) -> None:
        if not self._is_own_request():
            return
        if self.path == "/request":
            self._send_answer(200, "application/octet-stream", self.owner.requests.get())
            return
        path = self.owner.find(self.path)
        if path is None:
            self._send_answer(404, "text/plain", b"no such file")
        else:
            self._send_answer(200, TYPES.get(path.suffix, "application/octet-stream"), path.read_bytes())

    def do_POST(self) -> None:
        if not self._is_own_request():
            return
        try:
            answer = wire.receive(self.rfile)
        except Exception as error:  # most of all one that does not fit into memory: who waits for it must hear of it
            answer = {"error": {"type": type(error).__name__, "message": str(error)}}, {}
        self.owner.answers.put(answer)
        self._send_answer(204, "text/plain", b"")

    def _send_answer(self, status: int, kind: str, body: bytes | memoryview) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **ISOLATION}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the worker's log is for what goes wrong."""
