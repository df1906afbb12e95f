"""A client that is killed at any moment leaves a whole version, and the next one goes on from there."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from tests.client.channels import ARTIFACT

UPDATE = """
import sys
from edgeship.client import Client
url, artifact, state, root = sys.argv[1:]
result = Client(url, name="garments/stable", artifact=artifact, state=state, root=root, device_id="device").update()
print(result.status, result.error)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.more)])
def test_a_client_that_is_killed_leaves_a_whole_version(field, tmp_path, kills):
    root = tmp_path / "root.json"
    root.write_bytes(field.repository.first_root)
    command = [sys.executable, "-c", UPDATE, field.server.url, ARTIFACT, str(field.state), str(root)]
    field.publish(2)
    begun = time.monotonic()
    subprocess.run(command, check=True)
    whole = time.monotonic() - begun  # of a run that fetches, tests and switches
    moments, killed, running = random.Random(kills), 0, {1}
    for number in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            process.wait(moments.uniform(0.1, 1) * whole)
            whole *= 0.85  # the machine is less busy than it was, or more: kills stay around the switch
        except subprocess.TimeoutExpired:
            killed += 1
            whole *= 1.1
        process.kill()
        process.communicate()
        version = field.client().version
        assert version is not None and field.runs(version), f"after {number} kills"
        running.add(version)
        if version == 2:  # and back: a rollback and its undoing are switches, too
            field.repository.set_channel(1, None)
            field.repository.write()
        else:
            field.repository.set_channel(2, 1)
            field.repository.write()
    field.repository.set_channel(2, 1)
    field.repository.write()
    last = subprocess.run(command, check=True, capture_output=True, text=True)
    assert last.stdout.split()[0] in ("updated", "current") and field.runs(2)
    assert killed and (kills < 10 or running == {1, 2}), (killed, running)
    assert not (field.state / "incoming").exists()
