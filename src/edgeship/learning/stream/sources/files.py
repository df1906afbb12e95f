"""CSV and Parquet files, and folders of them that grow: new files are read after the old ones, new rows after those before."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from edgeship.errors import InputError
from edgeship.learning.stream.sources.source import ColumnChooser, FetchedRows, Position, TableSource
from edgeship.serving.batch.addresses import Address, parse_source
from edgeship.serving.batch.rows.columns import list_names
from edgeship.serving.batch.sources.files import damage_of
from edgeship.untrusted import printable

BATCH = 256
LONGEST_FIELD = 1 << 24  # of a CSV: lists of numbers are long
FAULT = "\ufffdfault"  # the column of a CSV's batch that says why a row cannot be read; no header can be called so


class GrowingFiles(TableSource):
    """Files at an address. A position is how many rows of which file were taken; files are taken in the order of their names.

    A file that came late is taken although its name is before others'. Files of a folder that begin with `.` or `_` are being
    written, and are not looked at.
    """

    def __init__(self, text: str, columns: ColumnChooser) -> None:
        self.text = text
        address = parse_source(text)
        if address.kind not in ("csv", "parquet"):
            raise InputError(f"{address}: a stream is of rows with labels, in CSV or Parquet files")
        self.kind = address.kind
        self._rest: tuple[str, int, Any] | None = (
            None  # of the file that is open: its name, the next row, what it holds
        )
        self._batches: Iterator[Any] = iter(())
        self._finished: dict[str, tuple[int, int]] = {}  # files without further rows: bytes and rows, as they were then
        self.columns = tuple(columns(self._read_names(self._list_files()[0][1])))

    def _list_files(self) -> list[tuple[str, Path]]:
        address: Address = parse_source(self.text)
        if address.kind != self.kind:
            raise InputError(f"{address}: held {self.kind} files before, and now {address.kind}")
        is_pattern = not Path(self.text).exists()
        return [
            (path.as_posix() if is_pattern else path.relative_to(address.root).as_posix(), path)
            for path in address.files
        ]

    def fetch(self, position: Position, count: int) -> FetchedRows | None:
        """See `StreamSource`."""
        taken: Mapping[str, int] = position or {}
        batch, name, start = self._next_rows(taken, count)
        if batch is None:
            return None
        faults = [""] * batch.num_rows
        if FAULT in batch.schema.names:
            faults = batch.column(FAULT).to_pylist()
            batch = batch.drop_columns([FAULT])
        shown = printable(name)
        places = [f"{shown} row {start + number + 1:,}" for number in range(batch.num_rows)]
        return FetchedRows(batch, places, faults, lambda done: {**taken, name: start + done})

    def _next_rows(self, taken: Mapping[str, int], count: int) -> tuple[Any, str, int]:
        """Rows that come after those that were taken; what was read ahead is used where it is the next."""
        goes_on = self._rest is not None and taken.get(self._rest[0], 0) == self._rest[1]
        if goes_on and (batch := self._continue(count)) is not None:
            return batch
        for name, path in self._list_files():
            seen = (path.stat().st_size, taken.get(name, 0))
            if self._finished.get(name) == seen:
                continue
            self._open(name, path, seen[1])
            if (batch := self._continue(count)) is not None:
                return batch
            self._finished[name] = seen
        return None, "", 0

    def _open(self, name: str, path: Path, start: int) -> None:
        self._rest = (name, start, None)
        reader = self._read_csv(path, start) if self.kind == "csv" else self._read_parquet(path, start)
        self._batches = reader

    def _continue(self, count: int) -> tuple[Any, str, int] | None:
        name, start, batch = self._rest or ("", 0, None)
        if batch is None or not batch.num_rows:
            batch = next(self._batches, None)
        if batch is None:
            self._rest = None
            return None
        self._rest = (name, start + min(count, batch.num_rows), batch.slice(count))
        return batch.slice(0, count), name, start

    def _read_names(self, path: Path) -> tuple[str, ...]:
        if self.kind == "csv":
            with self._open_csv(path) as reader:
                return self._read_header(path, reader)
        with damage_of(path):
            return tuple(pyarrow.parquet.read_schema(path).names)

    def _choose(self, path: Path, names: Sequence[str]) -> list[str]:
        """The columns that are read of a file. Raises InputError where one is not in it."""
        if missing := [name for name in self.columns if name not in names]:
            raise InputError(f"{printable(path)}: no column {printable(missing[0])}; it has {list_names(names)}")
        return [*self.columns]

    def _read_parquet(self, path: Path, start: int) -> Iterator[Any]:
        with damage_of(path), pyarrow.parquet.ParquetFile(path) as file:
            total = file.metadata.num_rows
            self._check_length(path, total, start)
            if start == total:
                return
            chosen, skip = self._choose(path, file.schema_arrow.names), start
            groups: list[int] = []
            for number in range(file.num_row_groups):
                rows = file.metadata.row_group(number).num_rows
                if not groups and skip >= rows:
                    skip -= rows
                    continue
                groups.append(number)
            for batch in file.iter_batches(BATCH, row_groups=groups, columns=chosen, use_threads=False):
                if skip >= batch.num_rows:
                    skip -= batch.num_rows
                    continue
                yield batch.slice(skip).select(chosen)
                skip = 0

    def _read_csv(self, path: Path, start: int) -> Iterator[Any]:
        """Texts, as numbers and categories are read of them by the model's contract; a field of nothing is a NULL."""
        with self._open_csv(path) as reader:
            names = self._read_header(path, reader)
            chosen = self._choose(path, names)
            places = [names.index(name) for name in chosen]
            skipped = sum(1 for _ in islice(reader, start))
            self._check_length(path, skipped, start)
            while rows := list(islice(reader, BATCH)):
                faults = [_find_fault(row, len(names)) for row in rows]
                whole = [[""] * len(names) if fault else row for row, fault in zip(rows, faults, strict=True)]
                columns = [pa.array([row[at] or None for row in whole], pa.string()) for at in places]
                yield pa.RecordBatch.from_arrays([*columns, pa.array(faults)], names=[*chosen, FAULT])

    @contextlib.contextmanager
    def _open_csv(self, path: Path) -> Iterator[Any]:
        csv.field_size_limit(LONGEST_FIELD)
        with damage_of(path):
            try:
                with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
                    yield csv.reader(file)
            except csv.Error as error:
                raise InputError(f"{printable(path)}: is no CSV ({printable(error)[:100]})") from error

    def _read_header(self, path: Path, reader: Any) -> tuple[str, ...]:
        names = tuple(next(reader, ()))
        if not names:
            raise InputError(f"{printable(path)}: is empty; its first line names the columns")
        if doubled := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"{printable(path)}: two columns are called {printable(doubled)}")
        return names

    def _check_length(self, path: Path, total: int, start: int) -> None:
        if total < start:
            raise InputError(
                f"{printable(path)}: has {total:,} rows, and {start:,} were taken of it before; files of a stream only grow"
            )

    def close(self) -> None:
        """See `StreamSource`."""
        self._batches, self._rest = iter(()), None


def _find_fault(row: Sequence[str], width: int) -> str:
    if len(row) != width:
        return f"has {len(row)} fields, not {width}"
    if any("\udc80" <= char <= "\udcff" for text in row for char in text):
        return "is no UTF-8"
    return ""
