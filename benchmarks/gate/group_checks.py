"""The check that no group of samples loses more than its margin: a loss in one hides in the average of all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgeship.benchmarks.compare.statistics import (
    LEAST_SAMPLES,
    Z95,
    Interval,
    holm_p_values,
    judge_drop,
    samples_advised,
)
from edgeship.benchmarks.gate.checks import JudgedMeasurement
from edgeship.benchmarks.gate.sample_sizes import in_two_digits
from edgeship.bundle.figures.comparisons import GroupAccuracy, OutputAccuracy
from edgeship.bundle.metric import number_text, number_texts
from edgeship.bundle.verdict import Check
from edgeship.types import Verdict

SHOWN_GROUPS = 3
LEVEL = 0.025  # one-sided, as the 95 % interval of all samples has it


def check_groups(subject: JudgedMeasurement, check: str, output: OutputAccuracy) -> Iterator[Check]:
    """Every group against the margin that its own figure of the server model gives.

    FAIL where some group surely loses more, with p-values adjusted for looking at all of them (Holm 1979). PASS where each
    group's own interval lies below its margin: a claim about all of them needs no adjustment, as no error in one makes it true
    (intersection-union test, Berger 1982, Technometrics 24:295-300). Else INCONCLUSIVE, also where a group has no figure.
    """
    name = subject.budget.groups
    if name is None:
        return
    if not output.groups:
        reason = output.reason or f"not measured by '{name}': run edgeship benchmark again"
        yield subject.make_check(check, Verdict.FAIL, reason)
        return
    rows = [_GroupDrop(row, subject.budget.margin(row.server or 0.0, output.share) or 0.0) for row in output.groups]
    failed = _find_failures(rows)
    open_rows = [row for row in rows if row.verdict is not Verdict.PASS and row not in failed]
    told = sorted(failed or open_rows or [max(rows, key=lambda row: row.excess)], key=lambda row: -row.excess)
    verdict = Verdict.FAIL if failed else Verdict.INCONCLUSIVE if open_rows else Verdict.PASS
    word = {Verdict.FAIL: "lost too much", Verdict.INCONCLUSIVE: "not decided"}.get(verdict, "nearest to its margin")
    texts = "; ".join(row.describe(output) for row in told[:SHOWN_GROUPS])
    more = f" and {len(told) - SHOWN_GROUPS} more" if len(told) > SHOWN_GROUPS else ""
    reason = f"{word}, of {len(rows)} groups by '{name}': {texts}{more} (Holm-corrected)"
    worst, scale = told[0], 100 if output.share else 1
    figures = (worst.drop * scale, worst.margin * scale, "points" if output.share else output.metric)
    found = subject.make_check(check, verdict, reason, figures if worst.known else (None, None, ""))
    yield found if failed else _ask_for_samples(found, open_rows)


def _ask_for_samples(check: Check, rows: Sequence[_GroupDrop]) -> Check:
    """An undecided check with the most samples that any group would take, where each could be decided by more."""
    needed = [(row.needed, row.row.n) for row in rows]
    most, n = max(((count, n) for count, n in needed if count is not None), default=(None, 0))
    if most is None or len(needed) > sum(count is not None for count, _ in needed):
        return check
    about = in_two_digits(most)
    reason = f"{check.reason}; about {about:,} samples of a group would decide, there are {n:,}"
    return replace(check, reason=reason, samples=n, samples_needed=about)


class _GroupDrop:
    """A group's drop with its margin."""

    def __init__(self, row: GroupAccuracy, margin: float) -> None:
        self.row, self.margin = row, margin
        figures = (row.drop, row.low, row.high)
        self.known = all(figure is not None and math.isfinite(figure) for figure in figures)
        self.drop, self.low, self.high = (figure or 0.0 for figure in figures)
        self.excess = self.drop - margin if self.known else -math.inf
        self.verdict = judge_drop(self.low, self.high, margin, row.n) if self.known else Verdict.INCONCLUSIVE

    @property
    def p_value(self) -> float:
        """The one-sided p-value that the drop is within the margin, from the interval (Altman and Bland 2011, BMJ 343:d2304)."""
        half = self.drop - self.low if self.excess > 0 else self.high - self.drop
        if self.row.n < LEAST_SAMPLES:  # they decide nothing
            return 1.0
        if not self.known or half <= 0:
            return 0.0 if self.known and self.excess > 0 else 1.0
        return math.erfc(Z95 * self.excess / half / math.sqrt(2)) / 2

    @property
    def needed(self) -> int | None:
        """How many samples of the group would decide it; None where no number would."""
        if not self.known:
            return None
        interval = Interval(self.low, self.high, self.row.spread)
        return samples_advised(self.drop, interval, self.margin, self.row.n)

    def describe(self, output: OutputAccuracy) -> str:
        """The group's name and drop in words."""
        if not self.known:
            return f"{self.row.group}: {self.row.reason or 'no figure'} ({self.row.n:,} samples)"
        unit, figures = "points" if output.share else output.metric, (self.drop, self.low, self.high)
        drop, low, high = (
            [f"{figure * 100 + 0.0:.2f}" for figure in figures] if output.share else number_texts(*figures)
        )
        margin = f"{self.margin * 100:.2f}" if output.share else number_text(self.margin)
        return f"{self.row.group} drop {drop} {unit} ({low} to {high}, margin {margin}, {self.row.n:,} samples)"


def _find_failures(rows: list[_GroupDrop]) -> list[_GroupDrop]:
    adjusted = holm_p_values([row.p_value for row in rows])
    return [row for row, p_value in zip(rows, adjusted, strict=True) if p_value < LEVEL]
