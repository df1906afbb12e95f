"""A slower processor, simulated by Chromium (CDP `Emulation.setCPUThrottlingRate`), and the proof that it acts.

Chromium interrupts the main thread in slices, workers not at all: inference must run on the main thread with one thread,
and what is shorter than a slice is timed in batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from edgeship.errors import ProcessError
from edgeship.runtimes.browser.page import Page

# A throttled sample lasts at least this long, many slices of Chromium's.
BATCH_MS = 50.0
# How far the measured slow-down may lie from the one asked for: 4x has been seen to give 3.2 to 5.6.
LOWEST, HIGHEST = 0.7, 1.6
TRIES = 3


@dataclass(frozen=True)
class Throttle:
    """A slow-down of the page by `rate` (1: none)."""

    page: Page
    rate: float

    @property
    def acting(self) -> bool:
        """Whether there is one at all."""
        return self.rate > 1

    def set(self, rate: float) -> None:
        """Slow the page's main thread down by that much."""
        self.page.devtools.send("Emulation.setCPUThrottlingRate", {"rate": rate})

    def begin(self) -> dict[str, Any]:
        """Slow the page down and prove it on a fixed piece of work. Raises ProcessError where it does not act."""
        if not self.acting:
            return {}
        measured = 0.0
        for _ in range(TRIES):
            self.set(1)
            free = self._spin()
            self.set(self.rate)
            measured = self._spin() / free
            if self.holds(measured):
                return {"throttle": {"asked": self.rate, "loop": measured}}
        raise self.refusal(measured, "a loop on the page's main thread")

    def _spin(self) -> float:
        return median(float(self.page.call("spin")[0]["ms"]) for _ in range(3))

    def holds(self, measured: float) -> bool:
        """Whether a measured slow-down is the one asked for."""
        return LOWEST * self.rate <= measured <= HIGHEST * self.rate

    def refusal(self, measured: float, what: str) -> ProcessError:
        """What is said where it is not."""
        return ProcessError(
            f"throttling does not act as asked: {what} became {measured:.2f} times as slow, not {self.rate:g} times; "
            "no times are taken"
        )
