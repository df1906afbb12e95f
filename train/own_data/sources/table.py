"""A table as samples: numbers with their gaps, categories as places in lists, and the same as the app's contract says it.

Texts cannot go into a model that devices run, so the lists go into the contract as data: `[input.numbers]` and
`[input.categories]` of `edgeship.toml`. A gap of a number becomes the median of the training rows, and the column stands among
the categories as well, where the empty text is a category of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import MOST_COLUMNS
from edgeship.storage import digest
from edgeship.tables.reading import iterate_batches
from edgeship.tables.schema import ColumnSchema, TableSchema
from edgeship.train.dataset import Array
from edgeship.train.own_data.networks import CATEGORIES, NUMBERS, table_network
from edgeship.train.own_data.samples import OwnData, Prepared, Target
from edgeship.untrusted import printable

MISSING = ""  # the text of a gap
RARE = 3  # training rows from which on a category has a place of its own; rarer ones share that of unknown ones
LEARNED = 20  # rows from which on the vector of unknown categories is one that was trained
UNFIT = "holds infinity, or numbers beyond float32 (3.4e38)"
SHOWN = 12  # columns of a row that a card shows


@dataclass(frozen=True)
class ColumnData:
    """A column: `array` of shape (n,) is float with NaN, datetime64, or int32 places in its `texts`."""

    array: Array
    texts: tuple[str, ...] = ()

    @property
    def names(self) -> Array:
        """The values as texts, shape (n,)."""
        return np.array(self.texts)[self.array] if self.texts else self.array.astype(str)


@dataclass(frozen=True)
class Rows:
    """A table's columns: `numbers` (n, columns), float32 with NaN for gaps; `codes` (n, columns), int32 places in `values`."""

    number_names: tuple[str, ...]
    category_names: tuple[str, ...]
    numbers: Array
    codes: Array
    values: tuple[tuple[str, ...], ...]


def read_table(
    path: Path, schema: TableSchema, label: str, *, group: str | None = None, time: str | None = None
) -> OwnData:
    """A CSV or Parquet file, as its schema has it, whose column `label` is to be predicted.

    Columns of numbers, categories and truth values are learned from, but for those of `group` and `time`; texts and dates are
    not, which the notes tell. Raises InputError for columns that are not there, labels that are missing, and what cannot be
    learned.
    """
    task = schema.find_task(label)
    special = [label, *(name for name in (group, time) if name)]
    for name in special:
        check_complete(path, schema.column(name))
    used, unused = _choose_columns(schema, special)
    if len(used) > MOST_COLUMNS:
        raise InputError(f"{printable(path)}: {len(used):,} columns to learn from, more than {MOST_COLUMNS:,}")
    if not used:
        raise InputError(
            f"{printable(path)}: no column to learn from: {'; '.join(unused) or 'there is none but the label'}"
        )
    if time and schema.column(time).kind not in ("number", "date"):
        raise InputError(
            f"--time {printable(time)}: that column is {schema.column(time).kind}; it takes dates or numbers"
        )
    schema = as_spelled(schema, [*([label] if task == "classification" else []), *([group] if group else [])])
    columns = read_columns(path, schema, [*used, *special], whole=special)
    rows = _collect_rows(schema, used, columns)
    target, targets = read_target(label, columns[label])
    return OwnData(
        kind="table",
        name=path.name,
        target=target,
        targets=targets,
        prepare=partial(_prepare, rows),
        features=lambda chosen: np.concatenate([rows.numbers[chosen], rows.codes[chosen].astype(np.float32)], axis=1),
        describe_row=lambda row: f"row {row + 2}",  # as an editor counts them: the header is row 1
        show_row=partial(_show_row, rows),
        digest=digest.of_path(path),
        preprocessing="rows of texts, as [input.NAME] in inputs.toml says it; what is missing is the empty text",
        groups=columns[group].names if group else None,
        times=columns[time].array if time else None,
        grouped_by=group or "",
        timed_by=time or "",
        categorical=[False] * len(rows.number_names) + [True] * len(rows.category_names),
        trees=True,
        notes=tuple(unused),
    )


