"""Whoever sits between channel and device, or holds a key that no longer counts: refused, and the version that ran goes on."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from edgeship.client import ClientError
from edgeship.client.outcome import UpdateResult
from tests.client.channels import ARTIFACT, Repository, trickle
from tests.client.conftest import Field


def refused(field: Field, reason: str, running: int = 1) -> UpdateResult:
    result = field.update()
    assert (result.status, result.running) == ("refused", running), result
    assert reason in result.error and "\n" not in result.error, result.error
    assert field.runs(running)
    return result


def metadata(field: Field, name: str) -> Path:
    return field.repository.folder / "metadata" / name


def test_an_older_timestamp_is_refused(field):
    old = metadata(field, "timestamp.json").read_bytes()
    field.publish(2)
    assert field.update().running == 2
    metadata(field, "timestamp.json").write_bytes(old)
    refused(field, "timestamp", running=2)


def test_an_older_snapshot_under_a_new_timestamp_is_refused(field):
    field.publish(2)
    assert field.update().running == 2
    field.repository.roles["snapshot"].signed.version = 1
    field.repository.roles["timestamp"].signed.version += 1
    field.repository.write(bump=False)
    refused(field, "napshot", running=2)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_channel_that_stands_still_is_refused_when_its_signature_ends(field, role):
    field.repository.roles[role].signed.expires = Repository.days(-1)
    field.publish(2)
    refused(field, "expired")


def test_a_root_that_has_ended_is_refused(field):
    field.repository.root.signed.version += 1
    field.repository.root.signed.expires = Repository.days(-1)
    field.repository.write_root()
    refused(field, "expired")


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_metadata_of_two_states_are_refused(field, role):
    old = metadata(field, f"1.{role}.json").read_bytes()
    field.publish(2)
    metadata(field, f"2.{role}.json").write_bytes(old)
    refused(field, "v1" if role == "targets" else "version")


def test_one_changed_byte_in_each_file_is_refused(field, tmp_path):
    before = {path for path in field.repository.folder.rglob("*") if path.is_file()} - {
        metadata(field, "timestamp.json")
    }
    field.repository.rotate("targets")
    field.publish(2)
    files = [path for path in field.repository.folder.rglob("*") if path.is_file() and path not in before]
    assert len(files) == 4 + 2 + 4  # metadata; channel.json, version.json; model, contract, two goldens
    for number, path in enumerate(files):
        content = path.read_bytes()
        changed = bytearray(content)
        changed[len(content) // 2] ^= 1
        path.write_bytes(changed)
        state = tmp_path / f"state-{number}"
        shutil.copytree(field.state, state, symlinks=True)
        result = field.update(state=state)
        assert (result.status, result.running) == ("refused", 1), (path, result)
        assert field.client(state=state).model.read_bytes() == field.version(1)
        path.write_bytes(content)
        if number == len(files) - 1:
            assert field.update(state=state).status == "updated"


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_another_key_is_refused(field, role):
    stolen = CryptoSigner.generate_ed25519()
    if role == "root":
        field.repository.root.signed.version += 1
        field.repository.signers["root"] = [stolen]
        field.repository.write_root()
    else:
        field.repository.signers[role] = [stolen]
        field.publish(2)
    refused(field, role)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_key_that_was_removed_signs_nothing_any_more(field, role):
    old = field.repository.signers[role]
    field.repository.rotate(role)
    new, field.repository.signers[role] = field.repository.signers[role], old
    field.publish(2)
    refused(field, role)
    field.repository.signers[role] = new
    field.publish(3, previous=1)
    assert field.update().running == 3 and field.runs(3)


def test_a_new_root_key_is_taken_from_the_one_before(field):
    field.repository.rotate("root")
    field.repository.rotate("root")
    field.publish(2)
    assert field.update().running == 2


def test_many_new_roots_are_followed_by_the_first_app_too(field):
    for _ in range(66):
        field.repository.rotate("timestamp")
    field.publish(2)
    assert field.update().running == 2


def test_the_root_of_another_channel_is_refused(field, tmp_path):
    other = Repository(tmp_path / "other")
    result = field.update(root=other.first_root, state=tmp_path / "new")
    assert (result.status, result.running) == ("refused", None)
    assert field.update(root=b"{}", state=tmp_path / "newer").status == "refused"


# A server that holds, floods or misleads


@contextmanager
def answering(field: Field, part: str, answer: Callable[[Any], object]) -> Iterator[None]:
    """What the server does where the path asked for contains `part`."""

    def take(handler: Any) -> bool:
        if part not in handler.path:
            return False
        answer(handler)
        return True

    field.server.answer = take
    try:
        yield
    finally:
        field.server.answer = lambda handler: False


PARTS = {
    "root": "2.root.json", "timestamp": "timestamp.json", "snapshot": "2.snapshot.json", "targets": "2.targets.json",
    "rules": "channel.json", "description": "2/", "file": "/files/",
}  # fmt: skip


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_endless_files_are_cut_off(field, part):
    field.publish(2)

    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        for _ in range(2000):
            handler.wfile.write(b" " * 65536)

    with answering(field, part, flood):
        result = refused(field, "more than the")
    assert result.received_bytes < 8_000_000


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "head", [b"", HEAD, HEAD + b"Content-Length: 500\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1"]
)
@pytest.mark.parametrize("part", ["timestamp.json", "/files/"])
def test_a_server_that_sends_a_byte_now_and_then_does_not_hold_the_device(field, part, head):
    field.publish(2)
    begun = time.monotonic()
    with answering(field, part, lambda handler: trickle(handler, head, 20)):
        result = field.update(seconds=0.5)
    assert (result.status, result.running) == ("offline", 1) and field.runs(1)
    assert "too slow" in result.error or "no connection" in result.error
    assert time.monotonic() - begun < 10


def test_an_address_that_leads_round_in_circles_is_left(field):
    def send_on(handler):
        handler.send_response(302)
        handler.send_header("Location", handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    field.publish(2)
    with answering(field, "timestamp.json", send_on):
        assert field.update().status == "offline"
    assert len(field.server.paths) < 20 and field.runs(1)


def test_what_the_server_packed_is_not_unpacked(field):
    bomb = gzip.compress(b" " * 100_000_000)

    def send(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(bomb)))
        handler.end_headers()
        handler.wfile.write(bomb)

    field.publish(2)
    with answering(field, "timestamp.json", send):
        refused(field, "more than the 16,384 bytes")


def test_a_link_in_the_served_folder_gives_nothing_but_a_wrong_digest(field, tmp_path):
    field.publish(2)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = next(field.repository.targets.glob("garments/2/*"))
    path.unlink()
    path.symlink_to(secret)
    refused(field, "")


# What is signed and yet wrong: a publisher's tool that was taken over, or has a bug


def sign_description(field: Field, change: Callable[[Any], object]) -> None:
    field.publish(2)
    folder = field.repository.targets / "garments/2"
    description = json.loads(next(folder.glob("*")).read_bytes())
    change(description)
    field.repository.add("garments/2/version.json", json.dumps(description).encode())
    field.repository.write()


PATHS = [
    "../../evil", "/tmp/evil", "a/../../evil", "..", "", ".", "a//b", "C:\\evil", "a\\..\\..\\evil", "evil\x00", "aux",
    "version.json/x", "a" * 300, "evil ", "evil.",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_out_is_refused(field, tmp_path, path):
    before = sorted(item for item in tmp_path.rglob("*") if "channel" not in item.parts)
    sign_description(field, lambda description: description["shared"][0].update(path=path))
    result = field.update()
    assert (result.status, result.running) == ("refused", 1), result
    after = sorted(item for item in tmp_path.rglob("*") if not {"channel", "incoming"} & {*item.parts})
    assert {item for item in {*after} - {*before} if "channel" not in str(item)} == set()
    assert not Path("/tmp/evil").exists() and field.runs(1)


def test_a_file_called_as_the_description_is_refused(field):
    sign_description(field, lambda description: description["shared"][0].update(path="version.json"))
    refused(field, "version.json")


def test_targets_of_names_that_lead_out_are_never_asked_for(field):
    for path in ("../../evil", "/tmp/evil", "garments/stable/../../evil"):
        target = field.repository.add("evil", b"evil")
        target.unlink()
        signed = field.repository.roles["targets"].signed.targets
        signed[path] = signed.pop("evil")
    field.publish(2)
    assert field.update().running == 2
    assert not any("evil" in path for path in field.server.paths)


CHANGES: dict[str, Callable[[Any], object]] = {
    "smaller": lambda item: item.update(size=item["size"] - 1),
    "larger": lambda item: item.update(size=item["size"] + 1),
    "huge": lambda item: item.update(size=8 << 30),
    "none": lambda item: item.update(size=-1),
    "other": lambda item: item.update(sha256="0" * 64),
    "no digest": lambda item: item.update(sha256="../x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_sizes_and_digests_that_the_targets_do_not_have_are_refused(field, change):
    sign_description(field, lambda description: change(description["artifacts"][ARTIFACT]["files"][0]))
    result = field.update()
    assert result.running == 1 and field.runs(1)
    assert result.status in ("refused", "error") and result.error
    assert result.status == "refused" or "are free" in result.error  # 8 GB, on a small disk


@pytest.mark.parametrize("key", ["version", "name"])
def test_the_description_of_another_version_is_refused(field, key):
    sign_description(field, lambda description: description.update({key: {"version": 3, "name": "shoes"}[key]}))
    refused(field, "describes another version")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"channel": "beta"}, "not of garments/stable"),
        ({"schema": 2}, "update the client"),
        ({"percent": 1e9}, "percent"),
    ],
)
def test_rules_of_another_channel_or_a_later_client_are_refused(field, change, reason):
    field.publish(2)
    rules = json.loads(next((field.repository.targets / "garments/stable").glob("*")).read_bytes())
    field.repository.add("garments/stable/channel.json", json.dumps({**rules, **change}).encode())
    field.repository.write()
    refused(field, reason)


def test_more_than_any_description_is_not_read(field):
    field.publish(2)
    field.repository.add("garments/stable/channel.json", b" " * 100_000)
    field.repository.write()
    refused(field, "at most 65,536 are read")


# Links in the device's own folder


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize(
    "name", ["versions", "incoming", "metadata", "state.json", "lock", "channel.json", "metadata/root_history"]
)
def test_nothing_is_written_through_a_link(field, tmp_path, name):
    field.publish(2)
    victim, path = tmp_path / "victim", field.state / name
    if path.exists():
        path.rename(victim)
    else:
        victim.mkdir()
    path.symlink_to(victim)
    before = {item: item.read_bytes() for item in victim.rglob("*") if item.is_file()}
    with pytest.raises(ClientError, match="is a link"):
        field.update()
    assert before == {item: item.read_bytes() for item in victim.rglob("*") if item.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize(
    "name", ["versions/2", "incoming/tflite", "incoming/tflite/float32.tflite", "incoming/version.json"]
)
def test_links_where_a_new_version_goes_lead_nowhere(field, tmp_path, name):
    victim, path = tmp_path / "victim", field.state / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(("2", "tflite")) and "." not in name:
        victim.mkdir()
    else:
        victim.write_bytes(b"mine")
    path.symlink_to(victim)
    field.publish(2)
    result = field.update()
    assert (result.running, result.status) in ((2, "updated"), (1, "error")), result
    assert field.runs(result.running)
    assert list(victim.iterdir()) == [] if victim.is_dir() else victim.read_bytes() == b"mine"
