"""Lessons for the self-test of a client that learns: corrected samples, and how `edgeship.client.learning` ends with them.

Two follow each other on one device: the first is kept, and the second, collected after it, is refused, so that the first head
still answers. Both are chosen so that what they end with does not hang on how a client rounds.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.client.learning.arithmetic import Array, Head, apply_activation, compute_scores, list_batches, take_step
from edgeship.client.learning.learner import HELD_OUT, HeadLearner
from edgeship.client.learning.outcome import LearnResult
from edgeship.client.learning.package import Package, Samples, open_package
from edgeship.light_dataclass import dataclass

SAMPLES = 24
NOISE = 1e-4  # of the head's largest number: what a client may be off
START = 1e-6  # the same of a head that training begins with: where it is too fast, that leads far away
LARGE = 1 << 17  # weights
BAD_SAMPLES = (96, 256)
FACTORS = (30.0, 1000.0, 30_000.0)  # of features with which the rate is too large
REASONS = {"loss": "the loss rose", "guard": "on the guard samples", "held_out": "on the held-out samples"}


@dataclass(frozen=True)
class Lesson:
    """How learning ends with all samples that are collected then: `edgeship.client.learning.LearnResult`, but for its text.

    `added`: how many samples the lesson adds to those of the one before. `reason`: empty, or what the gate refused it for: loss,
    guard or held_out. `loss_after` is None where it is no finite number.
    """

    added: int
    kept: bool
    reason: str
    samples: int
    held_out: int
    steps: int
    rate: float
    loss_before: float
    loss_after: float | None
    corrected_before: float
    corrected_after: float
    guard_before: float
    guard_after: float
    held_out_before: float | None
    held_out_after: float | None
    share: float


@dataclass(frozen=True)
class LessonFiles:
    """The samples of both lessons (features, then targets), and the head after the first (weights, bias): float32."""

    samples: bytes
    bad: bytes
    head: bytes


@dataclass(frozen=True)
class Rounding:
    """How a client may round: in float64 or float32, from a head and to one that are a little off."""

    exact: bool = True
    start: float = 0.0
    noise: float = 0.0


ROUNDINGS = (Rounding(), Rounding(False, 0.0, NOISE), Rounding(False, START, -NOISE))


class ExactLearner(HeadLearner):
    """The reference, with steps in float64 where that is not too slow; each head is trained once."""

    def __init__(
        self, folder: Path, state: str, trained: dict[Hashable, Head], rounding: Rounding = ROUNDINGS[0]
    ) -> None:
        super().__init__(folder, state)
        self._trained, self._rounding = trained, rounding

    def teach(self, samples: Samples) -> LearnResult:
        """Collect samples, which are features already, and learn."""
        known, _ = self._state.read_samples()
        features = np.concatenate([known.features, samples.features])
        joined = Samples(features, np.concatenate([known.target, samples.target]))
        self._state.write_samples(joined, np.arange(len(joined)))
        return self.learn()

    def _train(self, train: Samples, steps: int, rate: float) -> Head:
        rounding = self._rounding
        key = _pack(train.features, train.target), steps, rate, rounding.exact, rounding.start
        if key not in self._trained:
            self._trained[key] = self._train_exactly(train, steps, rate)
        return Head(*(_disturb(item, rounding.noise).astype(np.float32) for item in self._trained[key]))

    def _train_exactly(self, train: Samples, steps: int, rate: float) -> Head:
        package = self.package
        exact = np.float64 if self._rounding.exact and package.head.weights.size <= LARGE else np.float32
        head = Head(*(_disturb(item, self._rounding.start).astype(exact) for item in package.head))
        known = Samples(package.replay.features.astype(exact), package.replay.target)
        with np.errstate(all="ignore"):  # a rate that is too large leads beyond all numbers
            for fresh, kept in list_batches(len(train), len(known), package.batch, steps):
                features = np.concatenate([train.features[fresh].astype(exact), known.features[kept]])
                target = np.concatenate([train.target[fresh], known.target[kept]])
                head, _ = take_step(features, target, rate, head, package.activation)
        return head


@functools.lru_cache(maxsize=4)
def make_lessons(folder: Path, digest: str) -> tuple[Lesson, Lesson, LessonFiles] | None:
    """The lessons of the `learning/` in a folder, of which `digest` is known; both are found once in a process.

    None where no samples were found that end alike with any rounding.
    """
    package, trained = open_package(folder), dict[Hashable, Head]()
    first = next((item for item in _list_good(package) if _ends_alike(folder, [item], trained, kept=True)), None)
    second = first and next(
        (item for item in _list_bad(package) if _ends_alike(folder, [first, item], trained, kept=False)), None
    )
    if first is None or second is None:
        return None
    with tempfile.TemporaryDirectory() as state:
        learner = ExactLearner(folder, state, trained)
        lesson = _describe(learner.teach(first), len(first))
        head = learner.head
        bad = _describe(learner.teach(second), len(second))
    samples, refused = (_pack(item.features, item.target) for item in (first, second))
    return lesson, bad, LessonFiles(samples, refused, _pack(*head))


def spread_of(package: Package) -> float:
    """The range of the features of the samples that travel with a head, as they are stored."""
    return float(package.content["samples"]["scale"]) * 255


def _list_good(package: Package) -> Iterator[Samples]:
    """Samples that the model knows, a little moved, some of them as another class; then fewer and none of those.

    For a head that loses what it knows by any of them: those that judge, and then the replayed ones, with targets that pull
    against theirs.
    """
    known = package.replay
    count = min(SAMPLES, len(known))
    rows = np.arange(count)
    columns = np.arange(known.features.shape[1])
    moves = ((columns[None, :] * 7 + rows[:, None] * 13) % 17 - 8).astype(np.float32) / 8
    features = known.features[:count] + moves * np.float32(spread_of(package) / 16)
    for every in (6, 12):
        target, moved = known.target[:count].copy(), rows % every == 1
        target[moved] = _move_targets(package, target[moved])
        yield Samples(features.astype(np.float32), target)
    yield Samples(features.astype(np.float32), known.target[:count])
    yield _repeat_held_out(package.guard)
    answers = apply_activation(compute_scores(known.features, package.head), package.activation)
    for share in (0.5, 0.8, 1.0):
        pulled = answers + share * (answers - known.target)
        target = pulled if package.activation == "linear" else pulled.clip(0, 1)
        yield _repeat_held_out(Samples(known.features, target.astype(np.float32)))


def _repeat_held_out(samples: Samples) -> Samples:
    """All of them trained with: those that a learner holds out are repetitions."""
    rows = np.arange(len(samples))
    places = np.arange(len(rows) + len(rows) // (HELD_OUT - 1))
    order = np.where(places % HELD_OUT == HELD_OUT - 1, places // HELD_OUT, places - places // HELD_OUT) % len(rows)
    return Samples(samples.features[order], samples.target[order])


def _list_bad(package: Package) -> Iterator[Samples]:
    """Samples like those that judge, each as another class; then such that the rate is too large for, each as two classes."""
    judging = package.guard
    for count in BAD_SAMPLES:
        rows = np.arange(count) % len(judging)
        yield Samples(judging.features[rows], _move_targets(package, judging.target[rows]))
    rows = np.arange(SAMPLES) % len(judging)
    features, target = judging.features[rows], judging.target[rows]
    for factor in FACTORS:
        both = np.concatenate([features, features]) * np.float32(factor)
        yield Samples(both.astype(np.float32), np.concatenate([target, _move_targets(package, target)]))


def _move_targets(package: Package, target: Array) -> Array:
    """The next class, the opposite of a yes, or a number that is far off."""
    if package.activation == "linear":
        reach = np.ptp(package.replay.target, axis=0) + 1
        return np.asarray((target + 4 * reach).astype(np.float32))
    if package.activation == "sigmoid":
        return (1 - target).astype(np.float32)
    return np.asarray(np.roll(target, 1, axis=1))


def _ends_alike(folder: Path, lessons: list[Samples], trained: dict[Hashable, Head], *, kept: bool) -> bool:
    """Whether the last of these lessons ends with that, alike and with the same head, however a client rounds."""
    ends, heads = set(), []
    for rounding in ROUNDINGS:
        with tempfile.TemporaryDirectory() as state:
            learner = ExactLearner(folder, state, trained, rounding)
            results = [learner.teach(lesson) for lesson in lessons]
            heads.append(np.concatenate([learner.head.weights.ravel(), learner.head.bias]))
        ends.add((*(item.kept for item in results), results[-1].share, _name_reason(results[-1])))
        if len(ends) > 1 or results[-1].kept is not kept:
            return False
    off = max(float(abs(head - heads[0]).max()) for head in heads)
    return off <= 1.5 * NOISE * float(abs(heads[0]).max())


def _disturb(values: Array, noise: float) -> Array:
    signs = np.where(np.arange(values.size) % 3 == 1, -1, 1).reshape(values.shape)
    with np.errstate(all="ignore"):
        return np.asarray(values + noise * abs(values).max() * signs) if noise else values


def _describe(result: LearnResult, added: int) -> Lesson:
    fields = {name: getattr(result, name) for name in Lesson.__match_args__ if hasattr(result, name)}
    return Lesson(**{**fields, "added": added, "reason": _name_reason(result)})


def _name_reason(result: LearnResult) -> str:
    return next((name for name, text in REASONS.items() if result.reason.startswith(text)), "")


def _pack(*arrays: Any) -> bytes:
    return b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)
