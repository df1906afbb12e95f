"""A simulated fleet: devices decide as their clients do, and where nothing is left to chance, totals are what arithmetic says."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.cli.deploy.simulate import simulate
from edgeship.client.rules import Arm, Device, Experiment, bucket, choose_version
from edgeship.deploy.fleet.model import HANDSHAKE_BYTES, HEAD_BYTES, Fleet, Rollout
from edgeship.deploy.fleet.simulate import published_rules, simulate_fleet
from edgeship.deploy.fleet.traffic import NEW, assumed_traffic, read_traffic
from edgeship.errors import InputError
from tests.client.channels import ARTIFACT, Repository

CERTAIN = Fleet(2000, 24, 1.0, offline=0.0, failures=0.0, selftest_failures=0.0)
TRAFFIC = assumed_traffic()


def share_at(result, hour):
    return next(point.share for point in reversed(result.adoption) if point.hour <= hour)


def test_where_nothing_fails_all_of_the_percentage_have_it_after_one_poll():
    result = simulate_fleet(CERTAIN, Rollout(((0.0, 5.0), (10.0, 40.0)), None), TRAFFIC, NEW)
    inside = [sum(bucket(NEW.salt, f"device-{n}") < most for n in range(2000)) / 2000 for most in (500, 4000)]
    assert [item.hours for item in result.adopted] == [None] * 3
    assert share_at(result, 9) == inside[0] and share_at(result, 23) == inside[1]
    assert result.rollback == () and result.kind == "simulated"


@pytest.mark.parametrize(
    "experiment",
    [None, Experiment("e", "model/e", 30.0, (Arm("control", 1, 1), Arm("treatment", 2, 3)))],
    ids=["percentage", "experiment"],
)
def test_each_device_ends_where_its_own_client_would(experiment):
    rules = replace(NEW, experiment=experiment)
    rollout = Rollout(((0.0, 20.0), (5.0, 60.0)), None)
    result = simulate_fleet(CERTAIN, rollout, TRAFFIC, rules)
    last = published_rules(rollout, rules)[-1][1]
    ends = [choose_version(last, Device(f"device-{number}"), 1) for number in range(2000)]
    assert share_at(result, 24) == ends.count(2) / 2000
    assert result.decisions > 1000  # so many different ones were asked for


def test_a_rollback_reaches_devices_as_they_poll():
    fleet = replace(CERTAIN, clients=20_000)
    result = simulate_fleet(fleet, Rollout(((0.0, 100.0),), 10.0), TRAFFIC, NEW)
    half, most, nearly = (item.hours or 0 for item in result.rollback)
    assert half == pytest.approx(0.5, abs=0.05) and most < nearly < 1.25
    assert (result.adopted[0].hours or 0) == pytest.approx(0.5, abs=0.05) and (result.adopted[2].hours or 9) < 1.25
    off = simulate_fleet(replace(fleet, offline=0.3, offline_hours=6.0), Rollout(((0.0, 100.0),), 12.0), TRAFFIC, NEW)
    assert (off.rollback[1].hours or 0) > 3 * most
    never = simulate_fleet(
        replace(fleet, offline=0.3, offline_hours=20.0), Rollout(((0.0, 100.0),), 12.0), TRAFFIC, NEW
    )
    assert never.rollback[2].hours is None


def test_polls_and_bytes_add_up():
    fleet = replace(CERTAIN, hours=48, refresh_hours=1000.0)
    result = simulate_fleet(fleet, Rollout(((0.0, 100.0),), None), TRAFFIC, NEW)
    first, second = result.days
    assert first.polls == pytest.approx(24 * 2000, rel=0.03)
    assert first.whole_bytes == 2000 * (TRAFFIC.change + TRAFFIC.version)
    assert first.delta_bytes == 2000 * (TRAFFIC.change + TRAFFIC.delta)
    assert first.poll_bytes == (first.polls + 2000) * TRAFFIC.poll  # a new timestamp is asked for twice
    assert (second.whole_bytes, second.delta_bytes, second.poll_bytes) == (0, 0, second.polls * TRAFFIC.poll)
    polling = result.polling
    assert polling.requests_per_second == pytest.approx(2 * 10_000_000 / 3600, rel=0.05)
    assert polling.peak_requests_per_second >= polling.requests_per_second


def test_devices_on_which_the_selftest_fails_keep_what_they_had():
    fleet = replace(CERTAIN, selftest_failures=0.1)
    result = simulate_fleet(fleet, Rollout(((0.0, 50.0), (8.0, 100.0)), None), TRAFFIC, NEW)
    assert 150 < result.selftest_failures < 250
    assert share_at(result, 24) == 1 - result.selftest_failures / 2000


def test_failed_polls_and_downloads_come_later():
    result = simulate_fleet(replace(CERTAIN, failures=0.5), Rollout(((0.0, 100.0),), None), TRAFFIC, NEW)
    assert 0.2 < share_at(result, 1.2) < 0.45 and share_at(result, 24) > 0.98


def test_sizes_and_rules_are_those_of_a_channel(tmp_path):
    repository = Repository(tmp_path / "channel")
    old, new, shared = b"1" * 5000, b"1" * 4000 + b"2" * 3000, {"contract.json": b"{}", "labels.txt": b"a"}
    repository.publish(1, old, shared)
    with pytest.raises(InputError, match="has no version before 1"):
        read_traffic(repository.folder, "garments/stable", ARTIFACT)
    repository.publish(2, new, {**shared, "labels.txt": b"b"}, bases=(old,), percent=5.0)
    traffic, rules = read_traffic(repository.folder, "garments/stable", ARTIFACT)
    assert (rules.version, rules.previous, rules.salt) == (2, 1, "garments/stable/2")
    assert traffic.version == 7001 + 2 * HEAD_BYTES
    assert 1 + 2 * HEAD_BYTES < traffic.delta < 500 + 2 * HEAD_BYTES
    timestamp = (repository.folder / "metadata/timestamp.json").stat().st_size
    assert traffic.poll == HANDSHAKE_BYTES + 2 * HEAD_BYTES + timestamp and traffic.change > 3000
    with pytest.raises(InputError, match="unknown artifact 'onnx/x'"):
        read_traffic(repository.folder, "garments/stable", "onnx/x")


def test_the_command_tells_and_draws_the_same(tmp_path):
    options = ["--clients", "500", "--hours", "24", "--rollback", "12", "--rollout", "0:100"]
    run = CliRunner().invoke(
        simulate, [*options, "--picture", str(tmp_path / "a.svg"), "--json", str(tmp_path / "a.json")]
    )
    assert run.exit_code == 0, run.output
    assert "500 devices, simulated" in run.output and "left it after the rollback: 50%" in run.output
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["kind"] == "simulated" and told["fleet"]["clients"] == 500
    CliRunner().invoke(simulate, [*options, "--picture", str(tmp_path / "b.svg")])
    picture = (tmp_path / "a.svg").read_text()
    assert picture == (tmp_path / "b.svg").read_text() and "500 simulated devices" in picture


@pytest.mark.parametrize(
    "given",
    [
        {"offline": 1.0}, {"poll_hours": 0.0}, {"rollout": ((0.0, 101.0),)}, {"rollout": ()}, {"channel": "nowhere"},
        {"rollout": ((math.nan, 5.0),)}, {"rollback_hour": math.nan}, {"rollback_hour": -1.0}, {"name": "garments/stable"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(given):
    with pytest.raises(InputError):
        api.simulate_fleet(clients=10, **given)
