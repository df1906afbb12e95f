"""An AI pack: what lies in it, and what is refused. No Gradle is here to build it."""

from __future__ import annotations

import copy

import pytest

from edgeship import api
from edgeship.errors import InputError
from edgeship.untrusted import tree_files
from tests.benchmarks import conftest as made_up
from tests.hostile.bundles import sealed_bundle

ASSETS = "src/main/assets/model"


@pytest.fixture
def bundle(tmp_path):
    root, manifest = tmp_path / "bundle", copy.deepcopy(made_up._GOOD)
    made_up._write_files(root, manifest)
    place = root / made_up.SERVER
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(made_up.text(made_up.SERVER))
    sealed_bundle.seal(root, manifest)
    return root


def test_a_pack_holds_the_model_and_takes_its_own_place(bundle, tmp_path):
    out = api.export_ai_pack(bundle, tmp_path / "model_pack", artifact="tflite/int8")
    assert tree_files(out).keys() == {"build.gradle.kts", f"{ASSETS}/model.tflite", f"{ASSETS}/labels.txt"}
    assert (out / ASSETS / "model.tflite").read_bytes() == (bundle / "tflite" / "int8.tflite").read_bytes()
    assert 'packName.set("model_pack")' in (out / "build.gradle.kts").read_text()
    assert (out / ASSETS / "labels.txt").read_text().splitlines() == made_up.LABELS
    api.export_ai_pack(bundle, out)
    assert (out / ASSETS / "model.tflite").read_bytes() == (bundle / "tflite" / "float32.tflite").read_bytes()


def test_bad_input_is_a_sentence_and_writes_nothing(bundle, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("")
    for place, artifact, words in (
        ("model-pack", None, "the folder's name is the pack's"),
        ("mine", None, "holds something else than an AI pack"),
        ("pack", "onnx/int8", "unknown artifact 'onnx/int8'"),
        ("bundle/pack", None, "lies in the bundle"),
    ):
        before = {*tmp_path.rglob("*")}
        with pytest.raises(InputError, match=words):
            api.export_ai_pack(bundle, tmp_path / place, artifact=artifact)
        assert {*tmp_path.rglob("*")} == before
    sealed_bundle.change(bundle, lambda manifest: manifest.update(artifacts=manifest["artifacts"][-1:]))
    with pytest.raises(InputError, match=r"has no \.tflite"):
        api.export_ai_pack(bundle, tmp_path / "pack")
