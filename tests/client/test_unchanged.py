"""The short way of an update that finds nothing new, without TUF: never another end than with it."""

from __future__ import annotations

import json
import shutil
import time

import pytest

from edgeship.client import unchanged
from edgeship.client.timed_sockets import Timer


def test_what_was_verified_is_asked_of_tuf_again_when_it_ends(field, monkeypatch):
    assert field.update().status == "current"
    asked = len(field.server.paths)
    monkeypatch.setattr("edgeship.client.unchanged.time.time", lambda now=time.time: now() + 2 * 86_400)
    assert field.update().status == "current"
    assert len(field.server.paths) - asked == 2 and unchanged_asks(field) == 0
    monkeypatch.undo()
    assert unchanged_asks(field) == 2
    field.repository.rotate("timestamp")
    field.repository.write()
    assert field.update().status == "current" and field.server.paths[-1] != "/metadata/timestamp.json"


def serve_an_older_timestamp(field):
    place = field.repository.folder / "metadata/timestamp.json"
    older = place.read_bytes()
    field.publish(2)
    assert field.update().running == 2
    place.write_bytes(older)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda field: None, "current"),
        (lambda field: field.repository.write(), "current"),
        (lambda field: field.repository.rotate("root"), "current"),
        (lambda field: field.repository.rotate("timestamp"), "refused"),  # and nothing signed by the new key
        (serve_an_older_timestamp, "refused"),
        (lambda field: field.publish(2), "updated"),
    ],
)
def test_without_tuf_no_update_ends_otherwise_than_with_it(field, tmp_path, change, status):
    change(field)
    shutil.copytree(field.state, tmp_path / "other", symlinks=True)
    state = json.loads((tmp_path / "other/state.json").read_text())
    (tmp_path / "other/state.json").write_text(json.dumps({**state, "verified": None}))
    with_tuf, result = field.update(state=tmp_path / "other"), field.update()
    assert with_tuf.status == result.status == status
    assert (with_tuf.running, with_tuf.chosen, with_tuf.bucket) == (result.running, result.chosen, result.bucket)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_what_was_verified_holds_until_the_first_role_ends(field, role):
    end = field.repository.days(0.5)
    if role == "root":
        field.repository.root.signed.expires, field.repository.root.signed.version = end, 2
        field.repository.write_root()
    else:
        field.repository.roles[role].signed.expires = end
    field.repository.write()
    assert field.update().status == "current"
    assert json.loads((field.state / "state.json").read_text())["verified"]["until"] == end.timestamp()


def unchanged_asks(field):
    """How many requests an update makes that imports no TUF; 0 where it needs TUF."""
    store = field.client()._store
    asked = len(field.server.paths)
    found = unchanged.find_unchanged(
        field.client()._settings, store, store.read_state(), Timer(time.monotonic() + 10, 5)
    )
    return len(field.server.paths) - asked if found else 0
