"""The first pass over a source, before anything is written: whether every row can be predicted, and what its content is."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from edgeship.data import Batch
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.serving.batch.rows.columns import InputColumns
from edgeship.serving.batch.rows.encode import check_rows, is_picture_file, refuse_null
from edgeship.serving.batch.sources.files import Source, cut_chunks
from edgeship.untrusted import printable

MOST_RUNS = 100_000  # ascending runs of keys that are remembered


@dataclass(frozen=True)
class Reading:
    """What is read of a source: key and columns of inputs in chunks of `size` rows. `since`: a column, with its `least` value."""

    inputs: tuple[InputColumns, ...]
    key: str
    size: int
    since: str = ""
    least: Any = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, each once."""
        inputs = [name for columns in self.inputs for name in columns.names]
        return tuple(dict.fromkeys((self.key, *inputs, *([self.since] if self.since else []))))

    def chunks(self, source: Source) -> Iterator[Any]:
        """The rows of a source in chunks."""
        lowest = None if self.least is None else (self.since, self.least)
        return cut_chunks(source.read(self.columns, self.size, lowest), self.size)


@dataclass(frozen=True)
class Survey:
    """What a first pass found: rows, the digest of each chunk, the bounds of the keys, the greatest value of `since`."""

    rows: int
    digests: tuple[str, ...]
    key_is_text: bool
    least_key: str
    greatest_key: str
    watermark: str


def survey_source(source: Source, reading: Reading, tell: Callable[[int], None]) -> Survey:
    """Check every row. Raises InputError for the first that cannot be predicted, and for keys that are there twice."""
    keys, digests, rows, watermark = KeyCheck(reading.key), [], 0, None
    for chunk in reading.chunks(source):
        key_values = read_keys(chunk, reading.key, rows + 1)
        digests.append(digest_rows(reading.inputs, chunk, key_values, check_rows(reading.inputs, chunk, rows + 1)))
        keys.add(key_values, rows + 1)
        if reading.since:
            refuse_null(reading.since, chunk.column(reading.since), rows + 1)
            watermark = later_value(watermark, pc.max(chunk.column(reading.since)))
        rows += chunk.num_rows
        tell(rows)
    if keys.needs_search:
        search_repeated(read_keys(chunk, reading.key, 1) for chunk in reading.chunks(source))
    mark = "" if watermark is None else watermark_text(watermark)
    return Survey(rows, tuple(digests), keys.is_text, str(keys.least), str(keys.greatest), mark)


def later_value(one: Any, two: Any) -> Any:
    """The greater of two Arrow scalars, the first of which may be None. Raises InputError where they do not compare."""
    try:
        return two if one is None or pc.greater(two, one).as_py() else one
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"--since: {two.type} is not compared with {one.type}") from error


def watermark_text(value: Any) -> str:
    """A value with its type, as the ledger keeps it."""
    return f"{value.type}|{value.cast(pa.string()).as_py()}"


def watermark_value(text: str) -> Any:
    """The value that `watermark_text` wrote. Raises InputError where it is none."""
    name, _, value = text.partition("|")
    kind = name.partition("[")[0]
    try:
        if kind == "timestamp":
            unit, _, zone = name[len("timestamp[") : -1].partition(", tz=")
            return pa.scalar(value).cast(pa.timestamp(unit, tz=zone or None))
        return pa.scalar(value).cast(pa.type_for_alias(kind if kind.startswith("date") else name))
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"the ledger's watermark {printable(text)[:80]!r} cannot be read") from error


def read_keys(chunk: Any, name: str, first: int) -> Any:
    """The keys, int64 or text. Raises InputError for a NULL, and for keys of another type."""
    keys = chunk.column(name)
    refuse_null(name, keys, first)
    if pa.types.is_string(keys.type) or pa.types.is_large_string(keys.type):
        return keys.cast(pa.string())
    if not pa.types.is_integer(keys.type):
        raise InputError(f"key {printable(name)}: keys are whole numbers or texts, and these are {keys.type}")
    try:
        return keys.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise InputError(f"key {printable(name)}: a key is larger than 64 bits") from error


