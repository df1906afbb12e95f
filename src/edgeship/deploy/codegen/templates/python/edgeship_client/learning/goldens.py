"""What the self-test asks of learning: features, and two lessons that end as they do in edgeship."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .. import contract
from ..core import Array
from .arithmetic import Head
from .head import BAD, LESSON, TOLERANCE, Lesson
from .learner import HeadLearner
from .outcome import LearnResult
from .teach import HEAD

ALIKE = 1e-4  # of the largest number
REASONS = {"loss": "the loss", "guard": "on the guard", "held_out": "on the held-out", "": ""}
STATE_FILE = "head.bin"


class _KnownFeatures(HeadLearner):
    """A learner that is given features."""

    def compute_features(self, inputs: Mapping[str, Array]) -> Array:
        return inputs["features"]


def check_learning(goldens: Path, folder: Path = HEAD) -> Iterator[str]:
    """A sentence for each thing that learns otherwise here. Raises ClientError (a ValueError) or OSError where nothing can."""
    with tempfile.TemporaryDirectory() as state:
        yield from _check_features(HeadLearner(folder, state), goldens)
        learner = _KnownFeatures(folder, state)
        yield from _end_lesson(LESSON, _teach(learner, goldens, "samples", LESSON))
        yield from _compare_head(learner, goldens)
        yield from _end_lesson(BAD, _teach(learner, goldens, "bad", BAD))
        yield from (f"after what was refused, {problem}" for problem in _compare_head(learner, goldens))
        path = Path(state) / STATE_FILE
        content = path.read_bytes() if path.exists() else b"\0"
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        if learner.has_learned:
            yield "a learned head with a flipped bit answers"
        learner.forget()
        if (
            learner.has_learned
            or learner.samples
            or not np.array_equal(learner.head.weights, learner.package.head.weights)
        ):
            yield "the shipped head does not answer after all was forgotten"


def _check_features(learner: HeadLearner, goldens: Path) -> Iterator[str]:
    wanted = np.fromfile(goldens / "learning.features", "<f4").reshape(len(contract.CASES), -1)
    shapes = {item["name"]: item["shape"] for item in learner.inputs}
    for case, row in zip(contract.CASES, wanted, strict=True):
        tensors = {
            item.name: np.fromfile(goldens / f"{case.name}.{item.name}.tensor", "<f4").reshape(
                1, *shapes[item.name][1:]
            )
            for item in contract.INPUTS
        }
        off = float(np.abs(learner.compute_features(tensors)[0] - row).max())
        if not off <= TOLERANCE:
            yield f"a feature of {case.name} is off by {off:.3g}, allowed are {TOLERANCE:.3g}"


def _teach(learner: HeadLearner, goldens: Path, name: str, lesson: Lesson) -> LearnResult:
    size = learner.package.head.weights.shape[0]
    values = np.fromfile(goldens / f"learning.{name}", "<f4")
    features, target = np.split(values, [lesson.added * size])
    learner.collect({"features": features.reshape(-1, size)}, target.reshape(lesson.added, -1))
    return learner.learn()


def _end_lesson(wanted: Lesson, found: LearnResult) -> Iterator[str]:
    for name in ("kept", "samples", "held_out", "steps", "share"):
        if getattr(found, name) != getattr(wanted, name):
            yield f"{name} is {getattr(found, name)}, not {getattr(wanted, name)}"
    if not found.reason.startswith(REASONS[wanted.reason]):
        yield f"a head is refused as {found.reason!a}, not for {wanted.reason}"


def _compare_head(learner: HeadLearner, goldens: Path) -> Iterator[str]:
    wanted = np.fromfile(goldens / "learning.heads", "<f4")
    head: Head = learner.head
    off = float(np.abs(np.concatenate([head.weights.ravel(), head.bias]) - wanted).max())
    if not off <= ALIKE * float(np.abs(wanted).max()):
        yield f"the learned head is off by {off:.3g}"
