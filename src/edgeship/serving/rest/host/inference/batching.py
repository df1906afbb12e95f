"""The queue before a model: requests that wait at the same moment are answered in one batch.

A request that comes alone is answered at once. While the model works, or others are on their way (their first bytes are here,
their body is not), requests wait, the latter at most for `batch_wait_ms`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from edgeship.data import Batch
from edgeship.light_dataclass import dataclass
from edgeship.serving.rest.host.failures import Busy
from edgeship.serving.rest.host.inference.engine import Engine, take
from edgeship.serving.rest.host.metrics import BATCH_SAMPLES, QUEUED

WAITING = 1024  # requests that may wait for one model


@dataclass(frozen=True)
class Waiting:
    """A request's prepared feeds of `count` samples; `form` is equal for those that one batch may hold."""

    feeds: Batch
    count: int
    form: tuple[object, ...]
    answer: asyncio.Future[Batch]


class Batcher:
    """Answers the requests of one engine, in the order in which they came; `arriving` tells how many are on their way."""

    def __init__(self, engine: Engine, wait_s: float, arriving: Callable[[], int]) -> None:
        self._engine, self._wait_s, self._arriving = engine, wait_s, arriving
        self._pending: deque[Waiting] = deque()
        self._busy = self._due = False
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._queued = QUEUED.labels(engine.plan.key)
        self._samples = BATCH_SAMPLES.labels(engine.plan.key)

    async def run(self, feeds: Batch) -> Batch:
        """The outputs for prepared feeds. Raises Busy where too many wait, and what the runtime raises."""
        if len(self._pending) >= WAITING:
            raise Busy(f"{self._engine.plan.name}: {WAITING} requests wait already; try again later")
        engine = self._engine
        count = len(feeds[min(engine.batched)]) if engine.batched else 1
        form = tuple((name, array.dtype.str, array.shape[1:]) for name, array in feeds.items())
        item = Waiting(feeds, count, form, asyncio.get_running_loop().create_future())
        self._pending.append(item)
        self._queued.inc()
        self._schedule()
        try:
            return await item.answer
        finally:
            self._queued.dec()

    def close(self) -> None:
        """End the thread; nobody asks any more."""
        self._thread.shutdown(wait=False)

    def _schedule(self) -> None:
        """Look at the queue when all that has arrived by now is in it."""
        if not self._busy and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self, waited: bool = False) -> None:
        """Answer what there is, or wait for more; whoever comes meanwhile has it looked at again."""
        if waited:
            self._timer = None
        else:
            self._due = False
        if self._busy or not self._pending:
            return
        if not waited and self._may_grow():
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._wait_s, self._look, True)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group = self._take_group()
        if not group:
            self._schedule()
        elif self._engine.is_fast(sum(item.count for item in group)):
            self._finish(group, self._compute(group))
            self._schedule()
        else:
            self._busy = True
            work = asyncio.get_running_loop().run_in_executor(self._thread, self._compute, group)
            work.add_done_callback(lambda done: self._finish_work(group, done))

    def _may_grow(self) -> bool:
        """Whether it pays to wait: there is room in the batch, and more are on their way."""
        room = sum(item.count for item in self._pending) < self._engine.batch
        return room and self._wait_s > 0 and self._arriving() > 0

    def _take_group(self) -> list[Waiting]:
        """The next requests that go together; those that nobody waits for any more are left out."""
        while self._pending and self._pending[0].answer.done():
            self._pending.popleft()
        if not self._pending:
            return []
        first = self._pending.popleft()
        group, total = [first], first.count
        limit = self._engine.fitting_size(total + sum(item.count for item in self._pending))
        while self._pending and total + self._pending[0].count <= limit and self._pending[0].form == first.form:
            item = self._pending.popleft()
            if not item.answer.done():
                group.append(item)
                total += item.count
        return group

    def _compute(self, group: list[Waiting]) -> list[Batch | Exception]:
        """The outputs of each request; where a batch fails each is tried alone, so that one fails for none but itself."""
        self._samples.observe(sum(item.count for item in group))
        if len(group) == 1:
            return [self._try(group[0])]
        joined = {name: np.concatenate([item.feeds[name] for item in group]) for name in group[0].feeds}
        try:
            outputs = self._engine.run(joined)
        except Exception:  # whatever the runtime raises
            return [self._try(item) for item in group]
        parts: list[Batch | Exception] = []
        start = 0
        for item in group:
            parts.append(take(outputs, start, start + item.count))
            start += item.count
        return parts

    def _try(self, item: Waiting) -> Batch | Exception:
        try:
            return self._engine.run(item.feeds)
        except Exception as error:  # whatever the runtime raises is this request's answer
            return error

    def _finish_work(self, group: list[Waiting], work: asyncio.Future[list[Batch | Exception]]) -> None:
        self._busy = False
        self._finish(group, work.result())
        self._schedule()

    @staticmethod
    def _finish(group: list[Waiting], results: list[Batch | Exception]) -> None:
        for item, result in zip(group, results, strict=True):
            if item.answer.done():  # its client went, or its time was up
                continue
            if isinstance(result, Exception):
                item.answer.set_exception(result)
            else:
                item.answer.set_result(result)
