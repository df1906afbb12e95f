"""The rows of the results table as text: what the terminal, the report and the Markdown comment all show."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from edgeship.benchmarks.gate.checks import metric_of, why_not_run
from edgeship.benchmarks.measure import timing
from edgeship.bundle.figures.comparisons import AccuracyReport, GroupAccuracy, OutputAccuracy, ServerAccuracy
from edgeship.bundle.figures.device_figures import NOT_COMPARED, CellState
from edgeship.bundle.figures.measurement import LatencyRatio, Measurement
from edgeship.bundle.manifest import Manifest
from edgeship.bundle.metric import Metric, number_text, number_texts
from edgeship.bundle.mixed_precision import MixedPrecisionStep
from edgeship.bundle.verdict import combine_verdicts
from edgeship.errors import brief_message
from edgeship.light_dataclass import dataclass
from edgeship.types import Availability, Kind, Verdict


@dataclass(frozen=True)
class Column:
    """A column of the results: its name in a row, its heading in words, and what that means; `wide`: for those who ask."""

    name: str
    heading: str
    meaning: str = ""
    wide: bool = False


COLUMNS = (
    Column("artifact", "artifact"),
    Column("verdict", "verdict"),
    Column("runtime", "runtime"),
    Column("output", "output"),
    Column("size", "size on disk", "of the file, or of all files of a TF.js model", wide=True),
    Column("wire", "download size", "compressed with brotli, as a web server sends it"),
    Column("load", "time to load", "from the file to a runtime that is ready", wide=True),
    Column("first", "first inference", "the first one after loading", wide=True),
    Column("p50", "median latency", "of one inference, one sample at a time"),
    Column(
        "p90", "p90 latency",
        "nine of ten inferences take less: MLPerf's early-stopping estimate, which holds with 99 % confidence", wide=True,
    ),
    Column("ratio", "time vs float32", "latency over that of the float32 artifact of the format, run in turn"),
    Column("memory", "peak memory", "of the process that runs the artifact"),
    Column("accuracy", "accuracy"),
    Column("drop", "accuracy drop", "server model minus artifact on the same samples, with its 95 % interval"),
    Column("group", "worst group", "of the groups of samples the one that lost most, with its drop"),
    Column("agreement", "same answers", "samples on which it answers as the server model, right or wrong"),
    Column("noise", "signal over noise", "of the worst output beside the server model's: at 20 dB noise is a tenth", wide=True),
    Column("kind", "figures are", "measured here, emulated, simulated or estimated", wide=True),
)  # fmt: skip
EVERYWHERE = ("size_disk_bytes", "size_gzip_bytes", "size_brotli_bytes", "parameters")


@dataclass
class Table:
    """Cells by row and column; a missing figure is a dash with the number of the note that says why."""

    metrics: Mapping[str, str] = field(
        default_factory=dict
    )  # by name why it was taken unasked, where that is not plain
    rows: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    timing: str = ""
    busy: str = ""  # the one note of times that are missing as the machine was busy

    def columns(self, *, wide: bool) -> list[Column]:
        """The columns that hold anything: all with `wide`, else those that every reader needs.

        Figures of other kinds than measured ones never stand without their label; without labels the noise is what there is.
        """
        with_kind = any(row.get("kind", Kind.MEASURED) != Kind.MEASURED for row in self.rows)
        return [
            column
            for column in COLUMNS
            if any(row.get(column.name) for row in self.rows)
            and (wide or not column.wide or {"kind": with_kind, "noise": not self.metrics}.get(column.name, False))
        ]

    def legend(self, columns: Sequence[Column] = COLUMNS) -> str:
        """What the columns mean."""
        names = [f"{name} ({why})" if why else name for name, why in self.metrics.items()]
        metrics = [f"accuracy: {', '.join(names)}"] if names else []
        meanings = [*metrics, *(f"{column.heading}: {column.meaning}" for column in columns if column.meaning)]
        return f"{'; '.join(meanings)}. {self.timing}".strip()

    def figure(self, value: float, metric: str, share: bool) -> str:
        """An accuracy: shares in percent, others in their own unit; with the metric's name where there are several."""
        name = f"{metric} " if len(self.metrics) > 1 else ""
        return name + (f"{value * 100:.2f} %" if share else number_text(value))

    def missing_cell(self, reason: str, availability: Availability = Availability.UNDEFINED) -> str:
        """The cell of a figure that is missing for that reason."""
        if availability is Availability.UNSTABLE:
            # Each moment is busy in its own way; one note is enough for all of them.
            self.busy = reason = self.busy or reason
        if reason not in self.notes:
            self.notes.append(reason)
        return f"- [{self.notes.index(reason) + 1}]"


