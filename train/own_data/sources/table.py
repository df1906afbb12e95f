"""A table as samples: numbers with their gaps, categories as places in lists, and the same as the app's contract says it.

Texts cannot go into a model that devices run, so the lists go into the contract as data: `[input.numbers]` and
`[input.categories]` of `edgeship.toml`. A gap of a number becomes the median of the training rows, and the column stands among
the categories as well, where the empty text is a category of its own. A day becomes its place in a list of days: `[input.dates]`.
A text becomes the ids of its words, in an input of its own (`texts`).
"""

from __future__ import annotations

from collections.abc import Sequence
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
from edgeship.tables.schema import TableSchema
from edgeship.train.dataset import Array
from edgeship.train.own_data.networks import (
    CATEGORIES,
    CROSSED_BELOW,
    DATES,
    MANY_ROWS,
    NUMBERS,
    TABLE_STEPS,
    VECTORS,
    table_network,
    table_sizes,
)
from edgeship.train.own_data.samples import STEPS, OwnData, Prepared
from edgeship.train.own_data.sources.columns import (
    MISSING,
    UNFIT,
    ColumnData,
    ColumnParts,
    as_spelled,
    check_complete,
    encode_texts,
    read_target,
)
from edgeship.train.own_data.sources.dates import (
    FEATURES,
    WHY_NOT,
    DateColumn,
    build_calendar,
    describe_days,
    read_days,
    show_day,
)
from edgeship.train.own_data.sources.texts import BUCKETS, MOST_WORDS, TextColumn, TextParts
from edgeship.untrusted import printable

RARE = 3  # training rows from which on a category has a place of its own; rarer ones share that of unknown ones
LEARNED = 20  # rows from which on the vector of unknown categories is one that was trained
SHOWN = 12  # columns of a row that a card shows


@dataclass(frozen=True)
class Rows:
    """A table's `dates`, `texts`, `numbers`, float32 with NaN for gaps, and `codes`, int32 places in `values`: (n, columns)."""

    number_names: tuple[str, ...]
    category_names: tuple[str, ...]
    numbers: Array
    codes: Array
    values: tuple[tuple[str, ...], ...]
    dates: tuple[DateColumn, ...] = ()
    texts: tuple[TextColumn, ...] = ()

    def word_ids(self, chosen: Array) -> list[Array]:
        """The ids of the words of some rows' texts, int32 (rows, words) a column."""
        return [item.pad(chosen, MOST_WORDS) for item in self.texts]

    def features(self, chosen: Array) -> Array:
        """What baselines take of some rows, float32 with NaN for gaps."""
        days = [describe_days(item, chosen) for item in self.dates]
        return np.concatenate([self.numbers[chosen], *days, self.codes[chosen].astype(np.float32)], axis=1)


def read_table(
    path: Path, schema: TableSchema, label: str, *, group: str | None = None, time: str | None = None
) -> OwnData:
    """A CSV or Parquet file, as its schema has it, whose column `label` is to be predicted.

    Columns of numbers, categories, truth values, days and texts are learned from, but for those of `group` and `time`; moments
    of a day are not, which the notes tell. Raises InputError for columns that are not there, labels that are missing, and what
    cannot be learned.
    """
    task = schema.find_task(label)
    special = [label, *(name for name in (group, time) if name)]
    for name in special:
        check_complete(path, schema.column(name))
    used, unused = _choose_columns(schema, special)
    if len(used) > MOST_COLUMNS:
        raise InputError(f"{printable(path)}: {len(used):,} columns to learn from, more than {MOST_COLUMNS:,}")
    if time and schema.column(time).kind not in ("number", "date"):
        raise InputError(
            f"--time {printable(time)}: that column is {schema.column(time).kind}; it takes dates or numbers"
        )
    days = [name for name in used if schema.column(name).kind == "date"]
    texts = [*([label] if task == "classification" else []), *([group] if group else []), *days]
    rows, columns = _read_rows(path, as_spelled(schema, texts), used, special, days)
    unused += [
        f"column {printable(name)} is not learned from: {WHY_NOT}"
        for name in days
        if name not in {item.name for item in rows.dates}
    ]
    excluded = {item.name: why for item in rows.texts if (why := item.find_exclusion())}
    unused += [f"column {printable(name)} is not learned from: {why}" for name, why in excluded.items()]
    rows = replace(rows, texts=tuple(item for item in rows.texts if item.name not in excluded))
    if not (rows.number_names or rows.category_names or rows.dates or rows.texts):
        raise InputError(
            f"{printable(path)}: no column to learn from: {'; '.join(unused) or 'there is none but the label'}"
        )
    target, targets = read_target(label, columns[label])
    return OwnData(
        kind="table",
        name=path.name,
        target=target,
        targets=targets,
        prepare=partial(_prepare, rows),
        features=rows.features,
        word_ids=rows.word_ids,
        describe_row=lambda row: f"row {row + 2}",  # as an editor counts them: the header is row 1
        show_row=partial(_show_row, rows),
        digest=digest.of_path(path),
        preprocessing="rows of texts, as [input.NAME] in inputs.toml says it; what is missing is the empty text",
        groups=columns[group].names if group else None,
        times=columns[time].array if time else None,
        grouped_by=group or "",
        timed_by=time or "",
        categorical=[False] * (len(rows.number_names) + FEATURES * len(rows.dates)) + [True] * len(rows.category_names),
        trees=True,
        crossed_below=_crossed_below(rows),
        notes=tuple(unused),
    )


