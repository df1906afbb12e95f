"""A stream on one page: the share of right answers by interval, and what came of each."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from edgeship.learning.stream.results import IntervalRecord, Share, StreamResult
from edgeship.learning.stream.state import AsideRow
from edgeship.monitoring.drift.page import BLUE, GREY, ORANGE, PageContent, new_picture, to_svg, write_page
from edgeship.monitoring.drift.tables import Section, percent
from edgeship.storage.atomic import atomic_file
from edgeship.types import to_json

HEADS = ("interval", "rows", "answered by", "right", "95 % interval", "ended", "version", "verdict", "delta")
COLUMNS = (
    "interval", "first", "last", "rows", "right", "accuracy", "low", "high", "predicted_by", "ended", "version", "verdict",
)  # fmt: skip
SHOWN_REASONS = 20


def write_reports(result: StreamResult) -> None:
    """The table, the JSON and the page, each whole or not at all."""
    with atomic_file(result.table) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            (
                item.number, item.first, item.last, item.share.rows, item.share.right, item.share.accuracy, item.share.low,
                item.share.high, item.predicted_by, item.ended, item.version, item.verdict,
            )
            for item in result.intervals
        )  # fmt: skip
    with atomic_file(result.table.with_name("stream.json")) as beside:
        beside.write_text(json.dumps(to_json(result), indent=1) + "\n", encoding="utf-8")
    write_stream_page(result, result.page)


def write_quarantine(rows: list[AsideRow], path: Path) -> None:
    """The rows that were set aside as JSON lines: where each is, its key, and why."""
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(to_json(row)) + "\n" for row in rows)


def write_stream_page(result: StreamResult, path: Path) -> None:
    """Write the page of a result: .html or .md."""
    pictures = (draw_intervals(result),) if result.intervals else ()
    verdict = f"version {result.model} predicts"
    write_page(
        PageContent(f"Stream of {result.name}", verdict, _describe_lines(result), describe_stream(result), pictures),
        path,
    )


def _describe_lines(result: StreamResult) -> tuple[str, ...]:
    counts = result.counts
    lines = [f"Began with champion {result.champion}. {describe_share(result.share)}"]
    taught = [
        f"{number:,} {what}"
        for number, what in (
            (counts.unlabelled, "without a label"),
            (counts.repeated, "there already"),
            (counts.set_aside, "set aside"),
        )
        if number
    ]
    if taught:
        lines.append(f"Rows that taught nothing: {', '.join(taught)}.")
    if result.waiting:
        lines.append(f"{result.waiting:,} rows wait for the end of their interval.")
    return tuple(lines)


def describe_share(share: Share) -> str:
    """The share of right answers in words."""
    if share.accuracy is None:
        return "No row was learned yet."
    return (
        f"{percent(share.accuracy)} of {share.rows:,} rows were answered right before they were learned "
        f"(95 % interval {percent(share.low)} to {percent(share.high)})."
    )


def describe_stream(result: StreamResult) -> tuple[Section, ...]:
    """A result as tables for people."""
    note = "Each row is answered before it is learned; the 95 % interval is Wilson's."
    sections = [Section("Intervals", note, HEADS, tuple(map(_row, result.intervals)), texts=1)]
    reasons = [
        (str(item.number), item.verdict, reason)
        for item in result.intervals[-SHOWN_REASONS:]
        for reason in item.reasons
    ]
    if reasons:
        note = f"Of the last {SHOWN_REASONS} intervals." if len(result.intervals) > SHOWN_REASONS else ""
        sections.append(Section("What the gate found", note, ("interval", "", "found"), tuple(reasons), texts=3))
    return tuple(sections) if result.intervals else ()


def _row(item: IntervalRecord) -> tuple[str, ...]:
    delta = ", ".join(f"{one.patch:,} of {one.bytes:,} bytes ({one.ratio:.1%}, {one.artifact})" for one in item.deltas)
    return (
        str(item.number), f"{item.first:,} to {item.last:,}", str(item.predicted_by), percent(item.share.accuracy),
        f"{percent(item.share.low)} to {percent(item.share.high)}", item.ended,
        "" if item.version is None else str(item.version), item.verdict, delta,
    )  # fmt: skip


def draw_intervals(result: StreamResult) -> str:
    """The share of right answers of each interval with its interval, and of all rows so far, as SVG."""
    picture, axes = new_picture(3.0)
    middles = [100 * (item.share.accuracy or 0.0) for item in result.intervals]
    numbers = [item.number for item in result.intervals]
    errors = [
        [middle - 100 * (item.share.low or 0.0) for middle, item in zip(middles, result.intervals, strict=True)],
        [100 * (item.share.high or 0.0) - middle for middle, item in zip(middles, result.intervals, strict=True)],
    ]
    axes.errorbar(numbers, middles, yerr=errors, color=BLUE, marker="o", capsize=3, label="interval")
    right = rows = 0
    so_far = []
    for item in result.intervals:
        right, rows = right + item.share.right, rows + item.share.rows
        so_far.append(100 * right / rows)
    axes.plot(numbers, so_far, color=GREY, linewidth=0.8, label="all rows so far")
    refused = [at for at, item in enumerate(result.intervals) if item.verdict == "refused"]
    if refused:
        axes.plot(
            [numbers[at] for at in refused],
            [middles[at] for at in refused],
            "x",
            color=ORANGE,
            label="snapshot refused",
        )
    for label, item in enumerate(item for item in result.intervals if item.drift):
        axes.axvline(item.number, color=ORANGE, linestyle=":", label="_" if label else "drift seen")
    step = max(1, len(numbers) // 15)
    axes.set_xticks(numbers[::step])
    axes.set(xlabel="interval", ylabel="answered right before learned, %")
    axes.legend(loc="best", fontsize=8)
    return to_svg(picture)
