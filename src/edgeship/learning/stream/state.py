"""What a stream must not forget, in one SQLite file: rows, position and intervals change together or not at all."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Batch
from edgeship.errors import InputError
from edgeship.learning.stream.results import IntervalRecord, RowCounts
from edgeship.light_dataclass import dataclass
from edgeship.storage.atomic import make_folder
from edgeship.typed_json import convert
from edgeship.types import to_json
from edgeship.untrusted import printable

Array = np.ndarray[Any, Any]
FILE = "state.db"
SCHEMA = 1
TABLES = """
create table if not exists facts (name text primary key, content text not null) without rowid;
create table if not exists learned (
  row integer primary key, key text not null unique, interval integer not null, label integer not null,
  predicted integer not null, model integer not null, inputs blob);
create index if not exists learned_interval on learned (interval);
create table if not exists intervals (number integer primary key, record text not null);
create table if not exists aside (number integer primary key, place text not null, key text not null, reason text not null,
  unique (place, key));
"""


@dataclass(frozen=True)
class LabelledRow:
    """A row with its label and what was answered to it by version `model`, both as the number of a class."""

    key: str
    label: int
    predicted: int
    model: int
    inputs: Batch

    @property
    def is_right(self) -> bool:
        """Whether the answer was the label."""
        return self.predicted == self.label


@dataclass(frozen=True)
class AsideRow:
    """A row that cannot be read, and why."""

    place: str
    key: str
    reason: str


@dataclass(frozen=True)
class OpenInterval:
    """The interval that rows go to: its number, when its first row came (seconds since 1970), the drift that was seen in it."""

    number: int = 1
    began: float | None = None
    drift_row: int | None = None
    drift_before: float = 0.0
    drift_now: float = 0.0


class StreamState:
    """The state in a folder; `commit()` around all that changes it."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.folder, self.file = folder, folder / FILE
        try:
            self._database = sqlite3.connect(self.file, isolation_level=None)
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")  # as Redis is told to forget what is kept here
            self._database.executescript(TABLES)
        except sqlite3.Error as error:
            raise self._damage(error) from error
        found = self.read_fact("schema")
        if found not in (None, SCHEMA):
            raise InputError(f"{printable(self.file)}: a state of schema {found}, this edgeship reads {SCHEMA}")
        if found is None:
            with self.commit():
                self.write_fact("schema", SCHEMA)

    def _damage(self, error: object) -> InputError:
        return InputError(f"{printable(self.file)}: is no state of a stream, or damaged ({printable(error)[:100]})")

    @contextlib.contextmanager
    def commit(self) -> Iterator[None]:
        """All that is written inside is there at the end, or none of it."""
        self._database.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def _ask(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._damage(error) from error

    def read_fact(self, name: str) -> Any:
        """What was written under a name; None where nothing was."""
        found = self._ask("select content from facts where name = ?", (name,))
        return json.loads(found[0][0]) if found else None

    def write_fact(self, name: str, content: Any) -> None:
        """Keep JSON under a name; inside of `commit`."""
        self._ask("insert or replace into facts values (?, ?)", (name, json.dumps(content)))

    @property
    def open_interval(self) -> OpenInterval:
        """The interval that rows go to."""
        content = self.read_fact("open")
        return OpenInterval() if content is None else convert(OpenInterval, content)

    @open_interval.setter
    def open_interval(self, interval: OpenInterval) -> None:
        self.write_fact("open", to_json(interval))

    @property
    def counts(self) -> RowCounts:
        """Rows that taught nothing."""
        content = self.read_fact("counts")
        return RowCounts() if content is None else convert(RowCounts, content)

    @counts.setter
    def counts(self, counts: RowCounts) -> None:
        self.write_fact("counts", to_json(counts))

    def find_label(self, key: str) -> int | None:
        """The label that a key has; None for a new one."""
        found = self._ask("select label from learned where key = ?", (key,))
        return int(found[0][0]) if found else None

    def add_row(self, row: LabelledRow, interval: int) -> int:
        """Keep a row; its number in the stream, from 1. Inside of `commit`."""
        content = _pack(row.inputs)
        values = (row.key, interval, row.label, row.predicted, row.model, content)
        statement = "insert into learned (key, interval, label, predicted, model, inputs) values (?, ?, ?, ?, ?, ?) returning row"
        return int(self._ask(statement, values)[0][0])

    def set_aside(self, row: AsideRow) -> bool:
        """Keep a row that cannot be read; whether it is a new one. Inside of `commit`."""
        statement = "insert or ignore into aside (place, key, reason) values (?, ?, ?) returning number"
        return bool(self._ask(statement, (row.place, row.key, row.reason)))

    def list_aside(self) -> list[AsideRow]:
        """All rows that cannot be read."""
        return [AsideRow(*row) for row in self._ask("select place, key, reason from aside order by number")]

    def count_rows(self, interval: int | None = None) -> tuple[int, int]:
        """Labelled rows, and how many of them were answered right; of an interval, or of all."""
        where, values = ("", ()) if interval is None else (" where interval = ?", (interval,))
        found = self._ask(f"select count(*), coalesce(sum(label = predicted), 0) from learned{where}", values)
        return int(found[0][0]), int(found[0][1])

    def count_by_model(self, interval: int) -> Mapping[int, int]:
        """How many rows of an interval each version answered."""
        return dict(self._ask("select model, count(*) from learned where interval = ? group by model", (interval,)))

    def read_bounds(self, interval: int) -> tuple[int, int]:
        """The numbers of an interval's first and last row."""
        found = self._ask("select min(row), max(row) from learned where interval = ?", (interval,))
        return int(found[0][0]), int(found[0][1])

    def read_errors(self, first: int) -> Iterator[int]:
        """1 for each row from that number on which was answered wrong, else 0."""
        for (wrong,) in self._ask("select label <> predicted from learned where row >= ? order by row", (first,)):
            yield int(wrong)

    def read_interval(self, interval: int) -> tuple[Batch, Array]:
        """The inputs (n, ...) and labels (n,) of an interval that is not closed yet. Raises InputError for a damaged one."""
        rows = self._ask("select inputs, label from learned where interval = ? order by row", (interval,))
        try:
            parts = [_unpack(content) for content, _ in rows]
        except (TypeError, ValueError, zlib.error) as error:
            raise self._damage(error) from error
        inputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return inputs, np.array([label for _, label in rows], np.int64)

    def close_interval(self, record: IntervalRecord) -> None:
        """Keep what came of an interval, whose inputs are in the registry from now on. Inside of `commit`."""
        self._ask("insert into intervals values (?, ?)", (record.number, json.dumps(to_json(record))))
        self._ask("update learned set inputs = null where interval = ?", (record.number,))

    def list_intervals(self) -> tuple[IntervalRecord, ...]:
        """All that are closed, in their order."""
        rows = self._ask("select record from intervals order by number")
        return tuple(convert(IntervalRecord, json.loads(text)) for (text,) in rows)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _pack(inputs: Batch) -> bytes:
    """A row's inputs (1, ...) as a small file."""
    content = io.BytesIO()
    np.savez(content, **inputs)  # type: ignore[arg-type]
    return zlib.compress(content.getvalue(), 1)


def _unpack(content: bytes) -> Batch:
    with np.load(io.BytesIO(zlib.decompress(content)), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
