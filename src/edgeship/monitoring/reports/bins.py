"""Whether a report's bins are those of a profile, and counts in other bins where the edges nest."""

from __future__ import annotations

from collections.abc import Sequence

from edgeship.errors import InputError
from edgeship.monitoring.profile.profile import Profile, ProfileInput, ProfileOutput
from edgeship.monitoring.reports.report import ClassCounts, Report, ValueCounts
from edgeship.untrusted import printable


class ProfileBins:
    """How many bins a profile has of each thing that a report counts: made once, for many reports."""

    def __init__(self, profile: Profile) -> None:
        first = profile.first_classes
        self._profile = profile
        self._classes = {item.name: _class_bins(item) for item in profile.outputs if item.values is None}
        self._values = {item.name: _histogram_bins(item.values) for item in profile.outputs if item.values is not None}
        self._inputs = {item.name: _histogram_bins(item) for item in profile.inputs}
        self._sides = (("outputs", {*self._classes, *self._values}), ("inputs", {*self._inputs}))
        self._latency = len(profile.latency) + 1
        self._outcomes = first.classes if first else 1

    def check(self, report: Report) -> None:
        """Raise InputError where a report counts other tensors or in other bins than the profile."""
        if self._profile.artifacts.get(report.artifact) != report.content:
            raise InputError(f"the report is of an artifact that is not in the bundle, {report.artifact}")
        for (side, known), found in zip(self._sides, (report.outputs, report.inputs), strict=True):
            if found.keys() != known:
                names = printable(", ".join(sorted(found)))[:100] or "none"
                raise InputError(
                    f"the report counts the {side} {names}, the profile {', '.join(sorted(known)) or 'none'}"
                )
        for name, output in report.outputs.items():
            self._check_output(name, output)
        for name, histograms in report.inputs.items():
            if tuple(map(len, histograms)) != self._inputs[name]:
                described = next(item for item in self._profile.inputs if item.name == name)
                raise _histograms_error(f"inputs.{name}", histograms, described)
        _check_cells(report.latency, self._latency, "latency")
        for name, pairs in report.outcomes.items():
            _check_cells(pairs, self._outcomes, "outcomes", name)

    def _check_output(self, name: str, output: ClassCounts | ValueCounts) -> None:
        if isinstance(output, ValueCounts):
            known = self._profile.output(name)
            if known is None or known.values is None:
                raise InputError(f"the report's outputs.{name} are values, in the profile they are classes")
            if tuple(map(len, output.values)) != self._values[name]:
                raise _histograms_error(f"outputs.{name}", output.values, known.values)
            return
        if name not in self._classes:
            raise InputError(f"the report's outputs.{name} are classes, in the profile they are values")
        cells, margin, entropy = self._classes[name]
        _check_cells(output.joint, cells, "outputs", name, "joint")
        for part, found, expected in (("margin", output.margin, margin), ("entropy", output.entropy, entropy)):
            if len(found) != expected:
                raise _bins_error(f"outputs.{name}.{part}", len(found), expected)


def _class_bins(output: ProfileOutput) -> tuple[int, int, int]:
    """Cells of the joint table, bins of the margin and of the entropy."""
    return output.cells, len(output.margin) + 1, len(output.entropy) + 1


def _histogram_bins(side: ProfileInput) -> tuple[int, ...]:
    """Of each descriptor, with the bin for NaN."""
    return tuple(len(descriptor.edges) + 2 for descriptor in side.descriptors)


def _histograms_error(where: str, histograms: Sequence[Sequence[int]], known: ProfileInput) -> InputError:
    """What is wrong with the lengths of some histograms, which are not the known ones."""
    expected = _histogram_bins(known)
    if len(histograms) != len(expected):
        return _bins_error(where, len(histograms), len(expected))
    at = next(place for place, counts in enumerate(histograms) if len(counts) != expected[place])
    return _bins_error(f"{where}, {known.descriptors[at].name},", len(histograms[at]), expected[at])


def _bins_error(where: str, found: int, expected: int) -> InputError:
    return InputError(f"the report's {where} has {found} bins, the profile {expected}: bins of another profile")


def _check_cells(pairs: Sequence[int], cells: int, *where: str) -> None:
    if pairs and pairs[-2] >= cells:
        place = ".".join(where)
        raise InputError(f"the report's {place} has a count in cell {pairs[-2]:,}, the profile {cells:,} cells")


def check_bins(report: Report, profile: Profile) -> None:
    """Raise InputError where a report counts other tensors or in other bins than the profile that it names."""
    ProfileBins(profile).check(report)


def rebin_counts(counts: Sequence[int], edges: Sequence[float], coarser: Sequence[float]) -> list[int]:
    """Counts of the bins between `edges`, added up to those between `coarser` ones; a bin of NaN at the end stays.

    Raises InputError unless each of the `coarser` edges is one of `edges`: what fell on which side of another is not known.
    """
    if missing := sorted({*coarser} - {*edges}):
        raise InputError(f"counts cannot be brought into bins with an edge at {missing[0]:g}, which theirs have not")
    last = len(edges) + 1
    result = [0] * (len(coarser) + 1)
    for number, count in enumerate(counts[:last]):
        result[sum(edge <= edges[number - 1] for edge in coarser) if number else 0] += count
    return [*result, *counts[last:]]
