"""Publishing: what a client finds, what is refused, and that nothing is half done."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeship import api
from edgeship.client.repository import CONFIG
from edgeship.deploy.channel import writing
from edgeship.errors import CheckError, InputError
from tests.deploy.channel.bundles import write_bundle
from tests.deploy.channel.conftest import NAME, Watcher, run_deploy, snapshot_of
from tests.hostile.bundles import sealed_bundle


def publish(bundle: Path, channel: Path, keys: Path, *arguments: object) -> Any:
    return run_deploy("publish", bundle, "--channel", channel, "--name", NAME, "--key", keys, *arguments)


def version_of(channel: Path, number: int) -> Any:
    (place,) = (channel / "targets" / "garments" / str(number)).glob("*.version.json")
    return json.loads(place.read_bytes())


def test_a_client_finds_the_new_version_with_all_its_files(watcher: Watcher) -> None:
    rules = watcher.look()
    assert (rules["version"], rules["previous"], rules["percent"], rules["salt"]) == (2, 1, 5.0, "garments/stable/2")
    version = version_of(watcher.channel, 2)
    assert [file["path"] for file in version["shared"]] == [
        "contract.json", "goldens/raw/image.raw", "goldens/raw/image.tensor", "goldens/raw/scores.server",
    ]  # fmt: skip
    files = {name: [file["path"] for file in item["files"]] for name, item in version["artifacts"].items()}
    assert files["tflite/int8"] == ["goldens/raw/scores.tflite-int8", "tflite/int8.tflite"]
    assert set(files["tfjs/float32"]) >= {"tfjs/float32/model.json", "goldens/raw/scores.tfjs-float32"}
    assert not [file for file in files["tfjs/float32"] if file.endswith(".npz")], "a page replays the raw goldens"
    assert "server" not in json.dumps([version["artifacts"]]).replace("server_model", ""), "the server model stays here"


def test_keys_and_signatures_are_told_as_json(bundles: list[Path], tmp_path: Path) -> None:
    bundle = shutil.copytree(bundles[0], tmp_path / "bundle")
    made = json.loads(run_deploy("keygen", "--out", tmp_path / "new", "--json", "-").stdout)
    signed = json.loads(run_deploy("sign", bundle, "--key", tmp_path / "new", "--json", "-").stdout)
    assert signed["signed_by"] == made["keys"]["bundle"] and signed["signatures"] == [signed["signed_by"]]
    with pytest.raises(InputError, match="a folder; name the public key in it"):
        api.publish_bundle(bundle, tmp_path / "channel", name=NAME, keys=tmp_path / "new", signed_by=[tmp_path / "new"])


def test_keys_may_be_ecdsa_and_encrypted(bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESHIP_KEY_PASSWORD", "open sesame")
    api.generate_keys(tmp_path / "keys", kind="ecdsa")
    done = publish(bundles[0], tmp_path / "channel", tmp_path / "keys")
    assert done.exit_code == 0 and "apps ship with" in done.output
    assert Watcher(tmp_path / "channel", tmp_path / "state").look()["version"] == 1
    monkeypatch.delenv("EDGESHIP_KEY_PASSWORD")
    with pytest.raises(InputError, match="is encrypted; set its password"):
        api.publish_bundle(bundles[1], tmp_path / "channel", name=NAME, keys=tmp_path / "keys")


def test_a_patch_is_there_where_it_is_worth_it(channel: Path) -> None:
    import bsdiff4

    first, second = (
        {file["path"]: file for file in version_of(channel, number)["artifacts"]["tflite/int8"]["files"]}
        for number in (1, 2)
    )
    (patch,) = second["tflite/int8.tflite"]["patches"]
    assert patch["from"] == first["tflite/int8.tflite"]["sha256"] and patch["size"] < 20_000 / 3
    assert "patches" not in second["goldens/raw/scores.tflite-int8"], "a request more for nothing"

    def read(sha256: str) -> bytes:
        return (channel / "targets" / "garments" / "files" / f"{sha256}.{sha256}").read_bytes()

    assert bsdiff4.patch(read(patch["from"]), read(patch["sha256"])) == read(second["tflite/int8.tflite"]["sha256"])


def test_a_patch_that_takes_too_long_is_left_out(
    channel: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeship.deploy.channel import patches

    zeros = bytes(1 << 20)  # of which bsdiff compares each with each: 4 s
    for number, content in ((3, zeros), (4, b"1" + zeros[1:])):
        bundle = write_bundle(tmp_path / str(number), number, weights=content)
        monkeypatch.setattr(patches, "SECONDS", 1)
        monkeypatch.setattr(patches, "SECONDS_A_MEGABYTE", 0)
        api.publish_bundle(bundle, channel, name=NAME, keys=keys)
    files = {file["path"]: file for file in version_of(channel, 4)["artifacts"]["tflite/int8"]["files"]}
    assert "patches" not in files["tflite/int8.tflite"]


def test_a_bundle_that_is_there_is_not_published_twice(channel: Path, bundles: list[Path], keys: Path) -> None:
    before = snapshot_of(channel)
    done = publish(bundles[1], channel, keys)
    assert done.exit_code == 0 and "version 2 already; nothing to do, and `deploy rollout --percent`" in done.output
    assert snapshot_of(channel) == before
    beta = api.publish_bundle(bundles[1], channel, name="garments/beta", keys=keys)  # from one channel to another
    assert beta.after.version == 2 and len(beta.written) == 4
    with pytest.raises(InputError, match=r"version 1 is not newer than 2.*rollback --to 1"):
        api.publish_bundle(bundles[0], channel, name=NAME, keys=keys)


def test_devices_of_an_unfinished_version_go_back_to_what_all_had(
    channel: Path, bundles: list[Path], keys: Path
) -> None:
    third = api.publish_bundle(bundles[2], channel, name=NAME, keys=keys, percent=10)
    assert (third.after.version, third.after.previous) == (3, 1) and "version 2 was at 5 %" in third.notes[0]
    api.change_rollout(channel, NAME, keys=keys, percent=100)
    fourth = api.publish_bundle(bundles[3], channel, name=NAME, keys=keys, version=17)
    assert (fourth.after.version, fourth.after.previous) == (17, 3)
    patches = version_of(channel, 17)["artifacts"]["tflite/int8"]["files"][1]["patches"]
    assert len(patches) == 3, "from each of the last versions"


def test_old_versions_leave_but_for_those_in_use(
    channel: Path, bundles: list[Path], keys: Path, tmp_path: Path
) -> None:
    api.publish_bundle(bundles[0], channel, name="garments/slow", keys=keys)
    api.change_rollout(channel, NAME, keys=keys, percent=100)
    for number in (3, 4, 5, 6):
        api.publish_bundle(write_bundle(tmp_path / str(number), number), channel, name=NAME, keys=keys, keep=2)
    status = api.read_channel(channel)
    assert {item.name: item.versions for item in status.channels} == {NAME: (1, 5, 6), "garments/slow": (1, 5, 6)}
    assert not status.problems
    watcher = Watcher(channel, tmp_path / "state")
    assert (watcher.look()["version"], watcher.look("garments/slow")["version"]) == (6, 1)
    api.publish_bundle(write_bundle(tmp_path / "7", 7), channel, name=NAME, keys=keys, keep=2)
    folders = {path.name for path in (channel / "targets" / "garments").iterdir() if any(path.iterdir())}
    assert "2" not in folders and "3" not in folders and watcher.look()["version"] == 7


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("garments", "after '/' must be"), ("Garments/stable", "before '/' must be"), ("../x/stable", "before '/' must be"),
        ("garments/7", "after '/' must be"), ("garments/files", "after '/' must be"), ("garments/a/b", "after '/' must be"),
    ],
)  # fmt: skip
def test_a_name_that_is_none_is_refused(name: str, why: str, bundles: list[Path], keys: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=why):
        api.publish_bundle(bundles[0], tmp_path / "new", name=name, keys=keys)
    assert not (tmp_path / "new").exists()


def test_what_did_not_pass_is_published_only_by_force(keys: Path, tmp_path: Path) -> None:
    failed = write_bundle(tmp_path / "failed", passes=False)
    with pytest.raises(CheckError, match="FAIL; only what passes is published"):
        api.publish_bundle(failed, tmp_path / "new", name=NAME, keys=keys)
    assert not (tmp_path / "new").exists()
    assert api.publish_bundle(failed, tmp_path / "new", name=NAME, keys=keys, force=True).after.version == 1


def test_a_damaged_bundle_is_refused(channel: Path, bundles: list[Path], keys: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(bundles[2], tmp_path / "damaged")
    (bundle / "tflite" / "int8.tflite").write_bytes(b"other")
    before = snapshot_of(channel)
    with pytest.raises(InputError, match="does not match its manifest"):
        api.publish_bundle(bundle, channel, name=NAME, keys=keys)
    (bundle / "contract.json").unlink()
    assert snapshot_of(channel) == before


def test_the_signature_of_a_bundle_comes_along_and_may_be_asked_for(
    channel: Path, bundles: list[Path], keys: Path, all_keys: Path, tmp_path: Path
) -> None:
    bundle, before = Path(shutil.copytree(bundles[2], tmp_path / "signed")), snapshot_of(channel)
    asked = ["--signed-by", keys / "bundle.pub"]
    assert "is not signed" in str(publish(bundle, channel, keys, *asked).exception)
    api.sign_bundle(bundle, all_keys / "b")
    refused = publish(bundle, channel, keys, *asked).exception
    assert isinstance(refused, InputError) and str(refused).endswith("; nothing was published")
    assert snapshot_of(channel) == before
    for content in ("{}", (bundle / "signature.json").read_text().replace('"payload": "', '"payload": "e30')):
        (bundle / "signature.json").write_text(content)  # none, and one of something else
        assert isinstance(publish(bundle, channel, keys).exception, InputError) and snapshot_of(channel) == before
    (bundle / "signature.json").unlink()
    api.sign_bundle(bundle, keys)
    assert publish(bundle, channel, keys, *asked).exit_code == 0
    (carried,) = (channel / "targets" / "garments" / "3").glob("*.signature.json")
    assert carried.read_bytes() == (bundle / "signature.json").read_bytes()


def test_a_file_that_changes_while_it_is_published_is_refused(
    channel: Path, bundles: list[Path], keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, before = Path(shutil.copytree(bundles[2], tmp_path / "changing")), snapshot_of(channel)
    opened = api.open_bundle(bundle)
    (bundle / "tflite" / "int8.tflite").write_bytes(bytes(20_000))
    with pytest.raises(InputError, match="changed while it was read"):
        api.publish_bundle(opened, channel, name=NAME, keys=keys)
    assert snapshot_of(channel) == before


def test_files_that_others_made_have_no_contract(keys: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (bundle / "contract.json").unlink()
    sealed_bundle.change(bundle, lambda manifest: None)
    with pytest.raises(InputError, match=r"has no contract.json, which clients need; make the bundle again"):
        api.publish_bundle(bundle, tmp_path / "new", name=NAME, keys=keys)
    sealed_bundle.change(
        bundle, lambda manifest: [item.update(foreign={"file": "x.tflite"}) for item in manifest["artifacts"]]
    )
    with pytest.raises(InputError, match="ship the model with edgeship"):
        api.publish_bundle(bundle, tmp_path / "new", name=NAME, keys=keys, force=True)
    assert not (tmp_path / "new").exists()


def test_a_folder_of_something_else_is_left_alone(bundles: list[Path], keys: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        api.publish_bundle(bundles[0], tmp_path / "home", name=NAME, keys=keys)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter.txt"]


def test_what_lies_beside_a_channel_stays(channel: Path, bundles: list[Path], keys: Path) -> None:
    others = [channel / "index.html", channel / "targets" / "letter.txt"]
    for path in others:
        path.write_text("dear")
    api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)
    assert [path.read_text() for path in others] == ["dear", "dear"]


def test_more_metadata_than_clients_read_is_not_published(
    channel: Path, bundles: list[Path], keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot_of(channel)
    monkeypatch.setattr(CONFIG, "targets_max_length", 2000)
    with pytest.raises(InputError, match=r"its targets would be .* clients read at most 2,000; keep fewer versions"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)
    assert snapshot_of(channel) == before


def test_missing_keys_are_named(channel: Path, bundles: list[Path], keys: Path, all_keys: Path, tmp_path: Path) -> None:
    before = snapshot_of(channel)
    with pytest.raises(InputError, match="whose is it"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=all_keys / "b")
    online = tmp_path / "online"
    online.mkdir()
    for role in ("snapshot", "timestamp"):
        shutil.copy(keys / f"{role}.pem", online)
    with pytest.raises(InputError, match="0 of the 1 keys that 'targets' of this channel needs"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=online)
    with pytest.raises(InputError, match="no such keys"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=tmp_path / "nowhere")
    assert snapshot_of(channel) == before


def test_two_must_sign_where_two_are_asked_for(bundles: list[Path], all_keys: Path, tmp_path: Path) -> None:
    channel, both = tmp_path / "two", [all_keys / "a", all_keys / "b"]
    api.publish_bundle(bundles[0], channel, name=NAME, keys=both, threshold=2)
    with pytest.raises(InputError, match="1 of the 2 keys that 'targets'"):
        api.publish_bundle(bundles[1], channel, name=NAME, keys=all_keys / "b")
    api.publish_bundle(bundles[1], channel, name=NAME, keys=both)
    assert Watcher(channel, tmp_path / "state").look()["version"] == 2
    with pytest.raises(InputError, match="2 of the 3 keys that 'root'"):
        api.publish_bundle(bundles[0], tmp_path / "three", name=NAME, keys=both, threshold=3)
    assert not (tmp_path / "three").exists()


def test_a_threshold_for_a_channel_that_is_there_is_not_passed_over(
    channel: Path, bundles: list[Path], all_keys: Path
) -> None:
    with pytest.raises(InputError, match="is there already, and a threshold is of a new channel; `deploy rotate"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=[all_keys / "a", all_keys / "b"], threshold=2)


@pytest.mark.parametrize("victim", ["metadata/2.targets.json", "metadata/timestamp.json", "metadata/1.root.json"])
def test_nothing_is_signed_on_top_of_what_others_wrote(
    victim: str, channel: Path, bundles: list[Path], keys: Path
) -> None:
    content = json.loads((channel / victim).read_bytes())
    content["signed"]["version"] += 0 if "root" in victim else 1
    content["signed"]["expires"] = "2099-01-01T00:00:00Z"
    (channel / victim).write_text(json.dumps(content))
    before = snapshot_of(channel)
    with pytest.raises(InputError, match="nothing is signed on top of it"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)
    assert snapshot_of(channel) == before


def test_a_published_file_that_was_changed_is_no_base_of_a_patch(
    channel: Path, bundles: list[Path], keys: Path
) -> None:
    (sha256,) = [
        file["sha256"] for file in version_of(channel, 2)["artifacts"]["tflite/int8"]["files"] if "patches" in file
    ]
    place = channel / "targets" / "garments" / "files" / f"{sha256}.{sha256}"
    place.write_bytes(bytes(len(place.read_bytes())))
    with pytest.raises(InputError, match="is not what was published"):
        api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)


def test_a_full_disk_leaves_the_channel_as_it_was(
    channel: Path, bundles: list[Path], keys: Path, monkeypatch: pytest.MonkeyPatch, watcher: Watcher
) -> None:
    write, before = writing._write, snapshot_of(channel)
    for room in range(100):
        count = iter(range(100))

        def write_some(*arguments: Any, room: int = room, count: Iterator[int] = count) -> None:
            if next(count) >= room:
                raise OSError(errno.ENOSPC, "No space left on device", str(arguments[0]))
            write(*arguments)

        monkeypatch.setattr(writing, "_write", write_some)
        try:
            api.publish_bundle(bundles[2], channel, name=NAME, keys=keys)
        except InputError as error:
            assert str(error).endswith("No space left on device; the channel is as it was")  # noqa: PT017
            assert snapshot_of(channel) == before
            assert watcher.look()["version"] == 2
        else:
            break
    assert room >= 8, "files, targets, snapshot, timestamp"
    assert watcher.look()["version"] == 3
