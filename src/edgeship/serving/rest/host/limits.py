"""What is looked at before a request is: its key, its size, and how long its body takes to arrive."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import orjson

from edgeship.serving.rest.host.failures import Busy, NotAllowed, Refused, TooLarge, TooSlow
from edgeship.serving.rest.host.metrics import REFUSED
from edgeship.serving.rest.plan import ServerSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")
BUFFERED_BODIES = 8  # of the largest size, that may be on their way at once
DRAINED_BYTES = 256 << 20  # that are read, and forgotten, of a body that is too large, so that its client hears why


class ClientLeft(Exception):
    """The connection ended before the request did."""


class Arrivals:
    """The requests that are on their way: their first bytes are here. `count` are those that came just now."""

    def __init__(self, recent_s: float) -> None:
        self._recent_s = recent_s
        self._starts: dict[int, float] = {}
        self._numbers = itertools.count()
        self.buffered = 0  # bytes of bodies that are not whole yet

    def begin(self) -> int:
        """A request has begun; the number that ends it."""
        number = next(self._numbers)
        self._starts[number] = time.monotonic()
        return number

    def end(self, number: int) -> None:
        """It is whole, or its client has gone."""
        self._starts.pop(number, None)

    def count(self) -> int:
        """1 where a request began within the last `recent_s` and is not whole yet: a slow one holds nobody up for longer."""
        newest = next(reversed(self._starts.values()), 0.0)
        return int(time.monotonic() - newest < self._recent_s)


class Body:
    """The body of a request, as it comes."""

    def __init__(self, receive: Receive, headers: dict[bytes, bytes]) -> None:
        self._receive = receive
        text = headers.get(b"content-length", b"0")
        self.declared = int(text) if text.isdigit() else 0
        self.is_held_back = b"expect" in headers  # until the first of it is asked for
        self.ended = False

    async def read_part(self) -> bytes:
        """The next part; `ended` is true with the last one. Raises ClientLeft."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self.ended = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part

    async def drain(self, seconds: float) -> None:
        """Read the rest and forget it, within limits: its client does not listen before it has sent all."""
        left = DRAINED_BYTES
        with contextlib.suppress(TimeoutError, ClientLeft):
            async with asyncio.timeout(seconds):
                while left > 0 and not self.ended and not self.is_held_back:
                    left -= len(await self.read_part())


class Gate:
    """The ASGI application `app` behind these checks. What is refused gets the protocol's form of an error."""

    def __init__(self, app: Any, settings: ServerSettings, arrivals: Arrivals) -> None:
        self._app, self._settings, self._arrivals = app, settings, arrivals

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value for name, value in scope["headers"]}
        incoming = Body(receive, headers)
        try:
            if scope["path"] not in OPEN_PATHS:
                check_key(_sent_key(headers), self._settings.api_keys)
            body = await self._read(incoming) if scope["method"] in ("POST", "PUT", "PATCH") else None
        except ClientLeft:
            return
        except Refused as error:
            if not isinstance(error, TooSlow):
                await incoming.drain(self._settings.timeout_s)
            await refuse(send, error, close=True)
            return
        if body is None:
            await self._app(scope, receive, send)
            return
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def read_again() -> Message:
            return parts.pop() if parts else await receive()

        await self._app(scope, read_again, send)

    async def _read(self, incoming: Body) -> bytes:
        """The whole body. Raises TooLarge, TooSlow, Busy, and ClientLeft."""
        most = self._settings.max_body_bytes
        if incoming.declared > most:
            raise TooLarge(f"a body of {incoming.declared:,} bytes; at most {most:,} are taken")
        number, parts, size = self._arrivals.begin(), [], 0
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                while not incoming.ended:
                    incoming.is_held_back = False
                    part = await incoming.read_part()
                    size += len(part)
                    self._arrivals.buffered += len(part)
                    parts.append(part)
                    if size > most:
                        raise TooLarge(f"a body of more than {most:,} bytes, which is the most that is taken")
                    if self._arrivals.buffered > BUFFERED_BODIES * most:
                        raise Busy("too many large bodies are on their way; try again later")
            return parts[0] if len(parts) == 1 else b"".join(parts)
        except TimeoutError as error:
            raise TooSlow(f"the body did not arrive within {self._settings.timeout_s:g} s") from error
        finally:
            self._arrivals.buffered -= size
            self._arrivals.end(number)


def check_key(sent: str, keys: Iterable[str]) -> None:
    """Raise NotAllowed unless there are no keys, or this is one; in the same time for all that are none."""
    known = list(keys)
    if known and not any([hmac.compare_digest(sent.encode(), key.encode()) for key in known]):
        raise NotAllowed("this server needs a key: Authorization: Bearer KEY")


def _sent_key(headers: dict[bytes, bytes]) -> str:
    value = headers.get(b"authorization", b"").decode("latin-1")
    return value[7:].strip() if value[:7].lower() == "bearer " else headers.get(b"x-api-key", b"").decode("latin-1")


async def refuse(send: Send, error: Refused, *, close: bool = False) -> None:
    """Answer with the protocol's form of an error."""
    REFUSED.labels(str(error.status)).inc()
    body = orjson.dumps({"error": str(error)})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if close:  # what is left of the body would be taken for the next request
        headers.append((b"connection", b"close"))
    if error.status == NotAllowed.status:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
