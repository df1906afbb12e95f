"""Reads the users of an experiment from a table or from reports, with a sentence for what cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.monitoring.experiments.planning.metrics import Metric, check_counts
from edgeship.monitoring.experiments.users.report_totals import read_reports, sum_reports
from edgeship.monitoring.experiments.users.user_totals import UserTotals, check_week, group_rows
from edgeship.tables.reading import column_names, find_delimiter, is_parquet, is_table, iterate_batches
from edgeship.tables.schema import ColumnSchema, Kind, TableSchema
from edgeship.untrusted import printable

Array = np.ndarray[Any, Any]
USER, ARM, WEEK, REGION = "user", "arm", "week", "region"
TEXTS = (USER, ARM, WEEK, REGION)
MOST_COUNT = 1e15  # of a user: squares of more lose all digits
BEFORE = "_before"  # the ending of a column with the same sum of the period before the experiment


def read_totals(path: Path, experiment: str, metrics: Sequence[Metric], today: date | None = None) -> UserTotals:
    """The users in a table (.csv, .parquet), or in reports of clients: a .jsonl of them, or a folder of .json files.

    A table has the columns `user`, `arm` and one for each count; `bought_before` holds `bought` of the period before. Rows of a
    user are added. `week`, as 2026-W48, and `region` may be there; of other columns those of the metrics are read. Raises
    InputError for what cannot be used.
    """
    if path.is_dir() or path.suffix == ".jsonl":
        return sum_reports(read_reports(path), experiment, today)
    return _read_table(path, metrics, today or datetime.now(UTC).date())


def read_users(path: Path, metric: Metric) -> UserTotals:
    """The users in a table without arms, of whom an experiment is planned. Raises InputError as `read_totals`."""
    return _read_table(path, [metric], datetime.now(UTC).date(), with_arms=False)


def _read_table(path: Path, metrics: Sequence[Metric], today: date, *, with_arms: bool = True) -> UserTotals:
    if not is_table(path):
        raise InputError(f"{printable(path)}: is neither a table (.csv, .parquet) nor reports (.jsonl, a folder)")
    delimiter = "," if is_parquet(path) else find_delimiter(path)
    names = column_names(path, delimiter)
    for name in (USER, ARM) if with_arms else (USER,):
        if name not in names:
            raise InputError(f"{printable(path)}: has no column '{name}'; one row a user: user, arm, and its counts")
    check_counts(metrics, {*names} - {*TEXTS}, printable(path))
    asked = {name for metric in metrics for name in metric.counts}
    read = [name for name in names if name in TEXTS or name.removesuffix(BEFORE) in asked]
    columns = tuple(ColumnSchema(name, _kind_of(name, read), 0) for name in names)
    batches = list(iterate_batches(path, TableSchema(0, columns, delimiter)))
    if not sum(batch.num_rows for batch in batches):
        raise InputError(f"{printable(path)}: holds no user")

    def column(name: str) -> Array:
        parts = [batch.column(name) for batch in batches]
        if missing := sum(part.null_count for part in parts):
            advice = "" if name in TEXTS else "; a user without any has 0"
            raise InputError(f"{printable(path)}: column '{printable(name)}' lacks {missing:,} values{advice}")
        return np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])

    if WEEK in names:
        for week in np.unique(column(WEEK).astype(str)):
            check_week(str(week), today, printable(path))
    counts = {name: column(name) for name in read if name not in TEXTS}
    _check_sums(counts, path)
    before = {name.removesuffix(BEFORE): values for name, values in counts.items() if name.endswith(BEFORE)}
    sums = {name: values for name, values in counts.items() if not name.endswith(BEFORE)}
    users = column(USER)
    totals = group_rows(users, column(ARM) if with_arms else np.full(len(users), ""), sums, before)
    return replace(totals, regions=_count_regions(column)) if REGION in names and with_arms else totals


def _kind_of(name: str, read: Sequence[str]) -> Kind:
    if name not in read:
        return "ignored"
    return "text" if name in TEXTS else "number"


def _check_sums(counts: Mapping[str, Array], path: Path) -> None:
    for name, values in counts.items():
        if not np.isfinite(values).all() or (values < 0).any() or (values > MOST_COUNT).any():
            raise InputError(
                f"{printable(path)}: column '{printable(name)}' holds what is no count: below 0 or above {MOST_COUNT:.0e}"
            )


def _count_regions(column: Callable[[str], Array]) -> dict[str, dict[str, int]]:
    pairs: Iterable[tuple[str, str, str]] = {*zip(column(REGION), column(ARM), column(USER), strict=True)}
    regions: dict[str, dict[str, int]] = {}
    for region, arm, _ in pairs:
        found = regions.setdefault(str(region), {})
        found[str(arm)] = found.get(str(arm), 0) + 1
    return regions
