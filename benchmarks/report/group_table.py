"""The figures of groups of samples, as text."""

from __future__ import annotations

from edgeship.benchmarks.report.table_rows import drop_text
from edgeship.bundle.figures.comparisons import OutputAccuracy
from edgeship.bundle.manifest import Manifest
from edgeship.bundle.metric import number_text
from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class GroupRow:
    """The figures of a group with `n` samples; where there is none the drop is the reason."""

    artifact: str
    runtime: str
    output: str
    group: str
    n: int
    server: str
    value: str
    drop: str


def build_rows(manifest: Manifest) -> list[GroupRow]:
    """One row for each measurement, labelled output and group."""
    return [
        GroupRow(
            artifact=item.artifact,
            runtime=item.runtime,
            output=name,
            group=group.group,
            n=group.n,
            server=_figure_text(group.server, output),
            value=_figure_text(group.value, output),
            drop=group.reason if group.drop is None else drop_text(group, output.share),
        )
        for item in manifest.measurements
        if item.details.accuracy
        for name, output in item.details.accuracy.outputs.items()
        for group in output.groups
    ]


def _figure_text(value: float | None, output: OutputAccuracy) -> str:
    if value is None:
        return "-"
    return f"{output.metric} {value * 100:.2f} %" if output.share else f"{output.metric} {number_text(value)}"
