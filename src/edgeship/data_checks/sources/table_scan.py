"""One pass over the rows of a table: hashes of rows and columns, histograms, groups, and drawn rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data_checks.methods.duplicates import GAP, combine_columns, hash_numbers, hash_text, mix_bits
from edgeship.data_checks.methods.features import Array
from edgeship.data_checks.split import draw_samples
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.tables.reading import iterate_batches
from edgeship.tables.schema import NumberStatistics, TableSchema
from edgeship.untrusted import printable

DRAWN = 10_000  # rows that models and tests take
COMPARED = 100_000  # rows whose neighbours are counted
BINS = 24


@dataclass(frozen=True)
class TableScan:
    """What one pass found. `columns`: values of the drawn rows by column, numbers as float64, others as texts or None.

    `row_hashes` of shape (rows,); `column_hashes` of shape (at most 100,000, columns); `fingerprints` by column: equal
    where two columns of a kind hold the same; `histograms`: counts of 24 bins from the least to the greatest number;
    `values`: counts of the values of `counted` columns; `missing` values by column.
    """

    rows: int
    drawn: Array
    columns: Mapping[str, Any]
    row_hashes: Array
    column_hashes: Array
    fingerprints: Mapping[str, int]
    histograms: Mapping[str, Array]
    values: Mapping[str, Counter[str]]
    missing: Mapping[str, int]


def scan_table(path: Path, schema: TableSchema, rows: int, counted: Sequence[str] = ()) -> TableScan:
    """Read a table of that many rows once. Raises InputError as `iterate_batches` does."""
    scan = _Scan(schema, rows, counted)
    for batch in iterate_batches(path, schema):
        scan.add(batch)
    if scan.start != rows:
        raise InputError(f"{printable(path)}: changed while it was read")
    columns = {name: _join(parts) for name, parts in scan.parts.items()}
    compared = np.concatenate(scan.compared) if scan.compared else np.empty((0, len(columns)), np.uint64)
    fingerprints = {name: int(value) for name, value in scan.fingerprints.items()}
    return TableScan(
        rows,
        scan.drawn,
        columns,
        scan.row_hashes,
        compared,
        fingerprints,
        scan.histograms,
        scan.values,
        scan.missing,
    )


class _Scan:
    def __init__(self, schema: TableSchema, rows: int, counted: Sequence[str]) -> None:
        self.schemas = [column for column in schema.columns if column.kind != "ignored"]
        self.drawn, self.chosen = draw_samples(rows, DRAWN), draw_samples(rows, COMPARED)
        self.start = 0
        self.row_hashes = np.zeros(rows, np.uint64)
        self.compared: list[Array] = []
        self.parts: dict[str, list[Any]] = {column.name: [] for column in self.schemas}
        self.fingerprints = {column.name: np.uint64(0) for column in self.schemas}
        self.histograms = {c.name: np.zeros(BINS, np.int64) for c in self.schemas if c.statistics is not None}
        self.values: dict[str, Counter[str]] = {name: Counter() for name in counted}
        self.missing: dict[str, int] = dict.fromkeys(self.parts, 0)
        self.known: dict[str, dict[str | None, int]] = {column.name: {} for column in self.schemas}

    def add(self, batch: Any) -> None:
        stop = self.start + batch.num_rows
        hashes = np.empty((batch.num_rows, len(self.schemas)), np.uint64)
        here = self.drawn[slice(*np.searchsorted(self.drawn, (self.start, stop)))] - self.start
        for place, column in enumerate(self.schemas):
            array = batch.column(column.name)
            self.missing[column.name] += array.null_count
            values = as_numbers(array) if column.kind in ("number", "date") else None
            hashes[:, place] = self._hash_texts(column.name, array) if values is None else hash_numbers(values)
            self.parts[column.name].append(array.take(here).to_pylist() if values is None else values[here])
            if column.statistics is not None and values is not None:
                self.histograms[column.name] += count_bins(values, column.statistics)
            if column.name in self.values:
                self._count(column.name, array)
        self._add_hashes(hashes, stop)
        self.start = stop

    def _add_hashes(self, hashes: Array, stop: int) -> None:
        rows = mix_bits(np.arange(self.start, stop, dtype=np.uint64))
        with np.errstate(over="ignore"):
            for place, column in enumerate(self.schemas):
                self.fingerprints[column.name] += mix_bits(hashes[:, place] ^ rows).sum(dtype=np.uint64)
            mixed = combine_columns(hashes)
            self.row_hashes[self.start : stop] = mixed.sum(axis=1, dtype=np.uint64)
        first, last = np.searchsorted(self.chosen, (self.start, stop))
        if last > first:
            self.compared.append(mixed[self.chosen[first:last] - self.start])

    def _hash_texts(self, name: str, array: Any) -> Array:
        """Hashes of texts, each value's once; those of the last batch are at hand."""
        encoded = _as_texts(array).dictionary_encode()
        known = self.known[name]
        texts = encoded.dictionary.to_pylist()
        fresh = {text: known[text] if text in known else hash_text(text) for text in texts}
        self.known[name] = fresh
        table = np.array([*(fresh[text] for text in texts), GAP], np.uint64)
        codes = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
        result: Array = table[codes]
        return result

    def _count(self, name: str, array: Any) -> None:
        pairs = _as_texts(array).drop_null().value_counts()
        self.values[name].update(
            dict(zip(pairs.field("values").to_pylist(), pairs.field("counts").to_pylist(), strict=True))
        )


def as_numbers(array: Any) -> Array:
    """A pyarrow array of numbers or dates as float64; a date is its microseconds since 1970, NaN is missing."""
    import pyarrow as pa

    plain = array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array
    numbers: Array = plain.to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers


def count_bins(values: Array, statistics: NumberStatistics) -> Array:
    """A histogram of 24 equal bins between the least and the greatest finite value, of type int64."""
    low, high = statistics.minimum, statistics.maximum
    finite = values[np.isfinite(values)]
    width = high - low
    if not 0 < width < np.inf:
        return np.bincount(np.zeros(len(finite), np.int64), minlength=BINS)
    places = ((finite - low) * (BINS / width)).astype(np.int64)
    return np.bincount(np.clip(places, 0, BINS - 1), minlength=BINS)


def _as_texts(array: Any) -> Any:
    import pyarrow as pa

    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def _join(parts: Sequence[Any]) -> Any:
    if parts and isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return [value for part in parts for value in part]
