"""Where rows come from: CSV and Parquet files, folders of pictures. A stream of record batches, whatever their number."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from edgeship.deploy.contract.inputs import ContractInput
from edgeship.errors import InputError, brief_message
from edgeship.serving.batch.addresses import Address
from edgeship.serving.batch.rows.columns import column_types
from edgeship.serving.batch.rows.encode import refuse_null
from edgeship.untrusted import printable

CSV_BLOCK = 1 << 20  # bytes that are parsed at a time
PICTURES_AT_ONCE = 16
Lowest = tuple[str, Any]  # a column, and an Arrow scalar


class Source(Protocol):
    """An opened source: the names of its columns, and its rows as often as they are asked for, always in one order."""

    names: tuple[str, ...]

    def read(self, columns: Sequence[str], size: int, lowest: Lowest | None = None) -> Iterator[Any]:
        """Record batches of these columns, of about `size` rows; with `lowest` those rows whose value is at least that.

        Raises InputError where it cannot be read.
        """

    def close(self) -> None:
        """Let go of it."""


class CsvFiles:
    """CSV files with a line of names each; numbers and texts are read as the model takes them."""

    def __init__(self, address: Address, inputs: Sequence[ContractInput]) -> None:
        self.files, self.inputs = address.files, inputs
        self.names = _same_names(address, [_csv_names(path) for path in self.files])

    def read(self, columns: Sequence[str], size: int, lowest: Lowest | None = None) -> Iterator[Any]:
        """See `Source`; a field of nothing is a NULL, and a quoted one a text."""
        types = column_types(self.inputs, self.names)
        convert = pyarrow.csv.ConvertOptions(
            column_types={name: kind for name, kind in types.items() if name in columns},
            include_columns=list(columns),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        kinds: dict[str, Any] = {}
        for path in self.files:
            with damage_of(path):
                convert.column_types = {**convert.column_types, **kinds}
                with _open_csv(path, convert) as reader:
                    # what the first block tells of a column holds for all files
                    kinds = {field.name: field.type for field in reader.schema if not pa.types.is_null(field.type)}
                    yield from filter_rows(reader, lowest)

    def close(self) -> None:
        """Nothing is kept open."""


def _open_csv(path: Path, convert: Any = None) -> Any:
    options = pyarrow.csv.ReadOptions(block_size=CSV_BLOCK)
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.open_csv(path, read_options=options, parse_options=parse, convert_options=convert)


def _csv_names(path: Path) -> tuple[str, ...]:
    with damage_of(path), _open_csv(path) as reader:
        return tuple(reader.schema.names)


class ParquetFiles:
    """Parquet files."""

    def __init__(self, address: Address) -> None:
        self.files = address.files
        self.names = _same_names(address, [_parquet_names(path) for path in self.files])

    def read(self, columns: Sequence[str], size: int, lowest: Lowest | None = None) -> Iterator[Any]:
        """See `Source`."""
        for path in self.files:
            with damage_of(path), pyarrow.parquet.ParquetFile(path) as file:
                yield from filter_rows(
                    file.iter_batches(batch_size=size, columns=list(columns), use_threads=False), lowest
                )

    def close(self) -> None:
        """Nothing is kept open."""


def _parquet_names(path: Path) -> tuple[str, ...]:
    with damage_of(path):
        return tuple(pyarrow.parquet.read_schema(path).names)


class PictureFolder:
    """Pictures in files: the key is the path below the folder, the other column the file's bytes."""

    def __init__(self, address: Address, key: str, column: str) -> None:
        self.files, self.root, self.key, self.column = address.files, address.root, key, column
        self.names: tuple[str, ...] = (key, column)

    def read(self, columns: Sequence[str], size: int, lowest: Lowest | None = None) -> Iterator[Any]:
        """See `Source`."""
        for start in range(0, len(self.files), PICTURES_AT_ONCE):
            paths = self.files[start : start + PICTURES_AT_ONCE]
            keys = [path.relative_to(self.root).as_posix() for path in paths]
            for path, key in zip(paths, keys, strict=True):
                if printable(key) != key:
                    raise InputError(
                        f"{printable(path)}: the name of a picture is its key, and this one is not printable"
                    )
            try:
                pictures = [path.read_bytes() for path in paths]
            except OSError as error:
                raise InputError(f"{printable(error.filename)}: {error.strerror}") from error
            yield pa.record_batch([pa.array(keys), pa.array(pictures, pa.binary())], names=list(self.names))

    def close(self) -> None:
        """Nothing is kept open."""


def filter_rows(batches: Iterator[Any], lowest: Lowest | None) -> Iterator[Any]:
    """The rows whose value is at least that; all where there is none. Raises InputError where a value is missing."""
    for batch in batches:
        if lowest is None:
            yield batch
            continue
        values = batch.column(lowest[0])
        refuse_null(lowest[0], values, 1)
        if values.type != lowest[1].type and not (
            pa.types.is_integer(values.type) and pa.types.is_integer(lowest[1].type)
        ):
            name, kinds = printable(lowest[0]), f"{lowest[1].type} in earlier runs, and is {values.type} now"
            raise InputError(f"column {name} (--since) was {kinds}")
        yield batch.filter(pc.greater_equal(values, lowest[1].cast(values.type)))


def _same_names(address: Address, names: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    first = names[0]
    for path, other in zip(address.files, names, strict=True):
        if set(other) != set(first):
            raise InputError(f"{printable(path)}: its columns are not those of {printable(address.files[0].name)}")
    if repeated := next((name for name in first if first.count(name) > 1), None):
        raise InputError(f"{address}: two columns are called {printable(repeated)}")
    return first


@contextlib.contextmanager
def damage_of(path: object) -> Iterator[None]:
    """Turns what Arrow says of a file or database into an InputError of one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{printable(path)}: cannot be read ({printable(brief_message(error, 200))})") from error


def cut_chunks(batches: Iterator[Any], size: int) -> Iterator[Any]:
    """The same rows in record batches of exactly `size` rows; the last may have fewer."""
    waiting: list[Any] = []
    count = 0
    for batch in batches:
        start = 0
        while count + batch.num_rows - start >= size:
            piece = batch.slice(start, size - count)
            start += piece.num_rows
            yield _join_batches([*waiting, piece])
            waiting, count = [], 0
        if start < batch.num_rows:
            waiting.append(batch.slice(start))
            count += batch.num_rows - start
    if waiting:
        yield _join_batches(waiting)


def _join_batches(parts: Sequence[Any]) -> Any:
    """One record batch. A dictionary differs from part to part, and is left out."""
    parts = [_plain_batch(part) for part in parts]
    if len(parts) == 1:
        return parts[0]
    try:
        return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    except pa.ArrowInvalid as error:
        raise InputError(
            f"the types of its columns change on the way ({printable(brief_message(error, 160))})"
        ) from error


def _plain_batch(batch: Any) -> Any:
    fields = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in batch.schema]
    columns = [column.cast(kind) for column, kind in zip(batch.columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
