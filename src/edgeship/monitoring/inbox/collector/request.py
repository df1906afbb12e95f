"""The body of a request, of bearable size and in bearable time, and what is answered."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.reports.read import MOST_BYTES

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
SECONDS = 10  # for a body to arrive
CLOSE = ((b"connection", b"close"),)


@dataclass(frozen=True)
class Answer:
    """A status, a JSON value or text, and headers."""

    status: int
    content: Mapping[str, Any] | str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send, more: tuple[tuple[bytes, bytes], ...]) -> None:
        """Send it by ASGI, with `more` headers."""
        is_text = isinstance(self.content, str)
        body = str(self.content).encode() if is_text else json.dumps(self.content).encode()
        kind = b"text/plain; version=0.0.4; charset=utf-8" if is_text else b"application/json"
        if self.status == 204:
            body, head = b"", []
        else:
            head = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": self.status, "headers": [*head, *self.headers, *more]})
        await send({"type": "http.response.body", "body": body})


class RefusedRequestError(Exception):
    """A request that is answered with an error; `answer` says which."""

    def __init__(
        self, status: int, error: str, reason: str = "request", headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(error)
        self.answer = Answer(status, {"error": error, "reason": reason}, headers)


@dataclass(frozen=True)
class BodyLimit:
    """How many bytes of `what` are taken, packed or unpacked."""

    what: str = "report"
    most_bytes: int = MOST_BYTES

    def error(self) -> RefusedRequestError:
        """What is answered where there are more."""
        return RefusedRequestError(413, f"the {self.what} is larger than {self.most_bytes:,} bytes", headers=CLOSE)


REPORT = BodyLimit()


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: BodyLimit = REPORT) -> bytes:
    """The content of a request, unpacked where it is packed by gzip.

    Raises RefusedRequestError for one that is too large, slow, broken off, or packed otherwise.
    """
    packing = headers.get(b"content-encoding", b"identity").strip().lower()
    if packing not in (b"identity", b"gzip"):
        raise RefusedRequestError(415, f"the {limit.what} must be packed by gzip or not at all")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:12]) > limit.most_bytes:
        raise limit.error()
    try:
        async with asyncio.timeout(SECONDS):
            body = await _receive_all(receive, limit)
    except TimeoutError as error:
        raise RefusedRequestError(408, f"the {limit.what} did not arrive within {SECONDS} s", headers=CLOSE) from error
    return _unpack(body, limit) if packing == b"gzip" else body


async def _receive_all(receive: Receive, limit: BodyLimit) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedRequestError(400, "the request broke off")
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit.most_bytes:
            raise limit.error()
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _unpack(body: bytes, limit: BodyLimit) -> bytes:
    unpacking = zlib.decompressobj(31)
    try:
        content = unpacking.decompress(body, limit.most_bytes + 1)
    except zlib.error as error:
        raise RefusedRequestError(400, f"the {limit.what} is not valid gzip") from error
    if len(content) > limit.most_bytes:
        raise limit.error()
    if not unpacking.eof or unpacking.unused_data:
        raise RefusedRequestError(400, f"the {limit.what} is not valid gzip")
    return content
