"""`edgeship experiment` as a user runs it: plan, channel, looks, verdicts, and what is refused."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeship import api
from edgeship.cli import cli
from edgeship.client import Client
from edgeship.client.rule_files import render_channel
from edgeship.client.rules import Channel, choose_arm
from edgeship.deploy.signing.keys import generate_keys
from edgeship.errors import EdgeshipError
from edgeship.monitoring.reports.windows import find_window
from tests.deploy.channel.bundles import write_bundle
from tests.monitoring.experiments.example_reports import make_report

NAME = "garments/stable"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["experiment", *map(str, arguments)])


def refused(*arguments: object) -> str:
    """The one sentence of a refusal, which is what `main` shows with exit code 2."""
    result = run(*arguments)
    assert isinstance(result.exception, EdgeshipError), (result.output, result.exception)
    assert result.exception.exit_code == 2
    message = str(result.exception)
    assert "\n" not in message
    return message


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Two looks at 300 and 600 users of each arm, with guardrails on errors and crashes."""
    out = tmp_path / "experiment.toml"
    result = run(
        "plan", "--metric", "any bought", "--baseline", 0.2, "--effect", 0.065, "--looks", 2, "--users-a-week", 400,
        "--guardrail", "errors / inferences=0.01", "--guardrail", "any crashed", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


def write_users(path: Path, users: int, rates: tuple[float, float], seed: int = 1, **columns: float) -> Path:
    """So many users of each arm, who buy with these rates; `columns`: other rates of treatment, as `errors=0.2`."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "arm", "bought", "inferences", "errors", "crashed"])
        for number in range(2 * users):
            arm = number % 2
            inferences = 1 + rng.poisson(10)
            errors = rng.binomial(inferences, columns.get("errors", 0.01) if arm else 0.01)
            crashed = rng.binomial(1, columns.get("crashed", 0.02) if arm else 0.02)
            name = ("control", "treatment")[arm]
            writer.writerow([f"u{number}", name, rng.binomial(1, rates[arm]), inferences, errors, crashed])
    return path


def analyse(plan: Path, users: Path, *more: object) -> tuple[int, dict[str, Any]]:
    result = run("analyse", plan, users, "--json", "-", *more)
    assert result.exit_code in (0, 1), (result.output, result.exception)
    return result.exit_code, json.loads(result.output)


def test_plan_prints_looks_and_weeks(plan):
    shown = run("plan", "--baseline", 0.10, "--effect", 0.01, "--looks", 5, "--users-a-week", 6000).output
    assert "4.877" in shown and "2.031" in shown
    assert "6 weeks" in shown
    planned = json.loads(run("plan", "--baseline", 0.1, "--effect", 0.01, "--json", "-").output)
    assert planned["schedule"]["looks"][-1]["users_control"] == planned["plan"]["users_control"]
    assert "treatment_percent = 50" in plan.read_text()


def test_a_plan_from_the_users_of_last_month(tmp_path):
    users = write_users(tmp_path / "users.csv", 500, (0.2, 0.2))
    for metric, deviation in (("any bought", 0.4), ("bought", 0.4), ("errors / inferences", 0.03)):
        settings = ("plan", "--metric", metric, "--data", users, "--effect", deviation / 8)
        plan = json.loads(run(*settings, "--json", "-").output)["plan"]
        assert (plan["deviation"] or 0.4) == pytest.approx(deviation, rel=0.15)
        assert plan["users_control"] == pytest.approx(16 * 8**2, rel=0.35)
    named = json.loads(run(*settings, "--baseline", 0.5, "--deviation", 1, "--json", "-").output)["plan"]
    assert (named["baseline"], named["deviation"]) == (0.5, 1)
    assert "'sold' of the metric 'any sold' was never reported" in refused(
        "plan", "--metric", "any sold", "--data", users, "--effect", 0.05
    )
    assert "--baseline" in refused("plan", "--effect", 0.05)


def test_before_the_first_look_nothing_is_told(plan, tmp_path):
    code, result = analyse(plan, write_users(tmp_path / "users.csv", 200, (0.2, 0.9)))
    assert (code, result["verdict"], result["effect"], result["looks"]) == (1, "INCONCLUSIVE", None, [])
    assert "look 1 of at most 2 is due at" in result["reasons"][0]
    assert not plan.with_suffix(".looks.json").exists()


def test_a_better_model_passes_at_once_and_stays_passed(plan, tmp_path):
    users = write_users(tmp_path / "users.csv", 450, (0.2, 0.4))
    page = tmp_path / "page.html"
    code, result = analyse(plan, users, "--page", page)
    assert (code, result["verdict"], result["over"]) == (0, "PASS", True)
    effect = result["effect"]
    assert effect["low"] < 0.2 < effect["high"]
    assert effect["p"] < 0.001
    assert "equally good" in result["luck"]
    assert analyse(plan, users)[1]["looks"] == result["looks"]  # the same data: the same look
    worse = write_users(tmp_path / "later.csv", 900, (0.2, 0.2), seed=2)
    code, later = analyse(plan, worse)
    assert (code, later["looks"], later["effect"]) == (0, result["looks"], result["effect"])
    assert "not looked at" in later["notes"][0]
    text = page.read_text()
    assert text.count("<svg") == 4 and "PASS" in text and "Was it luck?" in text


def test_a_worse_model_fails_and_equal_ones_are_not_decided(plan, tmp_path):
    assert analyse(plan, write_users(tmp_path / "worse.csv", 450, (0.4, 0.2)))[1]["verdict"] == "FAIL"
    plan.with_suffix(".looks.json").unlink()
    first = analyse(plan, write_users(tmp_path / "equal.csv", 400, (0.2, 0.2), seed=4))[1]
    assert (first["verdict"], first["over"], first["effect"]["p"]) == ("INCONCLUSIVE", False, None)
    code, last = analyse(plan, write_users(tmp_path / "equal.csv", 700, (0.2, 0.2), seed=4))
    assert (code, last["verdict"], last["over"], len(last["looks"])) == (1, "INCONCLUSIVE", True, 2)
    assert "ruled out" in last["reasons"][0]
    assert "by luck" not in last["luck"] and "luck does this" in last["luck"]


def test_looks_are_no_more_than_planned(plan, tmp_path):
    """After the look of 70 % of the plan the next is due at 100 %, however often somebody asks in between."""
    taken = []
    for users in (350, 450, 500, 560, 640, 700, 800):
        taken.append(len(analyse(plan, write_users(tmp_path / "users.csv", users, (0.2, 0.2), seed=4))[1]["looks"]))
    assert taken[0] == taken[3] == 1
    assert max(taken) == taken[-1] == 2


def test_a_broken_guardrail_fails_whatever_is_sold(plan, tmp_path):
    code, result = analyse(plan, write_users(tmp_path / "users.csv", 450, (0.2, 0.4), errors=0.1))
    assert (code, result["verdict"]) == (1, "FAIL")
    assert "guardrail 'errors / inferences'" in result["reasons"][0]
    early = write_users(tmp_path / "early.csv", 150, (0.2, 0.2), crashed=0.5)  # before any look
    assert analyse(plan, early)[1]["verdict"] == "FAIL"


def test_what_never_happened_rules_nothing_out(plan, tmp_path):
    users = write_users(tmp_path / "users.csv", 150, (0.2, 0.2))
    head, *rows = users.read_text().splitlines()
    users.write_text("\n".join([head, *(f"{row.rpartition(',')[0]},0" for row in rows)]))
    rail = analyse(plan, users)[1]["guardrails"][1]
    assert (rail["verdict"], rail["low"], rail["high"]) == ("PASS", 0, 0)
    assert "rules nothing out" in rail["reason"]


def test_without_the_right_sample_ratio_nothing_is_compared(plan, tmp_path):
    users = write_users(tmp_path / "users.csv", 700, (0.2, 0.5))
    rows = users.read_text().splitlines()
    lost = [row for number, row in enumerate(rows) if "treatment" not in row or number % 4]
    users.write_text("\n".join(lost) + "\n")
    code, result = analyse(plan, users)
    assert (code, result["verdict"], result["effect"]) == (1, "INCONCLUSIVE", None)
    assert "sample ratio" in result["reasons"][0]
    assert not plan.with_suffix(".looks.json").exists()


def test_users_in_both_arms_are_left_out_and_many_of_them_end_it(plan, tmp_path):
    users = write_users(tmp_path / "users.csv", 450, (0.2, 0.4))
    text = users.read_text()
    users.write_text(text + "u0,treatment,1,1,0,0\n")
    assert "1 users were seen in both arms" in analyse(plan, users)[1]["notes"][0]
    users.write_text(text + "".join(f"u{2 * number},treatment,1,1,0,0\n" for number in range(30)))
    assert "assignment does not hold" in analyse(plan, users)[1]["reasons"][0]


def test_a_plan_holds_once_it_was_looked_at(plan, tmp_path):
    users = write_users(tmp_path / "users.csv", 400, (0.2, 0.2), seed=4)
    analyse(plan, users)
    plan.write_text(plan.read_text().replace("looks = 2", "looks = 9"))
    assert "was changed after look 1" in refused("analyse", plan, users)


def test_a_damaged_file_of_looks_is_refused(plan, tmp_path):
    users = write_users(tmp_path / "users.csv", 400, (0.2, 0.2), seed=4)
    analyse(plan, users)
    looks = plan.with_suffix(".looks.json")
    text = looks.read_text()
    error = json.loads(text)["looks"][0]["error"]
    for change in (
        (str(error), "NaN"),
        (str(error), "0"),
        ('"schema": 1', '"schema": 2'),
        ('"looks"', '"look"'),
        ("{", "["),
    ):
        looks.write_text(text.replace(*change))
        assert "experiment.looks.json" in refused("analyse", plan, users)


def change_users(old: str, new: str):
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_users(",treatment,", ",other,"), "arm 'other' is not in the plan: control, treatment"),
        (change_users(",treatment,", ",control,"), "no user is in the arm 'treatment'"),
        (change_users("bought,", "sold,"), "'bought' of the metric 'any bought' was never reported"),
        (change_users("crashed", "ended"), "'crashed' of the metric 'any crashed' was never reported"),
        (change_users("user,", "person,"), "no column 'user'"),
        (lambda text: text + "u9999,control,1,5,inf,0\n", "no count"),
        (lambda text: text + "u9999,control,-1,5,0,0\n", "no count"),
        (lambda text: text + "u9999,control,1e200,5,0,0\n", "no count"),
        (lambda text: text + "u9999,control,,5,0,0\n", "lacks 1 values"),
        (change_users("u4,control,", "u4,,"), "column 'arm' lacks 1 values"),
        (lambda text: text + "u9999,control,many,5,0,0\n", "'many'"),
        (lambda text: text.partition("\n")[0] + "\n", "holds no user"),
        (lambda text: "", "empty"),
    ],
)  # fmt: skip
def test_users_that_cannot_be_used_are_refused(plan, tmp_path, change, message):
    users = write_users(tmp_path / "users.csv", 20, (0.3, 0.3))
    users.write_text(change(users.read_text()))
    assert message in refused("analyse", plan, users)
    assert not plan.with_suffix(".looks.json").exists()


def test_a_metric_that_is_always_zero_was_never_reported(plan, tmp_path):
    users = write_users(tmp_path / "users.csv", 20, (0.0, 0.0))
    assert "it is 0 for every user" in refused("analyse", plan, users)


def with_column(path: Path, name: str, values: dict[str, str]) -> Path:
    """The table with a column that follows the arm."""
    head, *rows = path.read_text().splitlines()
    rows = [f"{row},{values[row.split(',')[1]]}" for row in rows]
    path.write_text("\n".join([f"{head},{name}", *rows]) + "\n")
    return path


def test_weeks_in_the_future_and_a_split_by_region_are_refused(plan, tmp_path):
    today = datetime.now(UTC).date()
    coming, present = find_window(today + timedelta(days=8)), find_window(today)
    users = write_users(tmp_path / "users.csv", 30, (0.3, 0.3))
    weeks = with_column(users, "week", {"control": present, "treatment": coming})
    assert "is in the future" in refused("analyse", plan, weeks)
    regions = with_column(write_users(users, 30, (0.3, 0.3)), "region", {"control": "us", "treatment": "ca"})
    assert "no randomized experiment" in refused("analyse", plan, regions)
    assert "experiment region" in refused("plan", "--baseline", 0.1, "--effect", 0.01, "--split", "region")


def test_region_shows_what_a_split_by_region_finds():
    split = json.loads(run("region", "--json", "-").output)
    assert split["region_wins"] > 0.75
    assert 0.015 < split["random_wins"] < 0.035


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("signing") / "keys"
    generate_keys(folder)
    return folder


@pytest.fixture
def channel(tmp_path, keys) -> Path:
    """A channel with versions 1 and 2."""
    folder = tmp_path / "channel"
    for number in (1, 2):
        bundle = write_bundle(tmp_path / f"bundle-{number}", number)
        api.publish_bundle(bundle, folder, name=NAME, keys=keys, percent=100 if number == 1 else 0)
    return folder


def read_rules(channel: Path) -> Channel:
    return next(item.rules for item in api.read_channel(channel).channels if item.name == NAME)


def test_an_experiment_starts_is_seen_and_stops_in_its_channel(plan, channel, keys, tmp_path):
    where = ("--channel", channel, "--name", NAME)
    begin = ("start", plan, *where, "--key", keys, "--control", 1, "--treatment")
    users = write_users(tmp_path / "users.csv", 30, (0.3, 0.3))
    assert "unknown experiment 'e1'" in refused("analyse", plan, users, *where)
    assert "unknown experiment 'e1'" in refused("stop", plan, *where, "--key", keys)
    assert "unknown version 7" in refused(*begin, 7)
    assert "would run version 1" in refused(*begin, 1)
    assert "unknown channel 'garments/beta'" in refused("status", plan, "--channel", channel, "--name", "garments/beta")
    assert run(*begin, 2, "--dry-run").exit_code == 0
    assert read_rules(channel).experiment is None
    started = run(*begin, 2, "--percent", 50)
    assert started.exit_code == 0, started.output
    rules = read_rules(channel)
    assert rules.experiment is not None
    drawn = [choose_arm(rules, f"device-{number}") for number in range(4000)]
    versions = [arm.version for arm in drawn if arm]
    assert len(versions) == pytest.approx(2000, abs=150)
    assert versions.count(2) == pytest.approx(1000, abs=120)
    assert f'salt = "{rules.experiment.salt}"' in plan.read_text()
    assert (
        "runs for 50 % of the devices: control version 1 (50), treatment version 2 (50)"
        in run("status", plan, *where).output
    )
    assert analyse(plan, users, *where)[1]["verdict"] == "INCONCLUSIVE"
    other = tmp_path / "other.toml"
    other.write_text(plan.read_text().replace('control = "control"', 'control = "old"'))
    assert "unknown arm 'old'" in refused("analyse", other, users, *where)
    other.write_text(plan.read_text().replace('name = "e1"', 'name = "e2"'))
    assert "experiment 'e1' runs there" in refused("start", other, *begin[2:], 2)
    other.write_text(plan.read_text().replace("treatment_percent = 50", "treatment_percent = 10"))
    assert "other arms or shares" in refused("status", other, *where)
    assert run("stop", plan, *where, "--key", keys).exit_code == 0
    assert read_rules(channel).experiment is None
    assert "does not run in this channel" in run("status", plan, *where).output


def test_from_the_channel_over_devices_to_the_verdict(channel, keys, tmp_path):
    """What `start` writes, a client reads, and reports tell: 900 devices, of which those in treatment buy twice as often."""
    plan, where = tmp_path / "experiment.toml", ("--channel", channel, "--name", NAME)
    settings = (
        "--metric",
        "any bought",
        "--baseline",
        0.2,
        "--effect",
        0.2,
        "--looks",
        1,
        "--guardrail",
        "latency_ms / timed=5",
    )
    assert run("plan", *settings, "--out", plan).exit_code == 0
    started = run("start", plan, *where, "--key", keys, "--control", 1, "--treatment", 2, "--percent", 50)
    assert started.exit_code == 0, started.output
    rules = render_channel(read_rules(channel))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "channel.json").write_bytes(rules)
    rng, lines = np.random.default_rng(2), []
    for number in range(900):
        url, identity = "https://models.example.com/channel", f"device-{number}"
        client = Client(url, name=NAME, artifact="tflite/int8", state=tmp_path / "state", root=b"", device_id=identity)
        arms = client.arms
        bought = rng.random() < (0.4 if arms.get("e1") == "treatment" else 0.2)
        latency = [int(rng.integers(70, 90)), 10]
        lines.append(json.dumps(make_report(
            number, arms=arms, window="2026-W44", latency=latency, outcomes={"bought": [0, 1]} if bought else {}
        )))  # fmt: skip
    reports = tmp_path / "reports.jsonl"
    reports.write_text("\n".join(lines))
    code, result = analyse(plan, reports, *where)
    assert (code, result["verdict"]) == (0, "PASS"), result
    assert sum((result["sample_ratio"]["users_control"], result["sample_ratio"]["users_treatment"])) == pytest.approx(
        450, abs=60
    )
    assert result["guardrails"][0]["control"] == pytest.approx(107, abs=20)


def test_channel_needs_a_name(plan, channel):
    assert "--channel goes with --name" in refused("status", plan, "--channel", channel)


def test_the_verdict_for_people(plan, tmp_path):
    shown = run("analyse", plan, write_users(tmp_path / "users.csv", 450, (0.2, 0.4)))
    assert shown.exit_code == 0
    for text in ("experiment e1: PASS", "was it luck?", "guardrail any crashed: PASS", "sample ratio p ="):
        assert text in shown.output
    assert run("status", plan).output.startswith("e1: 1 of at most 2 looks taken, over")
