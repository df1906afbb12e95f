"""Shadow mode: both models on the same inputs of a device, counted in one table of what each of them said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.types import Verdict
from edgeship.untrusted import printable

Array = np.ndarray[Any, Any]
FIRST, SECOND, COUNT, LABEL, USER = "first", "second", "count", "label", "user"
ALPHA, Z95, LEAST_USERS = 0.05, 1.959964, 20
MOST_COUNT = 10**15  # in all: float64 has each whole number up to there, and sums of squares have their digits
SHOWN = 10  # pairs of classes that differ most often


@dataclass(frozen=True)
class ClassPair:
    """How often the first model said one class and the second another."""

    first: str
    second: str
    count: int


@dataclass(frozen=True)
class ShadowResult:
    """Two models on the same inputs, as counts. `classes` and `table` (first, second) count all; `users` is None if unknown.

    `share` of the inputs have two answers, with a 95 % interval over users (None without them). Of those, `audited` were
    labelled: the second model alone was right in `gains`, the first alone in `losses`; `p`: that it is as likely either way.
    PASS: the second model is right more often, FAIL: less often, INCONCLUSIVE: not decided, or nothing audited.
    """

    classes: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    count: int
    disagreements: int
    share: float
    low: float | None
    high: float | None
    pairs: tuple[ClassPair, ...]
    users: int | None
    audited: int
    gains: int
    losses: int
    p: float | None
    method: str
    verdict: Verdict
    reason: str


def read_shadow(path: Path) -> ShadowResult:
    """The table of a shadow run: columns `first`, `second` (classes), `count`, and perhaps `user` and `label`.

    `label` is the right class of audited inputs, empty elsewhere. Raises InputError for what is no such table.
    """
    from edgeship.tables.reading import column_names, find_delimiter, is_parquet, iterate_batches
    from edgeship.tables.schema import ColumnSchema, TableSchema

    delimiter = "," if is_parquet(path) else find_delimiter(path)
    names = [name for name in column_names(path, delimiter) if name in (FIRST, SECOND, COUNT, LABEL, USER)]
    for name in (FIRST, SECOND, COUNT):
        if name not in names:
            raise InputError(f"{printable(path)}: has no column '{name}'; it holds first, second, count (user, label)")
    columns = tuple(ColumnSchema(name, "number" if name == COUNT else "text", 0) for name in names)
    rows: dict[str, list[Any]] = {name: [] for name in names}
    for batch in iterate_batches(path, TableSchema(0, columns, delimiter)):
        for name in names:
            rows[name] += batch.column(name).to_pylist()
    for name in (FIRST, SECOND, COUNT, *((USER,) if USER in names else ())):
        if None in rows[name]:
            raise InputError(f"{printable(path)}: column '{name}' lacks values")
    counts = np.array(rows[COUNT], dtype=np.float64)
    if not len(counts) or (counts < 0).any() or (counts != np.rint(counts)).any() or not counts.any():
        raise InputError(f"{printable(path)}: counts must be whole numbers of at least 0, and not all 0")
    if not counts.sum() <= MOST_COUNT:
        raise InputError(f"{printable(path)}: counts add up to {counts.sum():.3g}, more than {MOST_COUNT:.0e}")
    return compare_in_shadow(rows, counts.astype(np.int64))


def compare_in_shadow(rows: Mapping[str, Sequence[Any]], counts: Array) -> ShadowResult:
    """The comparison of rows with the texts `first` and `second`, perhaps `user` and `label`, counted so often (n,) int64."""
    first, second = (np.asarray(rows[name], dtype=object).astype(str) for name in (FIRST, SECOND))
    classes, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(table, (places[: len(first)], places[len(first) :]), counts)
    differs = first != second
    users = (
        np.unique(np.asarray(rows[USER], dtype=object).astype(str), return_inverse=True)[1] if USER in rows else None
    )
    labels = rows.get(LABEL, [None] * len(first))
    gains, losses = (
        np.where(differs & np.array([label == said for label, said in zip(labels, model, strict=True)]), counts, 0)
        for model in (second, first)
    )
    audited = int(counts[differs & np.array([label is not None for label in labels])].sum())
    p, method = _compare_right(gains, losses, users)
    total, disagreements = int(counts.sum()), int(counts[differs].sum())
    interval = _share_interval(counts, differs, users)
    verdict, reason = _judge(int(gains.sum()), int(losses.sum()), audited, p)
    return ShadowResult(
        tuple(map(str, classes)), tuple(tuple(map(int, row)) for row in table), total, disagreements, disagreements / total,
        *interval, _frequent_pairs(classes, table), None if users is None else int(users.max()) + 1, audited,
        int(gains.sum()), int(losses.sum()), p, method, verdict, reason,
    )  # fmt: skip


def _frequent_pairs(classes: Array, table: Array) -> tuple[ClassPair, ...]:
    pairs = [ClassPair(str(classes[i]), str(classes[j]), int(table[i, j])) for i, j in np.argwhere(table) if i != j]
    return tuple(sorted(pairs, key=lambda pair: (-pair.count, pair.first, pair.second))[:SHOWN])


def _share_interval(counts: Array, differs: Array, users: Array | None) -> tuple[float | None, float | None]:
    """95 % of the share of disagreements, by the delta method over users."""
    if users is None or users.max() + 1 < LEAST_USERS:
        return None, None
    bottoms = np.bincount(users, weights=counts)
    tops = np.bincount(users, weights=np.where(differs, counts, 0))
    share = tops.sum() / bottoms.sum()
    parts = (tops - share * bottoms) / bottoms.mean()
    half = Z95 * float(parts.std(ddof=1)) / math.sqrt(len(parts))
    return max(0.0, float(share) - half), min(1.0, float(share) + half)


def _compare_right(gains: Array, losses: Array, users: Array | None) -> tuple[float | None, str]:
    """McNemar's test of audited disagreements: by user where users are known, whose inputs are not independent.

    By user: Durkalski, Palesch, Lipsitz and Rust 2003, Statistics in Medicine 22:2417, the sum of gains less losses over the root
    of the sum of its squares.
    """
    from edgeship.benchmarks.compare.statistics import mcnemar_p_value

    if not (gains.sum() or losses.sum()):
        return None, ""
    if users is None:
        return mcnemar_p_value(
            int(gains.sum()), int(losses.sum())
        ), "McNemar's exact test, as if every input had a user of its own"
    net = np.bincount(users, weights=gains - losses)
    if np.count_nonzero(net) < LEAST_USERS:
        signs = int((net > 0).sum()), int((net < 0).sum())
        return mcnemar_p_value(*signs), "sign test over users with audited inputs"
    return math.erfc(
        abs(net.sum()) / math.sqrt(2 * (net**2).sum())
    ), "McNemar's test by user (Durkalski and others 2003)"


def _judge(gains: int, losses: int, audited: int, p: float | None) -> tuple[Verdict, str]:
    if p is None:
        labels = "no disagreement was audited" if not audited else "in no audited disagreement was one of them right"
        return Verdict.INCONCLUSIVE, f"{labels}: which model is right is not known"
    found = f"of {audited:,} audited disagreements the second model was right in {gains:,}, the first in {losses:,} (p = {p:.2g})"
    if p >= ALPHA:
        return Verdict.INCONCLUSIVE, found
    return (Verdict.PASS if gains > losses else Verdict.FAIL), found
