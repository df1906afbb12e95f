"""The report of a field as tables and pictures."""

from __future__ import annotations

from edgeship.monitoring.drift.field_report import FieldReport, LatencyRow, VersionWeek
from edgeship.monitoring.drift.page import PageContent, new_picture, shorten, to_svg
from edgeship.monitoring.drift.tables import Section, percent

MOST_ROWS = 40


def show_field(report: FieldReport, name: str = "") -> PageContent:
    """The page of a field; `name`: whose versions these are, where they are not all that report."""
    last = [week for week in report.weeks if week.window == report.windows[-1]]
    lines = (
        f"{report.windows[0]} to {report.windows[-1]}; in the last week {sum(week.installs for week in last):,} installations "
        f"with {sum(week.inferences for week in last):,} inferences.",
        "Accuracy is estimated from predicted classes and confidences, as they were right on the evaluation data: its change "
        "tells more than its height, and it cannot see that right answers changed. `edgeship monitor audit` measures.",
    )
    pictures = tuple(_draw(report, what) for what in ("installs", "estimate"))
    return PageContent(f"Reports of {name or 'the field'}", "", lines, describe_field(report), pictures)


def describe_field(report: FieldReport) -> tuple[Section, ...]:
    """The tables of a field, without those that are empty."""
    found = (_list_versions(report), _list_weeks(report), _list_latency(report), _list_outcomes(report))
    return tuple(section for section in found if section.rows)


def _list_versions(report: FieldReport) -> Section:
    total = sum(week.installs for week in report.weeks if week.window == report.windows[-1])
    installs = {week.version: week.installs for week in report.weeks if week.window == report.windows[-1]}
    rows = tuple(
        (
            item.version, f"{item.first} to {item.last}", f"{100 * installs.get(item.version, 0) / total:.1f} %",
            f"{item.inferences:,}", percent(item.lab), percent(item.estimate), percent(item.accepted),
        )
        for item in report.versions
    )  # fmt: skip
    note = "Lab: accuracy on the evaluation data; estimated: of the version's last week; accepted: of the outcomes."
    heads = ("version", "weeks", "of installations", "inferences", "lab", "estimated", "accepted")
    return Section("Versions", note, heads, rows, texts=2)


def _list_weeks(report: FieldReport) -> Section:
    rows = tuple(
        (week.window, week.version, f"{week.installs:,}", f"{week.inferences:,}", _estimate(week))
        for week in report.weeks[-MOST_ROWS:]
    )
    note = "Estimated accuracy with a 95 % interval over installations, of at least 25."
    return Section("Weeks", note, ("week", "version", "installations", "inferences", "estimated"), rows, texts=2)


def _estimate(week: VersionWeek) -> str:
    return "" if week.estimate is None else f"{percent(week.estimate)} ({percent(week.low)} to {percent(week.high)})"


def _list_latency(report: FieldReport) -> Section:
    rows = tuple(
        (
            f"{row.version}, {row.artifact}", row.tier, f"{row.timed:,}", f"{row.p50_ms:.3g}", f"{row.p90_ms:.3g}",
            f"{row.p99_ms:.3g}", _lab(row),
        )
        for row in report.latency
    )  # fmt: skip
    note = "In milliseconds, by tier of the devices, within 10 %; lab: median and 90 % there, where a bundle tells it."
    return Section("Latency", note, ("version", "tier", "timed", "50 %", "90 %", "99 %", "lab"), rows, texts=2)


def _lab(row: LatencyRow) -> str:
    return "" if row.lab_p50_ms is None or row.lab_p90_ms is None else f"{row.lab_p50_ms:.3g}, {row.lab_p90_ms:.3g}"


def _list_outcomes(report: FieldReport) -> Section:
    rows = []
    for week in report.weeks[-MOST_ROWS:]:
        counts = {"errors": week.errors, "fallbacks": week.fallbacks, **week.outcomes}
        told = ", ".join(f"{name} {count:,} ({_per_inference(count, week)})" for name, count in counts.items() if count)
        if told:
            rows.append((week.window, week.version, told))
    note = "Counts, and for each inference."
    return Section("Errors and outcomes", note, ("week", "version", "events"), tuple(rows), texts=3)


def _per_inference(count: int, week: VersionWeek) -> str:
    return f"{count / week.inferences:.2%}" if week.inferences else "without inferences"


def _draw(report: FieldReport, what: str) -> str:
    """A figure of each version by week, as SVG: installations or the estimated accuracy."""
    picture, axes = new_picture(2.6)
    for version in report.versions:
        weeks = [week for week in report.weeks if week.version == version.version and getattr(week, what) is not None]
        places = [report.windows.index(week.window) for week in weeks]
        if what == "installs":
            axes.plot(places, [week.installs for week in weeks], marker="o", label=shorten(version.version))
        else:
            middles = [100 * float(week.estimate or 0) for week in weeks]
            halves = [100 * float((week.high or 0) - (week.low or 0)) / 2 for week in weeks]
            axes.errorbar(places, middles, yerr=halves, marker="o", capsize=3, label=shorten(version.version))
    axes.set_xticks(range(len(report.windows)), report.windows, rotation=30)
    axes.set(ylabel="installations" if what == "installs" else "estimated accuracy, %")
    if what == "installs":
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return to_svg(picture)
