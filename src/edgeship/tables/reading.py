"""The rows of a CSV or Parquet file as typed pyarrow batches, a few megabytes at a time."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeship.errors import InputError, MissingDependencyError
from edgeship.tables.schema import Kind, TableSchema
from edgeship.untrusted import SHOWN, printable, regular_file

BLOCK = 1 << 20  # bytes of a CSV that are read at once
BATCH = 32_768  # rows of a Parquet file that are read at once
DELIMITERS = (",", ";", "\t", "|")
PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
NAN = ("NAN", "Nan", "+nan", "+NaN", "-NAN")  # further spellings that would become a number
HINT = f"a table is a file {', '.join((*CSV, *PARQUET))}"


def import_pyarrow() -> Any:
    """The module pyarrow, with its CSV reader. Raises MissingDependencyError."""
    try:
        import pyarrow as pa
        import pyarrow.csv
    except ImportError as error:
        raise MissingDependencyError(f"tables need pyarrow ({error}): pip install 'edgeship[data]'") from error
    return pa


def is_table(path: Path) -> bool:
    """Whether a path has the ending of a table that can be read."""
    return path.name.lower().endswith((*CSV, *PARQUET))


def is_parquet(path: Path) -> bool:
    """Whether a path has the ending of a Parquet file."""
    return path.name.lower().endswith(PARQUET)


def iterate_batches(path: Path, schema: TableSchema, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """The rows as pyarrow RecordBatches, with the named columns (all but the ignored ones) in the schema's order.

    A number comes as float64, a category or text as string, a boolean as bool, a date as timestamp[us] (UTC where it is
    zoned); what is missing is null, NaN too. `path` may be another file of the same columns, as a second split: its own
    order of columns does not matter. Raises InputError for a column that is not there, and for a value that is not of
    its column's kind, with its row.
    """
    names = {schema.column(name).name for name in columns} if columns is not None else None
    wanted = [item for item in schema.columns if item.kind != "ignored" and (names is None or item.name in names)]
    types = {item.name: arrow_type(item.kind, zoned=item.zoned) for item in wanted}
    missing = [name for name in types if name not in column_names(path, schema.delimiter)]
    if missing:
        raise InputError(f"{printable(path)}: no column '{printable(missing[0])}', which the schema has")
    if is_parquet(path):
        yield from _parquet_batches(path, types, schema)
        return
    with as_sentences(path, types, schema):
        yield from open_csv(path, types, schema.delimiter, schema.missing_values)


def arrow_type(kind: Kind, *, zoned: bool = False) -> Any:
    """The pyarrow type that values of a kind come in."""
    pa = import_pyarrow()
    date = pa.timestamp("us", "UTC" if zoned else None)
    types: dict[str, Any] = {"number": pa.float64(), "boolean": pa.bool_(), "date": date}
    return types.get(kind, pa.string())


def open_csv(path: Path, types: Mapping[str, Any], delimiter: str, missing_values: Sequence[str]) -> Any:
    """A pyarrow reader of a CSV's columns in these types."""
    pa = import_pyarrow()
    nulls = [*missing_texts(), *missing_values]
    return pa.csv.open_csv(
        path,
        read_options=pa.csv.ReadOptions(block_size=BLOCK),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=nulls, strings_can_be_null=True
        ),
    )


def missing_texts() -> tuple[str, ...]:
    """What stands in a CSV for a value that is missing, unless a schema says more: the empty text, NA, null, NaN and the like."""
    return (*import_pyarrow().csv.ConvertOptions().null_values, *NAN)


def column_names(path: Path, delimiter: str) -> list[str]:
    """The names of a file's columns. Raises InputError where it has none, or one twice."""
    pa = import_pyarrow()
    regular_file(path, links=True)
    with as_sentences(path):
        if is_parquet(path):
            import pyarrow.parquet as pq

            names = list(pq.read_schema(path).names)
        else:
            options = pa.csv.ReadOptions(block_size=BLOCK)
            parsing = pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
            names = list(pa.csv.open_csv(path, read_options=options, parse_options=parsing).schema.names)
    doubles = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if doubles:
        raise InputError(f"{printable(path)}: two columns are called '{printable(doubles[0])}'; name them apart")
    return names


def find_delimiter(path: Path) -> str:
    """The delimiter of a CSV: of comma, semicolon, tab and bar the most frequent in its first line."""
    pa = import_pyarrow()
    regular_file(path, links=True)
    with as_sentences(path), pa.input_stream(str(path)) as stream:
        line = stream.read(1 << 16).decode("utf-8", "replace").partition("\n")[0]
    outside = re.sub(r'"[^"]*"', "", line)
    return max(DELIMITERS, key=outside.count)


def _parquet_batches(path: Path, types: Mapping[str, Any], schema: TableSchema) -> Iterator[Any]:
    pa = import_pyarrow()
    import pyarrow.parquet as pq

    start = 1
    with as_sentences(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH, columns=list(types)):
            arrays = {}
            for name, kind in types.items():
                array = plain_array(batch.column(name))
                arrays[name] = try_cast(array, kind)
                if arrays[name] is None:
                    raise InputError(_misfit_text(path, name, schema.column(name).kind, start, array, kind))
                arrays[name] = without_nan(arrays[name])
            start += batch.num_rows
            yield pa.RecordBatch.from_arrays([*arrays.values()], [*arrays])


