"""Drift counters of a run: the bins of the profile, each row once whatever interrupts it."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from edgeship.api.bundles import open_bundle
from edgeship.cli.serving.predict import predict
from edgeship.errors import InputError
from edgeship.monitoring.profile.profile import parse_profile, read_profile
from edgeship.serving.batch.counts import RunCounter, find_counter
from edgeship.serving.batch.model import find_model
from edgeship.serving.batch.rows.outputs import describe_outputs
from edgeship.serving.batch.sinks.parquet_file import ParquetSink
from tests.monitoring.recount import to_array
from tests.serving.batch.conftest import read_all
from tests.serving.batch.shops import ID, write_shop
from tests.serving.batch.test_interrupted import read_sink, start

VECTORS = json.loads((Path(__file__).parents[2] / "monitoring" / "vectors.json").read_text())
COUNTS = "select side, name, kind, cell, count from {} order by side, name, kind, cell"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> Path:
    """The shop's bundle with a profile of the table's rows."""
    return write_shop(tmp_path_factory.mktemp("watched") / "bundle", evaluation=table)


def expected_counts(bundle: Path, rows: int) -> list[tuple[Any, ...]]:
    """What the profile itself has counted of the evaluation data and of the artifact's answers."""
    profile = read_profile(bundle)
    assert profile
    found = [("run", "", "rows", 0, rows)]
    for item in profile.inputs:
        for descriptor in item.descriptors:
            found += [("input", item.name, descriptor.name, *pair) for pair in enumerate(descriptor.counts)]
    for output in profile.outputs:
        answers = profile.answers[ID][output.name]
        histograms = {"margin": answers.margin, "entropy": answers.entropy}
        if output.values:
            names = [item.name for item in output.values.descriptors]
            histograms = dict(zip(names, answers.values, strict=True))
        for kind, counts in histograms.items():
            found += [("output", output.name, kind, *pair) for pair in enumerate(counts)]
        pairs = zip(answers.joint[::2], answers.joint[1::2], strict=True)
        found += [("output", output.name, "joint", *pair) for pair in pairs]
    return sorted(row for row in found if row[-1])


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_rows_are_counted_as_clients_count_them(case: Any) -> None:
    profile = parse_profile(case["profile"])
    sides = [
        {item.name: np.stack([to_array(one[side][item.name]) for one in case["samples"]]) for item in items}
        for side, items in (("inputs", profile.inputs), ("outputs", profile.outputs))
    ]
    found = RunCounter("", profile.inputs, profile.outputs).count(*sides)
    expected = {("run", "", "rows", 0): case["counts"]["n"]}
    expected["run", "", "not_finite", 0] = case["counts"]["errors"].get("not_finite", 0)
    for side, items in (
        ("input", profile.inputs),
        ("output", [item.values for item in profile.outputs if item.values]),
    ):
        for item in items:
            counts = case["counts"][f"{side}s"][item.name]
            histograms = counts if side == "input" else counts["values"]
            for descriptor, histogram in zip(item.descriptors, histograms, strict=True):
                expected |= {(side, item.name, descriptor.name, cell): n for cell, n in enumerate(histogram)}
    for name, counts in case["counts"]["outputs"].items():
        if counts["kind"] == "classes":
            joint = counts["joint"]
            expected |= {("output", name, "joint", cell): n for cell, n in zip(joint[::2], joint[1::2], strict=True)}
            for kind in ("margin", "entropy"):
                expected |= {("output", name, kind, cell): n for cell, n in enumerate(counts[kind])}
    assert found == {cell: n for cell, n in expected.items() if n}


def test_counts_of_the_evaluation_data_are_the_profile_s(run, watched, rows, tmp_path):
    """In a database and beside a file; a second run adds nothing."""
    expected = expected_counts(watched, 1000)
    assert {row[0] for row in expected} == {"run", "input", "output"} and len(expected) > 60
    for _ in range(2):
        result = run(rows, f"sqlite:///{tmp_path / 'out.db'}", "--batch", 64, bundle=watched)
        assert result["counts"] == "predictions_counts" and result["no_counts"] == ""
        assert read_all(tmp_path / "out.db", COUNTS.format("predictions_counts")) == expected
    names = "select distinct job, model_version from predictions_counts"
    assert read_all(tmp_path / "out.db", names) == [(result["job"], result["model_version"])]
    for sink in ("out.parquet", "folder"):
        result = run(rows, tmp_path / sink, "--batch", 300, bundle=watched)
        found = pq.read_table(result["counts"]).to_pylist()
        assert [tuple(row[name] for name in ("side", "name", "kind", "cell", "count")) for row in found] == expected
        assert {(row["job"], row["model_version"]) for row in found} == {(result["job"], result["model_version"])}
        assert pq.read_table(tmp_path / sink).num_rows == 1000


