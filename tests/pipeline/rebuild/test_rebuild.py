"""A bundle of the tiny CNN, one of whose artifacts is another than the tools make: locked, and made again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.bundle import bundle as bundles
from edgeship.cli import cli
from edgeship.errors import EdgeshipError, InputError


@pytest.fixture(scope="module")
def folder(tiny_models, tmp_path_factory):
    """A model, data, its bundle (whose ONNX file was renamed inside and sealed again), and the bundle's lock."""
    root = tmp_path_factory.mktemp("locked")
    shutil.copy(tiny_models / "cnn.keras", root / "model.keras")
    with np.load(tiny_models / "expected.npz") as stored:
        np.savez(root / "data.npz", image=stored["cnn/inputs/image"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGESHIP_CACHE", str(root / "cache"))
        bundle = api.convert_model(
            root / "model.keras", root / "bundle", variants=["float32", "int8"], calibration=root / "data.npz"
        )
    file = bundle.root / "onnx" / "float32.onnx"
    proto = onnx.load(file)
    proto.graph.name = "another"
    file.write_bytes(proto.SerializeToString())
    bundles.seal_content(bundle.root, json.loads((bundle.root / "manifest.json").read_text()))
    api.lock_bundle(bundle.root)
    return root


@pytest.fixture
def locked(folder, tmp_path):
    """A copy of all but bundle and cache, whose lock may be changed: nothing of it is converted."""
    for name in ("model.keras", "data.npz", "edgeship.lock"):
        shutil.copy(folder / name, tmp_path)
    return tmp_path


def change(folder, edit):
    file = folder / "edgeship.lock"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def test_the_same_bytes_come_again_and_others_are_told(folder, monkeypatch, tmp_path):
    """Nothing is taken from the cache: there is none, and none is left."""
    monkeypatch.setenv("EDGESHIP_CACHE", str(tmp_path / "cache"))
    out, told = tmp_path / "again", tmp_path / "rebuild.json"
    done = CliRunner().invoke(cli, ["rebuild", str(folder / "edgeship.lock"), "--out", str(out), "--json", str(told)])
    assert done.exit_code == 1, done.output
    found = {item["artifact"]: item for item in json.loads(told.read_text())["rebuild"]["artifacts"]}
    assert found.keys() == {"tflite/float32", "tflite/int8", "onnx/float32", "onnx/int8", "tfjs/float32"}
    other = found.pop("onnx/float32")
    assert all(item["same"] for item in found.values()), found
    one, two = ((root / "onnx" / "float32.onnx").read_bytes() for root in (folder / "bundle", out))
    first = next(index for index, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1])
    assert (other["same"], other["file"], other["offset"]) == (False, "onnx/float32.onnx", first)
    assert (other["outputs_equal"], other["differences"], other["reason"]) == (True, [], "")
    assert "DIFFER" in done.output
    assert not (tmp_path / "cache").exists()
    assert api.open_bundle(out).manifest.artifacts


def test_a_lock_is_the_same_for_the_same_bundle_and_names_places_seen_from_it(folder, tmp_path):
    lock = json.loads((folder / "edgeship.lock").read_text())
    assert (lock["server_model"]["path"], lock["config"]["data"]["calibration"]) == ("model.keras", "data.npz")
    assert lock["bundle"] == "bundle"
    assert lock["artifacts"]["tfjs/float32"].keys() == {"tfjs/float32/model.json", "tfjs/float32/group1-shard1of1.bin"}
    again = api.lock_bundle(folder / "bundle", tmp_path / "again.lock")
    own = json.loads(again.read_text())
    assert (tmp_path / own["server_model"]["path"]).resolve() == (folder / "model.keras").resolve()
    before = (folder / "edgeship.lock").read_bytes()
    assert api.lock_bundle(folder / "bundle").read_bytes() == before


def test_a_lock_replaces_a_lock_only(folder, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        api.lock_bundle(folder / "bundle", tmp_path / "notes.txt")
    with pytest.raises(InputError, match="lies in the bundle"):
        api.lock_bundle(folder / "bundle", folder / "bundle" / "edgeship.lock")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "old.lock").write_text('{"schema": 9, "artifacts": 1}')
    with pytest.raises(InputError, match="lock the bundle again"):
        api.rebuild_bundle(tmp_path / "old.lock")
    assert json.loads(api.lock_bundle(folder / "bundle", tmp_path / "old.lock").read_text())["schema"] == 1


def code(content):
    content["config"]["model"]["custom_objects"] = "layers_of_a_stranger"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            lambda lock: lock["tools"].update(tensorflow="2.20.0"),
            r"tensorflow 2\.\S+ \(locked: 2\.20\.0\); install those",
        ),
        (lambda lock: lock.update(edgeship="0.0.1"), r"edgeship \S+ \(locked: 0\.0\.1\)"),
        (lambda lock: lock["tools"].update(made_up="1"), r"made_up absent \(locked: 1\)"),
        (
            lambda lock: lock["server_model"].update(digest="0" * 64),
            "model.keras is not the one that was locked",
        ),
        (lambda lock: lock["server_model"].update(path="gone.keras"), "the server model gone.keras is not there"),
        (lambda lock: lock["data"]["calibration"].update(digest="0" * 64), "is not what was locked"),
        (lambda lock: lock["config"]["data"].update(calibration="gone.npz"), "is not there; put it there"),
        (lambda lock: lock["config"]["data"].update(calibration=None), "does not say where its calibration data lies"),
        (code, r"lets code run: \[model\] custom_objects.*\nif you trust it: add --trust"),
        (lambda lock: lock.update(schema=9), "lock schema 9, this edgeship reads 1"),
        (lambda lock: lock.pop("artifacts"), "not a lock; `edgeship lock BUNDLE` writes one"),
        (lambda lock: lock.update(artifacts={}), "formats that this edgeship does not know, or none"),
        (lambda lock: lock.update(formats=["gguf"]), "formats that this edgeship does not know"),
        (lambda lock: lock.update(artifacts=[1]), "artifacts must be"),
        (lambda lock: lock.update(config=[]), "config must be"),
        (lambda lock: lock["config"].pop("data"), r"\[data\]: expected a table"),
    ],
)
def test_what_cannot_be_made_again_is_refused_before_any_work(locked, edit, says):
    change(locked, edit)
    with pytest.raises(EdgeshipError, match=says) as caught:
        api.rebuild_bundle(locked / "edgeship.lock")
    assert caught.value.exit_code == 2


