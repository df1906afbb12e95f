"""Chooses the samples that travel with a model that learns: some to train with beside new ones, others to judge by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from edgeship.client.learning.arithmetic import Head, apply_activation, compute_scores
from edgeship.client.learning.package import Samples
from edgeship.convert.head.cut import HeadCut
from edgeship.data import Array, Batch, RepresentativeDataset
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.settings.config import Config
from edgeship.types import TensorSpec

POOL = 16_384  # labelled samples that some are chosen of, spread evenly over the data
READ = 256
Compute = Callable[[Batch], Array]


@dataclass(frozen=True)
class ReplayChoice:
    """The chosen samples as features and targets; `labels`: whose targets they are, `source` the data's file."""

    source: str
    labels: Literal["data", "server model"]
    replay: Samples
    guard: Samples


def choose_samples(
    settings: Config, inputs: tuple[TensorSpec, ...], output: str, cut: HeadCut, head: Head, compute: Compute
) -> ReplayChoice:
    """`replay_samples` to train with and as many to judge by, balanced over classes, of training or calibration data.

    Those to judge by are of the validation data where there is some. `compute` gives the features of inputs. Raises InputError
    where the data holds one class only.
    """
    count = settings.learning.replay_samples
    data = open_source(settings)
    target = _read_targets(data, inputs, output, cut)
    labels: Literal["data", "server model"] = "data" if target is not None else "server model"
    known = RepresentativeDataset(settings.data.validation) if settings.data.validation else None
    apart = _read_targets(known, inputs, output, cut) if known and target is not None else None
    if target is None:
        features = compute(_read_inputs(data, inputs, np.arange(len(data)), 2 * count))
        answers = apply_activation(compute_scores(features, head), cut.activation).astype(np.float32)
        chosen = _deal_classes(_classes_of(answers, cut.activation), count, parts=2)
        replay, guard = (Samples(features[rows], answers[rows]) for rows in chosen)
    elif known and apart is not None:
        replay, guard = (
            _take_samples(
                item, inputs, own, _deal_classes(_classes_of(own, cut.activation), count, parts=1)[0], compute
            )
            for item, own in ((data, target), (known, apart))
        )
    else:
        rows = _deal_classes(_classes_of(target, cut.activation), count, parts=2)
        replay, guard = (_take_samples(data, inputs, target, part, compute) for part in rows)
    for part in (replay, guard):
        _check_samples(part, cut, data.source)
    return ReplayChoice(Path(data.source).name, labels, replay, guard)


def open_source(settings: Config) -> RepresentativeDataset:
    """The data that samples are taken of; `models.separate_head` has seen to it that there is some."""
    return RepresentativeDataset(str(settings.data.train or settings.data.calibration))


def is_classifier(settings: Config, inputs: tuple[TensorSpec, ...], outputs: int) -> bool:
    """Whether scores without an activation are those of classes: labels are names, or whole numbers below their count."""
    if outputs < 2:
        return False
    labels = open_source(settings).labels(POOL, inputs).get("y")
    if labels is None or labels.ndim != 1:
        return len(settings.data.labels) == outputs
    return labels.dtype.kind in "iu" and 0 <= int(labels.min()) <= int(labels.max()) < outputs


def check_classes(settings: Config, cut: HeadCut) -> None:
    """Raise InputError where labels say before any work that the data is of one class only."""
    data = open_source(settings)
    labels = data.labels(POOL).get("y")
    if cut.activation == "softmax" and labels is not None and labels.ndim == 1 and len(np.unique(labels)) == 1:
        raise _one_class_error(data.source)


def _check_samples(samples: Samples, cut: HeadCut, source: str) -> None:
    classes = len(np.unique(_classes_of(samples.target, cut.activation))) if len(samples) else 0
    if not classes or (classes == 1 and cut.activation == "softmax"):
        raise _one_class_error(source)
    if not np.isfinite(samples.features).all():
        raise InputError(f"{source}: the model has features of it that are no finite numbers")


def _one_class_error(source: str) -> InputError:
    return InputError(
        f"{source}: its samples are of one class only, so that a head which learns would forget the others; name data with all "
        "classes as train or calibration in [data]"
    )


def _read_targets(
    data: RepresentativeDataset, inputs: tuple[TensorSpec, ...], output: str, cut: HeadCut
) -> Array | None:
    """The targets (n, outputs) of the samples that a limit of `POOL` leaves; None where no labels fit the head."""
    found = data.labels(POOL, inputs)
    labels = found.get(f"y_{output}", found.get("y"))
    if labels is None or labels.dtype.kind not in "biuf":
        return None
    if cut.activation == "softmax" and labels.ndim == 1:
        whole = labels.dtype.kind in "iu" and labels.size and 0 <= labels.min() <= labels.max() < cut.outputs
        return np.eye(cut.outputs, dtype=np.float32)[labels] if whole else None
    target = labels.astype(np.float32).reshape(len(labels), -1)
    return target if target.shape[1] == cut.outputs and np.isfinite(target).all() else None


def _classes_of(target: Array, activation: str) -> Array:
    """What samples are balanced over: the best class; whether the one output is on; all the same where numbers are given."""
    if activation == "linear":
        return np.zeros(len(target), np.int64)
    return np.asarray(target.argmax(1) if target.shape[1] > 1 else target[:, 0] > 0.5, np.int64)


def _deal_classes(classes: Array, count: int, parts: int) -> list[Array]:
    """`parts` times at most `count` indices, no index twice: class after class in turn, each class spread over the data."""
    rank = np.empty(len(classes), np.int64)
    needed = -(-parts * count // max(1, len(np.unique(classes))))
    for value in np.unique(classes):
        rows = np.flatnonzero(classes == value)
        spread = np.linspace(0, len(rows) - 1, min(len(rows), max(needed, parts))).round().astype(np.int64)
        order = np.concatenate([spread, np.setdiff1d(np.arange(len(rows)), spread)])
        rank[rows[order]] = np.arange(len(rows))
    dealt = []
    for part in range(parts):
        rows = np.flatnonzero(rank % parts == part)
        dealt.append(rows[np.lexsort((classes[rows], rank[rows]))][:count])
    return dealt


def _take_samples(
    data: RepresentativeDataset, inputs: tuple[TensorSpec, ...], target: Array, rows: Array, compute: Compute
) -> Samples:
    """The samples of those rows, in that order."""
    return Samples(compute(_read_inputs(data, inputs, rows, POOL)), target[rows])


def _read_inputs(data: RepresentativeDataset, inputs: tuple[TensorSpec, ...], rows: Array, limit: int) -> Batch:
    """The inputs of some of the samples that a limit leaves, in the order of `rows`; of all of them where it leaves fewer."""
    kept: list[Batch] = []
    places: list[Array] = []
    start = 0
    for batch in data.feeds(inputs, READ, limit):
        size = len(next(iter(batch.values())))
        inside = np.flatnonzero((rows >= start) & (rows < start + size))
        if len(inside):
            kept.append({name: array[rows[inside] - start] for name, array in batch.items()})
            places.append(inside)
        start += size
    order = np.argsort(np.concatenate(places), kind="stable")
    return {name: np.concatenate([batch[name] for batch in kept])[order] for name in kept[0]}
