"""What other software reads of an inbox: nothing is lost, and sums are those of the reports."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeship import api
from edgeship.cli.monitoring.monitor import monitor
from edgeship.errors import InputError
from tests.monitoring.inbox.samples import Json, report_of, to_line

WEEKS = ("2026-W45", "2026-W46")


@pytest.fixture(scope="module")
def reports(bundle: Path) -> list[Json]:
    arms = {"exp-7": "b"}
    return [report_of(bundle, number, window=WEEKS[number % 2], arms=arms, sequence=number) for number in range(30)]


@pytest.fixture(scope="module")
def store(bundle: Path, reports: list[Json], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    (folder / "r.jsonl").write_bytes(b"\n".join(map(to_line, reports)))
    received = date(2026, 11, 20)
    assert api.ingest_reports([folder / "r.jsonl"], store=folder, bundles=[bundle], received=f"{received}").new == 30
    return folder


def export(*words: object) -> Json:
    done = CliRunner().invoke(monitor, ["export", *map(str, words), "--json", "-"], standalone_mode=False)
    if done.exception:
        raise done.exception
    result: Json = json.loads(done.stdout)
    return result


def test_a_row_of_parquet_holds_the_whole_report(store: Path, reports: list[Json], tmp_path: Path) -> None:
    out = tmp_path / "reports.parquet"
    assert export("--store", store, "--to", "parquet", "--out", out)["reports"] == 30
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
        assert row == {name: value for name, value in report.items() if name not in ("schema", "outputs", "inputs")}


def test_one_week_alone(store: Path, tmp_path: Path) -> None:
    for form in ("parquet", "otlp-json"):
        result = export("--store", store, "--to", form, "--out", tmp_path / "out", "--window", WEEKS[1])
        assert result["reports"] == 15
    with pytest.raises(InputError, match="must be a week"):
        export("--store", store, "--to", "parquet", "--out", tmp_path / "out", "--window", "2026-W60")
    with pytest.raises(InputError, match="no inbox is there"):
        export("--store", tmp_path / "nowhere", "--to", "parquet", "--out", tmp_path / "out")


def test_sums_of_opentelemetry_are_those_of_the_reports(store: Path, reports: list[Json], tmp_path: Path) -> None:
    out = tmp_path / "metrics.jsonl"
    export("--store", store, "--to", "otlp-json", "--out", out)
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
