"""Child processes that answer messages: the parent's side, and a child that calls functions of edgeship by name.

TensorFlow lives in such a child: a native crash is an error message here, its chatter goes to a log file, and the
command line itself stays light.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ParamSpec, Self, TypeVar, cast, get_type_hints, overload

from edgeship import errors
from edgeship.processes import wire
from edgeship.processes.environment import child_environment

P = ParamSpec("P")
R = TypeVar("R")
# Enough for headers; the arrays are larger and then pass by the buffer, without being copied into it.
BUFFER = 1 << 16


class Child:
    """A process that speaks `wire` over its standard input and output. One request at a time; use as a context manager.

    `log`, a temporary file, receives the child's standard error. The child has a folder for temporary files to itself, which
    goes with it, and of the environment what `child_environment` lets through, with `env`. `apart`: it works in that folder,
    where nothing lies that a library would obey.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, name: str = "worker", apart: bool = False
    ) -> None:
        self.name = name
        descriptor, path = tempfile.mkstemp(prefix=f"edgeship-{name}-", suffix=".log")
        self.log = Path(path)
        self._keep_log = False
        self._temporary = tempfile.mkdtemp(prefix="edgeship-")
        places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self._temporary)
        try:
            with os.fdopen(descriptor, "wb") as log:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=self._temporary if apart else None,
                    env=child_environment({**places, **(env or {})}),
                    bufsize=BUFFER,
                )
        except OSError:
            self._remove_files()
            raise
        self._lock = threading.Lock()

    @property
    def stdin(self) -> IO[bytes]:
        """Where the child reads: a pipe, as it was started with one."""
        return cast(IO[bytes], self._process.stdin)

    @property
    def stdout(self) -> IO[bytes]:
        """Where the child answers: a pipe, too."""
        return cast(IO[bytes], self._process.stdout)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def request(
        self, header: dict[str, Any], arrays: wire.Arrays | None = None, *, timeout: float | None = None
    ) -> tuple[dict[str, Any], wire.Arrays]:
        """Send one message and wait for its answer.

        Raises the `EdgeshipError` that the child answered with, or `ProcessError` where it crashed, was killed,
        or took longer than `timeout` seconds (it is then killed).
        """
        timer = threading.Timer(timeout, self._process.kill) if timeout else None
        if timer:
            timer.start()
        try:
            with self._lock:
                wire.send(self.stdin, header, arrays)
                answer, results = wire.receive(self.stdout)
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            timed_out = timer is not None and not timer.is_alive()
            raise self._death_error(f"took longer than {timeout:.0f} s and was stopped" if timed_out else "") from error
        except wire.MessageError as error:
            raise self._message_error(error) from error
        finally:
            if timer:
                timer.cancel()
        if "error" in answer:
            raise self._answered_error(answer["error"])
        return answer, results

    def _message_error(self, error: wire.MessageError) -> errors.ProcessError:
        self.kill()
        return self._death_error(f"answered with {error} and was stopped")

    def _death_error(self, why: str) -> errors.ProcessError:
        self._keep_log = True
        code = self._process.wait()
        how = why or (f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}")
        last = next((line for line in reversed(self.log_text().splitlines()) if line.strip()), "nothing")
        error = errors.ProcessError(
            f"the {self.name} process {how}; its log ({self.log}) ends with: {errors.brief_message(last)}"
        )
        error.died = True
        return error

    def _answered_error(self, error: dict[str, Any]) -> errors.EdgeshipError:
        error_type = getattr(errors, error["type"], None)
        if isinstance(error_type, type) and issubclass(error_type, errors.EdgeshipError):
            return error_type(error["message"]).about(error.get("layers", ()))
        self._keep_log = True
        return errors.ProcessError(
            f"{error['type']} in the {self.name} process: {errors.brief_message(error['message'], 500)} (log: {self.log})"
        )

    def log_text(self) -> str:
        """What the child has written to standard error so far."""
        return self.log.read_text(errors="replace", encoding="utf-8") if self.log.exists() else ""

    def kill(self) -> None:
        """Stop the child at once; what it was doing is lost."""
        self._process.kill()

    def close(self) -> None:
        """End the child; its log goes with it unless an error message names it."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._remove_files()

    def _remove_files(self) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
        if not self._keep_log:
            self.log.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Caller(ABC):
    """Calls functions in another process: `process.call(convert.run, saved_model=..., out_file=...)`.

    A function is one of a module, given itself, so that its arguments are checked; a module that imports what a parent is to do
    without has a function beside it that imports it when it is called. Arguments go by name and are plain JSON; the result
    comes back as JSON and is converted to the type that the function returns. Large data goes through files. A function that
    cannot be imported here is given as `package.module:function`; its result stays JSON.
    """

    @abstractmethod
    def call_named(self, function: str, arguments: Mapping[str, Any], timeout: float | None = None) -> Any:
        """The result of `package.module:function(**arguments)`, within `timeout` seconds."""

    @overload
    def call(self, function: str, /, **arguments: Any) -> Any: ...
    @overload
    def call(self, function: Callable[P, R], /, *positional: P.args, **arguments: P.kwargs) -> R: ...
    def call(self, function: Any, /, *positional: Any, **arguments: Any) -> Any:
        """The function's result, computed in the other process. Raises as `Child.request`, TypeError for unnamed arguments."""
        return _convert_result(function, self.call_named(_name_of(function, positional), arguments))

    def call_within(
        self, timeout: float | None, function: Callable[P, R], /, *positional: P.args, **arguments: P.kwargs
    ) -> R:
        """`call`, with `timeout` seconds for it."""
        result: R = _convert_result(function, self.call_named(_name_of(function, positional), arguments, timeout))
        return result


