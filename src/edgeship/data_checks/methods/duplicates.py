"""Samples that are there more than once, within a split and across two.

Tables of few values hold equal rows by chance. Where they do, many rows differ in a single column of few values: copies have no
such neighbours. So equal rows count as copies only where there are hardly any.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from edgeship.data_checks.methods.features import Array
from edgeship.light_dataclass import dataclass

BY_CHANCE = 0.05  # equal pairs that chance makes, for each one that is there, from which it explains these
EXAMPLES = 20
GAP = np.uint64(0x9E3779B97F4A7C15)  # of a missing value


@dataclass(frozen=True)
class Copies:
    """Samples that are the same as an earlier one, and pairs of equal ones that chance explains (`by_chance`)."""

    count: int
    by_chance: bool
    examples: tuple[tuple[int, int], ...]


def mix_bits(values: Array) -> Array:
    """A hash of each uint64 (the finalizer of SplitMix64, Steele, Lea and Flood 2014)."""
    result = values.astype(np.uint64)
    with np.errstate(over="ignore"):
        result = (result ^ (result >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        result = (result ^ (result >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return result ^ (result >> np.uint64(31))


def hash_numbers(values: Array) -> Array:
    """A hash of each number (float64, NaN is missing), of type uint64."""
    plain = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, one zero
    return mix_bits(plain.view(np.uint64) + np.uint64(1))


def hash_text(text: str | bytes | None) -> int:
    """A hash of 64 bits."""
    if text is None:
        return int(GAP)
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def combine_columns(hashes: Any) -> Array:
    """Hashes of shape (rows, columns) mixed with their column's place: a row's sum, modulo 2**64, is its own hash."""
    places = mix_bits(np.arange(1, hashes.shape[1] + 1, dtype=np.uint64))
    return mix_bits(hashes ^ places)


def count_pairs(hashes: Array) -> int:
    """Pairs of equal hashes."""
    counts = np.unique(hashes, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def chance_explains(columns: Array) -> bool:
    """Whether equal rows of a table come by chance: `columns` are mixed hashes of shape (rows, columns)."""
    with np.errstate(over="ignore"):
        rows = columns.sum(axis=1, dtype=np.uint64)
        equal = count_pairs(rows)
        expected = sum(_expect_equal(rows - column, column, equal) for column in columns.T)
    return expected > 0 and expected >= BY_CHANCE * equal


def _expect_equal(others: Array, column: Array, equal: int) -> float:
    """Equal pairs that chance makes of those that differ in a column alone: as often as any two rows are equal in it.

    Rows without a number may differ in nothing but a second one; that the two rarely meet tells that equal rows are copies.
    """
    pairs, same = len(column) * (len(column) - 1) // 2, count_pairs(column)
    return (count_pairs(others) - equal) * same / (pairs - same) if same < pairs else 0.0


def find_copies(hashes: Array, columns: Array | None = None) -> Copies:
    """Samples that equal an earlier one by their hashes of shape (n,); `columns`: see `chance_explains`."""
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    pairs = zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True)
    examples = tuple(sorted(pairs)[:EXAMPLES])
    count = int(same.sum())
    return Copies(count, bool(count and columns is not None and chance_explains(columns)), examples)


def find_shared(first: Array, second: Array, columns: Array | None = None) -> Copies:
    """Samples of the second split that are in the first one, too; examples are (index in first, index in second)."""
    shared = np.flatnonzero(np.isin(second, first))
    places = {int(value): index for index, value in reversed(list(enumerate(first)))} if len(shared) else {}
    examples = tuple((places[int(second[index])], int(index)) for index in shared[:EXAMPLES])
    return Copies(len(shared), bool(len(shared) and columns is not None and chance_explains(columns)), examples)
