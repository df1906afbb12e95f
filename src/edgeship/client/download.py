"""Downloads for TUF: each within a deadline of all of them, however slowly a server trickles, headers too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError, SSLError

from edgeship.client.timed_sockets import TimedSocket, Timer

CHUNK_BYTES, MEMORY_BYTES, ERROR_PAGE_BYTES = 1 << 16, 1 << 20, 1 << 16
RETRIES = urllib3.Retry(total=4, connect=1, read=1, redirect=3, status=0, other=0)


def _timed(base: Any, timer: Timer) -> Any:
    class Timed(base):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            self.sock = TimedSocket(self.sock, timer)  # type: ignore[has-type]

    return Timed


def _make_pools(proxy: str | None, timer: Timer) -> urllib3.PoolManager:
    manager = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()

    class Plain(urllib3.HTTPConnectionPool):
        ConnectionCls = _timed(HTTPConnection, timer)

    class Secure(urllib3.HTTPSConnectionPool):
        ConnectionCls = _timed(HTTPSConnection, timer)

    manager.pool_classes_by_scheme = {"http": Plain, "https": Secure}
    return manager


class DeadlineFetcher(FetcherInterface):
    """Fetches for a TUF updater. `received_bytes` counts bodies; `folder`: where a download lies that is not verified yet."""

    def __init__(self, folder: Path, timer: Timer) -> None:
        self.received_bytes = 0
        self._folder, self._timer = folder, timer
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        """The body in pieces. Raises DownloadHTTPError for any answer but 200, and DownloadError where there is none."""
        with _as_download_error(url):
            response = self._pools_for(url).request(
                "GET",
                url,
                preload_content=False,
                decode_content=False,
                retries=RETRIES,
                timeout=urllib3.Timeout(self._timer.remaining()),
            )
            if response.status != 200:
                _drop(response)
                raise DownloadHTTPError(f"{_shown(url)}: the server answered {response.status}", response.status)
        return self._read(url, response)

    def _read(self, url: str, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            while True:
                with _as_download_error(url):
                    chunk = response.read1(CHUNK_BYTES, decode_content=False)  # type: ignore[attr-defined]
                if not chunk:
                    break
                self.received_bytes += len(chunk)
                yield chunk
            response.release_conn()
        finally:
            response.close()  # what was not read to its end is no connection to use again

    def _pools_for(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxies = getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all")
        if proxy and proxy_bypass(parts.hostname or ""):
            proxy = None
        if proxy not in self._pools:
            self._pools[proxy] = _make_pools(proxy, self._timer)
        return self._pools[proxy]

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """A file with the body, in `folder` where it is large: /tmp may be small. Raises as `_fetch`, and for more bytes."""
        with tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(self._folder)) as file:
            for chunk in self.fetch(url):
                if file.tell() + len(chunk) > max_length:
                    raise DownloadLengthMismatchError(
                        f"{_shown(url)}: more than the {max_length:,} bytes that it may have"
                    )
                file.write(chunk)
            file.seek(0)
            yield file  # type: ignore[misc]


@contextmanager
def _as_download_error(url: str) -> Iterator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) if isinstance(error, urllib3.exceptions.MaxRetryError) else error
        if isinstance(reason, (TimeoutError, urllib3.exceptions.TimeoutError)) and not isinstance(
            reason, NewConnectionError
        ):
            raise SlowRetrievalError(f"{_shown(url)}: the server is too slow") from error
        detail = str(reason)[:150] if isinstance(reason, SSLError) else type(reason).__name__
        raise DownloadError(f"{_shown(url)}: no connection ({detail})") from error


def _drop(response: urllib3.BaseHTTPResponse) -> None:
    """Read the page of an error, so that the connection can be used again; a long one is not read."""
    left = ERROR_PAGE_BYTES
    while left > 0 and (chunk := response.read1(left, decode_content=False)):  # type: ignore[attr-defined]
        left -= len(chunk)
    if left > 0:
        response.release_conn()
    else:
        response.close()


def _shown(url: str) -> str:
    """Host and last part of an address, without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.hostname}: {os.path.basename(parts.path)[-40:]}"