def _choose_columns(schema: TableSchema, special: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of the columns that are learned from, and a note on each other one."""
    used, unused = [], []
    for column in schema.columns:
        if column.name in special:
            continue
        if column.kind == "ignored":
            why = "missing throughout" if column.kind == "ignored" and column.missing == schema.rows else column.kind
            unused.append(f"column {printable(column.name)} is not learned from: {why}")
        elif column.statistics is not None and not column.statistics.fits_model:
            raise InputError(f"column '{printable(column.name)}' {UNFIT}; mend it, or set it to missing")
        elif printable(column.name) != column.name:
            raise InputError(f"column '{printable(column.name)}' has a name that cannot be shown; rename it")
        else:
            used.append(column.name)
    return used, unused


def _read_rows(
    path: Path, schema: TableSchema, used: Sequence[str], special: Sequence[str], days: Sequence[str]
) -> tuple[Rows, dict[str, ColumnData]]:
    """The columns `used` side by side, `days` among them, and those of `special` apart; large tables are not copied."""
    numbers = tuple(name for name in used if schema.column(name).kind == "number")
    written = TextParts([name for name in used if schema.column(name).kind == "text"])
    categories = tuple(name for name in used if name not in (*numbers, *written.names))
    values = np.empty((schema.rows, len(numbers)), np.float32)
    codes = np.empty((schema.rows, len(categories)), np.int32)
    places: dict[str, dict[str, int]] = {name: {} for name in categories}
    apart = ColumnParts(schema, special, special)
    start = 0
    for batch in iterate_batches(path, schema, [*used, *special]):
        apart.add(batch)
        written.add(batch)
        here = slice(start, start + batch.num_rows)
        for place, name in enumerate(numbers):
            values[here, place] = batch.column(name).to_numpy(zero_copy_only=False)
        for place, name in enumerate(categories):
            codes[here, place] = encode_texts(batch.column(name), places[name])
        start += batch.num_rows
    texts = {name: tuple(places[name]) for name in categories}
    found = [read_days(name, texts[name], codes[:, categories.index(name)]) for name in days]
    named = [place for place, name in enumerate(categories) if name not in days]
    rows = Rows(
        numbers,
        tuple(categories[place] for place in named),
        values,
        codes[:, named] if days else codes,
        tuple(texts[categories[place]] for place in named),
        tuple(item for item in found if item is not None),
        written.join(),
    )
    return rows, apart.join()


def _prepare(rows: Rows, train: Array) -> Prepared:
    """The model's inputs, with the medians and the categories of the training rows."""
    lists = [_list_values(texts, rows.codes[train, place]) for place, texts in enumerate(rows.values)]
    columns = [_category_column(name, item) for name, item in zip(rows.category_names, lists, strict=True)]
    parts = [item.places[rows.codes[:, place]] for place, item in enumerate(lists)]
    inputs: dict[str, Array] = {}
    forms: dict[str, dict[str, Any]] = {}
    if rows.number_names:
        with_gaps = np.array([np.isnan(column).any() for column in rows.numbers.T])
        medians = _medians(rows, train)
        inputs[NUMBERS] = _fill_gaps(rows.numbers, medians, with_gaps)
        forms[NUMBERS] = {"kind": "table", "columns": _number_columns(rows.number_names, medians, with_gaps)}
        for place in np.flatnonzero(with_gaps):
            columns.append({"name": rows.number_names[place], "kind": "category", "values": [MISSING], "unknown": 1})
            parts.append((~np.isnan(rows.numbers[:, place])).astype(np.int32))
    offsets = np.cumsum([0, *(len(column["values"]) + 1 for column in columns)])
    if columns:
        inputs[CATEGORIES] = (np.stack(parts, 1) + offsets[:-1]).astype(np.int32)
        forms[CATEGORIES] = {"kind": "table", "columns": columns, "add": [float(offset) for offset in offsets[:-1]]}
    calendars = [build_calendar(item, train) for item in rows.dates]
    if calendars:
        starts = np.cumsum([0, *(len(item.table) for item in calendars)])[:-1]
        inputs[DATES] = (np.stack([item.places for item in calendars], 1) + starts).astype(np.int32)
        forms[DATES] = {
            "kind": "table",
            "columns": [item.column for item in calendars],
            "add": [float(start) for start in starts],
        }
    for text in rows.texts:
        inputs[text.input_name] = text.pad(np.arange(len(text.starts) - 1), text.choose_words(train))
        forms[text.input_name] = {"kind": "text", "buckets": BUCKETS, "column": text.name}
    unknown = [(int(offset), item) for offset, item in zip(offsets, lists, strict=False) if item.unknown < LEARNED]
    calendar = np.concatenate([item.table for item in calendars]) if calendars else None
    buckets = {item.input_name: BUCKETS for item in rows.texts}
    entries, apart = int(offsets[-1]), len(train) < _crossed_below(rows)
    build = partial(table_network, entries=entries, calendar=calendar, apart=apart, buckets=buckets)
    sizes = table_sizes(len(train), len(rows.number_names))
    steps = TABLE_STEPS if len(train) >= MANY_ROWS and not rows.texts else STEPS
    return Prepared(inputs, forms, build, sizes, partial(_set_unknown_vectors, unknown), steps)


def _crossed_below(rows: Rows) -> int:
    """Training rows from which on a part only validates. Vectors of words want all rows, and those of one branch for all."""
    return MANY_ROWS if rows.texts else CROSSED_BELOW


def _medians(rows: Rows, train: Array) -> Array:
    """The medians of the training rows, float32. Raises InputError for a column without any value in them."""
    medians = np.empty(len(rows.number_names), np.float32)
    for place, name in enumerate(rows.number_names):
        values = rows.numbers[train, place]
        known = values[~np.isnan(values)]
        if not len(known):
            raise InputError(
                f"column '{printable(name)}' is missing in all training rows; leave it out (data.toml: ignored)"
            )
        medians[place] = np.median(known)
    return medians


def _fill_gaps(numbers: Array, medians: Array, with_gaps: Array) -> Array:
    """The numbers with the medians in their gaps; where there are none they are not copied."""
    if not with_gaps.any():
        return numbers
    filled = numbers.copy()
    for place in np.flatnonzero(with_gaps):
        filled[np.isnan(filled[:, place]), place] = medians[place]
    return filled


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
        for layer in (layer for layer in model.layers if layer.name.startswith(VECTORS)):
            (vectors,) = layer.get_weights()
            own = vectors[offset : offset + len(item.values)]
            vectors[offset + len(item.values)] = np.average(own, axis=0, weights=item.counts)
            layer.set_weights([vectors])


def _show_row(rows: Rows, row: int) -> str:
    """What is in a row, for people."""
    texts = [f"{name}={value:g}" for name, value in zip(rows.number_names, rows.numbers[row], strict=True)]
    places = zip(rows.category_names, rows.values, rows.codes[row], strict=True)
    texts += [f"{name}={values[code] or 'missing'}" for name, values, code in places]
    texts += [f"{item.name}={show_day(item, row)}" for item in rows.dates]
    texts = [f"{item.name}={item.show(row)}" for item in rows.texts] + texts
    return ", ".join(texts[:SHOWN]) + (", ..." if len(texts) > SHOWN else "")