def check_complete(path: Path, column: ColumnSchema) -> None:
    """Raise InputError for a column with gaps."""
    if column.missing:
        raise InputError(
            f"{printable(path)}: column '{printable(column.name)}' is missing in {column.missing:,} rows; fill them in or leave "
            "these rows out"
        )


def _choose_columns(schema: TableSchema, special: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of the columns that are learned from, and a note on each other one."""
    used, unused = [], []
    for column in schema.columns:
        if column.name in special:
            continue
        if column.kind in ("text", "date", "ignored"):
            why = "missing throughout" if column.kind == "ignored" and column.missing == schema.rows else column.kind
            unused.append(f"column {printable(column.name)} is not learned from: {why}")
        elif column.statistics is not None and not column.statistics.fits_model:
            raise InputError(f"column '{printable(column.name)}' {UNFIT}; mend it, or set it to missing")
        elif printable(column.name) != column.name:
            raise InputError(f"column '{printable(column.name)}' has a name that cannot be shown; rename it")
        else:
            used.append(column.name)
    return used, unused


def as_spelled(schema: TableSchema, texts: Sequence[str]) -> TableSchema:
    """The schema with truth values, and the columns `texts`, as what is written in the file."""
    columns = (
        replace(column, kind="category") if column.kind == "boolean" or column.name in texts else column
        for column in schema.columns
    )
    return replace(schema, columns=tuple(columns))


def read_columns(
    path: Path, schema: TableSchema, names: Sequence[str], *, whole: Sequence[str] = ()
) -> dict[str, ColumnData]:
    """Each column as one array, numbers as float32, but for those in `whole`; no more than a batch of rows is held as text."""
    parts: dict[str, list[Array]] = {name: [] for name in names}
    kinds = {name: schema.column(name).kind for name in names}
    places: dict[str, dict[str, int]] = {name: {} for name in names if kinds[name] in ("category", "text")}
    for batch in iterate_batches(path, schema, list(parts)):
        for name, arrays in parts.items():
            column = batch.column(name)
            if name in places:
                arrays.append(_encode_texts(column, places[name]))
            else:
                array = column.to_numpy(zero_copy_only=False)
                arrays.append(array.astype(np.float32) if kinds[name] == "number" and name not in whole else array)
    return {name: ColumnData(np.concatenate(parts.pop(name)), tuple(places.get(name, ()))) for name in [*parts]}


def _encode_texts(column: Any, places: dict[str, int]) -> Array:
    """An arrow array of texts as int32 places, to which new texts are added; a gap is the empty text."""
    encoded = column.dictionary_encode()
    numbers = [places.setdefault(text, len(places)) for text in encoded.dictionary.to_pylist()]
    gap = places.setdefault(MISSING, len(places)) if column.null_count else -1
    indices = encoded.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
    places_of_rows: Array = np.array([*numbers, gap], np.int32)[indices]
    return places_of_rows


def _collect_rows(schema: TableSchema, used: Sequence[str], columns: Mapping[str, ColumnData]) -> Rows:
    numbers = tuple(name for name in used if schema.column(name).kind == "number")
    categories = tuple(name for name in used if name not in numbers)
    count = len(columns[used[0]].array)
    return Rows(
        numbers,
        categories,
        np.stack([columns[name].array for name in numbers], 1) if numbers else np.empty((count, 0)),
        np.stack([columns[name].array for name in categories], 1) if categories else np.empty((count, 0), np.int32),
        tuple(columns[name].texts for name in categories),
    )


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


def _prepare(rows: Rows, train: Array) -> Prepared:
    """The model's inputs, with the medians and the categories of the training rows."""
    lists = [_list_values(texts, rows.codes[train, place]) for place, texts in enumerate(rows.values)]
    columns = [_category_column(name, item) for name, item in zip(rows.category_names, lists, strict=True)]
    parts = [item.places[rows.codes[:, place]] for place, item in enumerate(lists)]
    inputs: dict[str, Array] = {}
    forms: dict[str, dict[str, Any]] = {}
    if rows.number_names:
        with_gaps = np.asarray(np.isnan(rows.numbers).any(axis=0))
        medians = _medians(rows, train)
        inputs[NUMBERS] = np.where(np.isnan(rows.numbers), medians, rows.numbers).astype(np.float32)
        forms[NUMBERS] = {"kind": "table", "columns": _number_columns(rows.number_names, medians, with_gaps)}
        for place in np.flatnonzero(with_gaps):
            columns.append({"name": rows.number_names[place], "kind": "category", "values": [MISSING], "unknown": 1})
            parts.append((~np.isnan(rows.numbers[:, place])).astype(np.int32))
    offsets = np.cumsum([0, *(len(column["values"]) + 1 for column in columns)])
    if columns:
        inputs[CATEGORIES] = (np.stack(parts, 1) + offsets[:-1]).astype(np.int32)
        forms[CATEGORIES] = {"kind": "table", "columns": columns, "add": [float(offset) for offset in offsets[:-1]]}
    unknown = [(int(offset), item) for offset, item in zip(offsets, lists, strict=False) if item.unknown < LEARNED]
    build = partial(table_network, entries=int(offsets[-1]))
    return Prepared(inputs, forms, build, partial(_set_unknown_vectors, unknown))


def _medians(rows: Rows, train: Array) -> Array:
    """The medians of the training rows, float32. Raises InputError for a column without any value in them."""
    known = ~np.isnan(rows.numbers[train])
    if not known.any(axis=0).all():
        name = rows.number_names[int(np.flatnonzero(~known.any(axis=0))[0])]
        raise InputError(
            f"column '{printable(name)}' is missing in all training rows; leave it out (data.toml: ignored)"
        )
    medians: Array = np.nanmedian(rows.numbers[train], axis=0).astype(np.float32)
    return medians


def _number_columns(names: Sequence[str], medians: Array, with_gaps: Array) -> list[dict[str, Any]]:
    return [
        {"name": name, "kind": "number", **({"missing": float(median)} if gaps else {})}
        for name, median, gaps in zip(names, medians, with_gaps, strict=True)
    ]


@dataclass(frozen=True)
class _ValueList:
    """A category's `values`, with their `counts` in the training rows, where `unknown` rows have others.

    `places` (int32) says for each text of the file which value it is.
    """

    values: tuple[str, ...]
    counts: Array
    places: Array
    unknown: int


def _list_values(texts: Sequence[str], codes: Array) -> _ValueList:
    counts = np.bincount(codes, minlength=len(texts))
    shown = np.array([printable(text) == text for text in texts], bool)
    common = np.flatnonzero((counts >= RARE) & shown)
    common = common if len(common) else np.array([counts.argmax()])
    places = np.full(len(texts), len(common), np.int32)
    places[common] = np.arange(len(common))
    return _ValueList(
        tuple(texts[place] for place in common.tolist()), counts[common], places, int(len(codes) - counts[common].sum())
    )


def _category_column(name: str, item: _ValueList) -> dict[str, Any]:
    return {"name": name, "kind": "category", "values": list(item.values), "unknown": len(item.values)}


def _set_unknown_vectors(lists: Sequence[tuple[int, _ValueList]], model: Any) -> None:
    """Give categories that training had few of the mean vector of the others, so that they count as an average row does."""
    for offset, item in lists:
        layer = model.get_layer("vectors")
        (vectors,) = layer.get_weights()
        own = vectors[offset : offset + len(item.values)]
        vectors[offset + len(item.values)] = np.average(own, axis=0, weights=item.counts)
        layer.set_weights([vectors])


def _show_row(rows: Rows, row: int) -> str:
    """What is in a row, for people."""
    texts = [f"{name}={value:g}" for name, value in zip(rows.number_names, rows.numbers[row], strict=True)]
    places = zip(rows.category_names, rows.values, rows.codes[row], strict=True)
    texts += [f"{name}={values[code] or 'missing'}" for name, values, code in places]
    return ", ".join(texts[:SHOWN]) + (", ..." if len(texts) > SHOWN else "")
