"""All counts of a report in one row: histogram after histogram, in the profile's bins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.profile.profile import SERVER, OutputCounts, Profile, ProfileInput, ProfileOutput
from edgeship.monitoring.reports.report import ClassCounts, Report

Array = np.ndarray[Any, Any]
MOST_CLASS_BINS = 50  # of more classes those that are seldom predicted share the last bin
LATENCY_BINS = 8  # of the profile's in one, a factor of 2.1: a clock's grain is no drift
LATENCY = "latency"


@dataclass(frozen=True)
class Histogram:
    """A histogram of a row: its name, where it begins and ends, and what its bins are called."""

    name: str
    start: int
    stop: int
    bins: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """How reports of a profile become rows of `width` counts. `class_bins`: by output, the bin of each class."""

    profile: Profile
    histograms: tuple[Histogram, ...]
    class_bins: dict[str, Array]

    @property
    def width(self) -> int:
        """How many counts a row has."""
        return self.histograms[-1].stop

    def to_row(self, report: Report) -> Array:
        """The counts (width,) float64 of a report whose bins are the profile's."""
        parts: list[Sequence[float] | Array] = []
        for output in self.profile.outputs:
            found = report.outputs[output.name]
            if isinstance(found, ClassCounts):
                parts += self._split_joint(output, found.joint)
                parts += [found.margin, found.entropy]
            else:
                parts += found.values
        for item in self.profile.inputs:
            parts += report.inputs[item.name]
        parts.append(_coarsen(report.latency, len(self.profile.latency) + 1))
        return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])

    def to_lab_row(self, artifact: str) -> Array:
        """The counts (width,) of the evaluation data, as an artifact answered to it; no latency."""
        answers = answers_of(self.profile, artifact)
        parts: list[Sequence[float] | Array] = []
        for output in self.profile.outputs:
            found = answers.get(output.name, OutputCounts())
            if output.classes:
                parts += self._split_joint(output, found.joint)
                parts += [
                    found.margin or np.zeros(len(output.margin) + 1),
                    found.entropy or np.zeros(len(output.entropy) + 1),
                ]
            elif output.values:
                parts += found.values or [np.zeros(len(item.edges) + 2) for item in output.values.descriptors]
        for source in self.profile.inputs:
            parts += [item.counts or np.zeros(len(item.edges) + 2) for item in source.descriptors]
        parts.append(_coarsen((), len(self.profile.latency) + 1))
        return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])

    def _split_joint(self, output: ProfileOutput, joint: Sequence[int]) -> list[Array]:
        """The histograms of the class and of the confidence."""
        bins, of_class = len(output.confidence) + 1, self.class_bins[output.name]
        pairs = np.asarray(joint, dtype=np.int64).reshape(-1, 2)
        cells, counts = pairs[:, 0], pairs[:, 1]
        return [
            np.bincount(of_class[cells // bins], counts, int(of_class.max()) + 1),
            np.bincount(cells % bins, counts, bins),
        ]


def answers_of(profile: Profile, artifact: str) -> dict[str, OutputCounts]:
    """What an artifact answered to the evaluation data; the server model's where its own is not known."""
    return dict(profile.answers.get(artifact) or profile.answers.get(SERVER) or {})


def make_layout(profile: Profile, labels: Sequence[str] = ()) -> Layout:
    """The layout of a profile's reports; `labels`: what the classes of the first output with classes are called."""
    named: list[tuple[str, tuple[str, ...]]] = []
    class_bins = {}
    for output in profile.outputs:
        if output.classes:
            of_class = class_bins[output.name] = _bin_classes(output, profile)
            named.append((f"class of {output.name}", _name_classes(of_class, labels)))
            for what, edges in (
                ("confidence", output.confidence), ("margin", output.margin), ("entropy", output.entropy),
            ):  # fmt: skip
                named.append((f"{what} of {output.name}", _name_bins(edges)))
        elif output.values:
            named += _name_descriptors(output.name, output.values)
    for item in profile.inputs:
        named += _name_descriptors(item.name, item)
    named.append(
        (LATENCY, tuple(f"{text} ms" for text in _name_bins(profile.latency[LATENCY_BINS - 1 :: LATENCY_BINS])))
    )
    ends = accumulate((len(bins) for _, bins in named), initial=0)
    return Layout(
        profile,
        tuple(Histogram(name, *place, bins) for (name, bins), place in zip(named, pairwise(ends), strict=True)),
        class_bins,
    )


def _name_descriptors(tensor: str, how: ProfileInput) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"{item.name} of {tensor}", (*_name_bins(item.edges), "NaN")) for item in how.descriptors]


def _name_bins(edges: Sequence[float]) -> tuple[str, ...]:
    if not edges:
        return ("all",)
    middle = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    return (f"below {edges[0]:.3g}", *middle, f"from {edges[-1]:.3g}")


def _bin_classes(output: ProfileOutput, profile: Profile) -> Array:
    """A bin for each class, or of many classes for each of those that the server model gave most often."""
    if output.classes <= MOST_CLASS_BINS:
        return np.arange(output.classes)
    found = answers_of(profile, SERVER).get(output.name, OutputCounts())
    pairs = np.asarray(found.joint, dtype=np.int64).reshape(-1, 2)
    often = np.bincount(pairs[:, 0] // (len(output.confidence) + 1), pairs[:, 1], output.classes)
    chosen = np.argsort(-often, kind="stable")[: MOST_CLASS_BINS - 1]
    of_class = np.full(output.classes, MOST_CLASS_BINS - 1)
    of_class[np.sort(chosen)] = np.arange(MOST_CLASS_BINS - 1)
    return of_class


def _name_classes(of_class: Array, labels: Sequence[str]) -> tuple[str, ...]:
    names = []
    for number in range(int(of_class.max()) + 1):
        classes = np.flatnonzero(of_class == number)
        known = labels[classes[0]] if classes[0] < len(labels) else f"class {classes[0]}"
        names.append(known if len(classes) == 1 else f"{len(classes):,} other classes")
    return tuple(names)


def _coarsen(latency: Sequence[int], bins: int) -> Array:
    pairs = np.asarray(latency, dtype=np.int64).reshape(-1, 2)
    return np.bincount(pairs[:, 0] // LATENCY_BINS, pairs[:, 1], (bins - 1) // LATENCY_BINS + 1)