def test_a_run_that_is_killed_counts_each_row_once(run, watched, rows, tmp_path):
    out = f"sqlite:///{tmp_path / 'out.db'}"
    options = (watched, "--from", rows, "--to", out, "--batch", 64)
    process = start([sys.executable, "-m", "tests.serving.batch.killed", 9, "predict"], *options)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    counted = "select count from predictions_counts where kind = 'rows'"
    assert read_all(tmp_path / "out.db", counted) == [(9 * 64,)]
    run(rows, out, "--batch", 64, bundle=watched)
    assert read_all(tmp_path / "out.db", COUNTS.format("predictions_counts")) == expected_counts(watched, 1000)


def test_a_file_that_is_not_finished_has_its_counts_in_the_end(run, watched, shop, rows, tmp_path, monkeypatch):
    def stop(*_):
        raise InputError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "_join_chunks", stop)  # after the counts, before the file
        with pytest.raises(AssertionError, match="stopped"):
            run(rows, tmp_path / "out.parquet", "--batch", 64, bundle=watched)
    result = run(rows, tmp_path / "out.parquet", "--batch", 64, bundle=watched)
    assert result["written"] == 0
    assert sum(pq.read_table(result["counts"], filters=[("kind", "==", "rows")])["count"].to_pylist()) == 1000
    run(rows, tmp_path / "out.parquet", "--batch", 64, bundle=shop)  # without a profile: the others' do not stay
    assert not Path(result["counts"]).exists()


def test_a_job_that_is_done_again_is_counted_again(run, watched, table, tmp_path):
    """Rows A, changed rows B, rows A: each has its own counts, and none twice."""
    out = f"sqlite:///{tmp_path / 'out.db'}"
    changed = table.set_column(1, "age", pa.array([age + 30 for age in table["age"].to_pylist()]))
    jobs = {}
    for content in (table, changed, table):
        pq.write_table(content, tmp_path / "rows.parquet")
        result = run(tmp_path / "rows.parquet", out, bundle=watched)
        assert result["written"] == 1000
        jobs[result["job"]] = 1000
        counted = "select job, count from predictions_counts where kind = 'rows'"
        assert dict(read_all(tmp_path / "out.db", counted)) == jobs
    own = f"(select * from predictions_counts where job = '{result['job']}')"
    assert read_all(tmp_path / "out.db", COUNTS.format(own)) == expected_counts(watched, 1000)


def test_without_a_profile_it_is_said_that_nothing_is_counted(shop, watched, rows, tmp_path):
    for bundle, text in ((shop, "none: the bundle has no profile.json"), (watched, "in predictions_counts")):
        done = CliRunner().invoke(predict, [str(bundle), "--from", str(rows), "--to", f"sqlite:///{tmp_path / 'o.db'}"])
        assert done.exit_code == 0 and f"drift counters: {text}\n" in done.output


@pytest.mark.parametrize(
    "change",
    [
        lambda profile: profile["inputs"][0].update(name="x"),
        lambda profile: profile["inputs"][1]["descriptors"].extend(profile["inputs"][1]["descriptors"]),
        lambda profile: profile["outputs"][0].update(classes=4),
        lambda profile: profile["outputs"][0].update(name="x"),
    ],
)
def test_a_profile_of_other_tensors_is_refused(change, watched, tmp_path):
    model = find_model(open_bundle(watched), None)
    outputs = describe_outputs(model.contract.outputs, model.entry)
    profile = json.loads((watched / "profile.json").read_text())
    change(profile)
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    with pytest.raises(InputError, match=r"profile\.json: is of other tensors than the bundle's contract"):
        find_counter(tmp_path, model, outputs)
    profile["artifacts"] = {ID: "f" * 64}
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    assert find_counter(tmp_path, model, outputs) == (None, f"the bundle's profile.json is not of this {ID}")


@pytest.mark.more
def test_counts_on_postgresql(server, run, watched, rows):
    for _ in range(2):
        run(rows, server.uri, "--batch", 64, "--table", "counted", bundle=watched)
        found = read_sink(server.uri, COUNTS.format("counted_counts"))
        assert sorted(found) == expected_counts(watched, 1000)
