"""What a device learns, when it keeps the old head, and what damage does."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.client.learning import HeadLearner, LearnSettings
from edgeship.client.learning.arithmetic import count_steps, list_batches, measure_quality
from edgeship.client.learning.package import open_package
from edgeship.client.outcome import ClientError
from tests.learning.head.conftest import Made
from tests.learning.head.head_models import draw


def images(data: dict[str, Any]) -> dict[str, Any]:
    return {"image": data["image"].astype(np.float32)}


def accuracy(learner: HeadLearner, data: dict[str, Any]) -> float:
    return float((learner.predict(images(data)).argmax(1) == data["y"]).mean())


def collect(learner: HeadLearner, count: int, *, moved: bool = True) -> None:
    data = draw(count, 7, moved=moved)
    learner.collect(images(data), data["y"])


def test_it_learns_what_its_user_corrects_and_keeps_what_it_knew(learner: HeadLearner):
    moved, plain = draw(400, 8, moved=True), draw(400, 9)
    before = accuracy(learner, moved), accuracy(learner, plain)
    collect(learner, 64)
    result = learner.learn()
    assert result.kept, result.reason
    assert (result.samples, result.held_out) == (64, 16)
    assert learner.has_learned
    assert accuracy(learner, moved) > before[0] + 0.1
    assert accuracy(learner, plain) > before[1] - 0.05
    learner.forget()
    assert not learner.has_learned and learner.samples == 0
    assert (accuracy(learner, moved), accuracy(learner, plain)) == before


def test_a_learned_head_is_there_after_a_restart(learner: HeadLearner, made: Made, tmp_path: Path):
    collect(learner, 64)
    assert learner.learn().kept
    again = HeadLearner(made.bundle / "learning", tmp_path / "state")
    moved = images(draw(40, 8, moved=True))
    np.testing.assert_array_equal(again.predict(moved), learner.predict(moved))


def test_bases_of_every_format_learn_alike(made: Made, tmp_path: Path):
    found = {}
    for base in ("tflite/float32", "tflite/int8", "onnx/float32", "onnx/int8"):
        learner = HeadLearner(made.bundle / "learning", tmp_path / base.replace("/", "-"), base)
        collect(learner, 64)
        assert learner.learn().kept
        found[base] = learner.head.weights
    for name, weights in found.items():
        off = abs(weights - found["tflite/float32"]).max()
        assert off < (1e-4 if name.endswith("float32") else 0.05), name


def test_a_rate_that_is_too_large_changes_nothing(learner: HeadLearner):
    collect(learner, 64)
    assert learner.learn().kept
    before = learner.head
    for rate in (5.0, 1e30):
        result = learner.learn(LearnSettings(rate=rate))
        assert not result.kept and "too large" in result.reason
    np.testing.assert_array_equal(learner.head.weights, before.weights)


def test_wrong_corrections_are_not_kept(learner: HeadLearner):
    data = draw(400, 7)
    learner.collect(images(data), (data["y"] + 1) % 4)  # somebody says the opposite of all that it knows
    result = learner.learn()
    assert not result.kept and "guard" in result.reason
    assert not learner.has_learned


def test_part_of_the_way_is_taken_where_all_of_it_is_too_far(learner: HeadLearner):
    collect(learner, 64)
    whole = learner.learn(LearnSettings(limit=1.0, passes=200, fewest_steps=1500))
    learner.forget(samples=False)
    far = learner.learn(LearnSettings(limit=0.0, passes=200, fewest_steps=1500))
    assert whole.share == 1 and whole.guard_after < whole.guard_before - 1.5 / 256
    assert far.kept and far.share in (0.5, 0.25)
    assert far.guard_after >= far.guard_before - 1.5 / 256
    assert learner.has_learned


def test_samples_that_are_held_out_decide_too(learner: HeadLearner):
    data = draw(64, 7)
    labels = data["y"].copy()
    learner.collect(images(data), labels)
    known, number = learner._state.read_samples()
    held = number % 4 == 3
    wrong = known.target.copy()
    wrong[~held] = np.roll(wrong[~held], 1, axis=1)
    learner._state.write_samples(replace(known, target=wrong), number)
    result = learner.learn(LearnSettings(limit=0.0))
    assert not result.kept
    assert result.held_out_before is not None and result.held_out_after is not None


@pytest.mark.parametrize(
    ("labels", "said"), [([1, 1, 1], "one class"), ([9, 0, 1], "from 0 to 3"), ([0.5, 1, 1], "whole")]
)
def test_labels_that_teach_nothing_are_refused(learner: HeadLearner, labels, said):
    data = draw(3, 7)

    def teach():
        learner.collect(images(data), np.array(labels))
        learner.learn()

    with pytest.raises(ClientError, match=said):
        teach()
    assert not learner.has_learned


def test_nothing_is_learned_of_nothing(learner: HeadLearner):
    with pytest.raises(ClientError, match="nothing was corrected"):
        learner.learn()


def test_inputs_that_are_no_numbers_are_refused(learner: HeadLearner):
    data = images(draw(4, 7))
    data["image"][0, 0, 0] = np.nan
    with pytest.raises(ClientError, match="no finite"):
        HeadLearner(learner.package.folder, learner.package.folder.parent, "tflite/float32").compute_features(data)
    with pytest.raises(ClientError, match="takes image"):
        learner.collect({}, np.array([0]))
    with pytest.raises(ClientError, match="does not take"):
        learner.collect({"image": np.zeros((1, 3, 3, 1), np.float32)}, np.array([0]))
    assert learner.samples == 0


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_head_gives_way_to_the_shipped_one(learner: HeadLearner, tmp_path: Path, damage):
    collect(learner, 64)
    assert learner.learn().kept
    path = tmp_path / "state" / "head.bin"
    content = path.read_bytes()
    flipped = bytes([*content[:500], content[500] ^ 1, *content[501:]])
    path.write_bytes({"cut": content[:-7], "flip": flipped, "empty": b"", "other": b"x" * 4000}[damage])
    assert not learner.has_learned
    np.testing.assert_array_equal(learner.head.weights, learner.package.head.weights)
    assert learner.learn().kept and learner.has_learned  # the samples are still there


def test_what_another_version_learned_does_not_count(learner: HeadLearner, made: Made, tmp_path: Path):
    collect(learner, 64)
    assert learner.learn().kept
    other = HeadLearner(made.bundle / "learning", tmp_path / "state")
    other.package = replace(other.package, digest="0" * 64)
    other._state._package = other.package
    assert not other.has_learned and other.samples == 0


def test_a_client_that_is_killed_while_it_writes_loses_nothing(learner: HeadLearner, tmp_path: Path, monkeypatch):
    collect(learner, 64)
    assert learner.learn().kept
    before, files = learner.head, sorted(os.listdir(tmp_path / "state"))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            collect(learner, 8)
    assert learner.samples == 64
    np.testing.assert_array_equal(learner.head.weights, before.weights)
    collect(learner, 8)
    assert learner.samples == 72
    assert sorted(os.listdir(tmp_path / "state")) == files  # what was left half is gone


def test_only_the_newest_samples_are_kept(learner: HeadLearner):
    for _ in range(3):
        collect(learner, 400)
    known, number = learner._state.read_samples()
    assert len(known) == 1024
    assert number.tolist() == list(range(176, 1200))


def test_a_changed_file_is_not_opened(made: Made, tmp_path: Path):
    folder = tmp_path / "learning"
    folder.mkdir()
    for path in (made.bundle / "learning").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    learner = HeadLearner(folder, tmp_path / "state", "tflite/float32")
    (folder / "base-float32.tflite").write_bytes(b"x" + (folder / "base-float32.tflite").read_bytes()[1:])
    with pytest.raises(ClientError, match="was changed"):
        learner.predict(images(draw(1, 0)))
    (folder / "head.npz").unlink()
    with pytest.raises(ClientError, match="No such file"):
        open_package(folder)
    with pytest.raises(ClientError, match="--head-step"):
        open_package(tmp_path)


def test_batches_go_round_and_need_no_chance():
    batches = list(list_batches(5, 3, 4, 3))
    assert [fresh.tolist() for fresh, _ in batches] == [[0, 1], [2, 3], [4, 0]]
    assert [kept.tolist() for _, kept in batches] == [[0, 1], [2, 0], [1, 2]]
    assert [len(kept) for _, kept in list_batches(5, 0, 4, 2)] == [0, 0]
    assert [(fresh.tolist(), kept.tolist()) for fresh, kept in list_batches(1, 9, 4, 2)] == [
        ([0], [0, 1, 2]),
        ([0], [3, 4, 5]),
    ]
    assert count_steps(192, 256, 32, 20, (100, 2000)) == 240
    assert count_steps(8, 256, 32, 20, (100, 2000)) == 100


def test_labels_of_other_heads_are_shares_or_numbers(learner: HeadLearner):
    shares, numbers = (
        replace(learner.package, content={**learner.package.content, "activation": activation})
        for activation in ("sigmoid", "linear")
    )
    right = np.array([[0, 1, 0.5, 1], [1, 1, 0, 0]])
    np.testing.assert_array_equal(shares.make_target(right), right.astype(np.float32))
    np.testing.assert_array_equal(numbers.make_target(right * 9), (right * 9).astype(np.float32))
    for package, labels in ((shares, right * 9), (shares, right[:, :2]), (numbers, right * np.nan)):
        with pytest.raises(ClientError, match="for each sample"):
            package.make_target(labels)


def test_quality_of_numbers_is_one_where_they_are_right(learner: HeadLearner):
    features, head = learner.package.guard.features, learner.package.head
    target = features @ head.weights + head.bias
    assert measure_quality(features, target, head, "linear") == 1
    assert measure_quality(features, target + 100, head, "linear") < 0
