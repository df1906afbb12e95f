"""A channel over time: what is signed anew with which keys, keys that change, and what a person on call is told."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError

from edgeship import api
from edgeship.deploy.channel import listing, repository, upkeep
from edgeship.deploy.signing.keys import generate_keys
from edgeship.errors import InputError
from tests.deploy.channel.conftest import NAME, Watcher, run_deploy, snapshot_of

ROLES = ("root", "targets", "snapshot", "timestamp")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets that many days go by, for who signs and for clients."""
    import tuf.ngclient._internal.trusted_metadata_set as trusted

    def wait(days: float) -> None:
        class Later(datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.datetime.now(tz) + datetime.timedelta(days)

        for module in (listing, repository, upkeep):
            monkeypatch.setattr(module, "datetime", Later)
        clock = type("Clock", (), {"datetime": Later, "timezone": datetime.timezone})
        monkeypatch.setattr(trusted, "datetime", clock)

    return wait


@pytest.fixture
def online(keys: Path, tmp_path: Path) -> Path:
    """The keys of the machine whose cron job signs anew."""
    folder = tmp_path / "online"
    folder.mkdir()
    for role in ("snapshot", "timestamp"):
        shutil.copy(keys / f"{role}.pem", folder)
    return folder


def versions_of(channel: Path) -> dict[str, int]:
    return {item.role: item.version for item in api.read_channel(channel).roles}


def test_a_day_and_a_week_are_outlived_with_the_keys_of_the_cron_job(
    channel: Path, online: Path, keys: Path, watcher: Watcher, later: Callable[[float], None]
) -> None:
    assert api.refresh_channel(channel, keys=online).renewed == ("timestamp",)
    later(1.5)
    with pytest.raises(ExpiredMetadataError):
        watcher.look()
    told = api.change_rollout(channel, NAME, keys=keys, percent=6, dry_run=True)
    assert "if it is renewed in a copy, fetch that first" in told.notes[0]
    api.refresh_channel(channel, keys=online)
    assert watcher.look()["version"] == 2
    later(6)
    assert api.refresh_channel(channel, keys=online).renewed == ("snapshot", "timestamp")
    assert watcher.look()["version"] == 2
    later(12)
    assert run_deploy("refresh", "--channel", channel, "--key", online).exit_code == 0
    assert watcher.look()["version"] == 2


def test_what_ends_soon_is_told_with_the_key_that_renews_it(
    channel: Path, online: Path, keys: Path, watcher: Watcher, later: Callable[[float], None]
) -> None:
    later(89.5)
    done = run_deploy("refresh", "--channel", channel, "--key", online)
    assert (
        done.exit_code == 1 and "problem: targets expires at" in done.output and "the key of 'targets'" in done.output
    )
    assert api.refresh_channel(channel, keys=keys).renewed == ("targets", "snapshot", "timestamp")
    assert watcher.look()["version"] == 2
    later(364.5)
    watcher = Watcher(channel, watcher.state.with_name("other"))
    refreshed = api.refresh_channel(channel, keys=keys)
    assert refreshed.renewed == ROLES and not refreshed.problems
    assert versions_of(channel)["root"] == 2
    later(500)
    api.refresh_channel(channel, keys=keys)
    assert watcher.look()["version"] == 2, "a client that has the first root only"


def test_nothing_is_published_under_a_root_that_has_ended(
    channel: Path, bundles: list[Path], keys: Path, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = channel / "metadata" / "1.root.json"
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Metadata, Root

    from edgeship.deploy.signing.keys import load_signer

    root = Metadata[Root].from_file(str(place))
    root.signed.expires = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    signer = load_signer(keys, "root")
    assert isinstance(signer, CryptoSigner)
    root.sign(signer)
    root.to_file(str(place))
    with pytest.raises(InputError, match="its root expired on 2026-01-01; `deploy refresh` with the root key"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)
    with pytest.raises(InputError, match="its root expired"):
        api.roll_back_channel(channel, NAME, keys=keys)
    api.refresh_channel(channel, keys=keys)
    assert api.publish_bundle(bundles[2], channel, name=NAME, keys=keys).after.version == 3


def test_status_needs_no_key_and_tells_what_ends(channel: Path, later: Callable[[float], None], tmp_path: Path) -> None:
    done = run_deploy("status", "--channel", channel, "--json", tmp_path / "status.json")
    assert done.exit_code == 0 and "garments/stable: version 2 at 5 %, previous 1; there: 1, 2" in done.output
    told = json.loads((tmp_path / "status.json").read_text())["status"]
    assert [item["role"] for item in told["roles"]] == list(ROLES) and told["problems"] == []
    later(0.8)
    done = run_deploy("status", "--channel", channel)
    assert done.exit_code == 1 and "problem: timestamp expires at" in done.output
    later(1.1)
    assert "problem: timestamp expired at" in run_deploy("status", "--channel", channel).output


def test_status_finds_files_that_are_missing_or_cut_off(channel: Path) -> None:
    file, other, *_ = (channel / "targets" / "garments" / "files").iterdir()
    other.write_bytes(other.read_bytes()[:-1])
    done = run_deploy("status", "--channel", channel)
    assert done.exit_code == 1 and f"{other.name}: is not what was published" in done.output
    file.unlink()
    done = run_deploy("status", "--channel", channel)
    assert done.exit_code == 1 and "problem: targets/garments/files/" in done.output and ": missing" in done.output


@pytest.mark.parametrize(("role", "lost"), [*((role, False) for role in ROLES), *((role, True) for role in ROLES[1:])])
def test_clients_follow_new_keys_and_refuse_the_old_ones(
    role: str,
    lost: bool,
    channel: Path,
    keys: Path,
    all_keys: Path,
    watcher: Watcher,
    tmp_path: Path,
    bundles: list[Path],
) -> None:
    have, old = tmp_path / "have", shutil.copytree(channel, tmp_path / "old")
    shutil.copytree(keys, have)
    if lost:
        (have / f"{role}.pem").unlink()
    new = tmp_path / "new"
    generate_keys(new)
    done = run_deploy("rotate", "--channel", channel, "--role", role, "--key", have, "--new-key", new)
    assert done.exit_code == 0, done.exception
    assert watcher.look()["version"] == 2
    with pytest.raises(InputError, match=f"0 of the 1 keys that '{'targets' if role == 'root' else role}'"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=keys if role != "root" else [new, have / "root.pem"])
    changed = api.publish_bundle(bundles[2], channel, name=NAME, keys=[keys, new])
    assert changed.after.version == 3 and watcher.look()["version"] == 3
    if role != "root":  # whoever has the old keys signs something newer
        for _ in range(5):
            api.refresh_channel(old, keys=keys)
        shutil.copy(channel / "metadata" / "2.root.json", old / "metadata")
        with pytest.raises(RepositoryError):
            Watcher(old, watcher.state, watcher.root).look()


def test_a_key_that_is_rotated_away_signs_nothing_any_more(
    channel: Path, keys: Path, tmp_path: Path, watcher: Watcher
) -> None:
    generate_keys(tmp_path / "new")
    api.rotate_keys(channel, "timestamp", keys=keys, new_keys=tmp_path / "new")
    with pytest.raises(InputError, match="0 of the 1 keys that 'timestamp'"):
        api.refresh_channel(channel, keys=keys)
    api.refresh_channel(channel, keys=[keys, tmp_path / "new"])
    signed = json.loads((channel / "metadata" / "timestamp.json").read_bytes())["signatures"]
    assert len(signed) == 1 and watcher.look()["version"] == 2


def test_more_keys_may_have_to_sign(channel: Path, all_keys: Path, bundles: list[Path], watcher: Watcher) -> None:
    both = [all_keys / "a", all_keys / "b"]
    with pytest.raises(InputError, match="2 of the 3 keys that 'targets'"):
        api.rotate_keys(channel, "targets", keys=all_keys / "a", new_keys=both, threshold=3)
    api.rotate_keys(channel, "targets", keys=all_keys / "a", new_keys=both, threshold=2)
    with pytest.raises(InputError, match="1 of the 2 keys that 'targets'"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=all_keys / "a")
    api.publish_bundle(bundles[2], channel, name=NAME, keys=both)
    assert watcher.look()["version"] == 3


def test_rotation_without_the_roots_key_changes_nothing(channel: Path, online: Path, all_keys: Path) -> None:
    before = snapshot_of(channel)
    with pytest.raises(InputError, match="these are the keys that 'timestamp' has"):
        api.rotate_keys(channel, "timestamp", keys=all_keys / "a", new_keys=online)
    with pytest.raises(InputError, match="0 of the 1 keys that 'root'"):
        api.rotate_keys(channel, "timestamp", keys=online, new_keys=all_keys / "b")
    assert snapshot_of(channel) == before


def test_a_channel_whose_timestamp_is_gone_is_not_begun_anew(channel: Path, bundles: list[Path], keys: Path) -> None:
    (channel / "metadata" / "timestamp.json").unlink()
    with pytest.raises(InputError, match=r"timestamp.json is missing.*bring it back"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)
