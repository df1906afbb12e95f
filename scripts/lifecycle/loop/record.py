"""What a run of the loop leaves of itself: each station with its commands, what was checked, figures and pictures."""

from __future__ import annotations

import contextlib
import resource
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Literal

from edgeship.light_dataclass import dataclass
from scripts.lifecycle.calendar import Calendar

Outcome = Literal["held", "failed", "missing", "not reached"]
MOST_LINES = 40  # of what a command printed
PROGRESS = "  done "  # so a step of a command begins that says how far it is


class StationError(Exception):
    """What a station promises does not hold: a sentence."""


class MissingPartError(Exception):
    """What a station needs is not on this machine: a sentence."""


@dataclass(frozen=True)
class CommandRecord:
    """A command as a user would type it, its exit code, and what it printed."""

    command: str
    exit_code: int
    output: str
    seconds: float


@dataclass
class Picture:
    """An SVG or HTML picture that this program drew, with a caption."""

    caption: str
    markup: str


@dataclass
class Station:
    """A station of the loop. `checks`: sentences that were found true; `evidence`: digests, counts and verdicts by name.

    `seconds` are of the wall's clock; `cpu_seconds` of this process and of the commands that ended in it.
    """

    name: str
    title: str
    outcome: Outcome = "not reached"
    failure: str = ""
    moment: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    checks: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    commands: list[CommandRecord] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    def check(self, holds: object, sentence: str) -> None:
        """Note a sentence that must be true. Raises StationError where it is not."""
        if not holds:
            raise StationError(f"not so: {sentence}")
        self.checks.append(sentence)


class Recorder:
    """Runs stations one after the other: the first that fails ends the run, one that misses a part of the machine does not."""

    def __init__(self, calendar: Calendar, titles: Sequence[tuple[str, str]], *, tell: bool = True) -> None:
        self.calendar, self._tell = calendar, tell
        self.stations = [Station(name, title) for name, title in titles]
        self._now: Station | None = None

    @property
    def station(self) -> Station:
        """The one that runs. Raises ValueError between stations."""
        if self._now is None:
            raise ValueError("no station runs")
        return self._now

    @property
    def held(self) -> bool:
        """Whether every station held."""
        return all(station.outcome == "held" for station in self.stations)

    @contextlib.contextmanager
    def run_station(self, name: str) -> Iterator[Station]:
        """The station of that name, which holds unless the block raises. Raises StationError where it does not hold."""
        station = next(item for item in self.stations if item.name == name)
        place = self.stations.index(station) + 1
        self._say(f"{place:2}/{len(self.stations)} {station.title}")
        begin, spent = time.perf_counter(), cpu_seconds()
        self._now, station.moment = station, datetime.now(UTC).isoformat(timespec="minutes")
        try:
            yield station
            station.outcome = "held"
        except MissingPartError as error:
            station.outcome, station.failure = "missing", str(error)
        except Exception as error:
            station.outcome, station.failure = "failed", f"{error}"
            raise StationError(f"{station.title}: {error}") from error
        finally:
            station.seconds, station.cpu_seconds = time.perf_counter() - begin, cpu_seconds() - spent
            self._now = None
            times = f"{station.seconds:.0f} s, {station.cpu_seconds:.0f} s of CPU"
            self._say(f"      {station.outcome} ({times}){': ' if station.failure else ''}{station.failure}")

    def run(self, *words: object, codes: Sequence[int] = (0,), show: Sequence[object] | None = None) -> CommandRecord:
        """Run `edgeship WORDS` and note it. Raises StationError for an exit code that is not in `codes`."""
        return self.join(self.calendar.begin(*words), show or words, codes)

    def join(
        self, process: subprocess.Popen[str], words: Sequence[object], codes: Sequence[int] = (0,)
    ) -> CommandRecord:
        """Wait for a command that was begun, and note it."""
        begin = time.perf_counter()
        try:
            out, errors = process.communicate()
        except BaseException:  # this run is ended
            process.kill()
            raise
        wrong = [line for line in errors.splitlines() if not line.startswith(PROGRESS)] if process.returncode else []
        said = "\n".join(filter(None, [out.strip(), *wrong]))
        command = shlex.join(["edgeship", *map(str, words)])
        record = CommandRecord(command, process.returncode, shorten(said), time.perf_counter() - begin)
        self.station.commands.append(record)
        if process.returncode not in codes:
            raise StationError(f"`{command}` ended with exit code {process.returncode}: {shorten(said)}")
        return record

    def _say(self, text: str) -> None:
        if self._tell:
            print(text, flush=True)


def shorten(text: str) -> str:
    """The first and last lines of what is long."""
    lines = text.splitlines()
    if len(lines) <= MOST_LINES:
        return "\n".join(lines)
    half = MOST_LINES // 2
    return "\n".join([*lines[:half], f"… {len(lines) - 2 * half} lines …", *lines[-half:]])


def cpu_seconds() -> float:
    """Of this process and of its children that ended."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)
