"""The difference of two versions as Markdown, for a pull request."""

from __future__ import annotations

import re

from edgeship.bundle.metric import Figure, number_text, number_texts
from edgeship.model_registry.difference import Difference
from edgeship.model_registry.paired import PairedFigure
from edgeship.untrusted import printable_value

_MARKS = re.compile(r"[\\`*\[\]|~$_<>#@&]")


def render_difference(difference: Difference) -> str:
    """Figures on the same samples first, then what was done otherwise, and what it costs."""
    item = printable_value(difference)
    verdicts = f"{item.verdicts[0]} -> {item.verdicts[1]}"
    lines = [f"## {_escape(item.name)}: version {item.before} -> {item.after} ({verdicts})", ""]
    lines += ["| model | metric | before | after | gain, 95 % interval | flipped |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(map(_escape, row)) + " |" for row in map(figure_cells, item.paired)]
    lines += [
        "",
        "Intervals are paired: both versions answered the same samples. A gain is positive where the newer one is better.",
        "",
    ]
    lines += ["### What was done otherwise", "", *(f"- {_escape(change)}" for change in item.changes), ""]
    if item.costs:
        lines += ["### What it costs", "", "| | before | after |", "|---|---|---|"]
        costs = ([cost.title, cost_text(cost.before), cost_text(cost.after)] for cost in item.costs)
        lines += ["| " + " | ".join(map(_escape, row)) + " |" for row in costs]
        lines += ["", "Times were taken at two moments, and are no comparison."]
    return "\n".join(lines) + "\n"


def cost_text(value: Figure) -> str:
    """A size or time; bytes are whole numbers."""
    return f"{value:,}" if isinstance(value, int) else number_text(value)


def figure_cells(figure: PairedFigure) -> list[str]:
    """A pair of models as cells of a table: which, metric, before, after, gain with its interval or why there is none, flips."""
    name = figure.before if figure.before == figure.after else f"{figure.before} -> {figure.after}"
    name += f" ({figure.output})" if figure.output else ""
    if figure.gain is None or figure.value_before is None or figure.value_after is None:
        return [name, figure.metric or "-", "-", "-", figure.reason or "-", "-"]
    scale, unit = (100, " points") if figure.share else (1, "")
    values = number_texts(scale * figure.value_before, scale * figure.value_after)
    gain = number_texts(scale * figure.gain, digits=3, sign="+")[0] + unit
    if figure.low is None or figure.high is None:
        gain += f" ({figure.reason or 'no interval'})"
    else:
        low, high = number_texts(scale * figure.low, scale * figure.high, digits=3, sign="+")
        gain += f" [{low}, {high}]"
    flips = "-" if figure.flips_total is None else f"{figure.flips_total:,} of {figure.n:,}"
    percent = " %" if figure.share else ""
    return [name, figure.metric, values[0] + percent, values[1] + percent, gain, flips]


def _escape(text: str) -> str:
    """Text that Markdown shows as it is: as entities nothing of it is mark-up, a link or a mention."""
    return _MARKS.sub(lambda match: f"&#{ord(match[0])};", " ".join(str(text).split()))