def _name_of(function: Any, positional: Sequence[Any]) -> str:
    if positional:
        raise TypeError("a function in another process takes its arguments by name")
    return function if isinstance(function, str) else f"{function.__module__}:{function.__qualname__}"


def _convert_result(function: Any, content: Any) -> Any:
    """A result as the function's own type has it; what the function does not tell stays JSON."""
    from edgeship import typed_json  # this file also runs beside the worker, where there is no msgspec

    return content if isinstance(function, str) else typed_json.convert(_return_type(function), content)


def _return_type(function: Any) -> Any:
    return get_type_hints(function, include_extras=True).get("return", Any)


class FunctionProcess(Child, Caller):
    """A Python child that calls functions. `ahead`: modules that it imports while nothing is asked of it yet.

    Nothing is imported from the working folder (-P) but what the user names.
    """

    def __init__(
        self,
        name: str = "tensorflow",
        env: Mapping[str, str] | None = None,
        ahead: Sequence[str] = (),
        *,
        apart: bool = False,
    ) -> None:
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0"}
        quiet["PYTHONHASHSEED"] = "0"  # converters walk through sets of names: the same model gives the same bytes
        command = [sys.executable, "-P", "-m", "edgeship.processes.child", *ahead]
        super().__init__(command, env={**quiet, **(env or {})}, name=name, apart=apart)

    def call_named(self, function: str, arguments: Mapping[str, Any], timeout: float | None = None) -> Any:
        """The result of `package.module:function(**arguments)`, run in the child."""
        return self.request({"call": function, "arguments": dict(arguments)}, timeout=timeout)[0]["result"]


def training_env() -> dict[str, str]:
    """What a process that trains has in its environment.

    oneDNN halves the time, and changes the last digits; whoever turns it off as TensorFlow advises gets it off.
    """
    return {"TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")}


def claim_stdio() -> tuple[Any, Any]:
    """The binary streams of a child; whatever else prints to standard output, natively too, goes to standard error.

    Ctrl-C reaches every process of a terminal: it is the parent that acts on it and ends its children.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), "rb", BUFFER), os.fdopen(os.dup(1), "wb", BUFFER)
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return requests, answers


def serve_calls(ahead: Sequence[str]) -> None:
    """The child's loop: one function call per message, until the parent closes the stream."""
    from edgeship.processes.keras_import import hide_unused
    from edgeship.types import to_json  # see `_convert_result`

    hide_unused()
    requests, answers = claim_stdio()
    for module in ahead:
        with contextlib.suppress(ImportError):  # the call that needs it says so
            importlib.import_module(module)
    while True:
        try:
            header, _ = wire.receive(requests)
        except EOFError:
            return
        module, _, function = header["call"].partition(":")
        try:
            result = getattr(importlib.import_module(module), function)(**header["arguments"])
            answer = {"result": to_json(result)}
        except OSError as error:
            traceback.print_exc()
            ours = error.errno in errors.CANNOT_WRITE
            message = f"{error.filename or 'output'}: cannot be written ({error.strerror})" if ours else str(error)
            answer = {"error": {"type": "InputError" if ours else type(error).__name__, "message": message}}
        except Exception as error:  # every failure must reach the parent, which shows it
            traceback.print_exc()
            layers = list(getattr(error, "layers", ()))
            answer = {"error": {"type": type(error).__name__, "message": str(error), "layers": layers}}
        wire.send(answers, answer)


def leave_at_once() -> None:
    """End this process without taking the interpreter down: TensorFlow's graphs take a second or two to be freed one by one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    atexit.register(leave_at_once)  # the first to be registered is the last to run
    try:
        serve_calls(sys.argv[1:])
    except BaseException:  # ends as it would have, with its exit code
        atexit.unregister(leave_at_once)
        raise