def build(manifest: Manifest) -> Table:
    """One row for the server model, then one per measurement, and one per artifact that has none.

    Of several labelled outputs each has a row of its own, which names it.
    """
    reports = [item.details.accuracy for item in manifest.measurements]
    compared = [output for report in reports if report for output in (*report.outputs.values(), report)]
    table = Table({output.metric: output.why for output in sorted(compared, key=lambda output: output.why)})
    table.metrics = {output.metric: table.metrics[output.metric] for output in compared}
    table.timing = timing.describe_timing(manifest.measurements)
    if manifest.server_measurement:
        table.rows += _server_rows(table, manifest.server_measurement)
    executed = [item for item in manifest.measurements if not was_not_run(item)]
    for item in executed:
        table.rows += _rows_by_output(table, item, _measurement_row(table, manifest, item))
    artifacts_with_rows = {item.artifact for item in executed}
    for artifact in manifest.artifacts:
        if artifact.id not in artifacts_with_rows:
            verdict = verdict_of(manifest, artifact.id)
            table.rows.append({"artifact": artifact.id, "size": table.missing_cell("not measured"), "verdict": verdict})
    _mark_remarks(table, manifest)
    for failed in manifest.failures:
        verdict = verdict_of(manifest, failed.artifact)
        table.rows.append(
            {"artifact": failed.artifact, "wire": table.missing_cell("it could not be made"), "verdict": verdict}
        )
    return table


def _mark_remarks(table: Table, manifest: Manifest) -> None:
    """A star at the size of what does not pay; why stands beside the verdict. What is remarked of others' files is not that."""
    remarks = {item.artifact for item in manifest.gate.remarks} if manifest.gate else set()
    remarks -= {item.id for item in manifest.artifacts if item.foreign}
    for row in table.rows:
        if row["artifact"] in remarks and row.get("wire"):
            row["wire"] += " *"


def host_measurements(manifest: Manifest) -> tuple[Measurement, ...]:
    """The measurements on this machine, or those of other devices where there are none: what plots of an artifact show."""
    items = manifest.measurements
    return tuple(item for item in items if item.details.cell is None) or tuple(
        item for item in items if not was_not_run(item)
    )


def was_not_run(item: Measurement) -> bool:
    """Whether a measurement is one of a device that did not run the artifact: the parity matrix says why."""
    cell = item.details.cell
    return cell is not None and cell.state in (*NOT_COMPARED, CellState.ESTIMATED)


def _server_rows(table: Table, server: ServerAccuracy) -> list[dict[str, str]]:
    if len(server.outputs) < 2:
        return [{"artifact": "server model", "accuracy": _figure_cell(table, server, server.server)}]
    return [
        {"artifact": "server model", "output": name, "accuracy": _figure_cell(table, output, output.server)}
        for name, output in server.outputs.items()
    ]


def _figure_cell(table: Table, figures: ServerAccuracy | OutputAccuracy, value: float | None) -> str:
    return table.missing_cell(figures.reason) if value is None else table.figure(value, figures.metric, figures.share)


def _rows_by_output(table: Table, item: Measurement, row: dict[str, str]) -> list[dict[str, str]]:
    """A measurement's row, or one for each of several labelled outputs: the first has what holds for all of them, too."""
    report = item.details.accuracy
    if report is None:
        return [row]
    if len(report.outputs) < 2:
        return [{**row, "group": worst_group_text(report)}]
    rows: list[dict[str, str]] = []
    for name, output in report.outputs.items():
        parity = (item.details.parity or {}).get(name)
        agreement = parity.agreement if parity else None
        figures = {
            "output": name,
            "accuracy": _figure_cell(table, output, output.value),
            "drop": drop_text(output),
            "group": worst_group_text(output),
            "agreement": "" if agreement is None else f"{agreement * 100:.2f} %",
        }
        common = row if not rows else {key: row[key] for key in ("artifact", "runtime", "kind")}
        rows.append({**common, **figures})
    return rows


def _measurement_row(table: Table, manifest: Manifest, item: Measurement) -> dict[str, str]:
    on_device = item.details.cell is not None

    def cell(name: str, form: Callable[[float], str]) -> str:
        if on_device and item.metric(name) is None:
            return ""  # a figure that such a device does not give
        metric = metric_of(item, name)
        return (
            form(metric.value)
            if metric.value is not None
            else table.missing_cell(_short_reason(metric), metric.availability)
        )

    def ratio_cell() -> str:
        if item.metric("latency_ratio") is None and not on_device:
            return table.missing_cell("no float32 artifact of this format to compare with")
        return cell("latency_ratio", lambda value: _ratio_text(value, item.details.latency_ratio))

    report = item.details.accuracy or AccuracyReport(share=True)
    baseline = item.artifact.endswith("/float32")
    timed = metric_of(item, "latency_p50_ms").value is not None
    return {
        "artifact": item.artifact,
        "runtime": item.runtime + ("" if item.device == "host" else f" @ {item.device}"),
        "size": cell("size_disk_bytes", size_text),
        "wire": cell("size_brotli_bytes", size_text),
        "load": cell("load_ms", milliseconds_text),
        "first": cell("first_inference_ms", milliseconds_text),
        "p50": cell("latency_p50_ms", milliseconds_text),
        "p90": cell("latency_p90_early_stopping_ms", milliseconds_text),
        "ratio": ("1" if timed else cell("latency_p50_ms", str)) if baseline else ratio_cell(),
        "memory": cell("peak_memory_bytes", size_text),
        "accuracy": cell("accuracy", lambda value: table.figure(value, report.metric, report.share)),
        "drop": cell("accuracy_drop", lambda _: drop_text(report)),
        "agreement": cell("agreement", lambda value: f"{value * 100:.2f} %"),
        "noise": cell("sqnr_db", lambda value: f"{value:.1f} dB"),
        "kind": ", ".join(figure_kinds(item)),
        "verdict": _verdict_of_row(manifest, item),
    }


