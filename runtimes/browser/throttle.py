"""A slower processor, simulated by Chromium (CDP `Emulation.setCPUThrottlingRate`), and the proof that it acts.

Chromium interrupts the main thread in slices, workers not at all: inference must run on the main thread with one thread,
and what is shorter than a slice is timed in batches.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from edgeship.errors import ProcessError
from edgeship.light_dataclass import dataclass
from edgeship.runtimes.browser.page import Page

# A throttled sample lasts at least this long, many slices of Chromium's.
BATCH_MS = 50.0
# How far the measured slow-down may lie from the one asked for: 4x has been seen to give 3.2 to 5.6.
LOWEST, HIGHEST = 0.7, 1.6
TRIES, PAIRS = 3, 3


@dataclass(frozen=True)
class Throttle:
    """A slow-down of the page by `rate` (1: none)."""

    page: Page
    rate: float

    @property
    def is_acting(self) -> bool:
        """Whether there is one at all."""
        return self.rate > 1

    def set(self, rate: float) -> None:
        """Slow the page's main thread down by that much."""
        self.page.devtools.send("Emulation.setCPUThrottlingRate", {"rate": rate})

    def begin(self) -> dict[str, Any]:
        """Slow the page down and prove it on a fixed piece of work. Raises ProcessError where it does not act."""
        if not self.is_acting:
            return {}
        slowdown = self.prove(self._time_spin, "a loop on the page's main thread")
        return {"throttle": {"asked": self.rate, "loop": slowdown}}

    def _time_spin(self) -> float:
        return float(self.page.call("spin")[0]["ms"])

    def prove(self, milliseconds: Callable[[], float], what: str) -> float:
        """How much slower some work became: the median of pairs taken in turn. Raises ProcessError where it did not.

        A second look is taken where the first says no: something else on this machine may have come between.
        """
        for _ in range(TRIES):
            ratios = []
            for _ in range(PAIRS):
                self.set(1)
                free = milliseconds()
                self.set(self.rate)
                ratios.append(milliseconds() / free)
            if self.holds(median(ratios)):
                return median(ratios)
        raise ProcessError(
            f"throttling does not act as asked: {what} became {median(ratios):.2f} times as slow, not {self.rate:g} times; "
            "no times are taken"
        )

    def holds(self, slowdown: float) -> bool:
        """Whether a measured slow-down is the one asked for."""
        return LOWEST * self.rate <= slowdown <= HIGHEST * self.rate
