"""What devices learn with goes along in a channel: with each version, for the artifact that a device runs, and no more."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeship import api
from edgeship.bundle.bundle import open_bundle, seal_bundle
from edgeship.client import Client
from edgeship.client.learning import HeadLearner
from edgeship.storage import digest
from tests.client.channels import serve
from tests.learning.head.conftest import Made
from tests.learning.head.head_models import draw

NAME = "pictures/stable"
INT8 = ["base-int8.tflite", "head.npz", "head_step.tflite", "learning.json", "replay.npz"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    api.generate_keys(folder / "keys")
    return folder / "keys"


@pytest.fixture(scope="module")
def channel(made: Made, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("channel") / "channel"
    change = api.publish_bundle(made.bundle, folder, name=NAME, keys=keys, force=True)
    assert any("what devices learn with goes along" in note and "--no-learning" in note for note in change.notes)
    return folder


def follow(channel: Path, url: str, state: Path, artifact: str = "tflite/int8") -> Client:
    """A device that has updated."""
    root = channel / "metadata" / "1.root.json"
    client = Client(url, name=NAME, artifact=artifact, state=state, root=root)
    result = client.update()
    assert result.status == "updated", result.error
    return client


def folder_of(client: Client) -> Path:
    assert client.learning is not None
    return client.learning


def teach(learner: HeadLearner) -> None:
    data = draw(64, 7, moved=True)
    learner.collect({"image": data["image"].astype(np.float32)}, data["y"])
    assert learner.learn().kept


@pytest.mark.parametrize("artifact", ["tflite/int8", "onnx/float32"])
def test_a_device_learns_with_what_its_channel_brought(channel: Path, made: Made, tmp_path: Path, artifact):
    with serve(channel) as server:
        folder = folder_of(follow(channel, server.url, tmp_path / "device", artifact))
    form = artifact.partition("/")[0]
    assert sorted(os.listdir(folder)) == [name.replace("tflite", form) for name in INT8]
    learner = HeadLearner(folder, tmp_path / "learned")
    whole = HeadLearner(made.bundle / "learning", tmp_path / "whole", f"{form}/int8")
    teach(learner), teach(whole)
    asked = {"image": draw(40, 8, moved=True)["image"].astype(np.float32)}
    np.testing.assert_allclose(learner.predict(asked), whole.predict(asked), atol=1e-5)


def test_a_new_version_brings_what_has_changed_and_begins_anew(channel: Path, made: Made, keys: Path, tmp_path: Path):
    channel = shutil.copytree(channel, tmp_path / "channel")
    with serve(channel) as server:
        client = follow(channel, server.url, tmp_path / "device")
        teach(HeadLearner(folder_of(client), tmp_path / "learned"))
        api.publish_bundle(train_again(made.bundle, tmp_path / "bundle"), channel, name=NAME, keys=keys, force=True)
        asked = len(server.paths)
        assert client.update().status == "updated"
        fetched = [path for path in server.paths[asked:] if "/files/" in path]
    assert len(fetched) == 2, fetched  # learning.json, and a patch of the samples
    described = json.loads((client.model.parents[1] / "version.json").read_bytes())
    files = {file["path"]: file for file in described["artifacts"]["tflite/int8"]["files"]}
    (patch,) = files["learning/replay.npz"]["patches"]
    assert any(patch["sha256"] in path for path in fetched)
    learner = HeadLearner(folder_of(client), tmp_path / "learned")
    assert not learner.has_learned and learner.samples == 0
    teach(learner)


def train_again(bundle: Path, out: Path) -> Path:
    """A bundle in which one of the samples to replay is another."""
    shutil.copytree(bundle, out)
    manifest, replay = open_bundle(out).manifest, out / "learning" / "replay.npz"
    with np.load(replay) as stored:
        arrays = dict(stored)
    arrays["replay_features"][0] ^= 1
    np.savez(replay, **arrays)
    assert manifest.learning
    learning = replace(manifest.learning, files={**manifest.learning.files, replay.name: digest.of_path(replay)})
    described = json.loads((out / "learning" / "learning.json").read_text())
    described["files"] = dict(learning.files)
    (out / "learning" / "learning.json").write_text(json.dumps(described))
    seal_bundle(out, replace(manifest, learning=learning))
    return out


def test_it_stays_here_where_that_is_wanted(made: Made, keys: Path, tmp_path: Path):
    channel = tmp_path / "channel"
    change = api.publish_bundle(made.bundle, channel, name=NAME, keys=keys, force=True, learning=False)
    assert not any("learn" in note for note in change.notes)
    with serve(channel) as server:
        assert follow(channel, server.url, tmp_path / "device").learning is None
