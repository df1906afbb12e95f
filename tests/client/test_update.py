"""A device follows its channel: fetched, verified, self-tested, switched in one step, and back again by itself."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from edgeship.client import ClientError
from edgeship.client.outcome import SelfTestError, SelfTestUnfinishedError
from edgeship.client.selftest import run as selftest
from tests.client.channels import ARTIFACT

HALF = b'{"name": "garments/stable", "artifact": "tflite/float32", "device": "\\ud800"}'
GOLDEN = f"goldens/raw/probs.{ARTIFACT.replace('/', '-')}"


def test_first_update_later_ones_and_a_rollback(field, tmp_path):
    client = field.client(state=tmp_path / "new")
    with pytest.raises(ClientError, match="no version of garments/stable is on this device yet"):
        client.model.read_bytes()
    first = client.update()
    assert (first.status, first.running, first.goldens, first.error) == ("updated", 1, 7, "")
    assert client.model.read_bytes() == field.version(1)
    assert client.labels == ("a", "b", "c", "d", "e") and client.contract["kind"] == "edgeship-contract"
    asked = len(field.server.paths)
    again = client.update()
    assert (again.status, again.running) == ("current", 1)
    assert field.server.paths[asked:] == ["/metadata/2.root.json", "/metadata/timestamp.json"]
    assert again.received_bytes > (field.repository.folder / "metadata/timestamp.json").stat().st_size
    field.publish(2)
    assert client.update().status == "updated"
    assert (client.version, client.model.read_bytes()) == (2, field.version(2))
    field.repository.set_channel(1, None, withdrawn=(2,))
    field.repository.write()
    asked = len(field.server.paths)
    back = client.update()
    assert (back.status, back.running, client.version) == ("updated", 1, 1)
    assert not any("/files/" in path for path in field.server.paths[asked:])  # they were still here
    assert client.update().status == "current"


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b"{}", None])
def test_a_contract_that_was_changed_on_the_device_is_told_and_comes_anew(field, content):
    client = field.client()
    client.update()
    place = client.model.parents[1] / "contract.json"
    place.unlink()
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(ClientError, match="version") as caught:
        client.contract  # noqa: B018
    assert type(caught.value) is ClientError
    shutil.rmtree(place.parent)
    assert client.update().status == "updated" and client.contract["kind"] == "edgeship-contract"


def test_only_devices_within_the_percentage_get_a_new_version(field):
    field.publish(2, percent=0)
    result = field.update()
    assert (result.status, result.running, result.chosen) == ("current", 1, 1)
    assert result.bucket is not None
    field.repository.set_channel(2, 1, (result.bucket + 1) / 100)
    field.repository.write()
    assert field.update().running == 2


def test_a_version_that_fails_its_selftest_is_not_tried_again(field):
    wrong = bytearray(field.goldens[2][GOLDEN])
    wrong[3] ^= 0x40  # the exponent of a score
    field.repository.publish(2, field.version(2), {**field.goldens[2], GOLDEN: bytes(wrong)})
    result = field.update()
    assert (result.status, result.running) == ("failed", 1)
    assert "version 2 failed its self-test: golden '0': 'probs' is off by" in result.error
    asked = len(field.server.paths)
    assert field.update().status == "current" and field.runs(1)
    assert not any("/files/" in path for path in field.server.paths[asked:])
    field.publish(3, previous=1)
    assert field.update().running == 3


def test_a_model_that_is_none_fails_and_the_first_device_takes_the_version_before(field, tmp_path):
    field.repository.publish(2, b"no model at all" * 100, field.goldens[2])
    result = field.update(state=tmp_path / "new")
    assert (result.status, result.running) == ("updated", 1)
    assert "version 2 failed its self-test" in result.error


def test_nothing_is_changed_where_the_server_cannot_be_reached(field):
    field.publish(2)
    field.server.answer = lambda handler: handler.send_error(503) is None
    assert field.update().error.endswith("the server answered 503") and field.update().status == "offline"
    assert field.runs(1)
    field.server.server_close()
    field.server.shutdown()
    result = field.update()
    assert (result.status, result.running) == ("offline", 1) and field.runs(1)
    assert result.error == "127.0.0.1: 2.root.json: no connection (NewConnectionError)"


def test_the_connection_may_end_within_any_file(field):
    field.publish(2)
    ended: list[str] = []

    def end(handler):
        if handler.path in ended or "root" in handler.path:
            return False
        ended.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.close_connection = True
        return True

    field.server.answer = end
    results = [field.update() for _ in range(20)]
    assert {result.status for result in results} == {"offline", "updated", "current"}
    assert field.runs(2) and len(ended) > 6
    assert all(result.running == 1 for result in results if result.status == "offline")


def test_differences_are_downloaded_where_they_fit(field):
    field.publish(2, bases=(field.version(1),))
    result = field.update()
    assert (result.status, result.patched_files) == ("updated", 1) and field.runs(2)


@pytest.mark.parametrize("damage", ["patch", "base", "missing", "size"])
def test_a_patch_that_does_not_fit_is_replaced_by_the_whole_file(field, damage):
    base = field.version(3) if damage == "base" else field.version(1)
    field.publish(2, bases=(base,))
    signed = field.repository.roles["targets"].signed.targets
    patch = next(field.repository.targets.rglob(f"{path_of_patch(field, signed)}*"))
    if damage == "patch":
        patch.write_bytes(patch.read_bytes()[:-1] + b"!")
    elif damage == "missing":
        patch.unlink()
    elif damage == "size":  # the patch is the signed one, and gives another file
        other = field.repository.add_file("x", field.version(3), (field.version(1),)).patches[0]
        swap_patch(field, other)
    result = field.update()
    assert (result.status, result.patched_files) == ("updated", 0) and field.runs(2)


def path_of_patch(field, targets):
    description = read_version(field)
    sha256 = description["artifacts"][ARTIFACT]["files"][0]["patches"][0]["sha256"]
    assert f"garments/files/{sha256}" in targets
    return sha256


def read_version(field, number=2):
    folder = field.repository.targets / f"garments/{number}"
    return json.loads(next(folder.glob("*.version.json")).read_bytes())


def swap_patch(field, patch):
    description = read_version(field)
    mine = description["artifacts"][ARTIFACT]["files"][0]["patches"][0]
    mine.update(sha256=patch.sha256, size=patch.size)
    field.repository.add("garments/2/version.json", json.dumps(description).encode())
    field.repository.write()


def test_a_damaged_file_of_the_running_version_is_fetched_again(field):
    model = field.client().model
    assert field.update().status == "current"
    model.write_bytes(field.version(1)[:-1] + b"!")
    assert field.update().status == "current"  # sizes each time, every byte when the timestamp is new
    field.repository.write()
    assert field.update().status == "updated" and field.runs(1)
    model.unlink()
    assert field.client().version is None
    assert field.update().status == "updated" and field.runs(1)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"signed":'])
def test_damaged_metadata_is_fetched_again(field, content):
    for path in [*(field.state / "metadata").rglob("*.json"), field.state / "channel.json"]:
        path.write_bytes(content)
    field.publish(2)
    assert field.update().status == "updated" and field.runs(2)
    for path in [*(field.state / "metadata").rglob("*.json"), field.state / "channel.json"]:
        path.write_bytes(content)
        assert field.update().status == "current"


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"schema": 1', b'{"name": 1}', b"[" * 99999, HALF])
def test_a_damaged_state_starts_from_the_version_that_is_here(field, content):
    (field.state / "state.json").write_bytes(content)
    assert field.runs(1)
    assert field.update().status == "current"


def test_the_state_of_another_release_of_the_client_is_read(field):
    path = field.state / "state.json"
    state = json.loads(path.read_bytes())
    path.write_text(json.dumps({key: state[key] for key in ("name", "artifact", "device", "running")} | {"later": 1}))
    assert field.update(device_id=None).status == "current" and field.runs(1)
    assert json.loads(path.read_bytes())["device"] == state["device"]


def test_a_withdrawn_version_without_another_is_left(field):
    field.repository.set_channel(1, None, withdrawn=(1,))
    field.repository.write()
    result = field.update()
    assert (result.status, result.running) == ("none", None)
    assert field.client().version is None


def test_a_device_that_lacks_what_a_version_needs_keeps_the_one_before(field):
    from edgeship.client.rules import Conditions

    field.publish(2, conditions=Conditions(minimum_runtime={"litert": "999.0"}))
    assert field.update().running == 1
    field.repository.set_channel(2, 1, conditions=Conditions(platforms=("somewhere-else",)))
    field.repository.write()
    assert field.update().running == 1


def test_one_process_updates_at_a_time(field):
    with field.client()._store.lock() as held:
        assert held
        assert field.update().status == "busy"
    assert field.update().status == "current"


def test_a_full_disk_is_told_and_leaves_nothing_behind(field, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 10))  # type: ignore[attr-defined]
    field.publish(2)
    result = field.update()
    assert (result.status, result.running) == ("error", 1) and "10 are free" in result.error
    monkeypatch.undo()

    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "a file")

    monkeypatch.setattr("edgeship.client.repository.Repository.download", fill)
    result = field.update()
    assert (result.status, result.error) == ("error", "a file: No space left on device") and field.runs(1)
    assert not (field.state / "incoming").exists()
    monkeypatch.undo()
    assert field.update().status == "updated" and field.runs(2)


def test_the_random_id_of_a_device_stays(field, tmp_path):
    states = [tmp_path / "a", tmp_path / "b"]
    buckets = [[field.update(state=state, device_id=None).bucket for _ in range(2)] for state in states]
    assert all(first == second for first, second in buckets) and buckets[0] != buckets[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "ftp://host/x"}, "is no address"),
        ({"url": "https://host/x?y"}, "is no address"),
        ({"url": "https://[host/x"}, "is no address"),
        ({"url": "https://host:99999/x"}, "is no address"),
        ({"name": "garments"}, "the channel"),
        ({"name": "../x/stable"}, "the name"),
        ({"artifact": "tflite"}, "artifact"),
        ({"root": "/nowhere/root.json"}, "root.json"),
        ({"device_id": "\n"}, "device_id"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(field, settings, message):
    from edgeship.client import Client

    given = {"url": field.server.url, "name": "garments/stable", "artifact": ARTIFACT, "root": b"{}", **settings}
    with pytest.raises(ClientError, match=message) as told:
        Client(given.pop("url"), state=field.state, **given)
    assert "\n" not in str(told.value)


def test_the_state_of_another_channel_is_not_taken(field):
    from edgeship.client import Client

    other = Client(
        field.server.url, name="garments/beta", artifact=ARTIFACT, state=field.state, root=field.repository.first_root
    )
    with pytest.raises(ClientError, match="is the state of garments/stable"):
        other.update()


def test_a_folder_of_something_else_is_no_state(field, tmp_path):
    place = tmp_path / "taken"
    place.write_text("a letter")
    with pytest.raises(ClientError, match="taken: File exists; the state needs a folder"):
        field.update(state=place)
    with pytest.raises(ClientError, match="is a channel; the state needs a folder of its own"):
        field.update(state=field.repository.folder)
    assert not (field.repository.folder / "lock").exists()


def test_a_channel_that_is_not_there_names_those_that_are(field, tmp_path):
    from edgeship.client import Client

    other = Client(
        field.server.url,
        name="garments/new",
        artifact=ARTIFACT,
        state=tmp_path / "new",
        root=field.repository.first_root,
    )
    result = other.update()
    assert (result.status, result.error) == ("error", "no channel garments/new is there; known: garments/stable")


def test_an_artifact_that_the_channel_does_not_have_names_those_it_has(field, tmp_path):
    from edgeship.client import Client

    other = Client(
        field.server.url,
        name="garments/stable",
        artifact="tflite/int4",
        state=tmp_path / "new",
        root=field.repository.first_root,
    )
    result = other.update()
    assert (result.status, result.error) == ("error", "version 1 has no artifact 'tflite/int4'; known: tflite/float32")


# The process of the self-test


def run_as_selftest(monkeypatch, code):
    monkeypatch.setattr(selftest, "_CODE", code)
    return selftest.run_selftest


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize(("number", "kind"), [("SIGSEGV", SelfTestError), ("SIGKILL", SelfTestUnfinishedError)])
def test_a_crash_is_the_models_fault_and_being_ended_is_not(field, monkeypatch, number, kind):
    run = run_as_selftest(monkeypatch, f"import os, signal; os.kill(os.getpid(), signal.{number})")
    with pytest.raises(kind, match=number):
        run(field.state, ARTIFACT, "tflite", field.state)
    field.publish(2)
    assert field.update().status == ("failed" if kind is SelfTestError else "error")
    assert field.runs(1)
    monkeypatch.undo()
    assert field.update().running == (1 if kind is SelfTestError else 2)


def test_a_frozen_app_tests_itself_and_starts_no_second_app(field, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(subprocess, "run", None)
    field.publish(2)
    assert field.update().goldens == 6 and field.runs(2)
    field.repository.publish(3, b"no model at all" * 100, field.goldens[3])
    assert field.update().status == "failed" and field.runs(2)


def test_a_selftest_imports_nothing_of_the_folder_it_is_run_in(field, monkeypatch, tmp_path):
    for name in ("json", "numpy", "edgeship"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    field.publish(2)
    assert field.update().status == "updated"


def test_a_selftest_that_hangs_has_failed(field, monkeypatch):
    run = run_as_selftest(monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(SelfTestError, match="not done after"):
        run(field.state, ARTIFACT, "tflite", field.state, seconds=0.2)


def test_a_format_without_a_runtime_is_told(field):
    from edgeship.client.selftest.runtimes import missing_reason

    assert missing_reason("onnx").endswith("pip install onnxruntime")
    assert missing_reason("tfjs") == "this client runs tflite, onnx, not tfjs"


def test_importing_the_client_imports_no_library():
    code = "import sys; before = set(sys.modules); import edgeship.client; print(*(set(sys.modules) - before))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = {name.partition(".")[0] for name in ran.stdout.split()}
    assert names - set(sys.stdlib_module_names) == {"edgeship"}


def test_the_process_of_a_selftest_imports_what_it_runs_and_no_more():
    code = "import sys; before = set(sys.modules); import edgeship.client.selftest.replay; print(*(set(sys.modules) - before))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(ran.stdout.split())
    own = {name for name in names if name.startswith("edgeship.client.")}
    expected = {"outcome", "selftest", "selftest.engines", "selftest.replay", "selftest.runtimes"}
    assert own == {f"edgeship.client.{name}" for name in expected}
    assert not names & {"email", "http.client", "importlib.metadata", "tuf"}
