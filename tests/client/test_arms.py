"""The arm that a device was assigned to, as its client tells it to the counter of reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeship.client import Client
from edgeship.client.rule_files import render_channel
from edgeship.client.rules import Arm, Channel, Conditions, Experiment, choose_arm

RULES = Channel(
    "garments", "stable", 2, 1, 0.0, "salt",
    experiment=Experiment("e1", "own", 50.0, (Arm("control", 1, 50), Arm("treatment", 2, 50))),
)  # fmt: skip


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return device(tmp_path, "device-1")


def device(state: Path, identity: str) -> Client:
    url, name = "https://models.example.com/channel", "garments/stable"
    return Client(url, name=name, artifact="tflite/int8", state=state, root=b"", device_id=identity)


def test_before_the_first_update_a_device_is_in_no_experiment(client):
    assert client.arms == {}


def test_arms_are_those_of_the_rules(tmp_path):
    (tmp_path / "channel.json").write_bytes(render_channel(RULES))
    seen = set()
    for number in range(60):
        arm = choose_arm(RULES, f"device-{number}")
        found = device(tmp_path, f"device-{number}").arms
        assert found == ({"e1": arm.name} if arm else {})
        seen.add(found.get("e1"))
    assert seen == {"control", "treatment", None}


def test_a_device_that_gets_no_new_version_takes_no_part(tmp_path):
    rules = replace(RULES, conditions=Conditions(platforms=("elsewhere",)))
    (tmp_path / "channel.json").write_bytes(render_channel(rules))
    assert not any(device(tmp_path, f"device-{number}").arms for number in range(20))


@pytest.mark.parametrize("content", [b"", b"{}", render_channel(replace(RULES, experiment=None))])
def test_without_an_experiment_there_are_no_arms(tmp_path, content):
    (tmp_path / "channel.json").write_bytes(content)
    assert device(tmp_path, "device-1").arms == {}