def test_what_lets_code_run_is_known_by_its_digest(locked):
    change(locked, lambda lock: lock["config"]["model"].update(custom_objects="json"))
    with pytest.raises(InputError, match="its module of custom objects is not what was locked"):
        api.rebuild_bundle(locked / "edgeship.lock", trust=True)
    change(locked, lambda lock: lock["config"]["model"].update(custom_objects=5))
    with pytest.raises(InputError, match="custom_objects is of another type"):
        api.rebuild_bundle(locked / "edgeship.lock", trust=True)


def test_a_student_is_known_by_its_digest(locked):
    variant = {"name": "small", "quantize": "float32", "formats": ["tflite"], "distill": {"student": "model.keras"}}
    change(locked, lambda lock: lock["config"].update(variants=[variant]))
    with pytest.raises(InputError, match="its student of small is not what was locked"):
        api.rebuild_bundle(locked / "edgeship.lock")


@pytest.mark.parametrize("text", ["", "[]", "1", "[" * 1000])
def test_what_is_no_lock_is_refused(tmp_path, text):
    (tmp_path / "edgeship.lock").write_text(text)
    with pytest.raises(InputError):
        api.rebuild_bundle(tmp_path / "edgeship.lock")
    with pytest.raises(InputError, match="no such file"):
        api.rebuild_bundle(tmp_path / "none.lock")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_pipe_in_the_place_of_data_is_refused(locked):
    (locked / "data.npz").unlink()
    os.mkfifo(locked / "data.npz")
    with pytest.raises(InputError, match="a pipe, not a regular file"):
        api.rebuild_bundle(Path(locked / "edgeship.lock"))
