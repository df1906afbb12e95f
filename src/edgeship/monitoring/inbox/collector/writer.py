"""Writes reports of many requests in one transaction: each is answered when its own is on the disk, not before."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from edgeship.monitoring.inbox.arrival import Arrival
from edgeship.monitoring.inbox.database import StoreError
from edgeship.monitoring.inbox.inbox import Inbox, Result

T = TypeVar("T")
MOST_WAITING, BATCH = 5000, 1000
LOG = logging.getLogger("edgeship.monitor")


class Writer:
    """The only one that uses the inbox, in a thread of its own. Made and used inside of a running event loop."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._thread = ThreadPoolExecutor(1, "edgeship-inbox")
        self._waiting: list[tuple[Arrival | None, asyncio.Future[Result | None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self.refused: Counter[str] = Counter()  # not written yet
        self.failures = 0

    @property
    def waiting(self) -> int:
        """How many wait to be written."""
        return len(self._waiting)

    async def add(self, arrival: Arrival | None) -> Result | None:
        """What became of a report; None: only try whether the inbox can be written. Raises StoreError where it cannot."""
        if len(self._waiting) >= MOST_WAITING:
            raise StoreError(f"{MOST_WAITING:,} reports wait to be written")
        future: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, future))
        if self._task is None:
            self._task = asyncio.create_task(self._write_all())
        return await future

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            arrivals = [arrival for arrival, _ in batch if arrival is not None]
            refused, self.refused = self.refused, Counter()
            try:
                if len(arrivals) < len(batch):
                    await self.run(self._inbox.check_writable)
                results = iter(await self.run(partial(self._inbox.add, arrivals, refused)))
            except Exception as error:
                self.refused += refused
                self._fail(error, [future for _, future in batch])
                continue
            self._failing = False
            for arrival, future in batch:
                _answer(future, None if arrival is None else next(results))
        self._task = None

    def _fail(self, error: Exception, futures: list[asyncio.Future[Result | None]]) -> None:
        self.failures += 1
        if not self._failing:  # once, not with each of the requests that follow
            LOG.error("reports cannot be written: %s", error, exc_info=not isinstance(error, StoreError))
        self._failing = True
        for future in futures:
            if not future.done():
                future.set_exception(error if isinstance(error, StoreError) else StoreError(str(error)))

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, in the thread of the inbox."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def flush(self) -> None:
        """Write what was refused, after all that waits."""
        try:
            await self.add(None)
        except StoreError:
            return

    async def close(self) -> None:
        """Write what waits, and end the thread."""
        await self.flush()
        self._thread.shutdown()


def _answer(future: asyncio.Future[Result | None], result: Result | None) -> None:
    if not future.done():  # who asked may have gone
        future.set_result(result)
