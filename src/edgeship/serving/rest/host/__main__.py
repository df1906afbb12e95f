"""The server: told on standard input what to serve, telling on standard output what became of it, a JSON value a line.

====================================  =================================================================================
the first line in                     settings, models
`do: load` (models, id, answers)      `event: loaded` (models, error), once those are served or cannot be
`do: refuse` (answers, error)         the end of a reload that was asked for over HTTP
end of input                          what is being answered is answered, then the server ends
====================================  =================================================================================

Further lines out: `event: ready` (port, grpc_port, models) or `failed` (error); `event: reload` (id), asked for over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import sys
import threading
from typing import Any

import uvicorn

from edgeship.errors import EdgeshipError
from edgeship.processes.sockets import open_socket
from edgeship.serving.rest.host.app import build_app, describe_error
from edgeship.serving.rest.host.failures import ModelFailed
from edgeship.serving.rest.host.grpc_service import start_grpc
from edgeship.serving.rest.host.inference.model import ServedModel
from edgeship.serving.rest.host.inference.models import Models
from edgeship.serving.rest.host.jobs.jobs import Jobs
from edgeship.serving.rest.host.limits import Arrivals, Gate
from edgeship.serving.rest.host.metrics import RELOADS
from edgeship.serving.rest.plan import ModelPlan, ServerSettings
from edgeship.typed_json import convert

GRACE_SECONDS = 30
CONNECTIONS = 2000
SWITCH_SECONDS = 0.001  # a thread that has an answer need not wait 5 ms for the one that reads requests


class Control:
    """The parent: what it says, and what it is told."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # whatever else prints goes to the log
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[list[str]]] = {}

    def tell(self, event: str, **fields: Any) -> None:
        """One line to the parent, if it is still there."""
        with contextlib.suppress(OSError):
            print(json.dumps({"event": event, **fields}), file=self._out, flush=True)

    async def ask_reload(self) -> list[str]:
        """Have the parent look again at what is to be served; the versions that are then. Raises ModelFailed where it cannot."""
        number = next(self._numbers)
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self.tell("reload", id=number)
        return await answer

    def answer(self, number: int | None, models: list[str], error: str = "") -> None:
        """The end of a reload."""
        answer = self._asked.pop(number, None) if number else None
        if answer is None or answer.done():
            return
        if error:
            answer.set_exception(ModelFailed(f"nothing was changed: {error}"))
        else:
            answer.set_result(models)


class Host:
    """The running server."""

    def __init__(self, control: Control, settings: ServerSettings) -> None:
        self._control, self._settings = control, settings
        self._arrivals = Arrivals(settings.batch_wait_ms / 1000)
        self._models = Models(settings, self._arrivals.count)
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, plans: list[ModelPlan]) -> None:
        """Load, listen, and answer until the parent closes its end."""
        settings = self._settings
        place = open_socket(settings.host, settings.port, "--port")
        loaded = await self._models.load(plans)
        reload = self._control.ask_reload if settings.api_keys else None
        jobs = Jobs(self._models, settings, describe_error) if settings.jobs else None
        app = Gate(build_app(self._models, reload, jobs), settings, self._arrivals)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=GRACE_SECONDS,
            limit_concurrency=CONNECTIONS, server_header=False, timeout_keep_alive=65,
        )  # fmt: skip
        server = uvicorn.Server(config)
        remote, grpc_port = (None, None) if settings.grpc_port is None else await start_grpc(self._models, settings)
        threading.Thread(target=self._read_lines, args=(asyncio.get_running_loop(), server), daemon=True).start()
        ports = {"port": place.getsockname()[1], "grpc_port": grpc_port}
        if jobs is not None:
            jobs.start()
        self._control.tell("ready", **ports, models=[_describe(model) for model in loaded])
        await server.serve(sockets=[place])
        if jobs is not None:
            await jobs.close()
        if remote is not None:
            await remote.stop(GRACE_SECONDS)

    def _read_lines(self, loop: asyncio.AbstractEventLoop, server: uvicorn.Server) -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(self._obey, json.loads(line))
        server.should_exit = True

    def _obey(self, message: dict[str, Any]) -> None:
        if message["do"] == "refuse":
            RELOADS.labels("refused").inc()
            self._control.answer(message.get("answers"), [], message["error"])
            return
        task = asyncio.ensure_future(self._reload(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self, message: dict[str, Any]) -> None:
        described: list[dict[str, Any]] = []
        async with self._turn:
            try:
                loaded = await self._models.load([convert(ModelPlan, item) for item in message["models"]])
                error, described = "", [_describe(model) for model in loaded]
            except Exception as problem:  # whatever it is, what was served before still is
                error = str(problem) or type(problem).__name__
        RELOADS.labels("failed" if error else "loaded").inc()
        self._control.answer(message.get("answers"), [item["key"] for item in described], error)
        self._control.tell("loaded", models=described, error=error)


def _describe(model: ServedModel) -> dict[str, Any]:
    engine = model.loaded
    return {
        "key": model.plan.key,
        "artifact": model.plan.artifact,
        "runtime": model.plan.runtime,
        "runtime_version": engine.version,
        "batch": engine.batch,
        "batch_reason": engine.batch_reason,
    }


def main() -> None:
    """Run until the parent ends it."""
    logging.getLogger("kserve").setLevel(logging.CRITICAL)  # it logs each bad request with a traceback
    sys.setswitchinterval(SWITCH_SECONDS)
    control = Control()
    first = json.loads(sys.stdin.readline())
    settings = convert(ServerSettings, first["settings"])
    plans = [convert(ModelPlan, item) for item in first["models"]]
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(Host(control, settings).run(plans))
    except EdgeshipError as error:
        control.tell("failed", error=str(error), exit_code=error.exit_code)
        sys.exit(error.exit_code)
    except Exception as error:
        control.tell("failed", error=f"{type(error).__name__}: {error}", exit_code=1)
        raise


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


if __name__ == "__main__":
    main()
