"""`edgeship deploy fetch`, as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.client.channels import ARTIFACT


@pytest.fixture
def fetch(field, tmp_path):
    root = tmp_path / "root.json"
    root.write_bytes(field.repository.first_root)

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        given = {"--url": field.server.url, "--name": "garments/stable", "--artifact": ARTIFACT, "--root": str(root)}
        given |= {"--state": str(field.state), "--device": "device"} | dict(
            zip(options[::2], options[1::2], strict=True)
        )
        command = [sys.executable, "-m", "edgeship.cli", "deploy", "fetch"]
        return subprocess.run(
            [*command, *(part for pair in given.items() for part in pair)], capture_output=True, text=True, check=False
        )

    return run


def test_the_command_does_what_a_device_does(field, fetch):
    field.publish(2)
    first = fetch()
    assert first.returncode == 0 and first.stderr == ""
    assert first.stdout.startswith("updated: version 2 runs (garments/stable, bucket ")
    assert first.stdout.endswith(f"model: {field.state / 'versions/2/tflite/float32.tflite'}\n")
    field.repository.signers["timestamp"] = field.repository.signers["targets"]
    field.publish(3)
    told = fetch("--json", "-")
    result = json.loads(told.stdout)
    assert told.returncode == 1 and (result["status"], result["running"]) == ("refused", 2)


def test_what_the_channel_does_not_have_is_an_error_of_the_caller(field, fetch, tmp_path):
    told = fetch("--artifact", "tflite/int4", "--state", str(tmp_path / "new"))
    assert told.returncode == 2 and "no artifact 'tflite/int4'; known: tflite/float32" in told.stdout


def test_a_state_is_not_begun_in_a_bundle(field, fetch, tmp_path):
    from tests.deploy.channel.bundles import write_bundle

    told = fetch("--state", str(write_bundle(tmp_path / "bundle") / "state"))
    assert told.returncode == 2 and "lies in the bundle" in told.stderr
    assert not (tmp_path / "bundle" / "state").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--url", "x"), "no address"), (("--name", "garments"), "channel"), (("--root", "/nowhere"), "root.json")],
)
def test_what_cannot_be_is_one_line(fetch, options, message):
    told = fetch(*options)
    assert (told.returncode, told.stdout) == (2, "")
    assert message in told.stderr and len(told.stderr.splitlines()) == 1
