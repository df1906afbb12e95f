"""Folders that somebody else made, with keys of his own: a sentence, whatever is in them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets

from edgeship import api
from edgeship.deploy.signing.keys import load_signer
from edgeship.errors import InputError
from tests.deploy.channel.conftest import NAME, run_deploy


def sign_targets(channel: Path, keys: Path, targets: dict[str, TargetFile]) -> None:
    """Put other targets into the present list, rightly signed, under its own number."""
    place = channel / "metadata" / "2.targets.json"
    listed = Metadata[Targets].from_file(str(place))
    listed.signed.targets |= targets
    listed.sign(load_signer(keys, "targets"))
    listed.to_file(str(place))


def write_target(channel: Path, name: str, content: bytes) -> dict[str, TargetFile]:
    file = TargetFile.from_data(name, content, ["sha256"])
    parent, _, base = name.rpartition("/")
    (channel / "targets" / parent).mkdir(parents=True, exist_ok=True)
    (channel / "targets" / parent / f"{file.hashes['sha256']}.{base}").write_bytes(content)
    return {name: file}


@pytest.mark.parametrize(
    "target",
    [
        TargetFile(1, {"sha256": "0" * 64}, "../../etc/passwd"), TargetFile(1, {"sha256": "0" * 64}, "/etc/passwd"),
        TargetFile(1, {"sha512": "0" * 128}, "garments/files/x"), TargetFile(1, {"sha256": "../x"}, "garments/files/x"),
        TargetFile(1, {"sha256": "0" * 64}, "a\x1b[31m/b"), TargetFile(1, {"sha256": "0" * 64}, "alone"),
    ],
)  # fmt: skip
def test_targets_that_are_none_of_a_channel_are_refused(target: TargetFile, channel: Path, keys: Path) -> None:
    sign_targets(channel, keys, {target.path: target})
    done = run_deploy("status", "--channel", channel)
    assert isinstance(done.exception, InputError) and "is none of a channel" in str(done.exception)
    assert "\x1b" not in str(done.exception)


@pytest.mark.parametrize(
    "name", ["garments/x/version.json", "garments/0/version.json", "garments/\u0661/version.json", "a/b/c/channel.json"]
)
def test_odd_names_are_no_versions(name: str, channel: Path, keys: Path) -> None:
    sign_targets(channel, keys, write_target(channel, name, b"{}"))
    done = run_deploy("status", "--channel", channel)
    assert done.exit_code == 0 or isinstance(done.exception, InputError)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 50_000, "not valid JSON"),
        (b'{"schema": 2}', "schema 2, this client reads 1"),
        (None, "garments/stable/channel.json is of shoes/stable/channel.json"),
    ],
)
def test_rules_that_are_none_are_refused(content: bytes | None, why: str, channel: Path, keys: Path) -> None:
    if content is None:
        rules: dict[str, Any] = json.loads(next((channel / "targets" / NAME).iterdir()).read_bytes())
        content = json.dumps({**rules, "name": "shoes"}).encode()
    sign_targets(channel, keys, write_target(channel, f"{NAME}/channel.json", content))
    for command in (["status"], ["pause", "--name", NAME, "--key", keys]):
        done = run_deploy(*command, "--channel", channel)
        assert isinstance(done.exception, InputError) and why in str(done.exception)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "timestamp.json").write_bytes(b"[" * 100_000),
        lambda folder: (folder / "timestamp.json").write_bytes(b"\xff"),
        lambda folder: (folder / "timestamp.json").write_text('{"signed": {"_type": "timestamp"}}'),
        lambda folder: shutil.copy(folder / "1.root.json", folder / "timestamp.json"),
        lambda folder: shutil.copy(folder / "1.targets.json", folder / "2.targets.json"),
        lambda folder: shutil.copy(folder / "1.root.json", folder / "2.root.json"),
        lambda folder: (folder / "2.snapshot.json").unlink(),
        lambda folder: (folder / "timestamp.json").unlink(),
        lambda folder: (
            (folder / "timestamp.json").unlink(),
            (folder / "timestamp.json").symlink_to("2.snapshot.json"),
        ),
        lambda folder: ((folder / "timestamp.json").unlink(), os.mkfifo(folder / "timestamp.json")),
        lambda folder: os.truncate(folder / "timestamp.json", 1 << 30),
    ],
)
def test_damaged_metadata_is_a_sentence(damage: Any, channel: Path) -> None:
    damage(channel / "metadata")
    done = run_deploy("status", "--channel", channel)
    assert isinstance(done.exception, InputError) and len(str(done.exception).splitlines()) == 1


def test_a_snapshot_without_a_list_of_targets_is_refused(channel: Path, keys: Path) -> None:
    place = channel / "metadata" / "2.snapshot.json"
    snapshot = Metadata[Snapshot].from_file(str(place))
    snapshot.signed.meta = {"other.json": MetaFile(1)}
    snapshot.sign(load_signer(keys, "snapshot"))
    snapshot.to_file(str(place))
    assert isinstance(run_deploy("status", "--channel", channel).exception, InputError)


def test_links_in_the_folder_are_not_followed(channel: Path, bundles: list[Path], keys: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(channel / "targets" / "garments" / "files")
    (channel / "targets" / "garments" / "files").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="goes through a link"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_two_at_once_publish_one_after_the_other(channel: Path, bundles: list[Path], keys: Path) -> None:
    children = []
    for bundle in bundles[2:4]:
        child = os.fork()
        if child == 0:
            try:
                api.publish_bundle(bundle, channel, name=NAME, keys=keys)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    (status,) = api.read_channel(channel).channels
    assert status.versions == (1, 2, 3, 4) and status.rules.version == 4
