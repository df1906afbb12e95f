"""Users from what clients reported: every report once, a pseudonym a user, one month."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgeship.cli import cli
from edgeship.errors import InputError
from edgeship.monitoring.experiments.users.report_totals import read_reports, sum_reports
from edgeship.monitoring.experiments.users.totals_file import read_totals
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.report import Report
from tests.monitoring.experiments.example_reports import make_report

TODAY = date(2026, 11, 29)


def as_reports(*items: dict[str, Any]) -> list[Report]:
    return [read_report(json.dumps(item).encode()) for item in items]


def test_counts_are_sums_over_the_reports_of_a_pseudonym():
    totals = sum_reports(
        as_reports(
            make_report(1, outcomes={"bought": [0, 2, 3, 1]}, errors={"out_of_memory": 1}),
            make_report(1, sequence=1, n=5, fallbacks=2, latency=[0, 1, 80, 3]),
            make_report(2, "b", outcomes={"accepted": [1, 4]}, errors={"not_finite": 2, "out_of_memory": 1}),
            make_report(3, "b", arms={"other": "b"}),  # of no concern here
        ),
        "e1",
        TODAY,
    )
    assert totals.names == ("a", "b")
    assert list(totals.arms) == [0, 1]
    expected = {"bought": [3, 0], "accepted": [0, 4], "inferences": [15, 10], "errors": [1, 3], "fallbacks": [2, 0]}
    for name, values in expected.items():
        assert list(totals.sums[name]) == values, name
    assert list(totals.sums["error.out_of_memory"]) == [1, 1]
    assert list(totals.sums["timed"]) == [4, 0]
    assert totals.sums["latency_ms"][0] == pytest.approx(0.05 + 3 * 0.05 * 1.1**79.5, rel=1e-4)
    with pytest.raises(InputError, match="latencies in bin 500"):
        sum_reports(as_reports(make_report(1, latency=[500, 1])), "e1", TODAY)


def test_a_second_copy_counts_once_and_a_conflict_not_at_all():
    good, forged = make_report(1, n=10), make_report(1, n=900)
    other = make_report(2, "b")
    for items in ([good, other, good], [good, good, other]):
        assert list(sum_reports(as_reports(*items), "e1", TODAY).sums["inferences"]) == [10, 10]
    assert list(sum_reports(as_reports(forged, other, good), "e1", TODAY).sums["inferences"]) == [10]


def test_months_are_not_mixed_and_the_future_is_refused():
    october = make_report(1, window="2026-W42")
    with pytest.raises(InputError, match="2 months, 2026-10 to 2026-11"):
        sum_reports(as_reports(october, make_report(2)), "e1", TODAY)
    with pytest.raises(InputError, match="2026-W50 is in the future"):
        sum_reports(as_reports(make_report(1, window="2026-W50")), "e1", TODAY)
    with pytest.raises(InputError, match="experiment 'e9'; experiments in reports: e1"):
        sum_reports(as_reports(make_report(1)), "e9", TODAY)


def test_files_of_reports(tmp_path):
    lines = tmp_path / "reports.jsonl"
    lines.write_text("\n".join(json.dumps(make_report(number, "ab"[number % 2])) for number in range(6)) + "\n\n")
    folder = tmp_path / "reports"
    folder.mkdir()
    for number, report in enumerate(read_reports(lines)):
        (folder / f"{number}.json").write_text(json.dumps(make_report(number, report.arms["e1"])))
    one, other = (read_totals(path, "e1", (), TODAY) for path in (lines, folder))
    assert one.digest == other.digest
    assert np.array_equal(one.arms, other.arms)
    lines.write_text(lines.read_text() + '{"schema": 1}\n')
    with pytest.raises(InputError, match=r"reports.jsonl:8: the report"):
        list(read_reports(lines))


def test_an_experiment_is_analysed_from_reports(tmp_path):
    plan = tmp_path / "experiment.toml"
    run = CliRunner().invoke
    settings = ["--metric", "any bought", "--baseline", "0.2", "--effect", "0.2", "--looks", "1", "--out", str(plan)]
    assert run(cli, ["experiment", "plan", *settings, "--guardrail", "errors / inferences"]).exit_code == 0
    rng = np.random.default_rng(1)
    lines = tmp_path / "reports.jsonl"
    with lines.open("w") as file:
        for number in range(400):
            arm, rate = (("control", 0.2), ("treatment", 0.6))[number % 2]
            bought = {"outcomes": {"bought": [0, 1]}} if rng.random() < rate else {}
            file.write(json.dumps(make_report(number, arm, window="2026-W44", **bought)) + "\n")
    result = run(cli, ["experiment", "analyse", str(plan), str(lines)])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "experiment e1: PASS" in result.output
