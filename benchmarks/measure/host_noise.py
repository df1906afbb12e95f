"""Whether this machine is quiet enough to take times on (measuring.md 4)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from edgeship.light_dataclass import dataclass

SPREAD_LIMIT = 0.10
ROUNDS = 15
TRIES = 5
WORK = 200_000


@dataclass(frozen=True)
class HostState:
    """What was found: `stable`, else why not; `spread` of the calibration loop, `load` (1 minute average, if known).

    `crowded`: processes of this machine want the cores, not only its host's other guests.
    """

    stable: bool
    reason: str
    spread: float
    load: float | None
    runnable: float | None
    crowded: bool

    @property
    def unstable_reason(self) -> str:
        """The reason in the form that metrics carry and the gate knows; empty for a quiet machine."""
        return "" if self.stable else f"unstable: {self.reason}"


class QuietHostWaiter:
    """Waits for a quiet machine: TRIES looks a second apart, half as many each time that it waited in vain on a crowded one.

    So bursts of load are waited for, and a machine that works on something else does not cost every measurement the whole
    wait. A quiet moment restores the patience.
    """

    def __init__(
        self, look: Callable[[], HostState] | None = None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.look, self._pause, self._tries = look or check_host, pause, TRIES

    def wait(self) -> str:
        """Empty as soon as times can be taken; else why they cannot, in the form that metrics carry."""
        for tries_left in reversed(range(self._tries)):
            state = self.look()
            if state.stable:
                self._tries = TRIES
                return ""
            if tries_left:
                self._pause(1)
        if state.crowded:
            self._tries = max(1, self._tries // 2)
        return state.unstable_reason


def check_host(
    loop: Callable[[], float] | None = None, runnable: Callable[[], int | None] | None = None, cores: int | None = None
) -> HostState:
    """Time a fixed piece of work 15 times (about 0.2 s) and count who else wants the processor meanwhile.

    `loop` gives the seconds that one round took, `runnable` the processes that want to run now without this one.
    """
    loop, runnable = loop or _time_loop, runnable or _count_runnable
    cores = cores or os.cpu_count() or 1
    loop()
    times, waiting = [], []
    for _ in range(ROUNDS):
        times.append(loop())
        waiting.append(runnable())
    return judge_host(times, [count for count in waiting if count is not None], cores)


def judge_host(times: list[float], waiting: list[int], cores: int) -> HostState:
    """Stable if the 3rd slowest round took at most 10 % longer than the 2nd fastest, and a core was mostly free.

    Two rounds of fifteen may meet a timer or a daemon: those also meet the queries, whose percentiles show them.
    """
    ordered = sorted(times)
    spread = ordered[-3] / ordered[1] - 1
    busy = sorted(waiting)[len(waiting) // 2] if waiting else None
    reasons = []
    if spread > SPREAD_LIMIT:
        reasons.append(f"a calibration loop varies by {spread:.1%}, more than {SPREAD_LIMIT:.0%}")
    crowded = busy is not None and busy >= cores
    if crowded:
        reasons.append(f"{busy} other processes want the {cores} cores")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return HostState(not reasons, "; ".join(reasons), spread, load, busy, crowded)


def _time_loop() -> float:
    start = time.perf_counter()
    total = 0
    for number in range(WORK):
        total += number
    return time.perf_counter() - start


def _count_runnable() -> int | None:
    """Processes that want to run now, without this one: the 1-minute average would still hold our own conversions."""
    path = Path("/proc/loadavg")
    if not path.exists():
        return None
    return int(path.read_text(encoding="utf-8").split()[3].partition("/")[0]) - 1
