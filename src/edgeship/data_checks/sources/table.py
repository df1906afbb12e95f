"""The checks of a table: of its columns, and those of every kind of data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data_checks.checks import check_splits
from edgeship.data_checks.judge import MOST_CLASSES, join_names, quote
from edgeship.data_checks.methods.features import Array, Feature, encode_categories
from edgeship.data_checks.methods.words import find_telling_words
from edgeship.data_checks.report import ColumnReport, DataReport, Finding, Severity
from edgeship.data_checks.sources.table_scan import TableScan, scan_table
from edgeship.data_checks.split import Split
from edgeship.errors import InputError
from edgeship.tables.inference import read_schema
from edgeship.tables.reading import is_parquet, iterate_batches
from edgeship.tables.schema import ColumnSchema, TableSchema
from edgeship.tables.schema_file import describe_column
from edgeship.untrusted import printable, shorten_text

MOSTLY_MISSING = 0.5
MOSTLY_NUMBERS = 0.9
DECIMAL_COMMA = re.compile(r"[+-]?\d{1,3}((\.\d{3})*|\d*),\d+")
SHOWN_ROWS = 8
SHOWN_CATEGORIES = 12


def check_table(
    path: Path, label: str | None, evaluation: Path | None, group: str | None
) -> tuple[DataReport, TableSchema]:
    """Check a table, and a second split of it. Raises InputError for what cannot be read or learned from."""
    schema = read_schema(path)
    try:
        task = schema.find_task(label) if label else ""
        if group and schema.column(group).name == label:
            raise InputError(f"{quote(group)} cannot be both the label and the group")
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    spelled = _as_spelled(schema, group)
    scan = scan_table(path, spelled, schema.rows, _counted(label, group, task))
    split = build_split(path, spelled, scan, label, group, task)
    split = replace(split, words=_find_words(spelled, scan, split))
    other = _read_evaluation(evaluation, spelled, label, group, task) if evaluation else None
    result = check_splits(split, other, group or "")
    columns = tuple(_describe(column, scan, schema.rows) for column in schema.columns)
    findings = [finding for column in schema.columns for finding in _judge_column(column, scan, schema.rows)]
    findings += _judge_equal_columns(schema.columns, scan, label)
    report = DataReport(
        path=str(path),
        kind="table",
        samples=schema.rows,
        task=task,
        label=label or "",
        evaluation=str(evaluation or ""),
        findings=(*result.findings, *findings),
        columns=columns,
        classes=dict(split.class_counts),
        scores=result.scores,
        labels=result.labels,
        shifts=result.shifts,
        skipped=result.skipped,
        rows=_sample_rows(scan),
    )
    return report, schema


def _as_spelled(schema: TableSchema, group: str | None) -> TableSchema:
    """The schema with the group as it is written, as in training: float64 takes numbers beyond 2**53 for one another."""
    columns = (
        replace(column, kind="category", statistics=None)
        if column.name == group and column.kind in ("number", "date")
        else column
        for column in schema.columns
    )
    return replace(schema, columns=tuple(columns))


def _counted(label: str | None, group: str | None, task: str) -> list[str]:
    return [name for name in (label if task == "classification" else None, group) if name]


def _read_evaluation(path: Path, schema: TableSchema, label: str | None, group: str | None, task: str) -> Split:
    """The second split, read by the schema of the first."""
    names = [column.name for column in schema.columns if column.kind != "ignored"]
    rows = sum(batch.num_rows for batch in iterate_batches(path, schema, names[:1]))
    if not rows:
        raise InputError(f"{printable(path)}: empty, it holds no row")
    scan = scan_table(path, schema, rows, _counted(label, group, task))
    return build_split(path, schema, scan, label, group, task)


def build_split(
    path: Path, schema: TableSchema, scan: TableScan, label: str | None, group: str | None, task: str
) -> Split:
    """A table's split. Raises InputError for labels that are missing or infinite, and for too few of them."""
    features = tuple(
        _make_feature(column, scan.columns[column.name])
        for column in schema.columns
        if column.name in scan.columns and column.name not in (label, group)
    )
    labels: Array | None = None
    counts: Mapping[str, int] = {}
    if label:
        labels, counts = _read_labels(path, schema.column(label), scan, task)
    groups = None
    if group:
        if group not in scan.columns:
            raise InputError(f"{printable(path)}: group column {quote(group)} is missing throughout, or ignored")
        groups = encode_categories(group, [str(value) for value in scan.columns[group]]).values
    return Split(
        path=str(path),
        samples=scan.rows,
        hashes=scan.row_hashes,
        drawn=scan.drawn,
        features=features,
        label=label or "",
        labels=labels,
        class_counts=tuple(counts.items()),
        groups=groups,
        group_names=frozenset(scan.values[group]) if group else frozenset(),
        column_hashes=scan.column_hashes,
        first_row=1 if is_parquet(path) else 2,
    )


