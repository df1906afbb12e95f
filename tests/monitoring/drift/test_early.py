"""Warnings between weeks: by ADWIN, over the reports in the order in which they arrived."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.cli.monitoring.monitor import monitor
from edgeship.monitoring.drift.early.changes import find_changes
from edgeship.monitoring.drift.early.watch import ArrivedWeek, watch_arrivals
from edgeship.monitoring.drift.installs import Installs
from edgeship.monitoring.inbox.arrival import closes_at
from scripts.bench.monitoring.early_drift import count_false_warnings, measure_delay
from scripts.bench.monitoring.simulated_drift import World
from tests.monitoring.drift.small_field import fill_inbox, make_reports, window_of

WEDNESDAY = closes_at(window_of(4)) + timedelta(days=2)  # week 4 is closed, and week 5 is not


class Wednesday(datetime):
    @classmethod
    def now(cls, tz=None):
        return WEDNESDAY.astimezone(tz)


@pytest.fixture(scope="module")
def store(field, tmp_path_factory):
    """Five weeks without drift; the reports of a sixth, with noise, arrive while it is open."""
    weeks = {week: make_reports(field, week, 80) for week in range(5)}
    weeks[5] = make_reports(field, 5, 200, noise=8)
    return fill_inbox(field, tmp_path_factory.mktemp("early"), weeks)


def run(store, monkeypatch, *options):
    monkeypatch.setattr("edgeship.api.monitoring.drift.datetime", Wednesday)
    result = CliRunner().invoke(monitor, ["drift", "--store", str(store), *map(str, options)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_fall_in_an_open_week_is_a_warning_and_no_alarm(store, monkeypatch, tmp_path):
    page = tmp_path / "drift.html"
    shown = run(store, monkeypatch, "--page", page)
    assert f"drift in {window_of(4)}" in shown.output
    assert "early warning, preliminary: the estimated accuracy of an installation fell" in " ".join(
        shown.output.split()
    )
    assert "Early warning, preliminary" in page.read_text()
    assert shown.exit_code == 0
    result = run(store, monkeypatch, "--fail-on", "notice", "--json", "-")
    content = json.loads(result.output)
    assert (result.exit_code, content["verdict"] in ("OK", "INCONCLUSIVE")) == (1, True)
    change = content["early"]["changes"][-1]
    assert (change["window"], change["preliminary"]) == (window_of(5), True)
    assert change["now"] < change["before"] - 0.05
    assert content["early"]["installs"] == 600


def test_when_the_week_is_closed_its_verdict_says_it(store):
    result = api.judge_drift(store, now=WEDNESDAY + timedelta(days=7))
    assert (result.window, result.verdict) == (window_of(5), "ALARM")
    assert result.early
    assert result.early.warning == ""
    assert [item.window for item in result.early.changes] == [window_of(5)]
    assert not result.early.changes[0].preliminary


def test_without_river_a_sentence_says_so_and_no_look_is_no_pass(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "river.drift", None)
    shown = run(store, monkeypatch)
    assert "early warnings need river" in " ".join(shown.output.split())
    assert "pip install 'edgeship[monitor]'" in " ".join(shown.output.split())
    assert shown.exit_code == 0
    assert run(store, monkeypatch, "--fail-on", "inconclusive").exit_code == 1


def make_week(number: int, days: list[int], accuracies: list[float]) -> ArrivedWeek:
    """Installations of 20 inferences whose reports arrive so many days after the week's Monday."""
    monday = (closes_at(window_of(number)) - timedelta(days=14)).timestamp()
    count = len(accuracies)
    installs = Installs(
        tuple(map(str, range(count))), np.zeros((count, 0)), np.full(count, 20.0), 20 * np.array(accuracies), {}, {}
    )
    return ArrivedWeek(window_of(number), installs, np.array([monday + 86_400 * day for day in days], dtype=np.int64))


def test_the_order_is_that_of_arrival():
    """The half of the older week that arrives among the next one's reports is seen there."""
    early = make_week(0, [8] * 200 + [20] * 200, [0.9] * 200 + [0.5] * 200)
    found = watch_arrivals([early, make_week(1, [11] * 200, [0.9] * 200)], datetime(2027, 1, 1, tzinfo=UTC))
    assert found.installs == 600
    (change,) = found.changes
    assert (change.window, change.day) == (window_of(0), f"{closes_at(window_of(0)) + timedelta(days=6):%Y-%m-%d}")
    assert change.before == pytest.approx(0.9, abs=0.02)
    assert change.now == pytest.approx(0.5, abs=0.05)


def test_a_rise_is_told_and_warns_of_nothing():
    weeks = [make_week(0, [8] * 300, [0.6] * 300), make_week(1, [15] * 300, [0.9] * 300)]
    found = watch_arrivals(weeks, closes_at(window_of(0)) + timedelta(days=2))
    assert [item.now > item.before for item in found.changes] == [True]
    assert found.changes[0].preliminary
    assert found.warning == ""


def test_an_installation_counts_once_a_week(field, tmp_path):
    weeks = {week: make_reports(field, week, 30) for week in range(2)}
    again = [msgspec.structs.replace(report, sequence=1) for report in weeks[0][:10]]
    store = fill_inbox(field, tmp_path, {0: [*weeks[0], *again], 1: weeks[1]})
    early = api.judge_drift(store, now=WEDNESDAY).early
    assert early
    assert early.installs == 60


def test_a_change_has_the_means_of_the_values_on_both_sides():
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(0.9, 0.05, 400), rng.normal(0.8, 0.05, 400)])
    (change,) = find_changes(values)
    assert 400 < change.place < 600
    assert change.place + 1 - change.count == pytest.approx(400, abs=5)
    assert change.before == pytest.approx(np.mean(values[: change.place + 1 - change.count]))
    assert change.now == pytest.approx(np.mean(values[change.place + 1 - change.count : change.place + 1]))


def test_a_year_without_drift_warns_of_nothing_and_noise_is_seen(answers):
    assert count_false_warnings(answers, 1, 52) == (0, 0)
    found = measure_delay(answers, World({"noise": 1.0}), 2, 3)
    assert found.seen == 3
    assert found.reports is not None and found.reports < 500
