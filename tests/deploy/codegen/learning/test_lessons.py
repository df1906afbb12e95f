"""Lessons are found for heads of every kind, few samples among them, and end alike however a client rounds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from edgeship.client.learning.arithmetic import safe_rate
from edgeship.client.learning.package import Samples
from edgeship.deploy.codegen.lessons import ExactLearner, Rounding, make_lessons


def write_package(folder: Path, activation: str, features: int, outputs: int, count: int) -> None:
    """The `learning/` of a head that nearly is what labels its samples, `count` of each kind, without models."""
    random = np.random.default_rng(0)
    rows = np.maximum(random.normal(0, 1, (2 * count, features)), 0).astype(np.float32)
    weights = (2 * random.normal(0, 1, (features, outputs)) / features**0.5).astype(np.float32)
    scores = rows @ weights + random.normal(0, 0.3, (2 * count, outputs))
    centred = scores - scores.mean(0)
    ways = {"softmax": np.eye(outputs)[centred.argmax(1)], "sigmoid": centred > 0, "linear": centred}
    target = ways[activation].astype(np.float32)
    scale = float(rows.max() / 255)
    stored = np.rint(rows / scale).astype(np.uint8)
    np.savez(
        folder / "replay.npz",
        replay_features=stored[:count],
        replay_target=target[:count],
        guard_features=stored[count:],
        guard_target=target[count:],
    )
    np.savez(folder / "head.npz", weights=weights, bias=-(rows @ weights).mean(0).astype(np.float32))
    content = {
        "schema": 1,
        "activation": activation,
        "outputs": outputs,
        "batch": 32,
        "rate": float(f"{safe_rate(rows[:count], activation):.3g}"),
        "head": "head.npz",
        "replay": "replay.npz",
        "samples": {"scale": scale, "offset": 0.0},
        "files": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("head.npz", "replay.npz")
        },
    }
    (folder / "learning.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("activation", "features", "outputs", "count"),
    [
        ("softmax", 10, 4, 8),
        ("softmax", 200, 2, 40),
        ("sigmoid", 10, 1, 4),
        ("sigmoid", 20, 1, 256),
        ("linear", 5, 1, 6),
        ("linear", 30, 3, 32),
    ],
)
def test_every_head_has_lessons(activation, features, outputs, count, tmp_path):
    write_package(tmp_path, activation, features, outputs, count)
    found = make_lessons(tmp_path, f"{activation} {features}")
    assert found
    lesson, bad, files = found
    assert lesson.kept and not bad.kept and bad.reason
    # A client that takes its steps in float32, beginning a little off.
    learner = ExactLearner(tmp_path, str(tmp_path / "state"), {}, Rounding(exact=False, start=1e-7))
    for wanted, content in ((lesson, files.samples), (bad, files.bad)):
        rows, target = np.split(np.frombuffer(content, "<f4"), [wanted.added * features])
        result = learner.teach(Samples(rows.reshape(-1, features), target.reshape(-1, outputs)))
        names = ("kept", "samples", "held_out", "steps", "share")
        assert [getattr(result, name) for name in names] == [getattr(wanted, name) for name in names]
    head = np.concatenate([learner.head.weights.ravel(), learner.head.bias])
    golden = np.frombuffer(files.head, "<f4")
    assert abs(head - golden).max() <= 1e-4 * abs(golden).max()
