from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship.train.dataset import Split, digest_of, split_stratified


@given(
    labels=st.lists(st.integers(0, 4), min_size=50, max_size=300),
    sizes=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 1000),
)
def test_stratified_parts_are_disjoint_and_lose_nothing(labels: list[int], sizes: tuple[int, int], seed: int) -> None:
    parts = split_stratified(np.array(labels), sizes, seed)
    assert len(parts) == len(sizes) + 1
    assert sorted(itertools.chain(*(part.tolist() for part in parts))) == list(range(len(labels)))


def test_stratified_parts_keep_the_classes_in_proportion() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    validation, calibration, rest = split_stratified(labels, (100, 50), 0)
    assert np.bincount(labels[validation]).tolist() == [60, 30, 10]
    assert np.bincount(labels[calibration]).tolist() == [30, 15, 5]
    assert len(rest) == 850


def test_the_seed_fixes_the_parts() -> None:
    labels = np.arange(1000) % 10
    first, again, other = (split_stratified(labels, (100,), seed)[0] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_a_digest_is_of_content_not_of_memory_layout() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert digest_of(array) == digest_of(np.asfortranarray(array))
    other_array = array.copy()
    other_array[1, 1] ^= 1
    different = [digest_of(array), digest_of(array.T), digest_of(array.astype(np.int16)), digest_of(other_array)]
    assert len(set(different)) == len(different)


def test_a_split_with_too_few_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="3 inputs, 2 labels"):
        Split(np.zeros((3, 1)), np.zeros(2, np.int64), np.arange(3))