def raw_batches(path: Path, names: Sequence[str], delimiter: str, missing_values: Sequence[str]) -> Iterator[Any]:
    """The rows as they stand, a CSV's as text: that tells more of a file than what its first rows look like."""
    pa = import_pyarrow()
    with as_sentences(path):
        if is_parquet(path):
            import pyarrow.parquet as pq

            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(BATCH)
        else:
            yield from open_csv(path, dict.fromkeys(names, pa.string()), delimiter, missing_values)


def plain_array(array: Any) -> Any:
    """The array without a dictionary, its texts of one type, and its numbers of one that sums are taken of."""
    pa = import_pyarrow()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_float16(array.type):
        return array.cast(pa.float32())
    is_text = pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
    return array.cast(pa.string()) if is_text else array


def try_cast(array: Any, kind: Any) -> Any:
    """A plain array in another type; None where a value does not fit. Blanks around a text do not matter.

    Nanoseconds are cut, whole numbers above 2**53 rounded: neither makes a wrong value.
    """
    pa = import_pyarrow()
    import pyarrow.compute as pc

    is_text = pa.types.is_string(array.type)
    trims = is_text and not pa.types.is_string(kind)
    for values in (array, pc.utf8_trim_whitespace(array)) if trims else (array,):
        try:
            return values.cast(kind, safe=is_text)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    return None


def first_misfit(array: Any, kind: Any) -> str:
    """The first value that is not of a type, as text; empty where all are."""
    return next((str(item.as_py()) for item in array if try_cast(_array_of(item), kind) is None), "")


def is_zoned(kind: Any) -> bool | None:
    """Whether a pyarrow type of dates has a time zone; None for other types."""
    pa = import_pyarrow()
    if pa.types.is_timestamp(kind):
        return kind.tz is not None
    return False if pa.types.is_date(kind) else None


def has_leading_zeros(array: Any) -> bool:
    """Whether a text has a zero before another digit, as postal codes have."""
    pa = import_pyarrow()
    import pyarrow.compute as pc

    if not pa.types.is_string(array.type):
        return False
    zeros = array.filter(pc.starts_with(array, "0"))
    return bool(pc.any(pc.match_substring_regex(zeros, r"^0\d")).as_py())


def without_nan(array: Any) -> Any:
    """The array with NaN as null, as a missing value is in every other column."""
    pa = import_pyarrow()
    import pyarrow.compute as pc

    if not pa.types.is_floating(array.type):
        return array
    total = pc.sum(array).as_py()  # NaN where a value is, and much faster than looking at each
    return array if total is None or not math.isnan(total) else pc.if_else(pc.is_nan(array), None, array)


def _array_of(scalar: Any) -> Any:
    return import_pyarrow().array([scalar.as_py()], scalar.type)


@contextlib.contextmanager
def as_sentences(
    path: Path, types: Mapping[str, Any] | None = None, schema: TableSchema | None = None
) -> Iterator[None]:
    """Turns what pyarrow raises over a file into an InputError that names the file, and row and column where known."""
    pa = import_pyarrow()
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        if isinstance(error, OSError) and error.errno:
            raise InputError(f"{printable(path)}: cannot be read ({error.strerror})") from error
        if "Empty CSV" in text:
            raise InputError(f"{printable(path)}: empty, it holds no row") from error
        if "UTF8" in text or isinstance(error, UnicodeDecodeError):
            raise InputError(f"{printable(path)}: is not UTF-8; save it as UTF-8") from error
        if match := re.search(r"Expected (\d+) columns, got (\d+): ?(.*)", text):
            row = printable(match[3])[:60]
            advice = "; is the delimiter another? (data.toml)" if match[1] == "1" else ""
            raise InputError(
                f"{printable(path)}: a row has {match[2]} fields, the header has {match[1]}: {row}{advice}"
            ) from error
        if types and schema is not None and "conversion error" in text:
            raise InputError(_find_misfit(path, types, schema)) from error
        raise InputError(f"{printable(path)}: cannot be read as a table ({printable(text)[:SHOWN]}); {HINT}") from error


def _find_misfit(path: Path, types: Mapping[str, Any], schema: TableSchema) -> str:
    """The sentence for the first value that is not of its column's kind: the file is read again, as text."""
    pa = import_pyarrow()
    start = 2  # the header is row 1
    for batch in open_csv(path, dict.fromkeys(types, pa.string()), schema.delimiter, schema.missing_values):
        for name, kind in types.items():
            if try_cast(batch.column(name), kind) is None:
                return _misfit_text(path, name, schema.column(name).kind, start, batch.column(name), kind)
        start += batch.num_rows
    return f"{printable(path)}: holds a value that is not of its column's kind"


def _misfit_text(path: Path, name: str, kind: Kind, start: int, array: Any, wanted: Any) -> str:
    row, value = next((row, item) for row, item in enumerate(array, start) if try_cast(_array_of(item), wanted) is None)
    shown = printable(value.as_py())[:40]
    return (
        f"{printable(path)}: column '{printable(name)}' is a {kind}, and row {row:,} holds '{shown}'; mend it, or say "
        f'missing_values = ["{shown}"] or another kind in data.toml'
    )
