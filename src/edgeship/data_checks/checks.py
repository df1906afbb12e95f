"""The checks that every kind of data goes through."""

from __future__ import annotations

from collections.abc import Mapping

from edgeship.data_checks import judge
from edgeship.data_checks.leakage import ColumnScore
from edgeship.data_checks.report import Finding, LabelReport
from edgeship.data_checks.shift import ColumnShift
from edgeship.data_checks.split import Split
from edgeship.errors import MissingDependencyError
from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class Checked:
    """What was found in one split, or in two; `skipped` checks with their reasons."""

    findings: tuple[Finding, ...]
    scores: tuple[ColumnScore, ...]
    labels: LabelReport | None
    shifts: tuple[ColumnShift, ...]
    skipped: Mapping[str, str]


def check_splits(split: Split, other: Split | None, group: str = "") -> Checked:
    """Check a split, and whether a second one (the evaluation data) is apart from it and like it."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"checks of data need scikit-learn ({error}): pip install 'edgeship[data]'"
        ) from error
    leak_findings, scores, no_leaks = judge.judge_leaks(split)
    label_findings, labels, no_labels = judge.judge_labels(split)
    findings = [*leak_findings, *label_findings, *judge.judge_copies(split), *judge.judge_balance(split)]
    shifts: tuple[ColumnShift, ...] = ()
    if other is not None:
        shift_findings, shifts = judge.judge_shift(split, other)
        findings += [*judge.judge_shared(split, other), *judge.judge_groups(split, other, group), *shift_findings]
    skipped = {"leakage": no_leaks, "labels": no_labels}
    return Checked(tuple(findings), scores, labels, shifts, {key: why for key, why in skipped.items() if why})