def _find_words(schema: TableSchema, scan: TableScan, split: Split) -> tuple[Feature, ...]:
    """Of each column of texts the words that tell the classes; none of a label that is a number, or has too many classes."""
    if split.labels is None or not 0 < split.classes <= MOST_CLASSES:
        return ()
    texts = {column.name: scan.columns[column.name] for column in schema.columns if column.kind == "text"}
    found = (
        find_telling_words(name, values, split.labels, split.classes)
        for name, values in texts.items()
        if name != split.label
    )
    return tuple(feature for feature in found if feature is not None)


def _make_feature(column: ColumnSchema, values: Any) -> Feature:
    """A column as the checks' models take it: of a text its length."""
    if column.kind in ("number", "date"):
        return Feature(column.name, values)
    if column.kind == "text":
        lengths = [np.nan if value is None else float(len(value)) for value in values]
        return Feature(f"{column.name} (length)", np.array(lengths))
    return encode_categories(column.name, [None if value is None else str(value) for value in values])


def _read_labels(path: Path, column: ColumnSchema, scan: TableScan, task: str) -> tuple[Array, Mapping[str, int]]:
    values, where = scan.columns[column.name], f"{printable(path)}: label {quote(column.name)}"
    if task == "regression":
        infinite = column.statistics.infinite if column.statistics else 0
        missing = int(np.isnan(values).sum())
        if missing or column.missing or infinite:
            count = max(column.missing, missing) + infinite
            raise InputError(
                f"{where}: {count:,} rows have none, or infinity; remove them, nothing is learned from them"
            )
        if column.distinct == 1:
            raise InputError(f"{where}: the same in all rows; there is nothing to predict")
        return np.asarray(values), {}
    counts = dict(sorted(scan.values[column.name].items(), key=lambda item: (-item[1], item[0])))
    missing = scan.rows - sum(counts.values())
    if missing:
        raise InputError(
            f"{where}: {missing:,} of {scan.rows:,} rows have none; remove them, nothing is learned from them"
        )
    if len(counts) < 2:
        raise InputError(f"{where}: one class only, {quote(next(iter(counts)))}; there is nothing to tell apart")
    if scan.rows < 2 * len(counts):
        raise InputError(f"{where}: {len(counts):,} classes in {scan.rows:,} rows; each needs a few")
    places = {name: place for place, name in enumerate(counts)}
    return np.array([places[_class_name(value)] for value in values], np.int64), counts


def _class_name(value: Any) -> str:
    """A class as pyarrow writes it as text: so it is counted."""
    import pyarrow as pa

    if isinstance(value, str):
        return value
    return str(pa.scalar(value).cast(pa.string()).as_py())


def _describe(column: ColumnSchema, scan: TableScan, rows: int) -> ColumnReport:
    statistics = column.statistics
    pairs = list(zip(column.categories, column.counts, strict=True))[:SHOWN_CATEGORIES]
    return ColumnReport(
        name=column.name,
        kind=column.kind,
        missing=column.missing,
        distinct=column.distinct,
        summary=describe_column(column, rows),
        histogram=tuple(scan.histograms[column.name].tolist()) if column.name in scan.histograms else (),
        low=statistics.minimum if statistics else None,
        high=statistics.maximum if statistics else None,
        categories=dict(pairs),
    )


