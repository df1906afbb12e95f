"""A result as tables, which the terminal, Markdown and the page show alike."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.results import DriftResult, EarlyWatch, Judgement, OutcomeRate, WeekSummary

MOST_ROWS = 12


@dataclass(frozen=True)
class Section:
    """A table with a title and a sentence on it; `texts`: how many columns at the left are text, the others are numbers."""

    title: str
    note: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1


def describe_drift(result: DriftResult) -> tuple[Section, ...]:
    """The tables of a result, without those that are empty."""
    found = [_list_weeks(result)]
    if result.judgement:
        found += [_list_moves(result.judgement), _list_outcomes(result.judgement), _list_slices(result.judgement)]
    found += [_list_launch(result), _list_changes(result.early)]
    return tuple(section for section in found if section.rows)


def _list_weeks(result: DriftResult) -> Section:
    shown = [week for week in result.weeks if week.role][:-1] + list(result.weeks[-MOST_ROWS:])
    unique = {week.window: week for week in sorted(shown, key=lambda week: week.window)}
    return Section(
        "Weeks",
        "Accuracy as the counts let expect it, with a 95 % interval over installations. It is off by some points where inputs "
        "are far from the evaluation data: what counts is its change.",
        ("week", "", "installations", "inferences", "late", "estimated accuracy"),
        tuple(_week_row(week) for week in unique.values()),
        texts=2,
    )


def _week_row(week: WeekSummary) -> tuple[str, ...]:
    estimate = (
        "" if week.estimate is None else f"{percent(week.estimate)} ({percent(week.low)} to {percent(week.high)})"
    )
    return (week.window, week.role, f"{week.installs:,}", f"{week.inferences:,}", f"{week.late or ''}", estimate)


def _list_moves(judgement: Judgement) -> Section:
    rows = tuple(
        (move.name, f"{move.p:.2g}", f"{100 * move.distance:.1f} %", move.bin, percent(move.before), percent(move.now))
        for move in judgement.histograms[:MOST_ROWS]
    )
    note = "By how surely they moved (p, for all histograms together); distance: the share of counts in other bins."
    return Section("Histograms", note, ("histogram", "p", "distance", "most in bin", "before", "now"), rows)


def _list_outcomes(judgement: Judgement) -> Section:
    note = "Events for each inference, with a 95 % interval of the change over installations."
    rows = tuple((rate.name, f"{rate.before:.3%}", f"{rate.now:.3%}", _change(rate)) for rate in judgement.outcomes)
    return Section("Outcomes and errors", note, ("event", "before", "now", "change"), rows)


def _change(rate: OutcomeRate) -> str:
    return "few installations" if rate.low is None or rate.high is None else f"{rate.low:+.3%} to {rate.high:+.3%}"


def _list_slices(judgement: Judgement) -> Section:
    rows = tuple(
        (
            item.dimension, item.value, f"{item.installs:,}", f"{item.p_moved:.2g}",
            f"{100 * (item.drop.before - item.drop.now):+.2f}" if item.drop else "",
            "" if item.p_drop is None else f"{item.p_drop:.2g}", item.verdict,
        )
        for item in judgement.slices
    )  # fmt: skip
    note = "Of at least 50 installations; p-values with Holm's correction. Drop: of the estimated accuracy, in points."
    heads = ("slice", "", "installations", "p (moved)", "drop", "p (beyond tolerance)", "verdict")
    return Section("Slices", note, heads, rows, texts=2)


def _list_launch(result: DriftResult) -> Section:
    launch = result.launch
    if launch is None:
        return Section("", "", (), ())
    rows = [(name, f"{100 * distance:.1f} %") for name, distance in list(launch.distances.items())[:5]]
    if launch.lab is not None and launch.estimate is not None:
        rows.append(
            (
                "accuracy: measured in the lab, estimated in the field",
                f"{percent(launch.lab)}, {percent(launch.estimate)}",
            )
        )
    note = (
        f"The first weeks ({launch.windows[0]} to {launch.windows[-1]}) beside the evaluation data. Users of a field are never "
        "those of a lab: large distances ask for a look, and no more."
    )
    return Section("Launch", note, ("histogram", "distance"), tuple(rows))


def _list_changes(early: EarlyWatch | None) -> Section:
    changes = early.changes[-MOST_ROWS:] if early else ()
    rows = tuple(
        (
            change.day, f"{change.window}{', not closed' if change.preliminary else ''}",
            "fell" if change.now < change.before else "rose", percent(change.before), percent(change.now),
            f"{change.installs:,}",
        )
        for change in changes
    )  # fmt: skip
    note = (
        "Where ADWIN saw the mean of installations' estimated accuracy change, in the order in which reports arrived: a "
        "warning, and no verdict. Each installation counts the same, so that the mean is not that of the weeks."
    )
    heads = ("seen on", "by a report of", "", "before", "now", "installations since")
    return Section("Between weeks", note, heads, rows, texts=3)


def percent(share: float | None) -> str:
    """A share as 91.24 %."""
    return "" if share is None else f"{100 * share:.2f} %"


def render_markdown(title: str, lines: tuple[str, ...], sections: tuple[Section, ...]) -> str:
    """A page of Markdown; what is foreign in it has no marks of its own."""
    parts = [f"# {_plain(title)}", *(f"- {_plain(line)}" for line in lines)]
    for section in sections:
        parts += ["", f"## {section.title}", "", section.note, "", _markdown_row(section.heads)]
        parts.append(
            "|" + "|".join("---" if place < section.texts else "--:" for place in range(len(section.heads))) + "|"
        )
        parts += [_markdown_row(row) for row in section.rows]
    return "\n".join([*parts, ""])


def _markdown_row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    from edgeship.untrusted import printable

    escaped = printable(text)
    for mark in "\\|<>*_`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped
