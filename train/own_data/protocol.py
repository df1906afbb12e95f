"""Which samples are learned from and which are held out: by size, by group or by time; the choice is recorded with its reason."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.train.dataset import Array
from edgeship.train.own_data.samples import OwnData
from edgeship.untrusted import printable

LEAST_SAMPLES = 20
SMALL = 2000  # samples from which on one part is held out: of fewer each is tested once, in folds
FOLDS = 5
GATE_SAMPLES = (
    400  # that the gate asks for at least (docs/data.md): folds are that large where there are enough for three
)
LEAST_OF_CLASS = 3
MOST_HELD_OUT = 10_000
VALIDATION_PARTS = 8  # of what is not tested one part chooses the epoch
SHOWN_GROUPS = 100  # names of groups in a card
SEED = 2026  # of the splits, whatever the seed of a training: models of the same data can be compared


@dataclass(frozen=True)
class Split:
    """Numbers of samples (int64, sorted): the network learns from `train`, `validation` chooses its epoch, `test` judges it."""

    train: Array
    validation: Array
    test: Array


@dataclass(frozen=True)
class Protocol:
    """How it was split: `method` is hold-out or k-fold, in `folds` parts, by `unit` (samples, a group or a time), and why."""

    method: str
    folds: int
    unit: str
    reason: str


def choose_splits(data: OwnData) -> tuple[Protocol, list[Split]]:
    """The protocol, and its splits, of which the first is that of the model that is shipped.

    Raises InputError where there are too few samples, classes or groups for one.
    """
    count = len(data.targets)
    if count < max(LEAST_SAMPLES, len(data.target.labels)):
        raise InputError(
            f"{printable(data.name)}: {count} samples, of {len(data.target.labels) or 'no'} classes; it takes at least "
            f"{max(LEAST_SAMPLES, 3 * len(data.target.labels))} to learn anything from"
        )
    _check_classes(data)
    if data.times is not None:
        protocol = Protocol(
            "hold-out", 1, f"time ({data.timed_by})", "the latest fifth is tested, as the future will be"
        )
        return protocol, [_split_by_time(data.times)]
    unit = "samples" if data.groups is None else f"groups ({data.grouped_by}), none of them in two parts"
    if data.held_out is not None:
        protocol = Protocol("hold-out", 1, unit, "the data comes with samples to test on")
        return protocol, [_split_as_given(data, data.held_out)]
    folds = count // GATE_SAMPLES if count >= 3 * GATE_SAMPLES else FOLDS
    if count >= SMALL:
        reason = f"{count:,} samples are enough to hold a part out once"
        return Protocol("hold-out", 1, unit, reason), [next(_folds(data, FOLDS))]
    reason = f"{count:,} samples are few (below {SMALL:,}): each of them is tested once"
    splits = list(_folds(data, folds))
    return Protocol("k-fold", len(splits), unit, reason), splits


def _check_classes(data: OwnData) -> None:
    counts = np.bincount(data.targets, minlength=len(data.target.labels)) if data.target.is_class else np.array([])
    for name, count in zip(data.target.labels, counts, strict=True):
        if count < LEAST_OF_CLASS:
            raise InputError(
                f"{printable(data.name)}: class '{printable(name)}' has {count} sample{'s' if count > 1 else ''}; it takes "
                f"{LEAST_OF_CLASS} to train and to test: add some, or leave the class out"
            )


def _split_by_time(times: Array) -> Split:
    """The latest fifth is tested, the eighth before it chooses the epoch; samples of one time stay together."""
    order = np.argsort(times, kind="stable")
    ends = [int(len(order) * share) for share in (0.7, 0.8)]
    first_validation, first_test = (times[order[end]] for end in ends)
    train, test = np.flatnonzero(times < first_validation), np.flatnonzero(times >= first_test)
    between = np.flatnonzero((times >= first_validation) & (times < first_test))
    if not (len(train) and len(between) and len(test)):
        raise InputError("--time: too few different times to hold the latest out")
    return Split(train, between, test)


def _split_as_given(data: OwnData, held_out: Array) -> Split:
    """What the data holds out is tested, MOST_HELD_OUT at most; the rest is learned from, but for what chooses the epoch."""
    rest = np.setdiff1d(np.arange(len(data.targets)), held_out)
    train, validation = next(_parts(data, rest, VALIDATION_PARTS))
    more, fewer = _limit(validation, train)
    return Split(more, fewer, _limit(held_out)[1])


def _folds(data: OwnData, folds: int) -> Iterator[Split]:
    rows = np.arange(len(data.targets))
    for rest, test in _parts(data, rows, folds):
        train, validation = next(_parts(data, rest, VALIDATION_PARTS))
        if data.groups is not None:
            yield Split(train, validation, test)
            continue
        (train, validation), (more, fewer) = _limit(validation, train), _limit(test)
        yield Split(np.sort(np.concatenate([train, more])), validation, fewer)


def _parts(data: OwnData, rows: Array, folds: int) -> Iterator[tuple[Array, Array]]:
    """The rows in two parts as often as there are folds, each row once in the second; classes in proportion, groups whole."""
    groups = None if data.groups is None else data.groups[rows]
    if groups is not None:
        distinct = len(np.unique(groups))
        if distinct < 3:
            raise InputError(
                f"{printable(data.name)}: {distinct} groups; it takes three to train, choose and test by group"
            )
        folds = min(folds, distinct)
    targets = data.targets[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class may have fewer samples than there are folds
        for rest, part in _splitter(data.target.is_class, groups is not None, folds).split(rows, targets, groups):
            yield rows[rest], rows[part]


def _splitter(is_class: bool, grouped: bool, folds: int) -> Any:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    kind = {
        (True, True): StratifiedGroupKFold,
        (True, False): StratifiedKFold,
        (False, True): GroupKFold,
        (False, False): KFold,
    }[is_class, grouped]
    return kind(folds, shuffle=True, random_state=SEED)


def _limit(held_out: Array, train: Array | None = None) -> tuple[Array, Array]:
    """The training samples (none, or `train`) with those that are held out beyond MOST_HELD_OUT, and the rest of these."""
    chosen = np.random.default_rng(SEED).permutation(held_out)
    parts = [chosen[MOST_HELD_OUT:], *([] if train is None else [train])]
    return np.sort(np.concatenate(parts)), np.sort(chosen[:MOST_HELD_OUT])