def digest_rows(inputs: Sequence[InputColumns], chunk: Any, keys: Any, encoded: Batch) -> str:
    """The digest of keys and inputs, `encoded` by `check_rows`; whichever types and files they came from."""
    content = hashlib.sha256()
    plain = pa.concat_arrays([keys])  # an array's own buffers, without what it is a slice of
    content.update(pa.record_batch([plain], names=["key"]).serialize())
    for name, array in sorted(encoded.items()):
        content.update(f"{name} {array.dtype} {array.shape}".encode())
        content.update(np.ascontiguousarray(array).data)
    for columns in inputs:
        if is_picture_file(columns, chunk):
            for value in chunk.column(columns.names[0]):
                content.update(hashlib.sha256(value.as_py()).digest())
    return content.hexdigest()


class KeyCheck:
    """Whether keys are unique, as far as their order tells: ascending runs whose ranges do not meet hold none twice."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_text = False
        self.least: Any = ""
        self.greatest: Any = ""
        self.needs_search = False
        self._last: Any = None
        self._runs: list[list[Any]] = []

    def add(self, keys: Any, first: int) -> None:
        """Take the keys of the next chunk. Raises InputError where two that are neighbours are the same."""
        if self._last is not None and self.is_text != pa.types.is_string(keys.type):
            raise InputError(f"row {first:,}, key {printable(self.name)}: keys are all whole numbers or all texts")
        self.is_text = pa.types.is_string(keys.type)
        values = keys if self._last is None else pa.concat_arrays([pa.array([self._last], keys.type), keys])
        before, after = values[:-1], values[1:]
        same = pc.index(pc.equal(before, after), True).as_py()
        if same >= 0:
            row = first + same + (0 if self._last is not None else 1)
            raise InputError(f"row {row:,}, key {printable(self.name)}: {printable(after[same])} is there twice")
        self._find_runs(values, before, after)
        limits = pc.min_max(keys).as_py()
        fresh = self._last is None
        self.least = limits["min"] if fresh else min(self.least, limits["min"])
        self.greatest = limits["max"] if fresh else max(self.greatest, limits["max"])
        self._last = keys[-1].as_py()

    def _find_runs(self, values: Any, before: Any, after: Any) -> None:
        if self.needs_search:
            return
        breaks = np.flatnonzero(pc.greater(before, after).to_numpy(zero_copy_only=False))
        if len(self._runs) + len(breaks) > MOST_RUNS:
            self.needs_search = True
            return
        starts, ends = [0, *(breaks + 1)], [*breaks, len(values) - 1]
        pieces = [
            [values[int(start)].as_py(), values[int(end)].as_py()] for start, end in zip(starts, ends, strict=True)
        ]
        if self._runs:  # the first goes on with the last of before
            self._runs[-1][1] = pieces[0][1]
            pieces = pieces[1:]
        self._runs += pieces
        if pieces:
            ordered = sorted(self._runs)
            self.needs_search = any(one[1] >= two[0] for one, two in pairwise(ordered))


def search_repeated(chunks: Iterator[Any]) -> None:
    """Raise InputError for a key that is there twice, whatever the order; the keys are in a file meanwhile, not in memory."""
    with tempfile.TemporaryDirectory(prefix="edgeship-keys-") as folder:
        database = sqlite3.connect(Path(folder) / "keys.db", isolation_level=None)
        try:
            database.execute("pragma journal_mode = off")
            database.execute("pragma synchronous = off")
            database.execute("create table keys (key primary key) without rowid")
            for keys in chunks:
                _insert_keys(database, keys.to_pylist())
        except sqlite3.OperationalError as error:
            raise InputError(f"{folder}: keys cannot be compared there ({printable(error)})") from error
        finally:
            database.close()


def _insert_keys(database: sqlite3.Connection, keys: list[Any]) -> None:
    key: Any = None
    database.execute("begin")
    try:
        database.executemany("insert into keys values (?)", ((key := item,) for item in keys))
    except sqlite3.IntegrityError as error:
        raise InputError(f"key {printable(key)} is there twice") from error
    database.execute("commit")
