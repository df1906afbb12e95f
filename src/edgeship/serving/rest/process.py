"""The server's process as the one that started it sees it: started, told what to serve, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

import edgeship
from edgeship.errors import CheckError, EdgeshipError, InputError, MissingDependencyError, ProcessError
from edgeship.light_dataclass import dataclass
from edgeship.notices import print_notice
from edgeship.processes.environment import child_environment
from edgeship.processes.sockets import open_socket
from edgeship.runtimes.runtime import LEAN
from edgeship.serving.rest.environment import ENVIRONMENT
from edgeship.serving.rest.plan import ModelPlan, ServerSettings
from edgeship.typed_json import convert
from edgeship.types import to_json

START_SECONDS, END_SECONDS = 300.0, 60.0
# The environment has no edgeship, and the folder that this one is installed in may hold what does not go together with it.
BOOT = """
import importlib.util, runpy, sys
root = sys.argv[1]
spec = importlib.util.spec_from_file_location("edgeship", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["edgeship"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
del sys.argv[1:]
runpy.run_module("edgeship.serving.rest.host", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class LoadedModel:
    """A version that is served: NAME/VERSION, what answers, and how many samples of several requests together.

    `batch_reason` says why that is 1.
    """

    key: str
    artifact: str
    runtime: str
    runtime_version: str
    batch: int
    batch_reason: str = ""


class Server:
    """A running server; a context manager that ends it. `plan` says what is to be served, at the start and at each reload.

    Attributes: `url` (REST), `grpc_address` (None without gRPC), `models`.
    """

    def __init__(self, plan: Callable[[], Sequence[ModelPlan]], settings: ServerSettings) -> None:
        if reason := ENVIRONMENT.unavailable_reason():
            raise MissingDependencyError(f"the server is not installed ({reason}): edgeship runtimes install server")
        _check_ports(settings)
        self._plan = plan
        plans = list(plan())
        self._process = _start_process()
        self._lock = threading.Lock()
        self._loaded: Queue[dict[str, Any]] = Queue()
        self._outcome: dict[str, Any] = {}
        self._ready = threading.Event()
        self._reloading = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self._say({"settings": to_json(settings), "models": to_json(plans)})
            self._await_start()
        except BaseException:
            self.kill()
            raise
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  # what it is reached by
        host = f"[{host}]" if ":" in host else host
        self.url = f"http://{host}:{self._outcome['port']}"
        grpc_port = self._outcome["grpc_port"]
        self.grpc_address = None if grpc_port is None else f"{host}:{grpc_port}"
        self.models = _read_models(self._outcome["models"])

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def reload(self) -> tuple[LoadedModel, ...]:
        """Look again at what is to be served; requests that are being answered are answered by what they were asked of.

        Raises InputError or CheckError where that cannot be: then nothing has changed.
        """
        with self._reloading:
            self._say({"do": "load", "models": to_json(list(self._plan()))})
            return self._await_loaded()

    def wait(self) -> int:
        """Until the server ends; its exit code."""
        return self._process.wait()

    def kill(self) -> None:
        """End it at once, whatever is being answered."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the server, once what is being answered is answered."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]  # it was started with a pipe
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _say(self, message: Mapping[str, Any]) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            stream = self._process.stdin
            assert stream is not None  # noqa: S101  # it was started with a pipe
            stream.write(json.dumps(message).encode() + b"\n")
            stream.flush()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101  # it was started with a pipe
        for line in stream:
            message = json.loads(line)
            if message["event"] in ("ready", "failed"):
                self._outcome = message
                self._ready.set()
            elif message["event"] == "reload":
                threading.Thread(target=self._reload_for, args=(message["id"],), daemon=True).start()
            else:
                self._loaded.put(message)
        self._ready.set()
        self._loaded.put({"error": "the server has ended"})

    def _reload_for(self, number: int) -> None:
        """A reload that was asked for over HTTP."""
        with self._reloading:
            try:
                plans = to_json(list(self._plan()))
            except (EdgeshipError, OSError) as error:
                print_notice(f"reload: nothing was changed: {error}")
                self._say({"do": "refuse", "answers": number, "error": str(error)})
                return
            self._say({"do": "load", "models": plans, "answers": number})
            with contextlib.suppress(CheckError):
                self._await_loaded()

    def _await_start(self) -> None:
        if not self._ready.wait(START_SECONDS):
            raise ProcessError(f"the server did not start within {START_SECONDS:.0f} s")
        if not self._outcome:
            raise ProcessError(f"the server ended while it started (exit code {self._process.wait()})")
        if self._outcome["event"] == "failed":
            self._process.wait()
            raise (InputError if self._outcome["exit_code"] == 2 else ProcessError)(self._outcome["error"])

    def _await_loaded(self) -> tuple[LoadedModel, ...]:
        try:
            message = self._loaded.get(timeout=START_SECONDS)
        except Empty as error:
            raise CheckError(f"the server has not answered within {START_SECONDS:.0f} s") from error
        if message["error"]:
            print_notice(f"reload: nothing was changed: {message['error']}")
            raise CheckError(f"nothing was changed: {message['error']}")
        self.models = _read_models(message["models"])
        print_notice(f"reload: {', '.join(model.key for model in self.models)}")
        return self.models


def _check_ports(settings: ServerSettings) -> None:
    """Raise InputError where a port cannot be had, before anything is started."""
    for option, port in (("--port", settings.port), ("--grpc-port", settings.grpc_port)):
        if port is not None:
            open_socket(settings.host, port, option).close()


def _read_models(items: Sequence[Any]) -> tuple[LoadedModel, ...]:
    return tuple(convert(LoadedModel, item) for item in items)


def _start_process() -> subprocess.Popen[bytes]:
    """The server; Ctrl-C in a terminal reaches the parent alone, which ends it in good order."""
    root = os.fspath(Path(edgeship.__file__).parent)
    apart: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
    return subprocess.Popen(
        [os.fspath(ENVIRONMENT.python()), "-P", "-I", "-c", BOOT, root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(LEAN),
        **apart,
    )
