from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from edgeship.cli.monitoring.monitor import monitor
from edgeship.errors import InputError
from tests.monitoring.drift.small_field import fill_inbox, make_reports, window_of


@pytest.fixture(scope="session")
def store(field, tmp_path_factory):
    """Four weeks without drift, one more, noise, a tier's noise, and a renamed class; then late reports of week 4."""
    weeks = {week: make_reports(field, week, 150, outcomes=0.3) for week in range(5)}
    weeks[5] = make_reports(field, 5, 150, noise=6, outcomes=0.3)
    weeks[6] = make_reports(field, 6, 260, tier_noise=6, outcomes=0.3)
    weeks[7] = make_reports(field, 7, 150, renamed=1.0, outcomes=0.3)
    weeks[8] = make_reports(field, 8, 10)
    folder = fill_inbox(field, tmp_path_factory.mktemp("field"), weeks)
    return fill_inbox(field, folder, {4: make_reports(field, 4, 7, noise=50, seed=1)}, days_late=10)


def run(store, *options):
    result = CliRunner().invoke(monitor, ["drift", "--store", str(store), *map(str, options)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def judge(store, week, *options):
    result = run(store, "--window", window_of(week), "--json", "-", *options)
    return result.exit_code, json.loads(result.output)


def test_a_week_as_those_before(store):
    code, result = judge(store, 4)
    assert (code, result["judgement"]["moved"]) == (0, [])
    assert result["verdict"] in ("OK", "INCONCLUSIVE")
    assert result["baseline"] == [window_of(week) for week in range(4)]
    assert result["weeks"][-1]["late"] == 7
    assert result["weeks"][-1]["installs"] == 150  # without the late ones
    assert "late reports" in " ".join(result["notes"])


def test_noise_is_an_alarm(store, tmp_path):
    page = tmp_path / "drift.html"
    code, result = judge(store, 5, "--page", page)
    assert (code, result["verdict"]) == (1, "ALARM")
    drop = result["judgement"]["drop"]
    assert drop["low"] > 0.01
    assert {"step of image", "confidence of scores"} <= {move["name"] for move in result["judgement"]["moved"]}
    html = page.read_text()
    assert html.count("<svg") == 2
    assert ">ALARM<" in html
    assert "estimated accuracy fell" in html


def test_a_tier_is_found_among_the_others(store):
    _, result = judge(store, 6)
    found = {item["value"]: item["verdict"] for item in result["judgement"]["slices"]}
    assert found["low"] == "ALARM"
    assert found["mid"] == "OK"


def test_a_renamed_class_shows_in_outcomes_alone(store):
    code, result = judge(store, 7)
    judgement = result["judgement"]
    assert (code, result["verdict"]) == (1, "ALARM")
    assert judgement["drop"]["low"] < 0.01
    assert judgement["accepted"]["low"] > 0.01
    assert judgement["moved"]
    assert all("outcome" in move["name"] for move in judgement["moved"])


def test_the_first_weeks_have_no_verdict_but_the_lab_beside_them(store):
    code, result = judge(store, 2)
    assert (code, result["verdict"], result["judgement"]) == (0, "INCONCLUSIVE", None)
    assert "there are 2" in result["reasons"][0]
    assert result["launch"]["lab"] == pytest.approx(result["launch"]["estimate"], abs=0.05)


def test_a_field_far_from_the_lab_is_noticed_at_the_launch(field, tmp_path):
    folder = fill_inbox(field, tmp_path, {0: make_reports(field, 0, 80, noise=6)})
    code, result = judge(folder, 0, "--fail-on", "notice")
    assert (code, result["verdict"], result["judgement"]) == (1, "NOTICE", None)
    assert "measured in the lab" in result["reasons"][0]


def test_few_reports_say_how_many_more(store):
    _, result = judge(store, 8)
    assert result["verdict"] == "INCONCLUSIVE"
    assert "15 more" in result["reasons"][0]


def test_what_people_see(store, tmp_path):
    page = tmp_path / "drift.md"
    shown = run(store, "--window", window_of(5), "--page", page)
    assert shown.exit_code == 1
    for text in (f"drift in {window_of(5)}: ALARM", "Histograms", "Slices", "Launch", "Outcomes and errors"):
        assert text in shown.output
    assert "| step of image |" in page.read_text()
    assert run(store, "--window", window_of(4), "--fail-on", "inconclusive").exit_code in (0, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--window", "2020-W02"], "no report is of 2020-W02"),
        (["--window", "2025-W53"], "must be a week"),
        (["--tolerance", "0"], "tolerance"),
        (["--page", "drift.pdf"], ".html or .md"),
    ],
)
def test_bad_input_is_a_sentence(store, options, text):
    result = CliRunner().invoke(monitor, ["drift", "--store", str(store), *options])
    assert isinstance(result.exception, InputError)
    assert text in str(result.exception)
    assert "\n" not in str(result.exception)
