"""Which samples are learned from and which are held out: by size, by group or by time; the choice is recorded with its reason."""

from __future__ import annotations

import itertools
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
    """Numbers of samples (int64, sorted): the network learns from `train`, `validation` chooses its epoch, `test` judges it.

    What is `seen` is all but the tested.
    """

    train: Array
    validation: Array
    test: Array

    @property
    def seen(self) -> Array:
        """The samples of `train` and `validation`, sorted."""
        both: Array = np.sort(np.concatenate([self.train, self.validation]))
        return both


@dataclass(frozen=True)
class Protocol:
    """How it was split: `method` is hold-out or k-fold, in `folds` parts, by `unit` (samples, a group or a time), and why.

    `repeats`: how often it was split anew into folds.
    """

    method: str
    folds: int
    unit: str
    reason: str
    repeats: int = 1


@dataclass(frozen=True)
class ProtocolOptions:
    """What is asked for: so many `folds` (None: by the size of the data), `repeats` times anew."""

    folds: int | None = None
    repeats: int = 1


def choose_splits(data: OwnData, asked: ProtocolOptions | None = None) -> tuple[Protocol, list[Split]]:
    """The protocol, and its splits, repetition by repetition, of which the first is that of the model that is shipped.

    Raises InputError where there are too few samples, classes or groups for one.
    """
    asked = asked or ProtocolOptions()
    count = len(data.targets)
    if count < max(LEAST_SAMPLES, len(data.target.labels)):
        raise InputError(
            f"{printable(data.name)}: {count} samples, of {len(data.target.labels) or 'no'} classes; it takes at least "
            f"{max(LEAST_SAMPLES, 3 * len(data.target.labels))} to learn anything from"
        )
    _check_classes(data)
    if data.times is not None:
        if asked != ProtocolOptions():
            raise InputError("--folds and --repeats do not go with --time, which tests the latest samples once")
        protocol = Protocol(
            "hold-out", 1, f"time ({data.timed_by})", "the latest fifth is tested, as the future will be"
        )
        return protocol, [_split_by_time(data.times)]
    unit = "samples" if data.groups is None else f"groups ({data.grouped_by}), none of them in two parts"
    if data.held_out is not None:
        protocol = Protocol("hold-out", 1, unit, "the data comes with samples to test on")
        return protocol, [_split_as_given(data, data.held_out)]
    folds = count // GATE_SAMPLES if count >= 3 * GATE_SAMPLES else FOLDS
    if asked.folds is not None or asked.repeats > 1:
        return _repeat_folds(data, asked.folds or FOLDS, asked.repeats, unit)
    if count >= SMALL:
        reason = f"{count:,} samples are enough to hold a part out once"
        return Protocol("hold-out", 1, unit, reason), [next(_folds(data, FOLDS))]
    reason = f"{count:,} samples are few (below {SMALL:,}): each of them is tested once"
    splits = list(_folds(data, folds))
    return Protocol("k-fold", len(splits), unit, reason), splits


def _repeat_folds(data: OwnData, folds: int, repeats: int, unit: str) -> tuple[Protocol, list[Split]]:
    """The folds that were asked for, with a new seed in each repetition."""
    distinct = len(data.targets) if data.groups is None else len(np.unique(data.groups))
    largest = int(np.bincount(data.targets).max()) if data.target.is_class else distinct
    if folds > min(distinct, largest):
        what = "samples" if data.groups is None else f"groups of {data.grouped_by}"
        most = f"{distinct} {what}" if folds > distinct else f"{largest} samples in the largest class"
        raise InputError(f"{printable(data.name)}: --folds {folds} of {most}; give fewer")
    splits = [split for repeat in range(repeats) for split in _folds(data, folds, SEED + repeat)]
    method = "k-fold" if repeats == 1 else "repeated k-fold"
    reason = f"asked for: {folds} folds" + (f", {repeats} times anew" if repeats > 1 else "")
    return Protocol(method, folds, unit, reason, repeats), splits


def inner_splits(data: OwnData, split: Split, most: int) -> list[tuple[Array, Array | None]]:
    """Up to `most` times training and validation rows of what a split does not test; the first are those of the split itself.

    By time there is one: what is later than what is learned from. Of few rows of a table there is one, too, without validation
    rows: all are learned from, each by all but one branch of the network, which validates it.
    """
    if len(split.seen) < data.crossed_below and data.times is None:
        return [(split.seen, None)]
    own = (split.train, split.validation)
    if most == 1 or data.times is not None:
        return [own]
    return [own, *itertools.islice(_parts(data, split.seen, VALIDATION_PARTS), 1, most)]


def part_rows(data: OwnData, rows: Array, parts: int) -> Array:
    """For each of the rows (int64, sorted) its part, int64 below `parts`; classes in proportion, groups whole."""
    found = np.zeros(len(rows), np.int64)
    for part, (_, held_out) in enumerate(_parts(data, rows, parts)):
        found[np.searchsorted(rows, held_out)] = part
    return found


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


def _folds(data: OwnData, folds: int, seed: int = SEED) -> Iterator[Split]:
    rows = np.arange(len(data.targets))
    for rest, test in _parts(data, rows, folds, seed):
        train, validation = next(_parts(data, rest, VALIDATION_PARTS))
        if data.groups is not None:
            yield Split(train, validation, test)
            continue
        (train, validation), (more, fewer) = _limit(validation, train), _limit(test)
        yield Split(np.sort(np.concatenate([train, more])), validation, fewer)


def _parts(data: OwnData, rows: Array, folds: int, seed: int = SEED) -> Iterator[tuple[Array, Array]]:
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
        for rest, part in _splitter(data.target.is_class, groups is not None, folds, seed).split(rows, targets, groups):
            yield rows[rest], rows[part]


def _splitter(is_class: bool, grouped: bool, folds: int, seed: int) -> Any:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    kind = {
        (True, True): StratifiedGroupKFold,
        (True, False): StratifiedKFold,
        (False, True): GroupKFold,
        (False, False): KFold,
    }[is_class, grouped]
    return kind(folds, shuffle=True, random_state=seed)


def _limit(held_out: Array, train: Array | None = None) -> tuple[Array, Array]:
    """The training samples (none, or `train`) with those that are held out beyond MOST_HELD_OUT, and the rest of these."""
    chosen = np.random.default_rng(SEED).permutation(held_out)
    parts = [chosen[MOST_HELD_OUT:], *([] if train is None else [train])]
    return np.sort(np.concatenate(parts)), np.sort(chosen[:MOST_HELD_OUT])
