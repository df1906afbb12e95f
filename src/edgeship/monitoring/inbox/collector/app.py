"""The server as an ASGI application: POST /reports, GET /health, GET /metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.arrival import Arrival, RefusedReport, check_report
from edgeship.monitoring.inbox.bundles import BundleSources
from edgeship.monitoring.inbox.collector.known import KnownBundles
from edgeship.monitoring.inbox.collector.metrics import render_metrics
from edgeship.monitoring.inbox.collector.rate_limit import RateLimit
from edgeship.monitoring.inbox.collector.request import Answer, Receive, RefusedRequestError, Send, read_body
from edgeship.monitoring.inbox.collector.sample_desk import SampleDesk
from edgeship.monitoring.inbox.collector.writer import Writer
from edgeship.monitoring.inbox.database import StoreError
from edgeship.monitoring.inbox.inbox import Inbox

PATHS = {"/reports": ("POST", "OPTIONS"), "/health": ("GET", "HEAD"), "/metrics": ("GET",)}
SAMPLE_PATHS = {"/samples": ("POST", "OPTIONS"), "/samples/wanted": ("GET",)}
FLUSH_SECONDS = 10.0  # between writes of what was refused
STATUS = {"new": 201, "duplicate": 200}
CONFLICT = "another report of this key has other content; neither of them is counted"
RETRY = ((b"retry-after", b"60"),)
PREFLIGHT = (
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type, content-encoding, idempotency-key"),
    (b"access-control-max-age", b"86400"),
)


@dataclass(frozen=True)
class CollectorSettings:
    """Which pages may send (`origins`), how many requests a second an address, and the clock that says when a report arrived.

    `samples`: what takes samples for audits; None: none are taken.
    """

    origins: frozenset[str] = frozenset()
    rate: float = 20.0
    clock: Callable[[], float] = time.time
    samples: SampleDesk | None = None


class CollectorApp:
    """Takes reports into an inbox. It belongs to one event loop, and the inbox to it as long as it runs."""

    def __init__(self, inbox: Inbox, sources: BundleSources, settings: CollectorSettings) -> None:
        self._inbox, self._settings = inbox, settings
        self._known = KnownBundles(inbox, sources)
        self._limit = RateLimit(settings.rate)
        self._writer = Writer(inbox)
        self._paths = PATHS | (SAMPLE_PATHS if settings.samples else {})
        self.requests: Counter[int] = Counter()
        self.results: Counter[str] = Counter()

    def close(self) -> None:
        """Let another process take samples into the folder."""
        if self._settings.samples:
            self._settings.samples.close()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer by ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        flushing = asyncio.create_task(self._flush_now_and_then())
        await receive()
        flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flushing
        await self._writer.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._writer.refused.total():
                await self._writer.flush()

    async def _answer(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        more: tuple[tuple[bytes, bytes], ...] = ()
        if origin in self._settings.origins:
            more = ((b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"origin"))
        try:
            answer = await self._route(scope, headers, receive)
        except RefusedRequestError as error:
            answer = error.answer
        self.requests[answer.status] += 1
        await answer.send(send, more)

    async def _route(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], receive: Receive) -> Answer:
        path, method = scope["path"], scope["method"]
        if path not in self._paths:
            raise RefusedRequestError(404, f"there is nothing here; reports go to {next(iter(PATHS))}")
        if method not in self._paths[path]:
            allowed = ", ".join(self._paths[path])
            raise RefusedRequestError(405, f"only {allowed} is answered here", headers=((b"allow", allowed.encode()),))
        if path == "/metrics":
            desk = self._settings.samples
            return Answer(
                200, render_metrics(self.requests, self.results, self._writer, desk.results if desk else None)
            )
        if path == "/health":
            return await self._check_health()
        self._check_origin(headers)
        if method == "OPTIONS":
            return Answer(204, "", PREFLIGHT)
        self._check_rate(scope)
        if self._settings.samples and path in SAMPLE_PATHS:
            return await self._answer_on_samples(self._settings.samples, scope, headers, receive)
        return await self._take(headers, await read_body(headers, receive))

    async def _answer_on_samples(
        self, desk: SampleDesk, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], receive: Receive
    ) -> Answer:
        if scope["method"] == "POST":
            return await desk.take(headers, receive, int(self._settings.clock()))
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("profile", [""])[0]
        if asked and not desk.knows(asked) and await self._known.look_again(self._writer):
            desk.learn(self._known.found)
        return desk.tell_wanted()

    def _check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """A page names its origin itself, and no page can name another."""
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") not in self._settings.origins:
            raise RefusedRequestError(403, "reports of pages of this origin are not taken", "origin")

    def _check_rate(self, scope: Mapping[str, Any]) -> None:
        address = (scope.get("client") or ("unknown",))[0]
        if wait := self._limit.take(address, time.monotonic()):
            seconds = b"%d" % (int(wait) + 1)
            raise RefusedRequestError(429, "too many reports of one address", "rate", ((b"retry-after", seconds),))

    async def _check_health(self) -> Answer:
        try:
            await self._writer.add(None)
        except StoreError:
            return Answer(503, {"status": "the inbox cannot be written"}, RETRY)
        return Answer(200, {"status": "ok", "profiles": len(self._known.by_profile)})

    async def _take(self, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        try:
            arrival = await self._check(body)
            named = headers.get(b"idempotency-key")
            if named is not None and named.decode("latin-1").strip(' "') != arrival.key:
                raise RefusedReport("invalid", "the Idempotency-Key is not that of the report")
        except RefusedReport as error:
            self._writer.refused[error.reason] += 1
            self.results[error.reason] += 1
            raise RefusedRequestError(422, str(error), error.reason) from error
        try:
            result = await self._writer.add(arrival)
        except StoreError as error:
            raise RefusedRequestError(
                503, "the inbox cannot be written now; send it again later", "store", RETRY
            ) from error
        self.results[str(result)] += 1
        if result == "conflict":
            raise RefusedRequestError(409, CONFLICT, "conflict")
        return Answer(STATUS[str(result)], {"result": result, "late": arrival.late})

    async def _check(self, body: bytes) -> Arrival:
        received = int(self._settings.clock())
        try:
            return check_report(body.strip(), self._known.by_profile, received)
        except RefusedReport as error:
            if error.reason != "unknown" or not await self._known.look_again(self._writer):
                raise
        return check_report(body.strip(), self._known.by_profile, received)
