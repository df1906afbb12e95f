"""The checks that every kind of data goes through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeship.data_checks import judge
from edgeship.data_checks.methods.leakage import ColumnScore
from edgeship.data_checks.methods.shift import ColumnShift
from edgeship.data_checks.report import Finding, LabelReport
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
    # On a machine that is busy, threads that wait for each other take twenty times as long as one thread.
    with import_thread_limits()(1):
        return _check_splits(split, other, group)


def import_thread_limits() -> Any:
    """What limits the threads of scikit-learn's models. Raises MissingDependencyError where scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
        from threadpoolctl import threadpool_limits  # comes with scikit-learn
    except ImportError as error:
        raise MissingDependencyError(
            f"checks of data need scikit-learn ({error}): pip install 'edgeship[data]'"
        ) from error
    return threadpool_limits


def _check_splits(split: Split, other: Split | None, group: str) -> Checked:
    leak_findings, scores, no_leaks = judge.judge_leaks(split)
    label_findings, labels, no_labels = judge.judge_labels(split)
    findings = [*leak_findings, *label_findings, *judge.judge_copies(split), *judge.judge_balance(split)]
    shifts: tuple[ColumnShift, ...] = ()
    if other is not None:
        shift_findings, shifts = judge.judge_shift(split, other)
        findings += [*judge.judge_shared(split, other), *judge.judge_groups(split, other, group), *shift_findings]
    skipped = {"leakage": no_leaks, "labels": no_labels}
    return Checked(tuple(findings), scores, labels, shifts, {key: why for key, why in skipped.items() if why})
