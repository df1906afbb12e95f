"""Columns of a table as arrays: numbers, places in lists of texts, dates; and the column that is the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.tables.reading import iterate_batches
from edgeship.tables.schema import ColumnSchema, TableSchema
from edgeship.train.dataset import Array
from edgeship.train.own_data.samples import Target
from edgeship.untrusted import printable

MISSING = ""  # the text of a gap
UNFIT = "holds infinity, or numbers beyond float32 (3.4e38)"


@dataclass(frozen=True)
class ColumnData:
    """A column: `array` of shape (n,) is float with NaN, datetime64, or int32 places in its `texts`."""

    array: Array
    texts: tuple[str, ...] = ()

    @property
    def names(self) -> Array:
        """The values as texts, shape (n,)."""
        return np.array(self.texts)[self.array] if self.texts else self.array.astype(str)


def check_complete(path: Path, column: ColumnSchema) -> None:
    """Raise InputError for a column with gaps."""
    if column.missing:
        raise InputError(
            f"{printable(path)}: column '{printable(column.name)}' is missing in {column.missing:,} rows; fill them in or leave "
            "these rows out"
        )


def as_spelled(schema: TableSchema, texts: Sequence[str]) -> TableSchema:
    """The schema with truth values, and the columns `texts`, as what is written in the file."""
    columns = (
        replace(column, kind="category") if column.kind == "boolean" or column.name in texts else column
        for column in schema.columns
    )
    return replace(schema, columns=tuple(columns))


class ColumnParts:
    """Columns that grow by batches: numbers as float32, but for those in `whole`."""

    def __init__(self, schema: TableSchema, names: Sequence[str], whole: Sequence[str]) -> None:
        self._kinds = {name: schema.column(name).kind for name in names}
        self._whole = whole
        self._parts: dict[str, list[Array]] = {name: [] for name in names}
        self._places: dict[str, dict[str, int]] = {
            name: {} for name, kind in self._kinds.items() if kind in ("category", "text")
        }

    def add(self, batch: Any) -> None:
        """Add the rows of a pyarrow RecordBatch; no more than these are held as text."""
        for name, arrays in self._parts.items():
            column = batch.column(name)
            if name in self._places:
                arrays.append(encode_texts(column, self._places[name]))
            else:
                array = column.to_numpy(zero_copy_only=False)
                is_short = self._kinds[name] == "number" and name not in self._whole
                arrays.append(array.astype(np.float32) if is_short else array)

    def join(self) -> dict[str, ColumnData]:
        """Each column as one array."""
        return {
            name: ColumnData(np.concatenate(self._parts.pop(name)), tuple(self._places.get(name, ())))
            for name in [*self._parts]
        }


def read_columns(
    path: Path, schema: TableSchema, names: Sequence[str], *, whole: Sequence[str] = ()
) -> dict[str, ColumnData]:
    """Each column as one array, numbers as float32, but for those in `whole`; no more than a batch of rows is held as text."""
    columns = ColumnParts(schema, names, whole)
    for batch in iterate_batches(path, schema, names):
        columns.add(batch)
    return columns.join()


def encode_texts(column: Any, places: dict[str, int]) -> Array:
    """An arrow array of texts as int32 places, to which new texts are added; a gap is the empty text."""
    encoded = column.dictionary_encode()
    numbers = [places.setdefault(text, len(places)) for text in encoded.dictionary.to_pylist()]
    gap = places.setdefault(MISSING, len(places)) if column.null_count else -1
    indices = encoded.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
    places_of_rows: Array = np.array([*numbers, gap], np.int32)[indices]
    return places_of_rows


def read_target(label: str, column: ColumnData) -> tuple[Target, Array]:
    """What is predicted, and the int64 classes or float32 values. Raises InputError where there is nothing to tell apart."""
    if not column.texts:
        with np.errstate(over="ignore"):
            values = column.array.astype(np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"label '{printable(label)}' {UNFIT}; mend it or leave these rows out")
        if not np.ptp(values):
            raise InputError(f"label '{printable(label)}' is always {values[0]:g}; there is nothing to predict")
        return Target(label), values
    names = sort_labels(column.texts)
    if len(names) < 2:
        raise InputError(
            f"label '{printable(label)}' has one class only, '{printable(names[0])}'; it takes two to learn from"
        )
    if any(printable(name) != name or name != name.strip() for name in names):
        raise InputError(f"label '{printable(label)}' has a class whose name cannot be shown; rename it")
    place = {name: number for number, name in enumerate(names)}
    return Target(label, names), np.array([place[text] for text in column.texts], np.int64)[column.array]


def sort_labels(texts: Sequence[str]) -> tuple[str, ...]:
    """Classes in the order of their numbers where all are numbers, else of their letters."""
    try:
        return tuple(sorted(texts, key=float))
    except ValueError:
        return tuple(sorted(texts))
