"""What other software reads of an inbox: nothing is lost, and sums are those of the reports."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeship.errors import InputError
from tests.monitoring.inbox.samples import Json
from tests.monitoring.inbox.stores import WEEKS, export


def test_a_row_of_parquet_holds_the_whole_report(filled_store: str, reports: list[Json], tmp_path: Path) -> None:
    out = tmp_path / "reports.parquet"
    assert export("--store", filled_store, "--to", "parquet", "--out", out)["reports"] == 30
    rows = pq.read_table(out).to_pylist(maps_as_pydicts="strict")
    for row, report in zip(rows, reports, strict=True):
        (output,), (image,) = row.pop("outputs"), row.pop("inputs")
        scores = report["outputs"]["scores"]
        assert {name: output[name] for name in ("joint", "margin", "entropy")} == {
            name: scores[name] for name in ("joint", "margin", "entropy")
        }
        assert (output["name"], output["values"]) == ("scores", None)
        assert image == {"name": "image", "values": report["inputs"]["image"]}
        assert row.pop("received").isoformat() == "2026-11-20T00:00:00+00:00"
        assert row.pop("late") == (report["window"] == WEEKS[0])
        assert row.pop("confidence_bins") == {"scores": 3}
        assert row == {name: value for name, value in report.items() if name not in ("schema", "outputs", "inputs")}


def test_one_week_alone(filled_store: str, tmp_path: Path) -> None:
    for form, name in (("parquet", "out.parquet"), ("otlp-json", "out")):
        result = export("--store", filled_store, "--to", form, "--out", tmp_path / name, "--window", WEEKS[1])
        assert result["reports"] == 15
    with pytest.raises(InputError, match="must be a week"):
        export("--store", filled_store, "--to", "parquet", "--out", tmp_path / "out", "--window", "2026-W60")
    with pytest.raises(InputError, match="no inbox is there"):
        export("--store", tmp_path / "nowhere", "--to", "parquet", "--out", tmp_path / "out")


def test_a_folder_has_a_file_for_each_window(filled_store: str, reports: list[Json], tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    assert export("--store", filled_store, "--to", "parquet", "--out", folder)["reports"] == 30
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == [f"window={week}/reports.parquet" for week in WEEKS]
    before = (folder / files[0]).stat().st_ino
    assert export("--store", filled_store, "--to", "parquet", "--out", folder, "--window", WEEKS[1])["reports"] == 15
    assert (folder / files[0]).stat().st_ino == before, "other windows stay"
    export("--store", filled_store, "--to", "parquet", "--out", tmp_path / "whole.parquet")
    (tmp_path / "file").touch()
    whole = pq.read_table(tmp_path / "whole.parquet").sort_by("install")
    parts = pq.read_table(folder).sort_by("install")
    for name in whole.column_names:
        assert parts[name].to_pylist() == whole[name].to_pylist()


def test_what_cannot_be_written_is_told(filled_store: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for form in ("parquet", "duckdb", "otlp-json"):
        with pytest.raises((OSError, InputError), match="Permission denied"):
            export("--store", filled_store, "--to", form, "--out", "/proc/out.x")
        with pytest.raises((OSError, InputError), match="Not a directory"):
            export("--store", filled_store, "--to", form, "--out", tmp_path / "file" / "out.x")


def test_sums_of_opentelemetry_are_those_of_the_reports(filled_store: str, reports: list[Json], tmp_path: Path) -> None:
    out = tmp_path / "metrics.jsonl"
    export("--store", filled_store, "--to", "otlp-json", "--out", out)
    sums: Counter[str] = Counter()
    seen = set()
    for line in out.read_text().splitlines():
        (resource,) = json_format.Parse(line, ExportMetricsServiceRequest()).resource_metrics
        about = {item.key: item.value.string_value for item in resource.resource.attributes}
        seen.add((about["edgeship.window"], about["edgeship.tier"]))
        for metric in resource.scope_metrics[0].metrics:
            for point in metric.sum.data_points:
                assert point.time_unix_nano - point.start_time_unix_nano == 7 * 86_400 * 10**9
                labels = [item.value.string_value for item in point.attributes]
                sums[" ".join([metric.name, *labels])] += point.as_int
            for spread in metric.histogram.data_points:
                assert len(spread.bucket_counts) == len(spread.explicit_bounds) + 1
                sums[metric.name] += spread.count
                sums["31"] += spread.bucket_counts[31]
    assert seen == {(week, tier) for week in WEEKS for tier in ("low", "mid", "high")}
    n = sum(report["n"] for report in reports)
    assert sums["edgeship.reports"] == 30
    assert sums["edgeship.inferences"] == n
    assert sums["edgeship.predictions scores 0"] == 5 * 30
    assert sums["edgeship.predictions scores 2"] == n - 5 * 30
    assert sums["edgeship.fallbacks"] == 15
    assert sums["edgeship.errors out_of_memory"] == 30
    assert sums["edgeship.outcomes accepted 0"] == 60
    assert (sums["edgeship.latency"], sums["31"]) == (5 * 30, 2 * 30)
