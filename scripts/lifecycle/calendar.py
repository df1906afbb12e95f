"""A calendar that is not today's, for this process and for commands of edgeship that run as processes of their own.

Only `time.time`, `datetime.now` and their like are moved (time-machine); what is measured, `time.monotonic` and
`time.perf_counter`, goes on as it is. A command reads further moments from standard input, and says `calendar: ...` once it is
there:

    python -m scripts.lifecycle.calendar 2026-09-07T12:00+00:00 monitor collect --store inbox --bundle bundle
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import time_machine

from scripts import ROOT

TURNED = "calendar: "


class MovedCommand:
    """A command of edgeship that goes on, with the calendar that it is told; `said` reads its standard output by lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process needs pipes")
        self._process, self._in, self._out = process, process.stdin, process.stdout

    def read_line(self) -> str:
        """The next line of its standard output. Raises RuntimeError where it has ended."""
        line = self._out.readline()
        if not line:
            raise RuntimeError(f"the command ended with exit code {self._process.wait(60)}")
        return line.rstrip("\n")

    def turn(self, moment: datetime) -> None:
        """Return when its calendar is there."""
        self._in.write(f"{moment.isoformat()}\n")
        self._in.flush()
        while not self.read_line().startswith(TURNED):
            pass

    def end(self) -> int:
        """Ask it to end as a service manager does (SIGTERM); its exit code."""
        self._process.terminate()
        code = self._process.wait(60)
        self._in.close()
        self._out.close()
        return code


class Calendar:
    """The moment that this process, and every command that it starts, believes in; a context manager.

    `start`: with a time zone. Time goes on from there as it does. Only one at a time. `folder`: where commands run, `variables`:
    of their environment.
    """

    def __init__(
        self, start: datetime, *, folder: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> None:
        self._folder, self._variables = folder, variables or {}
        self._travel = time_machine.travel(start, tick=True)
        self._coordinates: Any = None
        self._followers: list[MovedCommand] = []

    def __enter__(self) -> Self:
        self._coordinates = self._travel.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._travel.stop()

    def turn(self, moment: datetime) -> None:
        """Go to a moment, here and in the commands that were started."""
        self._coordinates.move_to(moment)
        for command in self._followers:
            command.turn(moment)

    def run(self, *words: object, check: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run `edgeship WORDS` now, to its end. Raises RuntimeError for an exit code that is not in `check`."""
        with self.begin(*words) as process:
            out, errors = process.communicate()
        if process.returncode not in check:
            shown = " ".join(map(str, words))
            raise RuntimeError(f"edgeship {shown}: exit code {process.returncode}\n{out}\n{errors}")
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    def begin(self, *words: object) -> subprocess.Popen[str]:
        """Start `edgeship WORDS` with the moment that it is now; the caller waits for its end and reads what it says."""
        return subprocess.Popen(
            _command(words), env=self._environment(), cwd=self._folder, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    @contextlib.contextmanager
    def start(self, *words: object, errors: IO[str] | None = None) -> Iterator[MovedCommand]:
        """`edgeship WORDS`, as it runs; it follows this calendar until the block ends, and then is asked to end."""
        process = subprocess.Popen(
            _command(words), env=self._environment(), cwd=self._folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=errors, text=True,
        )  # fmt: skip
        command = MovedCommand(process)
        self._followers.append(command)
        try:
            yield command
        finally:
            self._followers.remove(command)
            if process.poll() is None:
                command.end()

    @contextlib.contextmanager
    def collect(self, *words: object) -> Iterator[str]:
        """The address of `edgeship monitor collect WORDS --port 0`, as long as it runs."""
        with self.start("monitor", "collect", "--port", 0, *words) as command:
            url = command.read_line().removeprefix("collecting: ").partition("/reports")[0]
            yield url

    def _environment(self) -> dict[str, str]:
        places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(places), **self._variables}


def _command(words: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", __name__, datetime.now(UTC).isoformat(), *map(str, words)]


def main() -> None:
    """`edgeship` with the moment that comes first among the arguments, and those that come in by lines."""
    moment, *words = sys.argv[1:]
    coordinates = time_machine.travel(datetime.fromisoformat(moment), tick=True).start()

    def follow() -> None:
        with open(0, "rb", buffering=0, closefd=False) as pipe:  # sys.stdin's lock would be missed when Python ends
            for line in pipe:
                coordinates.move_to(datetime.fromisoformat(line.decode().strip()))
                print(f"{TURNED}{line.decode().strip()}", flush=True)

    threading.Thread(target=follow, daemon=True).start()
    from edgeship.cli import main as run

    sys.argv = ["edgeship", *words]
    run()


if __name__ == "__main__":
    main()
