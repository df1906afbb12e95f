"""A small server for the demo: compressed, validated by digests, and with the headers that WebAssembly threads need."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import mimetypes
import socketserver
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import brotli

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
    "Vary": "Accept-Encoding",
}
BROTLI_QUALITY = 9


@functools.lru_cache(maxsize=256)
def _encoded(path: Path, changed: int, encoding: str) -> tuple[bytes, str]:
    """A file's bytes as they travel and its entity tag; `changed` makes a new entry when the file is another."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}-{encoding}"'
    if encoding == "br":
        return brotli.compress(content, quality=BROTLI_QUALITY), tag
    return (gzip.compress(content, 9) if encoding == "gzip" else content), tag


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Path

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = self._file()
        if path is None:
            self.send_error(404)
            return
        accepted = {part.split(";")[0].strip() for part in self.headers.get("Accept-Encoding", "").split(",")}
        encoding = next((name for name in ("br", "gzip") if name in accepted), "identity")
        content, tag = _encoded(path, path.stat().st_mtime_ns, encoding)
        known = self.headers.get("If-None-Match") == tag
        self.send_response(304 if known else 200)
        hashed = path.parent.name == "assets"
        headers = {
            **HEADERS,
            "ETag": tag,
            "Cache-Control": "max-age=31536000, immutable" if hashed else "no-cache",
            "Content-Type": TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        if not known:
            headers["Content-Length"] = str(len(content))
            headers |= {} if encoding == "identity" else {"Content-Encoding": encoding}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body and not known:
            # Before it goes out: who has got it may ask at once.
            self.server.log.append((self.path, len(content)))  # type: ignore[attr-defined]
            self.wfile.write(content)

    def _file(self) -> Path | None:
        """The file that is asked for; none outside the site, and no folder's listing."""
        wanted = (self.site / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        wanted = wanted / "index.html" if wanted.is_dir() else wanted
        return wanted if wanted.is_relative_to(self.site) and wanted.is_file() else None

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the command says where the page is, and the browser says what is missing."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves a folder until `shutdown`; `url` says where. Raises InputError where the port is taken."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, site: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.log: list[tuple[str, int]] = []  # paths and bytes of bodies, as they travelled
        handler = type("Handler", (_Handler,), {"site": site.resolve()})
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            raise InputError(f"{host}:{port} cannot be served on ({error.strerror}); choose another --port") from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a file is nothing to report."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def sent(self) -> int:
        """Bytes of all bodies, as they travelled."""
        return sum(size for _, size in self.log)

    @property
    def url(self) -> str:
        """The page's address on this machine."""
        host = str(self.server_address[0])
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{self.server_address[1]}/"
