from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeship.errors import InputError
from edgeship.train.own_data import protocol
from edgeship.train.own_data.networks import TABLE_SIZES
from edgeship.train.own_data.protocol import ProtocolOptions, choose_splits, inner_splits
from edgeship.train.own_data.samples import OwnData, Prepared, Target


def make_data(targets: Any, **more: Any) -> OwnData:
    count = len(targets)
    labels = tuple(map(str, range(int(targets.max()) + 1))) if targets.dtype.kind == "i" else ()
    return OwnData(
        "table", "made up", Target("label", labels), targets, lambda _: Prepared({}, {}, lambda *_: None, TABLE_SIZES),
        lambda rows: np.zeros((count, 1)), str, "", "", **more,
    )  # fmt: skip


def draw_classes(count: int, classes: int = 3) -> Any:
    return np.random.default_rng(1).integers(0, classes, count)


@pytest.mark.parametrize(("count", "folds"), [(60, 5), (1199, 5), (1200, 3), (1797, 4)])
def test_few_samples_are_each_tested_once(count: int, folds: int) -> None:
    how, splits = choose_splits(make_data(draw_classes(count)))
    assert (how.method, how.folds, len(splits)) == ("k-fold", folds, folds)
    assert f"{count:,} samples are few" in how.reason
    np.testing.assert_array_equal(np.sort(np.concatenate([split.test for split in splits])), np.arange(count))
    for split in splits:
        parts = np.concatenate([split.train, split.validation, split.test])
        np.testing.assert_array_equal(np.sort(parts), np.arange(count))


def test_folds_are_repeated_with_other_splits() -> None:
    how, splits = choose_splits(make_data(draw_classes(3000)), ProtocolOptions(folds=4, repeats=3))
    assert (how.method, how.folds, how.repeats, len(splits)) == ("repeated k-fold", 4, 3, 12)
    for repeat in range(3):
        rows = np.concatenate([split.test for split in splits[4 * repeat : 4 * repeat + 4]])
        np.testing.assert_array_equal(np.sort(rows), np.arange(3000))
    assert not np.array_equal(splits[0].test, splits[4].test)
    how, splits = choose_splits(make_data(draw_classes(3000)), ProtocolOptions(folds=10))
    assert (how.method, how.reason, len(splits)) == ("k-fold", "asked for: 10 folds", 10)


def test_folds_that_cannot_be_made_are_refused() -> None:
    groups = (np.arange(60) % 4).astype(str)
    for more, folds, why in (
        ({}, 50, "--folds 50 of .* samples in the largest class"),
        ({"groups": groups, "grouped_by": "box"}, 5, "--folds 5 of 4 groups of box"),
        ({"times": np.arange(60), "timed_by": "day"}, 3, "do not go with --time"),
    ):
        with pytest.raises(InputError, match=why):
            choose_splits(make_data(draw_classes(60), **more), ProtocolOptions(folds=folds))


@pytest.mark.parametrize("grouped", [False, True])
def test_trials_are_judged_on_samples_that_are_not_tested(grouped: bool) -> None:
    groups = {"groups": (np.arange(300) // 10).astype(str), "grouped_by": "box"} if grouped else {}
    data = make_data(draw_classes(300), **groups)
    for split in choose_splits(data)[1]:
        found = inner_splits(data, split, 3)
        assert len(found) == 3
        for part, own in zip(found[0], (split.train, split.validation), strict=True):
            np.testing.assert_array_equal(part, own)
        for train, validation in found:
            assert validation is not None
            assert not set(split.test) & {*train, *validation} and not {*train} & {*validation}
        validated = [validation for _, validation in found if validation is not None]
        assert len(np.unique(np.concatenate(validated))) == sum(map(len, validated))


@pytest.mark.parametrize("grouped", [False, True])
def test_few_rows_of_a_table_validate_one_another(grouped: bool) -> None:
    """All that is not tested is learned from, in parts of all classes, with no group in two of them."""
    groups = {"groups": (np.arange(300) // 10).astype(str), "grouped_by": "box"} if grouped else {}
    data = make_data(draw_classes(300), crossed_below=2000, **groups)
    for split in choose_splits(data)[1]:
        ((rows, validation),) = inner_splits(data, split, 3)
        assert validation is None
        np.testing.assert_array_equal(rows, np.setdiff1d(np.arange(300), split.test))
        parts = protocol.part_rows(data, rows, 4)
        shares = [data.targets[rows[parts == part]].mean() for part in range(4)]
        assert max(shares) - min(shares) < (0.2 if grouped else 0.05)
        if grouped:
            pairs = set(zip(data.groups[rows], parts, strict=True)) if data.groups is not None else set()
            assert len(pairs) == len({group for group, _ in pairs})


def test_what_comes_later_validates_also_few_rows() -> None:
    data = make_data(draw_classes(300), crossed_below=2000, times=np.arange(300), timed_by="day")
    ((rows, validation),) = inner_splits(data, choose_splits(data)[1][0], 3)
    assert validation is not None and rows.max() < validation.min()


def test_of_many_samples_one_part_is_held_out_and_no_more_than_is_of_use() -> None:
    how, (split,) = choose_splits(make_data(draw_classes(2000)))
    assert (how.method, len(split.test)) == ("hold-out", 400)
    _, (large,) = choose_splits(make_data(draw_classes(200_000)))
    assert len(large.test) == len(large.validation) == protocol.MOST_HELD_OUT
    assert len(np.unique(np.concatenate([large.train, large.validation, large.test]))) == 200_000


def test_classes_keep_their_proportion() -> None:
    targets = (np.arange(1000) % 10 == 0).astype(np.int64)
    _, splits = choose_splits(make_data(targets))
    assert {int(targets[split.test].sum()) for split in splits} == {20}


@pytest.mark.parametrize("values", [draw_classes(900), draw_classes(900).astype(np.float32)])
def test_no_group_is_in_two_splits(values: Any) -> None:
    groups = np.random.default_rng(2).integers(0, 30, 900).astype(str)
    how, splits = choose_splits(make_data(values, groups=groups, grouped_by="patient"))
    assert how.unit == "groups (patient), none of them in two parts"
    for split in splits:
        sides = [set(groups[rows]) for rows in (split.train, split.validation, split.test)]
        assert sum(map(len, sides)) == len(set.union(*sides)) and all(sides)
    with pytest.raises(InputError, match="2 groups; it takes three"):
        choose_splits(make_data(values, groups=np.where(groups < "2", "a", "b"), grouped_by="patient"))


def test_the_latest_are_tested() -> None:
    rows = 500
    times = np.random.default_rng(3).permutation(np.repeat(np.arange(rows // 5), 5))
    how, (split,) = choose_splits(make_data(draw_classes(rows), times=times, timed_by="day"))
    assert how.unit == "time (day)"
    assert times[split.train].max() < times[split.validation].min()
    assert times[split.validation].max() < times[split.test].min()
    assert len(split.test) == rows // 5
    with pytest.raises(InputError, match="too few different times"):
        choose_splits(make_data(draw_classes(rows), times=np.zeros(rows), timed_by="day"))


def test_the_same_data_is_split_alike_and_a_rare_class_is_refused() -> None:
    data = make_data(draw_classes(300))
    first, second = (choose_splits(data)[1] for _ in range(2))
    np.testing.assert_array_equal(first[0].test, second[0].test)
    rare = replace(data, targets=np.where(np.arange(300) < 2, 2, data.targets % 2))
    with pytest.raises(InputError, match="class '2' has 2 samples"):
        choose_splits(rare)