def _short_reason(metric: Metric) -> str:
    whole = metric.availability in (Availability.NOT_RUN, Availability.UNSTABLE)
    return metric.reason if whole else brief_message(metric.reason, 160)


def _ratio_text(value: float, interval: LatencyRatio | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return f"{value:.2g}"
    decimals = _known_decimals(interval.low, interval.high)
    return f"{value:.{decimals}f} [{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"


def latency_of_step(step: MixedPrecisionStep, unit: str = "") -> str:
    """The latency ratio of one of `auto`'s steps, with as many decimals as its interval leaves known; why there is none."""
    value, interval = step.latency_ratio, step.latency_interval
    if value is None:
        return step.latency_reason or "-"
    return (f"{value:.{_known_decimals(*interval)}f}" if interval else f"{value:.2g}") + unit


def _known_decimals(low: float, high: float) -> int:
    """Decimals of which the last is not finer than half the interval, two at most."""
    half = (high - low) / 2
    return 2 if half <= 0.01 else max(0, math.ceil(-math.log10(half)))


def figure_kinds(item: Measurement) -> list[Kind]:
    """How the figures of a measurement were obtained: measured, emulated, ... (sizes are the same everywhere)."""
    return sorted({m.kind for m in item.metrics if m.value is not None and m.name not in EVERYWHERE}) or [Kind.MEASURED]


def _verdict_of_row(manifest: Manifest, item: Measurement) -> str:
    """As `verdict_of`: where the runtime never ran, what holds for the artifact everywhere (its origin) is no pass of it."""
    verdict = verdict_of(manifest, item.artifact, item.runtime, item.device)
    return "NOT JUDGED" if verdict == Verdict.PASS and why_not_run(item) else verdict


def verdict_of(manifest: Manifest, artifact: str, runtime: str = "", device: str = "") -> str:
    """The verdict on a row: the worst of its checks; NOT JUDGED where the gate left it out; empty without a gate."""
    gate = manifest.gate
    if not gate:
        return ""
    verdict = combine_verdicts(
        [
            check
            for check in gate.checks
            if check.artifact == artifact
            and (not runtime or check.runtime in ("", runtime))
            and (not device or check.device in ("", device))
        ]
    )
    left_out = any(item.artifact == artifact for item in gate.not_judged)
    return "NOT JUDGED" if verdict is None or (left_out and verdict is Verdict.PASS) else str(verdict)


def size_text(value: float) -> str:
    """Bytes as people read them, in powers of 1000."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}" if value < 999.5 * scale else f"{value / scale:,.0f} {unit}"
    return f"{value:.0f} B"


def milliseconds_text(value: float) -> str:
    """A time in ms, in microseconds where it is below 0.1 ms and in seconds from 1000 ms.

    To about 1 %, which is how far fresh processes of one file lie apart: two digits, three where the first is a 1.
    """
    number, unit = (value * 1000, "µs") if value < 0.1 else (value, "ms") if value < 1000 else (value / 1000, "s")
    digits = 3 if f"{number:e}".startswith("1") else 2
    rounded = float(f"{number:.{digits}g}")
    return f"{rounded:g} {unit}"


def drop_text(figures: OutputAccuracy | GroupAccuracy, share: bool | None = None) -> str:
    """The drop with its interval, in percentage points for shares; of a group `share` says whether it is one."""
    if figures.drop is None or figures.low is None or figures.high is None:
        return "-"
    if figures.share if isinstance(figures, OutputAccuracy) else share:
        value, low, high = (f"{figure * 100 + 0.0:+.2f}" for figure in (figures.drop, figures.low, figures.high))
        return f"{value} [{low}, {high}] pt"
    value, low, high = number_texts(figures.drop, figures.low, figures.high, digits=3, sign="+")
    return f"{value} [{low}, {high}]"


def worst_group_text(output: OutputAccuracy) -> str:
    """The group of samples that lost most, with its drop; empty without groups."""
    if not output.groups:
        return ""
    worst = max(output.groups, key=lambda group: -math.inf if group.drop is None else group.drop)
    return f"{worst.group} {drop_text(worst, output.share)}"
