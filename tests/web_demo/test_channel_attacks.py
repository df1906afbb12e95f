"""What an attacker may make of a channel, in a real browser: each is refused, and version 1 goes on running."""

from __future__ import annotations

import json
import shutil
import time

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import MetaFile

from edgeship.demo import web_server
from tests.web_demo.channel_page import FORGET, W8, look, opened, runs
from tests.web_demo.channels import NAME, in_days

pytestmark = pytest.mark.more
TIMESTAMP = "metadata/timestamp.json"


def publish_v2(served):
    """Version 2 for all, which a page would take."""
    served.add_version(2, W8)
    served.channel.publish(version=2, previous=1, salt="pots/stable/2")


def older_timestamp(served, page):
    channel, copy = served.channel, served.site.parent / "old"
    shutil.copytree(channel.folder, copy)
    channel.write()
    assert look(page) == ""
    shutil.copytree(copy, channel.folder, dirs_exist_ok=True)
    return "lower version"


def expired_timestamp(served, page):
    served.channel.timestamp.expires = in_days(-0.01)
    publish_v2(served)
    return "Freeze attack on the timestamp"


def same_timestamp_until_it_has_expired(served, page):
    """An attacker who holds newer metadata back; the library itself does not look at the date of what it has already."""
    served.channel.timestamp.expires = in_days(2 / 86_400)
    served.channel.write()
    assert look(page) == ""
    time.sleep(2.1)
    return "timestamp metadata has expired"


def expired_snapshot(served, page):
    served.channel.snapshot.expires = in_days(-0.01)
    publish_v2(served)
    return "Freeze attack on the snapshot"


def expired_targets(served, page):
    served.channel.targets.expires = in_days(-0.01)
    publish_v2(served)
    return "Freeze attack on the targets"


def older_snapshot_under_the_new_name(served, page):
    publish_v2(served)
    metadata = served.channel.folder / "metadata"
    shutil.copyfile(metadata / "1.snapshot.json", metadata / "2.snapshot.json")
    return "Snapshot version mismatch"


def older_targets_under_the_new_name(served, page):
    publish_v2(served)
    metadata = served.channel.folder / "metadata"
    shutil.copyfile(metadata / "1.targets.json", metadata / "2.targets.json")
    return "Targets version mismatch"


def snapshot_that_goes_back(served, page):
    channel = served.channel
    channel.write()
    assert look(page) == ""
    channel.timestamp.snapshot_meta = MetaFile(1)
    channel.sign("timestamp", channel.timestamp)
    return "snapshot version has been rolled back"


def wrong_timestamp_key(served, page):
    served.channel.keys["timestamp"] = CryptoSigner.generate_ed25519()
    publish_v2(served)
    return "Failed verifying timestamp"


def wrong_targets_key(served, page):
    served.channel.keys["targets"] = CryptoSigner.generate_ed25519()
    publish_v2(served)
    return "Failed verifying targets"


def another_repository(served, page):
    """Whole and signed, by somebody else."""
    channel = served.channel
    keys = {role: CryptoSigner.generate_ed25519() for role in channel.keys}
    for role, signer in keys.items():
        channel.root.revoke_key(channel.keys[role].public_key.keyid, role)
        channel.root.add_key(signer.public_key, role)
    channel.root.version, channel.keys = 2, keys
    channel.sign_root(keys["root"])
    publish_v2(served)
    return "Failed to verify metafile"


def key_removed_by_rotation(served, page):
    channel = served.channel
    removed = channel.rotate("timestamp")
    channel.write()
    assert look(page) == ""
    channel.keys["timestamp"] = removed
    (channel.folder / "metadata" / "2.root.json").unlink()  # the attacker does not show it, and the page has seen it
    publish_v2(served)
    return "Failed verifying timestamp"


def threshold_of_two_met_by_one(served, page):
    channel = served.channel
    channel.root.add_key(CryptoSigner.generate_ed25519().public_key, "targets")
    channel.root.roles["targets"].threshold = 2
    channel.root.version = 2
    channel.sign_root(channel.keys["root"])
    publish_v2(served)
    return "Failed verifying targets"


def huge_timestamp(served, page):
    path = served.channel.folder / TIMESTAMP
    path.write_text(path.read_text() + " " * 64_000_000)  # 64 bytes on the wire
    return "timestamp.json is longer than the 16384 bytes"


def huge_targets(served, page):
    publish_v2(served)
    path = served.channel.folder / "metadata" / "2.targets.json"
    path.write_text(path.read_text() + " " * 6_000_000)
    return "2.targets.json is longer than"


def huge_root(served, page):
    (served.channel.folder / "metadata" / "2.root.json").write_text(" " * 6_000_000)
    return "2.root.json is longer than"


def longer_file(served, page):
    publish_v2(served)
    for path in (served.channel.folder / "targets" / NAME / "files").iterdir():
        path.write_bytes(path.read_bytes() + b"\0")
    return "is longer than"


