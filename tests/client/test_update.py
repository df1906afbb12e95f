"""A device follows its channel: fetched, verified, self-tested, switched in one step, and back again by itself."""

from __future__ import annotations

import pytest

from edgeship.client import ClientError


def test_first_update_later_ones_and_a_rollback(field):
    client = field.client()
    with pytest.raises(ClientError, match="no version of garments/stable is on this device yet"):
        client.model.read_bytes()
    first = client.update()
    assert (first.status, first.running, first.goldens, first.error) == ("updated", 1, 7, "")
    assert client.model.read_bytes() == field.version(1)
    assert client.labels == ("a", "b", "c", "d", "e") and client.contract["kind"] == "edgeship-contract"
    again = client.update()
    assert (again.status, again.running) == ("current", 1)
    field.publish(2)
    assert client.update().status == "updated"
    assert (client.version, client.model.read_bytes()) == (2, field.version(2))
    field.repository.set_channel(1, None, withdrawn=(2,))
    field.repository.write()
    back = client.update()
    assert (back.status, back.running, client.version) == ("updated", 1, 1)
    assert back.received_bytes < 5000  # the files were still here
    assert client.update().status == "current"
