"""A retraining on one page: what was decided and why, on what it was trained, and how it compares."""

from __future__ import annotations

from pathlib import Path

from edgeship.learning.retraining.card import WORN
from edgeship.learning.retraining.record import AuditGain, Retraining
from edgeship.learning.retraining.results import RetrainResult
from edgeship.monitoring.drift.page import BLUE, GREY, PageContent, new_picture, to_svg, write_page
from edgeship.monitoring.drift.tables import Section

TITLES = {
    "nothing to do": "nothing to do",
    "would train": "would train",
    "better": "a better challenger",
    "refused": "challenger refused",
}


def write_retraining_page(result: RetrainResult, path: Path) -> None:
    """Write the page of a result: .html or .md."""
    pictures = []
    if result.record and result.record.gain.low is not None:
        pictures.append(draw_gain(result.record.gain))
    content = PageContent(
        f"Retraining of {result.name}", TITLES[result.outcome], tuple(_lines(result)), tuple(describe_retraining(result)),
        tuple(pictures),
    )  # fmt: skip
    write_page(content, path)


def _lines(result: RetrainResult) -> list[str]:
    lines = [f"Champion: version {result.champion}."]
    if result.challenger is not None:
        lines.append(
            f"Challenger: version {result.challenger}, in the registry{' and in staging' if result.promoted else ''}."
        )
    record = result.record
    if record:
        worn = "; it is worn, and new evaluation data is advised" if record.evaluation_uses >= WORN else ""
        judged = f"the newest audit {record.audit_uses} challenger{'s'[: record.audit_uses != 1]}"
        lines.append(f"The evaluation data has judged {record.evaluation_uses} versions{worn}; {judged}.")
    return lines


def describe_retraining(result: RetrainResult) -> list[Section]:
    """A result as tables for people."""
    why = [("to train", text) for text in result.decision.reasons] + [("", text) for text in result.decision.silent]
    sections = [Section("Whether to train", "Reasons, and what gave none.", ("", "found"), tuple(why), texts=2)]
    if result.plan:
        sections.append(_describe_plan(result))
    if result.record:
        sections.append(_describe_verdict(result.record))
    return sections


def _describe_plan(result: RetrainResult) -> Section:
    plan = result.plan
    if plan is None:
        raise ValueError("nothing was planned")
    rows = [
        ("labels", f"{plan.labels:,}, each {plan.repeats} times"),
        ("old samples beside them", f"{plan.replay:,}"),
        ("audit, never trained on", f"{plan.audit:,}"),
        *((("classes", ", ".join(plan.classes)),) if plan.classes else ()),
        *(("note", note) for note in plan.notes),
    ]
    return Section("What it is trained on", "And what judges it.", ("", "samples"), tuple(rows), texts=2)


def _describe_verdict(record: Retraining) -> Section:
    note = f"Not worse than the champion on old data, and surely better on the newest audit: {record.verdict}."
    return Section("Comparison with the champion", note, ("found",), tuple((reason,) for reason in record.reasons))


def draw_gain(gain: AuditGain) -> str:
    """The gain on the newest audit with its interval, as SVG."""
    scale = 100 if gain.share else 1
    low, middle, high = (scale * (value or 0.0) for value in (gain.low, gain.gain, gain.high))
    picture, axes = new_picture(1.1)
    axes.plot([low, high], [0, 0], color=BLUE, linewidth=5, solid_capstyle="butt")
    axes.plot([middle], [0], color=BLUE, marker="D")
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set(yticks=[], xlabel=f"gain of {gain.metric} on the newest audit{', points' if gain.share else ''}")
    return to_svg(picture)
