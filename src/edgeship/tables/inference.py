"""A table's schema, inferred from all of its rows in one pass."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.tables import reading
from edgeship.tables.number_summary import NumberSummary
from edgeship.tables.schema import MOST_DISTINCT, ColumnSchema, Kind, TableSchema
from edgeship.tables.schema_file import FILE, SchemaFile, find_schema_file
from edgeship.untrusted import printable

REPEATS = 2  # how often a value of a category comes at least, on average
TRUE = ("true", "1")


def read_schema(path: Path, stated: SchemaFile | None = None) -> TableSchema:
    """The schema of a CSV or Parquet file. What is `stated`, by default by the `data.toml` beside it, wins.

    A number is what pyarrow takes for one, without leading zeros (a postal code is none); a date is ISO 8601; a category
    has at most 1,000 different values, each twice on average; a column that is missing throughout is ignored. Raises
    InputError for a file that is no table or has no row, and for a value that is not of the kind that data.toml states.
    """
    if not reading.is_table(path):
        raise InputError(f"{printable(path)}: {'not a table' if path.exists() else 'no such file'}; {reading.HINT}")
    stated = stated or find_schema_file(path) or SchemaFile(path.name)
    delimiter = stated.delimiter or ("," if reading.is_parquet(path) else reading.find_delimiter(path))
    names = reading.column_names(path, delimiter)
    for name in stated.kinds:
        if name not in names:
            raise InputError(f"{printable(path.parent / FILE)}: [column.{printable(name)}] is no column of {path.name}")
    columns = {name: _Column(name, stated.kinds.get(name), path) for name in names}
    rows = 0
    for batch in reading.raw_batches(path, names, delimiter, stated.missing_values):
        for name, column in columns.items():
            column.add(batch.column(name))
        rows += batch.num_rows
    if not rows:
        raise InputError(f"{printable(path)}: empty, it holds no row")
    schemas = tuple(column.describe(rows) for column in columns.values())
    return TableSchema(rows, schemas, delimiter, stated.missing_values, stated.task or "")


class _Column:
    """Counts of one column, batch by batch. `candidates`: the kinds that all values so far are of, the likeliest first."""

    def __init__(self, name: str, stated: Kind | None, path: Path) -> None:
        self.name, self.stated, self.path = name, stated, path
        self.candidates: list[Kind] = [stated] if stated else ["number", "boolean", "date"]
        self.present = 0
        self.values: Counter[str] | None = Counter()
        self.zoned: bool | None = None
        self.numbers = NumberSummary()

    def add(self, array: Any) -> None:
        """Count an array of text, or of what a Parquet file has."""
        pa = reading.import_pyarrow()
        array = reading.without_nan(reading.plain_array(array)).drop_null()
        if not len(array):
            return
        if not self.present and not self.stated and not pa.types.is_string(array.type):
            self.candidates = self._kinds_of_type(array.type)
        self.present += len(array)
        self.candidates = [kind for kind in self.candidates if self._fits(array, kind)]
        if self.stated and not self.candidates:
            value = reading.first_misfit(array, reading.arrow_type(self.stated, zoned=bool(self.zoned)))
            raise InputError(
                f"{printable(self.path)}: column '{printable(self.name)}' is stated as {self.stated} in {FILE}, and holds "
                f"'{printable(value)[:40]}'"
            )
        if self.values is not None and self.stated != "ignored":
            self._count_values(array)

    def _kinds_of_type(self, kind: Any) -> list[Kind]:
        pa = reading.import_pyarrow()
        tests = pa.types
        if tests.is_integer(kind) or tests.is_floating(kind) or tests.is_decimal(kind):
            return ["number"]
        if tests.is_boolean(kind):
            return ["boolean"]
        if tests.is_timestamp(kind) or tests.is_date(kind):
            return ["date"]
        raise InputError(
            f"{printable(self.path)}: column '{printable(self.name)}' holds {kind}, which is no number, text, truth value or "
            f'date; leave it out: [column.{printable(self.name)}] kind = "ignored" in {FILE}'
        )

    def _fits(self, array: Any, kind: Kind) -> bool:
        """Whether all values are of that kind; numbers are added up on the way."""
        if kind in ("category", "text", "ignored"):
            return True
        if kind == "number":
            if not self.stated and reading.has_leading_zeros(array):
                return False
            numbers = reading.try_cast(array, reading.arrow_type("number"))
            if numbers is not None:
                self.numbers.add(numbers.to_numpy(zero_copy_only=False))
            return numbers is not None
        if kind == "boolean":
            return reading.try_cast(array, reading.arrow_type("boolean")) is not None
        for zoned in (False, True) if self.zoned is None else (self.zoned,):
            if reading.is_zoned(array.type) in (None, zoned) and (
                reading.try_cast(array, reading.arrow_type("date", zoned=zoned)) is not None
            ):
                self.zoned = zoned
                return True
        return False

    def _count_values(self, array: Any) -> None:
        pa = reading.import_pyarrow()
        pairs = array.cast(pa.string()).value_counts()
        if self.values is None or len(pairs) > MOST_DISTINCT:
            self.values = None
            return
        names, counts = pairs.field("values").to_pylist(), pairs.field("counts").to_pylist()
        self.values.update(dict(zip(names, counts, strict=True)))
        if len(self.values) > MOST_DISTINCT:
            self.values = None

    def describe(self, rows: int) -> ColumnSchema:
        """The column's schema, in a table of that many rows."""
        missing = rows - self.present
        if not self.present or self.stated == "ignored":
            return ColumnSchema(self.name, "ignored", missing, None if self.present else 0)
        kind = self.candidates[0] if self.candidates else self._text_kind()
        counts, distinct = self._counts_of(kind)
        named = kind in ("category", "boolean")
        return ColumnSchema(
            self.name,
            kind,
            missing,
            distinct,
            tuple(counts) if named else (),
            tuple(counts.values()) if named else (),
            self.numbers.describe() if kind == "number" else None,
            zoned=kind == "date" and bool(self.zoned),
        )

    def _text_kind(self) -> Kind:
        repeats = self.values is not None and self.present >= REPEATS * len(self.values)
        return "category" if repeats else "text"

    def _counts_of(self, kind: Kind) -> tuple[dict[str, int], int | None]:
        """The values with their counts, the most frequent first, and how many there are: one value may have two spellings."""
        if self.values is None:
            return {}, None
        if kind == "number":
            return {}, len({_number_of(value) for value in self.values})
        counts = self.values
        if kind == "boolean":
            counts = Counter()
            for value, count in self.values.items():
                counts["true" if value.lower() in TRUE else "false"] += count
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))), len(counts)


def _number_of(text: str) -> float:
    """The number of a text; whole ones of any size are not rounded."""
    return int(text) if text.isdecimal() else float(text)
