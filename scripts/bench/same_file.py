"""A file against its own copy: how often the latency ratio's 95 % interval holds 1, and how wide it is."""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from edgeship.benchmarks.measure import host_noise, latency
from edgeship.benchmarks.measure.latency_ratio import compare_latency
from edgeship.runtimes.session import open_session

COMPARISONS = 100
TRIES = 200  # a busy moment gives no ratio, as in `benchmark`, and is tried again
SECONDS = latency.find_profile("rapid").seconds / 2  # what `benchmark --profile rapid` spends on a ratio
BAR = "at least 92 of 100, half-width at most 2 %"


def compare_with_copy(model: Path, folder: Path, runtime: str, comparisons: int = COMPARISONS) -> list[latency.Ratio]:
    """The latency ratios of `model` to a copy of it. Ends the benchmark where the machine is never quiet."""
    copy = folder / f"copy-{model.name}"
    shutil.copyfile(model, copy)
    waiter = host_noise.QuietHostWaiter()
    taken: list[latency.Ratio] = []
    for _ in range(TRIES):
        if len(taken) == comparisons:
            return taken
        if not waiter.wait():
            taken.append(
                compare_latency(lambda: open_session(runtime, model), lambda: open_session(runtime, copy), SECONDS)
            )
    sys.exit(f"the machine was too busy: {len(taken)} of {comparisons} comparisons could be made in {TRIES} moments")


def row(model: Path, folder: Path, runtime: str) -> dict[str, Any]:
    """The line of the page."""
    taken = compare_with_copy(model, folder, runtime)
    bounds = [(found.low or 0.0, found.high or 0.0) for found in taken]
    halves = [(high - low) / 2 for low, high in bounds]
    values = [found.value or 0.0 for found in taken]
    held = sum(low <= 1 <= high for low, high in bounds)
    return {
        "what": f"latency ratio of an int8 `{model.suffix}` to its own copy on {runtime}, {SECONDS:g} s: intervals that hold 1",
        "ours": f"{held} of {len(taken)}",
        "against": "95 % intervals; their half-width: median, how many have at most 2 %, largest",
        "theirs": f"{statistics.median(halves):.1%}, {sum(half <= 0.02 for half in halves)}, {max(halves):.1%}",
        "ratio": statistics.median(values),
        "spread": f"{min(values):.3f} to {max(values):.3f}",
        "bar": BAR,
    }
