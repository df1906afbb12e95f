"""Asynchronous jobs: what takes longer than somebody waits. Asked for as an answer is, polled or told of, kept for a day.

One job at a time is answered, in the order in which they came, between other requests. They survive a restart: one that ran
is begun again.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from kserve.protocol.dataplane import DataPlane
from pydantic import BaseModel
from starlette.responses import JSONResponse

from edgeship.serving.rest.host.failures import Busy, NotYet, Unknown
from edgeship.serving.rest.host.inference.model import UNHURRIED
from edgeship.serving.rest.host.inference.models import Models
from edgeship.serving.rest.host.jobs import store as job_store
from edgeship.serving.rest.host.jobs.callbacks import check_callback, tell_end
from edgeship.serving.rest.host.metrics import JOBS
from edgeship.serving.rest.host.protocol.payload import BINARY, LENGTH, read_request, write_response
from edgeship.serving.rest.plan import ServerSettings

T = TypeVar("T")
TIDY_SECONDS = 60.0
RETRY_SECONDS = 5.0  # after the file could not be written


class JobBody(BaseModel):  # type: ignore[misc]  # pydantic is not here when types are checked
    """A job: its state is queued, running, done, failed or cancelled."""

    id: str
    state: str
    model_name: str
    model_version: str | None = None
    created: float
    ended: float | None = None
    error: str = ""


class Jobs:
    """The queue of jobs and what is asked of it; `describe` tells what an error is to a client."""

    def __init__(
        self, models: Models, settings: ServerSettings, describe: Callable[[Exception], tuple[int, str]]
    ) -> None:
        self._models, self._hosts, self._describe = models, settings.callback_hosts, describe
        self._plane = DataPlane(model_registry=models)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._callers = ThreadPoolExecutor(4, thread_name_prefix="callbacks")
        self._store = job_store.JobStore(settings.jobs)
        self._new = asyncio.Event()
        self._running: tuple[str, asyncio.Task[Any]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Go on with what the last server left."""
        for work in (self._work(), self._tidy()):
            self._keep(work)

    async def close(self) -> None:
        """Leave the rest to the next server."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._ask(self._store.close)

    async def _ask(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """What a method of the store gives. Raises Busy where the file cannot be written, as on a full disk."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*arguments, **named))
        except sqlite3.Error as error:
            raise Busy(f"jobs cannot be kept at the moment ({error})") from error

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def submit(self, request: Request, model_name: str, model_version: str | None = None) -> Response:
        """A new job; what is wrong with it is told at once."""
        callback = request.query_params.get("callback", "")
        if callback:
            check_callback(callback, self._hosts)
        body, length = await request.body(), request.headers.get(LENGTH)
        self._models.find(model_name, model_version)
        read_request(body, length, model_name)
        job = await self._ask(self._store.add, model_name, model_version, body, length, callback)
        self._new.set()
        return JSONResponse(_show(job), 202, headers={"location": f"/v2/jobs/{job.id}"})

    async def show(self, job_id: str) -> Response:
        """How far it is."""
        return JSONResponse(_show(await self._find(job_id)))

    async def show_result(self, job_id: str) -> Response:
        """The answer, as the model would have given it at once."""
        job = await self._find(job_id)
        if job.state != job_store.DONE:
            raise NotYet(f"the job is {job.state}" + (f": {job.error}" if job.error else ""))
        body, length = await self._ask(self._store.response, job_id)
        if length is None:
            return Response(body, media_type="application/json")
        return Response(body, media_type=BINARY, headers={LENGTH: str(length)})

    async def cancel(self, job_id: str) -> Response:
        """Cancel one that has not ended; what it is then."""
        await self._find(job_id)
        await self._stop(job_id)
        return JSONResponse(_show(await self._find(job_id)))

    async def forget(self, job_id: str) -> Response:
        """Cancel one that has not ended, and keep nothing of it."""
        await self._find(job_id)
        await self._stop(job_id)
        job = await self._find(job_id)
        await self._ask(self._store.delete, job_id)
        return JSONResponse(_show(job))

    async def _stop(self, job_id: str) -> None:
        if await self._end(job_id, job_store.CANCELLED) and self._running and self._running[0] == job_id:
            self._running[1].cancel()

    async def _find(self, job_id: str) -> job_store.Job:
        job = await self._ask(self._store.find, job_id)
        if job is None:
            raise Unknown("no such job; those that ended are kept for a day")
        return job

    async def _end(self, job_id: str, state: str, **what: Any) -> bool:
        """Whether this ended it; its callback hears of it then."""
        if not await self._ask(self._store.end, job_id, state, **what):
            return False
        JOBS.labels(state).inc()
        job = await self._ask(self._store.find, job_id)
        if job and job.callback:
            self._keep(self._tell(job))
        return True

    async def _work(self) -> None:
        for job in await self._ask(self._store.untold):
            self._keep(self._tell(job))
        while True:
            try:
                await self._answer_next()
            except Busy as error:
                print(error, file=sys.stderr)
                await asyncio.sleep(RETRY_SECONDS)
                with contextlib.suppress(Busy):
                    await self._ask(self._store.requeue)

    async def _answer_next(self) -> None:
        """Answer the next job, or wait for one."""
        self._new.clear()
        found = await self._ask(self._store.begin_next)
        if found is None:
            await self._new.wait()
            return
        job, body, length = found
        task = asyncio.ensure_future(self._answer(job, body, length))
        self._running = (job.id, task)
        await asyncio.wait([task])
        self._running = None
        await self._finish(job, task)

    async def _answer(self, job: job_store.Job, body: bytes, length: str | None) -> tuple[bytes, int | None]:
        model = self._models.find(job.model, job.version)
        asked = read_request(body, length, job.model)
        response, _ = await self._plane.infer(model.plan.key, asked, UNHURRIED)
        return write_response(response, asked)

    async def _finish(self, job: job_store.Job, task: asyncio.Task[tuple[bytes, int | None]]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            body, length = task.result()
            await self._end(job.id, job_store.DONE, response=body, length=length)
        elif isinstance(error, Exception):
            await self._end(job.id, job_store.FAILED, error=self._describe(error)[1])

    async def _tell(self, job: job_store.Job) -> None:
        try:
            check_callback(job.callback, self._hosts)  # another server's owner may have allowed others
            await asyncio.get_running_loop().run_in_executor(self._callers, tell_end, job)
        except Exception as error:
            traceback.print_exception(error, file=sys.stderr)
        await self._ask(self._store.mark_told, job.id)

    async def _tidy(self) -> None:
        while True:
            with contextlib.suppress(Busy):
                await self._ask(self._store.forget_old)
            await asyncio.sleep(TIDY_SECONDS)


def _show(job: job_store.Job) -> dict[str, Any]:
    shown = {"id": job.id, "state": job.state, "model_name": job.model, "model_version": job.version}
    return {**shown, "created": job.created, "ended": job.ended, "error": job.error}


def add_jobs(
    app: FastAPI, jobs: Jobs, responses: Callable[..., dict[int | str, dict[str, Any]]], body: dict[str, Any]
) -> None:
    """The paths of jobs. `responses` describes errors by status, `body` what is asked."""

    async def submit(model_name: str, request: Request) -> Response:
        return await jobs.submit(request, model_name)

    async def submit_version(model_name: str, model_version: str, request: Request) -> Response:
        return await jobs.submit(request, model_name, model_version)

    callback = {"name": "callback", "in": "query", "required": False, "schema": {"type": "string"}}
    extra = {"requestBody": body, "parameters": [callback]}
    handlers: dict[str, Callable[..., Awaitable[Response]]] = {"": submit, "/versions/{model_version}": submit_version}
    for path, handler in handlers.items():
        app.add_api_route(
            f"/v2/models/{{model_name}}{path}/jobs", handler, methods=["POST"], response_model=None, status_code=202,
            responses={202: {"model": JobBody}, **responses(400, 404, 408, 413, 503)}, openapi_extra=extra,
        )  # fmt: skip
    shown: dict[int | str, dict[str, Any]] = {200: {"model": JobBody}, **responses(404)}
    app.add_api_route("/v2/jobs/{job_id}", jobs.show, response_model=None, responses=shown)
    app.add_api_route("/v2/jobs/{job_id}", jobs.forget, methods=["DELETE"], response_model=None, responses=shown)
    app.add_api_route("/v2/jobs/{job_id}/cancel", jobs.cancel, methods=["POST"], response_model=None, responses=shown)
    app.add_api_route("/v2/jobs/{job_id}/result", jobs.show_result, response_model=None, responses=responses(404, 409))
