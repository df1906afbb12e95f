"""Queries of DuckDB on what an inbox exported: those of the documentation, and views in which each count is a row."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.monitoring.inbox.samples import Json
from tests.monitoring.inbox.stores import WEEKS, export

DOC = Path(__file__).parents[3] / "docs" / "monitoring" / "collect.md"


def query(text: str, place: str = "") -> list[tuple[Any, ...]]:
    with duckdb.connect(place) as database:
        return database.execute(text).fetchall()


def find_queries() -> list[str]:
    """Those of the documentation."""
    return re.findall(r"```sql\n(.*?)```", DOC.read_text(), re.DOTALL)


def test_the_documented_query_reads_parquet_of_two_versions(
    filled_store: str, reports: list[Json], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export("--store", filled_store, "--to", "parquet", "--out", tmp_path / "reports")
    old = tmp_path / "reports" / f"window={WEEKS[0]}" / "reports.parquet"
    pq.write_table(pq.read_table(old, partitioning=None).drop_columns(["confidence_bins", "fallbacks"]), old)
    monkeypatch.chdir(tmp_path)
    expected: dict[tuple[str, str], list[int]] = {}
    for report in reports:
        both = expected.setdefault((report["window"], report["tier"]), [0, 0])
        both[0] += report["outcomes"]["accepted"][1]
        both[1] += report["n"]
    assert query(find_queries()[0]) == [(*key, *both) for key, both in sorted(expected.items())]


def test_every_count_is_a_row_of_a_view_of_duckdb(filled_store: str, reports: list[Json], tmp_path: Path) -> None:
    out = tmp_path / "reports.duckdb"
    assert export("--store", filled_store, "--to", "duckdb", "--out", out)["reports"] == 30
    assert [path.name for path in tmp_path.iterdir()] == ["reports.duckdb"]
    totals: Counter[tuple[str, int]] = Counter()
    for report in reports:
        totals[report["window"], 0] += 5
        totals[report["window"], 2] += report["n"] - 5
    inferences = {week: sum(report["n"] for report in reports if report["window"] == week) for week in WEEKS}
    found = query(find_queries()[1], str(out))
    assert [row[:2] for row in found] == sorted(totals)
    assert [row[2] for row in found] == pytest.approx([totals[key] / inferences[key[0]] for key in sorted(totals)])

    def count(columns: str, view: str) -> dict[tuple[Any, ...], int]:
        return {
            row[:-1]: row[-1]
            for row in query(f"select {columns}, sum(count)::bigint from {view} group by all", str(out))
        }

    assert count("class, bin", "predictions") == {(0, 1): 150, (2, 2): sum(inferences.values()) - 150}
    assert count("bin", "latencies") == {(31,): 60, (32,): 90}
    assert count("outcome, class", "outcomes") == {("accepted", 0): 60, ("bought", 1): 30}
    low = sum(number % 5 for number in range(30))
    n = sum(inferences.values())
    assert count("descriptor, bin", "histograms") == {
        (0, 0): n,
        **{(place, at): value for place in range(1, 5) for at, value in ((0, low), (1, n - low))},
    }
