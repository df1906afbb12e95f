"""A TF.js model whose model.json lies or points elsewhere is refused in a sentence."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import pytest

from edgeship.errors import EdgeshipError
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from tests.hostile.files.command import check_refused, edgeship
from tests.hostile.files.small_files import weights_entry, write_tfjs

DEEP = "[" * 100_000 + "]" * 100_000


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "absolute": ({"weightsManifest": [weights_entry(["/etc/hostname"])]}, "does not stay inside"),
    "parent": ({"weightsManifest": [weights_entry(["../secret.bin"])]}, "does not stay inside"),
    "link": ({"weightsManifest": [weights_entry(["link.bin"])]}, "goes through a link"),
    "pipe": ({"weightsManifest": [weights_entry(["pipe.bin"])]}, "a pipe"),
    "missing": ({"weightsManifest": [weights_entry(["missing.bin"])]}, "missing"),
    "twice": ({"weightsManifest": [weights_entry(["shard.bin"] * 2)]}, "names a weight file twice"),
    "in two groups": ({"weightsManifest": [weights_entry(), weights_entry()]}, "names a weight file twice"),
    "endless": ({"weightsManifest": [weights_entry(["x" * 200_000])]}, "no place for a file"),
    "number": ({"weightsManifest": [weights_entry([3])]}, "not a relative path"),
    "negative": ({"weightsManifest": [weights_entry(shape=[-4, 4])]}, "shape [-4, 4]"),
    "overflow": ({"weightsManifest": [weights_entry(shape=[2**62, 2**62])]}, "tensor_bytes"),
    "huge": ({"weightsManifest": [weights_entry(shape=[2**30])]}, "end in the middle"),
    "type": ({"weightsManifest": [weights_entry(dtype="object")]}, "which TF.js has not"),
    "shape of texts": ({"weightsManifest": [weights_entry(shape="44")]}, "shape"),
    "list as manifest": ({"weightsManifest": {"paths": 1}}, "model"),
    "list as topology": ({"modelTopology": []}, "not a TF.js graph model"),
    "list as signature": ({"signature": []}, "model"),
    "list as node": ({"modelTopology": {"node": [[]]}}, "model"),
    "library of texts": ({"modelTopology": {"node": [], "library": "a"}}, "model"),
    "not a number": ({"convertedBy": float("nan"), "weightsManifest": [weights_entry(shape=[float("inf")])]}, "shape"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_tfjs_model_that_lies(lie, tmp_path):
    changes, words = LIES[lie]
    folder = write_tfjs(tmp_path / "tfjs", **changes)
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    os.mkfifo(folder / "pipe.bin")
    check_refused(edgeship("inspect", folder, "--json", tmp_path / "out.json"), words)


@pytest.mark.parametrize("text", ["[]", "null", "3", DEEP, '{"modelTopology": ' + DEEP + "}", "\xff\xfe"])
def test_a_model_json_that_is_no_model(text, tmp_path):
    folder = write_tfjs(tmp_path / "tfjs")
    assert edgeship("inspect", folder).returncode == 0
    (folder / "model.json").write_bytes(text.encode("latin-1"))
    check_refused(edgeship("inspect", folder), "model.json")


def test_node_reads_weights_from_the_models_folder_only(tiny_models, missing, tmp_path):
    if reason := registry.find("tfjs-node").unavailable_reason():
        missing(reason)
    folder = tmp_path / "tfjs"
    shutil.copytree(tiny_models / "cnn-tfjs", folder)
    shard = next(folder.glob("*.bin")).rename(tmp_path / "secret.bin")
    (folder / "link.bin").symlink_to(shard)
    os.mkfifo(folder / "pipe.bin")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "deep").mkdir()
    shutil.copy(shard, folder / "deep" / "own.bin")
    model = json.loads((folder / "model.json").read_text())
    lies = {
        **{"../secret.bin": "not stay in", str(shard): "not stay in", "link.bin": "regular", "pipe.bin": "regular"},
        **{"linked/secret.bin": "through a link", "deep": "regular", "deep/../../secret.bin": "not stay in"},
    }
    for paths, words in (*(([name], words) for name, words in lies.items()), (["deep/own.bin"] * 2, "file twice")):
        model["weightsManifest"][0]["paths"] = paths
        (folder / "model.json").write_text(json.dumps(model))
        with pytest.raises(EdgeshipError, match=words):
            open_session("tfjs-node", folder / "model.json", timeout=30)
    model["weightsManifest"][0]["paths"] = ["deep/own.bin"]
    (folder / "model.json").write_text(json.dumps(model))
    open_session("tfjs-node", folder / "model.json", timeout=30).close()


def test_a_bundle_that_lists_artifacts_elsewhere(tmp_path):
    write_tfjs(tmp_path / "secret")
    (tmp_path / "bundle").mkdir()
    shutil.copytree(tmp_path / "secret", tmp_path / "bundle" / "m")
    manifest = tmp_path / "bundle" / "manifest.json"

    def listed(path):
        manifest.write_text(json.dumps({"artifacts": [{"id": "[/red]", "path": path, "format": "tfjs"}]}))
        return edgeship("inspect", tmp_path / "bundle")

    done = listed("m/model.json")
    assert done.returncode == 1 and "[/red]" in done.stdout, done.stderr
    assert "not one of a bundle" in done.stderr
    for path in ("../secret/model.json", str(tmp_path / "secret")):
        check_refused(listed(path), "does not stay inside")
    for text in ("[]", '{"artifacts": [[]]}', '{"artifacts": 3}', DEEP):
        manifest.write_text(text)
        check_refused(edgeship("inspect", tmp_path / "bundle"), "manifest.json")