def describe_v2(served, change):
    """Version 2, signed, with a version.json that says something else."""
    publish_v2(served)
    channel = served.channel
    (path,) = (channel.folder / "targets" / NAME / "2").iterdir()
    content = json.loads(path.read_text())
    change(content)
    channel.add_target(f"{NAME}/2/version.json", json.dumps(content).encode())
    channel.write()


def other_sizes(served, page):
    describe_v2(served, lambda content: content["shared"][0].update(size=content["shared"][0]["size"] + 1))
    return "its size or digest is not what is signed"


def traversal_in_a_path(served, page):
    describe_v2(served, lambda content: content["shared"][0].update(path="../../state"))
    return "is no relative path"


def version_of_another_name(served, page):
    describe_v2(served, lambda content: content.update(name="../pots"))
    return "name and version are those of ../pots"


def change_rules(served, **changes):
    """Rules, signed, that say something else."""
    channel = served.channel
    (path,) = (channel.folder / "targets" / NAME / "stable").iterdir()
    content = {**json.loads(path.read_text()), **changes}
    channel.add_target(f"{NAME}/stable/channel.json", json.dumps(content).encode())
    channel.write()


def rules_of_another_channel(served, page):
    change_rules(served, channel="beta")
    return "is that of pots/beta"


def rules_of_a_later_schema(served, page):
    change_rules(served, schema=2)
    return "channel.json has schema 2"


ATTACKS = [
    older_timestamp, expired_timestamp, same_timestamp_until_it_has_expired, expired_snapshot, expired_targets,
    older_snapshot_under_the_new_name, older_targets_under_the_new_name, snapshot_that_goes_back, wrong_timestamp_key,
    wrong_targets_key, another_repository, key_removed_by_rotation, threshold_of_two_met_by_one, huge_timestamp, huge_targets,
    huge_root, longer_file, other_sizes, traversal_in_a_path, version_of_another_name, rules_of_another_channel,
    rules_of_a_later_schema,
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack(channel_page, browser, attack):
    faults: list[str] = []
    with browser() as chromium:
        page = opened(chromium, channel_page, faults)
        assert runs(page, 1, "float32")
        said = attack(channel_page, page)
        assert said in look(page)
        assert page.locator("#update").is_hidden()
        page.reload()
        assert runs(page, 1, "float32")
        page.wait_for_selector("#channel-note:not(:empty)")
        assert said in page.inner_text("#channel-note")
    assert faults == []


def test_one_changed_byte_in_any_file_is_refused_and_nothing_of_it_stays(channel_page, browser):
    channel = channel_page.channel
    faults: list[str] = []
    with browser() as chromium:
        page = opened(chromium, channel_page, faults)
        assert runs(page, 1, "float32")
        old = {path for path in channel.folder.rglob("*") if path.is_file()}
        channel.rotate("targets")
        publish_v2(channel_page)
        files = [path for path in channel.folder.rglob("*") if path.is_file()]
        changed = [path for path in files if path not in old or path.name == "timestamp.json"]
        assert {"2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"} < {path.name for path in changed}
        for path in sorted(
            changed, key=lambda path: path.name != "2.root.json"
        ):  # once seen, it is not asked for again
            content = path.read_bytes()
            spoilt = bytearray(content)
            spoilt[len(spoilt) // 2] ^= 1
            path.write_bytes(bytes(spoilt))
            page.evaluate(FORGET, path.name.partition(".")[0])  # an earlier look had it whole
            assert look(page) != "", path
            assert page.locator("#update").is_hidden(), path
            path.write_bytes(content)
        page.reload()
        assert runs(page, 1, "float32")
        page.wait_for_selector("#update-text:has-text('Version 2')")  # whole again, it is taken
        page.reload()
        assert runs(page, 2, "weight_only_w8")
    assert faults == []


def test_a_server_that_never_ends_is_left_after_a_while(channel_page, browser, monkeypatch):
    plain = web_server._Handler._send_answer
    slow: list[bool] = []

    def dribble(handler, *, body):
        if not slow or not handler.path.endswith("timestamp.json"):
            return plain(handler, body=body)
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b" ")
            time.sleep(0.5)
        return None

    monkeypatch.setattr(web_server._Handler, "_send_answer", dribble)
    faults: list[str] = []
    with browser() as chromium:
        page = opened(chromium, channel_page, faults)
        assert runs(page, 1, "float32")
        slow.append(True)
        page.set_default_timeout(90_000)
        assert "timestamp.json: the server is too slow" in look(page)
        assert page.get_attribute("#badge", "data-state") == "pass"
    assert faults == []


def test_what_an_interrupted_update_brought_is_not_taken_for_the_whole(channel_page, browser):
    """A new timestamp without its targets must not stop the next look, as it would where it were kept at once."""
    channel = channel_page.channel
    faults: list[str] = []
    with browser() as chromium:
        page = opened(chromium, channel_page, faults)
        assert runs(page, 1, "float32")
        publish_v2(channel_page)
        path = channel.folder / "metadata" / "2.targets.json"
        content = path.read_bytes()
        path.unlink()
        assert "404" in look(page)
        path.write_bytes(content)
        assert look(page) == ""
        page.wait_for_selector("#update-text:has-text('Version 2')")
    assert faults == []
