"""The sample of the drift tests: installations, each with all that it counted in some weeks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.accuracy import Calibration
from edgeship.monitoring.drift.layout import Layout
from edgeship.monitoring.reports.report import Report

Array = np.ndarray[Any, Any]
CAP = 4.0  # inferences of an installation that count, in medians of all: no few users speak for the rest
CORRECTED, ACCEPTED = "corrected", "accepted"


@dataclass(frozen=True)
class Installs:
    """N installations: their counts (N, width), inferences (N,), and how many of these are right by estimate (N,), float64.

    `events` (N,) by name: errors, fallbacks, switches, and each outcome as `outcome accepted`. `slices`: by dimension the value
    of each. `names`: the pseudonyms.
    """

    names: tuple[str, ...]
    counts: Array
    inferences: Array
    right: Array
    events: Mapping[str, Array]
    slices: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.names)

    def event(self, name: str) -> Array:
        """How often an event was counted; 0 where nobody told of it."""
        return self.events.get(name, np.zeros(len(self)))

    def take(self, chosen: Array) -> Installs:
        """Those at some places (M,)."""
        return Installs(
            tuple(self.names[place] for place in chosen), self.counts[chosen], self.inferences[chosen], self.right[chosen],
            {name: values[chosen] for name, values in self.events.items()},
            {name: tuple(values[place] for place in chosen) for name, values in self.slices.items()},
        )  # fmt: skip

    def slice_places(self, dimension: str, value: str) -> Array:
        """Where those are that have a value in a dimension."""
        return np.flatnonzero([found == value for found in self.slices.get(dimension, ())])


def gather_installs(reports: Iterable[Report], layout: Layout, calibration: Calibration) -> Installs:
    """Installations of reports of one profile; several reports of one are added, and it is in the slices of the last."""
    places: dict[str, int] = {}
    counts: list[Array] = []
    figures: list[dict[str, float]] = []
    slices: list[dict[str, str]] = []
    for report in reports:
        row = layout.to_row(report)
        place = places.setdefault(report.install, len(places))
        if place == len(counts):
            counts.append(row)
            figures.append({})
            slices.append({})
        else:
            counts[place] = counts[place] + row
        _add_figures(figures[place], report, calibration)
        slices[place] = _slices_of(report)
    return _stack(tuple(places), counts, figures, slices, layout.width)


def _add_figures(figures: dict[str, float], report: Report, calibration: Calibration) -> None:
    found = {
        "n": report.n,
        "right": calibration.count_right(report),
        "errors": sum(report.errors.values()),
        "fallbacks": report.fallbacks,
        "switches": report.switches,
        **{f"outcome {name}": sum(pairs[1::2]) for name, pairs in report.outcomes.items()},
    }
    for name, value in found.items():
        figures[name] = figures.get(name, 0.0) + value


def _slices_of(report: Report) -> dict[str, str]:
    arms = {f"arm of {name}": arm for name, arm in report.arms.items()}
    return {"tier": report.tier, "artifact": report.artifact, "runtime": report.runtime, **arms}


def _stack(
    names: tuple[str, ...],
    counts: list[Array],
    figures: list[dict[str, float]],
    slices: list[dict[str, str]],
    width: int,
) -> Installs:
    sums = {
        name: np.array([item.get(name, 0.0) for item in figures])
        for name in sorted({name for item in figures for name in item} | {"n", "right"})
    }
    dimensions = sorted({name for item in slices for name in item})
    return Installs(
        names, np.stack(counts) if counts else np.zeros((0, width)), sums.pop("n"), sums.pop("right"), sums,
        {name: tuple(item.get(name, "") for item in slices) for name in dimensions},
    )  # fmt: skip


def merge_installs(parts: Iterable[Installs]) -> Installs:
    """Installations of several weeks: one that reported in many is one, with what it counted in all of them."""
    parts = list(parts)
    order: dict[str, int] = {}
    places = np.array([order.setdefault(name, len(order)) for part in parts for name in part.names], dtype=np.int64)
    last = dict(zip(places.tolist(), range(len(places)), strict=True))  # of each, the place of its last row

    def add(arrays: list[Array]) -> Array:
        stacked = np.concatenate(arrays)
        if len(order) == len(stacked):
            return stacked
        total = np.zeros((len(order), *stacked.shape[1:]))
        np.add.at(total, places, stacked)
        return total

    events = sorted({name for part in parts for name in part.events})
    dimensions = sorted({name for part in parts for name in part.slices})
    labels = {
        name: [value for part in parts for value in part.slices.get(name, ("",) * len(part))] for name in dimensions
    }
    return Installs(
        tuple(order), add([part.counts for part in parts]), add([part.inferences for part in parts]),
        add([part.right for part in parts]), {name: add([part.event(name) for part in parts]) for name in events},
        {name: tuple(values[last[place]] for place in range(len(order))) for name, values in labels.items()},
    )  # fmt: skip


def find_cap(installs: Installs) -> float:
    """How many inferences of an installation count at most."""
    some = installs.inferences[installs.inferences > 0]
    return CAP * float(np.median(some)) if len(some) else 1.0


def cap_installs(installs: Installs, cap: float) -> Installs:
    """Installations with more inferences than `cap`, with all their counts made less in proportion."""
    factor = np.minimum(1.0, cap / np.maximum(installs.inferences, 1.0))
    return Installs(
        installs.names, installs.counts * factor[:, None], installs.inferences * factor, installs.right * factor,
        {name: values * factor for name, values in installs.events.items()}, installs.slices,
    )  # fmt: skip
