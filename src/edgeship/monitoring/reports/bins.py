"""Whether a report's bins are those of a profile, and counts in other bins where the edges nest."""

from __future__ import annotations

from collections.abc import Sequence

from edgeship.errors import InputError
from edgeship.monitoring.profile.profile import Profile, ProfileInput, ProfileOutput
from edgeship.monitoring.reports.report import ClassCounts, Report, ValueCounts
from edgeship.untrusted import printable


def check_bins(report: Report, profile: Profile) -> None:
    """Raise InputError where a report counts other tensors or in other bins than the profile that it names."""
    if report.artifact not in profile.artifacts or profile.artifacts[report.artifact] != report.content:
        raise InputError(f"the report is of an artifact that is not in the bundle, {report.artifact}")
    outputs = {item.name: item for item in profile.outputs}
    inputs = {item.name: item for item in profile.inputs}
    for side, found, known in (("outputs", report.outputs, outputs), ("inputs", report.inputs, inputs)):
        if found.keys() != known.keys():
            names = printable(", ".join(sorted(found)))[:100] or "none"
            raise InputError(f"the report counts the {side} {names}, the profile {', '.join(sorted(known)) or 'none'}")
    for name, output in report.outputs.items():
        _check_output(name, output, outputs[name])
    for name, histograms in report.inputs.items():
        _check_histograms(f"inputs.{name}", histograms, inputs[name])
    _check_cells("latency", report.latency, len(profile.latency) + 1)
    first = profile.first_classes
    for name, pairs in report.outcomes.items():
        _check_cells(f"outcomes.{name}", pairs, first.classes if first else 1)


def _check_output(name: str, output: ClassCounts | ValueCounts, known: ProfileOutput) -> None:
    where = f"outputs.{name}"
    if isinstance(output, ValueCounts):
        if known.values is None:
            raise InputError(f"the report's {where} are values, in the profile they are classes")
        _check_histograms(where, output.values, known.values)
        return
    if known.values is not None:
        raise InputError(f"the report's {where} are classes, in the profile they are values")
    _check_cells(f"{where}.joint", output.joint, known.cells)
    _check_length(f"{where}.margin", output.margin, len(known.margin) + 1)
    _check_length(f"{where}.entropy", output.entropy, len(known.entropy) + 1)


def _check_histograms(where: str, histograms: Sequence[Sequence[int]], known: ProfileInput) -> None:
    _check_length(where, histograms, len(known.descriptors))
    for counts, descriptor in zip(histograms, known.descriptors, strict=True):
        _check_length(f"{where}, {descriptor.name},", counts, len(descriptor.edges) + 2)


def _check_length(where: str, found: Sequence[object], expected: int) -> None:
    if len(found) != expected:
        raise InputError(f"the report's {where} has {len(found)} bins, the profile {expected}: bins of another profile")


def _check_cells(where: str, pairs: Sequence[int], cells: int) -> None:
    if pairs and pairs[-2] >= cells:
        raise InputError(f"the report's {where} has a count in cell {pairs[-2]:,}, the profile {cells:,} cells")


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
