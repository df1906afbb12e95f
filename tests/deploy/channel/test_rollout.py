"""Who gets a version: percentages, pauses, the way back, experiments; through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from edgeship import api
from edgeship.client.rule_files import parse_channel
from edgeship.client.rules import Channel, Device, choose_version
from edgeship.errors import InputError
from tests.deploy.channel.conftest import NAME, Watcher, run_deploy, snapshot_of

Change = Callable[..., Result]
DEVICES = [Device(f"device-{number}") for number in range(5000)]


def rules_of(watcher: Watcher) -> Channel:
    """The rules as a client reads them."""
    return parse_channel(json.dumps(watcher.look()).encode())


def owners(watcher: Watcher, version: int, running: int | None = 1) -> set[str]:
    """The devices that a version is for."""
    rules = rules_of(watcher)
    return {device.id for device in DEVICES if choose_version(rules, device, running) == version}


def test_raising_the_percentage_keeps_who_has_the_version(change: Change, watcher: Watcher) -> None:
    first = owners(watcher, 2)
    assert change("rollout", "--percent", 25).output.startswith(
        "garments/stable: version 2 at 25 %, previous 1 (was version 2 at 5 %, previous 1)\n"
    )
    second = owners(watcher, 2)
    assert first < second and 0.04 < len(first) / len(DEVICES) < 0.06 and 0.23 < len(second) / len(DEVICES) < 0.27
    change("rollout", "--percent", 100)
    assert len(owners(watcher, 2)) == len(DEVICES)


def test_a_pause_lets_nobody_in_until_it_ends(change: Change, watcher: Watcher, channel: Path, keys: Path) -> None:
    first = owners(watcher, 2)
    change("pause")
    assert owners(watcher, 2) == set() and len(owners(watcher, 2, running=2)) == len(DEVICES)
    stopped = run_deploy("rollout", "--channel", channel, "--name", NAME, "--key", keys, "--percent", 50)
    assert "is paused at 5 %; `deploy resume` comes first" in str(stopped.exception)
    assert "nothing to do: the rules are so already" in change("pause").output
    change("resume")
    assert owners(watcher, 2) == first


def test_a_new_version_does_not_end_a_pause(change: Change, channel: Path, bundles: list[Path], keys: Path) -> None:
    change("pause")
    before = snapshot_of(channel)
    with pytest.raises(InputError, match="is paused at version 2; `deploy resume` or `deploy rollback` comes first"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)
    assert snapshot_of(channel) == before


def test_all_devices_go_back_at_once(change: Change, watcher: Watcher, channel: Path) -> None:
    change("rollout", "--percent", 100)
    before = snapshot_of(channel)
    assert "would be version 1 at 100 %, withdrawn 2" in change("rollback", "--dry-run").output
    assert snapshot_of(channel) == before
    change("rollback")
    assert len(owners(watcher, 1, running=2)) == len(DEVICES)
    again = run_deploy("rollback", "--channel", channel, "--name", NAME, "--key", "unread")
    assert isinstance(again.exception, InputError)


def test_what_was_left_by_mistake_comes_back(change: Change, watcher: Watcher, channel: Path, keys: Path) -> None:
    change("rollback")
    with pytest.raises(InputError, match="version 1 has no previous one"):
        api.roll_back_channel(channel, NAME, keys=keys)
    change("rollback", "--to", 2)
    rules = rules_of(watcher)
    assert (rules.version, rules.previous, rules.withdrawn, rules.percent) == (2, 1, (), 100.0)
    assert len(owners(watcher, 2)) == len(DEVICES)
    with pytest.raises(InputError, match=r"unknown version 9 of garments in .*; known: 1, 2"):
        api.roll_back_channel(channel, NAME, keys=keys, to=9)


def test_after_a_way_back_the_next_number_is_a_new_one(
    change: Change, channel: Path, bundles: list[Path], keys: Path
) -> None:
    change("rollback")
    with pytest.raises(InputError, match="version 2 is not newer"):
        api.publish_bundle(bundles[1], channel, name=NAME, keys=keys)
    third = api.publish_bundle(bundles[2], channel, name=NAME, keys=keys, percent=10)
    assert (third.after.version, third.after.previous, third.after.withdrawn) == (3, 1, (2,))


def test_a_runtime_that_no_client_has_is_told(change: Change) -> None:
    assert "no client of edgeship has a runtime 'lite'" in change("rollout", "--minimum-runtime", "lite=2.14").output
    assert "no client" not in change("rollout", "--minimum-runtime", "tflite=2.14", "--dry-run").output
    assert "none of them gets version 2" in change("rollout", "--minimum-client", 2, "--dry-run").output


def test_conditions_and_experiments_reach_the_client(
    change: Change, watcher: Watcher, channel: Path, keys: Path
) -> None:
    change("rollout", "--minimum-runtime", "tflite=2.14", "--platform", "linux-x86_64", "--minimum-memory", 512)
    rules = rules_of(watcher)
    able = Device("device-1", {"tflite": "2.16.1"}, "linux-x86_64", 1024)
    assert rules.conditions.minimum_runtime == {"tflite": "2.14"} and rules.conditions.platforms == ("linux-x86_64",)
    arms = ["--arm", "control=1:50", "--arm", "treatment=2:50", "--experiment-percent", 20]
    done = change("rollout", *arms, "--any-device", "--percent", 0)
    assert "experiment e1 at 20 % (control 1, treatment 2)" in done.output
    assert 0.08 < len(owners(watcher, 2)) / len(DEVICES) < 0.12
    assert choose_version(rules, able, None) in (1, 2)
    assert "experiment e1 goes on" in change("pause").output
    change("resume")
    other = ["--arm", "control=1:90", "--arm", "treatment=2:10"]
    stopped = run_deploy("rollout", "--channel", channel, "--name", NAME, "--key", keys, *other)
    assert "its devices would change sides" in str(stopped.exception)
    assert "experiment e1 is over" in change("rollout", "--end-experiment").output
    assert owners(watcher, 2) == set()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--percent", 5.001], "percent must be a percentage with at most two decimals"),
        (["--percent", "nan"], "must be finite"),
        (["--arm", "a=1:50", "--arm", "b=7:50"], "unknown version 7 of garments"),
        (["--arm", "a=1:50"], "two or more"),
        (["--minimum-runtime", "tflite=new"], "must be a release as 2.14"),
        (["--platform", "Linux x86"], "platforms[0] must be"),
        (["--percent", 5, "--name", "garments/beta"], "unknown channel 'garments/beta' in "),
        (["--percent", 5, "--name", "garments/beta"], "; known: garments/stable"),
        (["--percent", 5, "--channel", "nowhere"], "nowhere: no channel"),
        (["--percent", 5, "--name", "garments"], "--name garments: the channel after '/' must be"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(
    arguments: list[object], why: str, channel: Path, keys: Path
) -> None:
    before = snapshot_of(channel)
    done = run_deploy("rollout", "--channel", channel, "--name", NAME, "--key", keys, *arguments)
    assert isinstance(done.exception, InputError) and why in str(done.exception)
    assert snapshot_of(channel) == before and "\n" not in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "Nothing to change"), (["--percent", 101], "not in the range"), (["--arm", "a=1"], "is not like control=1:50"),
        (["--minimum-runtime", "tflite"], "is not like tflite=2.14"), (["--any-device", "--platform", "x"], "does not go with"),
        (["--end-experiment", "--arm", "a=1:5"], "does not go with"), (["--experiment-percent", 5], "go with the experiment's"),
    ],
)  # fmt: skip
def test_odd_options_are_refused(arguments: list[object], why: str, channel: Path, keys: Path) -> None:
    done = run_deploy("rollout", "--channel", channel, "--name", NAME, "--key", keys, *arguments)
    assert done.exit_code == 2 and why in done.output


def test_json_has_the_rules_before_and_after(change: Change, tmp_path: Path) -> None:
    change("rollout", "--percent", 50, "--json", tmp_path / "change.json")
    written = json.loads((tmp_path / "change.json").read_text())["change"]
    assert (written["before"]["percent"], written["after"]["percent"]) == (5.0, 50.0)
    assert written["written"][-1] == "metadata/timestamp.json"