def _judge_column(column: ColumnSchema, scan: TableScan, rows: int) -> list[Finding]:
    """What a column tells by itself."""
    name, names = quote(column.name), (column.name,)
    if column.missing == rows:
        return [Finding("missing", "notice", f"{name} is missing in all rows; it is left out", names)]
    findings = []
    if column.missing >= MOSTLY_MISSING * rows:
        text = f"{name} is missing in {column.missing / rows:.0%} of the rows"
        findings.append(Finding("missing", "notice", text, names))
    if column.distinct == 1 and not column.missing and column.kind != "ignored":
        findings.append(Finding("constant", "notice", f"{name} is the same in all rows; it tells nothing", names))
    infinite = column.statistics.infinite if column.statistics else rows - column.missing
    if column.kind == "number" and infinite:
        findings.append(
            Finding("infinite", "spoils", f"{name} is infinite in {infinite:,} rows; a model makes NaN of it", names)
        )
    elif column.statistics is not None and not column.statistics.fits_model:
        text = f"{name} holds numbers beyond float32 (3.4e38), which models compute in: infinity, to them"
        findings.append(Finding("infinite", "spoils", text, names))
    if column.kind in ("text", "category"):
        findings += _judge_mixed(column, scan.columns[column.name])
    return findings


def _judge_mixed(column: ColumnSchema, values: Sequence[str | None]) -> list[Finding]:
    """A column of numbers that a few texts, or decimal commas, turn into one of texts."""
    present = [value for value in values if value is not None]
    commas = sum(DECIMAL_COMMA.fullmatch(value) is not None for value in present)
    if commas and sum(map(_is_number, present)) + commas >= MOSTLY_NUMBERS * len(present):
        text = f"{quote(column.name)} is {column.kind} for its decimal commas; write its numbers with a point"
        return [Finding("mixed", "spoils", text, (column.name,))]
    odd = Counter(value for value in present if not _is_number(value))
    if not odd or sum(odd.values()) > (1 - MOSTLY_NUMBERS) * len(present):
        return []
    shown = [name for name, _ in odd.most_common(5)]
    spelled = ", ".join(f'"{printable(shorten_text(name, 30))}"' for name in shown)
    text = (
        f"{quote(column.name)} is {column.kind} only for {join_names(shown)}: all else are numbers; mend them, or say "
        f"missing_values = [{spelled}] in data.toml"
    )
    return [Finding("mixed", "spoils", text, (column.name,))]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _judge_equal_columns(columns: Sequence[ColumnSchema], scan: TableScan, label: str | None) -> list[Finding]:
    """Columns of a kind that hold the same; constant ones do anyway."""
    same: dict[tuple[str, int], list[str]] = {}
    for column in columns:
        if column.name in scan.fingerprints and column.distinct != 1:
            same.setdefault((column.kind, scan.fingerprints[column.name]), []).append(column.name)
    findings = []
    for names in (names for names in same.values() if len(names) > 1):
        severity: Severity = "notice"
        text = f"{join_names(names)} hold the same; one of them is enough"
        if label in names:
            severity, text = "spoils", f"{join_names(names)} hold the same, and {quote(label)} is the label"
        findings.append(Finding("equal columns", severity, text, tuple(names)))
    return findings


def _sample_rows(scan: TableScan) -> tuple[Mapping[str, str], ...]:
    """A few rows from all over the table, as text."""
    places = np.unique(np.linspace(0, len(scan.drawn) - 1, SHOWN_ROWS).astype(np.int64)).tolist()
    return tuple({name: _cell(values[place]) for name, values in scan.columns.items()} for place in places)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else shorten_text(value, 60)
