"""`--head-step`, `edgeship verify` and `edgeship teach`, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgeship.bundle.bundle import open_bundle, seal_bundle
from edgeship.pipeline.learning_head.check import replay_learning
from tests.learning.head.conftest import Made
from tests.learning.head.head_models import draw

NAMES = {"head_step.tflite", "head_step.onnx", "head.npz", "replay.npz", "goldens.npz"}


def test_the_bundle_says_what_it_learns_with(made: Made):
    learning = open_bundle(made.bundle).manifest.learning
    assert learning is not None
    assert (learning.layer, learning.activation, learning.features, learning.outputs) == ("shares", "softmax", 24, 4)
    assert learning.files.keys() == NAMES | {item.file for item in learning.bases}
    assert [f"{item.format}/{item.variant}" for item in learning.bases] == [
        "tflite/int8",
        "tflite/float32",
        "onnx/int8",
        "onnx/float32",
    ]
    assert (learning.samples.replay, learning.samples.guard, learning.samples.labels) == (256, 256, "data")
    assert "can learn on the device" in (made.root / "said.txt").read_text()
    for form in ("tflite", "onnx"):
        assert (made.bundle / "learning" / f"head_step.{form}").stat().st_size < 6000


def test_replayed_samples_are_balanced_and_no_sample_is_in_both_parts(made: Made):
    with np.load(made.bundle / "learning" / "replay.npz") as stored:
        arrays = dict(stored)
    assert arrays["replay_features"].dtype == np.uint8
    for part in ("replay", "guard"):
        assert arrays[f"{part}_target"].sum(0).tolist() == [64, 64, 64, 64]
    both = {row.tobytes() for row in arrays["replay_features"]} & {row.tobytes() for row in arrays["guard_features"]}
    assert len(both) < 8  # bytes are coarse


def test_verify_replays_the_step_and_the_bases(made: Made, cli, tmp_path: Path):
    done = cli("verify", "bundle", "--json", str(tmp_path / "verify.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    replays = json.loads((tmp_path / "verify.json").read_text())["replays"]
    learned = [item for item in replays if item["artifact"].startswith("learning/")]
    assert len(learned) == 6 and all(item["passed"] for item in learned)


def spoil(made: Made, folder: Path, damage: str) -> Path:
    """A bundle whose `learning/` is not what its manifest says, by somebody who makes the digests right again."""
    bundle = folder / "bundle"
    shutil.copytree(made.bundle, bundle)
    learning = bundle / "learning"
    if damage == "step":
        shutil.copyfile(made.root / "linear.onnx", learning / "head_step.onnx")
    elif damage == "head":
        with np.load(learning / "head.npz") as head:
            np.savez(learning / "head.npz", weights=head["weights"][:, ::-1], bias=head["bias"])
    else:
        content = json.loads((learning / "learning.json").read_text())
        (learning / "learning.json").write_text(json.dumps({**content, "rate": 1.0}))
    seal_bundle(bundle, open_bundle(made.bundle).manifest)
    return bundle


@pytest.mark.parametrize(("damage", "said"), [("step", "does not run"), ("head", "off by"), ("text", "otherwise")])
def test_what_learns_otherwise_is_found(made: Made, tmp_path: Path, damage, said):
    bundle = spoil(made, tmp_path, damage)
    learning = open_bundle(bundle).manifest.learning
    assert learning is not None
    assert said in " ".join(item.reason for item in replay_learning(bundle, learning))


def test_verify_fails_what_learns_otherwise(made: Made, cli, tmp_path: Path):
    done = cli("verify", str(spoil(made, tmp_path, "text")))
    assert done.returncode == 1
    assert "no match: learning/learning.json" in done.stderr and "Traceback" not in done.stderr


def test_teach_learns_tells_and_forgets(made: Made, cli, tmp_path: Path):
    np.savez(tmp_path / "corrected.npz", **draw(64, 7, moved=True))
    np.savez(tmp_path / "moved.npz", **draw(200, 8, moved=True))
    state = ("--state", str(tmp_path / "state"))
    data = ("--data", str(tmp_path / "corrected.npz"), "--test", str(tmp_path / "moved.npz"))
    done = cli("teach", "bundle", *data, *state, "--json", str(tmp_path / "taught.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept: the head learned" in done.stdout
    taught = json.loads((tmp_path / "taught.json").read_text())
    assert taught["result"]["kept"] and taught["test_now"] > taught["test_shipped"] + 0.1
    refused = cli("teach", "bundle", *state, "--rate", "1e39", "--json", "-")
    assert refused.returncode == 1 and json.loads(refused.stdout)["result"]["loss_after"] is None
    assert json.loads(refused.stdout)["has_learned"]
    forgotten = cli("teach", "bundle", "--forget", *state)
    assert forgotten.returncode == 0 and "the shipped head answers" in forgotten.stdout
    again = cli("teach", "bundle", *state)
    assert again.returncode == 2 and "nothing was corrected" in again.stderr


def test_what_cannot_be_taught_is_refused(made: Made, cli, tmp_path: Path):
    one = draw(40, 7)
    rows = one["y"] == 1
    np.savez(tmp_path / "one.npz", image=one["image"][rows], y=one["y"][rows])
    np.savez(tmp_path / "unlabelled.npz", image=one["image"])
    for arguments, said in {
        ("bundle", "--data", str(tmp_path / "one.npz")): "one class",
        ("bundle", "--data", str(tmp_path / "unlabelled.npz")): "no labels",
        ("bundle", "--data", str(made.task / "evaluation.npz"), "--base", "tfjs/float32"): "no base",
    }.items():
        done = cli("teach", *arguments, "--state", str(tmp_path / "state"))
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_a_model_without_a_dense_head_makes_no_bundle(made: Made, cli, tmp_path: Path):
    arguments = ("--out", str(tmp_path / "out"), "--head-step", "--data", "calibration.npz")
    done = cli("convert", "../without.keras", *arguments)
    assert done.returncode == 2 and "head_step learns a Dense layer" in done.stderr
    assert not (tmp_path / "out").exists()


def test_samples_of_one_class_are_refused(made: Made, cli, tmp_path: Path):
    one = draw(40, 7)
    rows = one["y"] == 1
    np.savez(tmp_path / "one.npz", image=one["image"][rows], y=one["y"][rows])
    config = tmp_path / "edgeship.toml"
    config.write_text('[data]\ncalibration = "one.npz"\n[learning]\nhead_step = true\n')
    arguments = ("--out", str(tmp_path / "out"), "--to", "tflite", "--variant", "float32", "--config", str(config))
    done = cli("convert", "pictures.keras", *arguments)
    assert done.returncode == 2 and "one class only" in done.stderr
    assert not (tmp_path / "out").exists()
