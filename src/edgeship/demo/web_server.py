"""A small server for the demo: compressed, validated by digests, and with the headers that WebAssembly threads need."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import http.server
import ipaddress
import mimetypes
import socket
import socketserver
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import brotli

from edgeship.demo.page_settings import CONNECT
from edgeship.errors import InputError

TYPES = {
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".npz": "application/octet-stream",
    ".bin": "application/octet-stream",
}
HEADERS = {
    # Isolation from other origins is the browsers' condition for threads and for fine clocks.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The page's own policy (web-demo/index.html), which as a header also holds for its workers, and cannot be framed.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
# Seconds until a request must be there, from connecting or from the last answer; an answer may take as long and,
# besides, its bytes at this rate: a phone in another room is slow, too.
PATIENCE = 30.0
BYTES_PER_SECOND = 32 << 10
CONNECTIONS = 64
BROTLI_QUALITY, LARGE_QUALITY = 9, 5  # the latter takes a fifth of the time, for a twentieth more bytes
LARGE = 4 << 20
LOGGED = 1000  # answers that are kept


@functools.lru_cache(maxsize=256)
def _encode_file(path: Path, modified_ns: int, encoding: str) -> tuple[bytes, str]:
    """A file's bytes as they travel and its entity tag; `modified_ns` makes a new entry when the file is another."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}-{encoding}"'
    if encoding == "br":
        return brotli.compress(content, quality=BROTLI_QUALITY if len(content) < LARGE else LARGE_QUALITY), tag
    return (gzip.compress(content, 9) if encoding == "gzip" else content), tag


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer must not wait 40 ms for the acknowledgement of its header (Nagle's algorithm).
    disable_nagle_algorithm = True
    server_version = "edgeship"
    sys_version = ""
    site: Path
    mounts: Mapping[str, Path]
    reports: str
    server: Server

    def handle_one_request(self) -> None:
        self.server.expect(self.connection)
        super().handle_one_request()

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value.replace(CONNECT, f"{CONNECT} {self.reports}") if self.reports else value)
        super().end_headers()

    def do_GET(self) -> None:
        self._send_answer(body=True)

    def do_HEAD(self) -> None:
        self._send_answer(body=False)

    def _send_answer(self, *, body: bool) -> None:
        if not self.server.serves(self.headers.get("Host", "")):
            # The page of another site may have been led here.
            self.send_error(421, explain="Open it by its address or as localhost; --host NAME serves another name.")
            return
        path = self._requested_file()
        if path is None:
            self.send_error(404)
            return
        self.server.expect(self.connection, path.stat().st_size)  # the first time it is compressed
        accepted = {part.split(";")[0].strip() for part in self.headers.get("Accept-Encoding", "").split(",")}
        encoding = next((name for name in ("br", "gzip") if name in accepted), "identity")
        content, tag = _encode_file(path, path.stat().st_mtime_ns, encoding)
        is_cached = self.headers.get("If-None-Match") == tag
        self.send_response(304 if is_cached else 200)
        hashed = path.parent.name == "assets"
        headers = {
            "ETag": tag,
            "Vary": "Accept-Encoding",
            "Cache-Control": "max-age=31536000, immutable" if hashed else "no-cache",
            "Content-Type": TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        if not is_cached:
            headers["Content-Length"] = str(len(content))
            headers |= {} if encoding == "identity" else {"Content-Encoding": encoding}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body and not is_cached:
            # Before it goes out: who has got it may ask at once.
            self.server.record(urlsplit(self.path).path, len(content))
            self.server.expect(self.connection, len(content))
            self.wfile.write(content)

    def _requested_file(self) -> Path | None:
        """The file that is asked for; none outside the site and what is mounted in it, and no folder's listing."""
        place = unquote(urlsplit(self.path).path).lstrip("/")
        mounts = {f"{prefix}/": folder for prefix, folder in self.mounts.items()}
        prefix = next((prefix for prefix in mounts if place.startswith(prefix)), "")
        root = mounts.get(prefix, self.site)
        try:
            path = (root / place.removeprefix(prefix).lstrip("/")).resolve()
            path = (path / "index.html").resolve() if path.is_dir() else path
            return path if path.is_relative_to(root) and path.is_file() else None
        except (OSError, ValueError):  # a name that is too long, or with a character that no name has
            return None

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the command says where the page is, and the browser says what is missing."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves a folder until `shutdown`; `url` says where. Raises InputError where the port is taken.

    `mounts`: further folders by the place where they are served, as they are at each request. `reports`: the origin that the
    page may send reports to, beside its own.
    It answers to its own names only, so that no other site's page can be led to it (DNS rebinding); connections that
    take longer than `patience` seconds are ended, and there are at most `most` at once.
    """

    daemon_threads = True
    allow_reuse_address = True
    patience, most = PATIENCE, CONNECTIONS

    def __init__(
        self,
        site: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        mounts: Mapping[str, Path] | None = None,
        reports: str = "",
    ) -> None:
        self.log: deque[tuple[str, int]] = deque(maxlen=LOGGED)  # paths and bytes of the last bodies, as they travelled
        self.sent = 0  # bytes of all bodies, as they travelled
        self._recording = threading.Lock()
        self._ends: dict[socket.socket, float] = {}  # when an open connection's time is over
        self._names = {host.lower(), "localhost", socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}
        places = {prefix: folder.resolve() for prefix, folder in (mounts or {}).items()}
        handler = type("Handler", (_Handler,), {"site": site.resolve(), "mounts": places, "reports": reports})
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            raise InputError(f"{host}:{port} cannot be served on ({error.strerror}); choose another --port") from error

    def serves(self, host: str) -> bool:
        """Whether a Host header names this server: by one of its names, or by an address, which no name can be bound to."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._names:
                return True
            address, own = ipaddress.ip_address(name), ipaddress.ip_address(str(self.server_address[0]))
        except ValueError:
            return False
        return address.is_loopback or not own.is_loopback

    def expect(self, connection: socket.socket, size: int = 0) -> None:
        """Give a connection its time anew, for a request or for an answer of `size` bytes."""
        self._ends[connection] = time.monotonic() + self.patience + size / BYTES_PER_SECOND

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for another connection."""
        return len(self._ends) < self.most

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own, its time running."""
        self.expect(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._ends.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: end what takes too long; its thread meets the end of the stream."""
        super().service_actions()
        for connection, end in list(self._ends.items()):
            if time.monotonic() > end:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a file is nothing to report."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def record(self, path: str, size: int) -> None:
        """Keep what is about to be sent in `log` and `sent`."""
        with self._recording:
            self.log.append((path, size))
            self.sent += size

    @property
    def url(self) -> str:
        """The page's address on this machine."""
        host = str(self.server_address[0])
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{self.server_address[1]}/"  # noqa: S104  # asks
