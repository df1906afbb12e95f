"""Predictions in a Parquet file, which holds the rows of one job: whole, or as it was before.

Chunks are files in a hidden folder beside it, there or not there, and so are the ledger; in the end they become one file. The
counts of a chunk are in its file's metadata; in the end they are `_NAME_counts.parquet` beside (readers of a whole folder leave
out what begins with `_`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import filelock
import pyarrow as pa
import pyarrow.parquet

from edgeship.errors import InputError, brief_message
from edgeship.serving.batch.counts import Counts, add_counts
from edgeship.serving.batch.rows.outputs import KEY, TYPES, VERSION, TableColumn
from edgeship.serving.batch.sinks.sink import Current, Job
from edgeship.serving.batch.sinks.sql_text import counts_table
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import printable

JOB, COUNTS = b"edgeship.job", b"edgeship.counts"  # of a file's metadata
GROUP = 131_072  # rows of a row group


class ParquetSink:
    """A file, or in a folder the file `model_version=VERSION/TABLE.parquet`."""

    def __init__(self, root: Path, table: str, version: str, key_is_text: bool, columns: Sequence[TableColumn]) -> None:
        self.in_folder = not root.suffix or root.is_dir()
        self.file = root / f"{VERSION}={quote(version, safe=' ')}" / f"{table}.parquet" if self.in_folder else root
        self.counts_file = self.file.with_name(f"_{self.file.stem}_counts.parquet")
        self.counts_name = str(self.counts_file)
        self.root = root
        kinds = [(KEY, pa.string() if key_is_text else pa.int64())]
        kinds += [(column.name, TYPES[column.kind]) for column in columns]
        self.schema = pa.schema(kinds)
        self._held = ExitStack()

    def check(self) -> None:
        """See `sink.Sink`."""
        if self.in_folder and self.root.exists() and not self.root.is_dir():
            raise InputError(f"{printable(self.root)}: is no folder; choose another --to")
        if self.file.exists():
            with self._in_our_words():
                there = pyarrow.parquet.read_schema(self.file) if self.file.is_file() else None
            if there is None or set(there.names) - {VERSION} != set(self.schema.names):
                names = ", ".join(map(printable, there.names)) if there else "no file"
                need = ", ".join(self.schema.names)
                raise InputError(f"{printable(self.file)}: has {names}, and needs {need}; choose another --to")

    def find_watermarks(self, version: str, source: str, since: str) -> list[str]:
        """See `sink.Sink`. Raises InputError: a file holds the rows of one job."""
        raise InputError("--since needs a database: a Parquet file holds the rows of one run")

    def begin(self, job: Job) -> frozenset[int]:
        """See `sink.Sink`. Another run over the same file is waited for."""
        with self._in_our_words():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            beside = self.file.with_name(f".{self.file.name}.lock")
            beside.touch()  # where it cannot be, a FileLock may wait for ever
            self._held.enter_context(filelock.FileLock(beside))
            if self._is_done(job):
                return frozenset(range(job.chunks))
            self._draft(job).mkdir(exist_ok=True)
            return frozenset(int(path.stem) for path in self._draft(job).glob("[0-9]*.parquet"))

    def _draft(self, job: Job) -> Path:
        return self.file.with_name(f".{self.file.name}.{job.id[:16]}.chunks")

    def _is_done(self, job: Job) -> bool:
        if not self.file.exists():
            return False
        metadata = pyarrow.parquet.read_schema(self.file).metadata or {}
        return bool(metadata.get(JOB) == job.id.encode())

    def write(self, job: Job, chunk: int, rows: Any, counts: Counts) -> bool:
        """See `sink.Sink`."""
        with self._in_our_words(), atomic_file(self._draft(job) / f"{chunk:010d}.parquet") as draft:
            content = json.dumps([[*cell, count] for cell, count in counts.items()])
            table = pa.Table.from_batches([rows]).cast(self.schema).replace_schema_metadata({COUNTS: content})
            with _opened(draft) as stream:
                pyarrow.parquet.write_table(table, stream)
        return True

    def finish(self, job: Job, current: Current) -> str:
        """See `sink.Sink`; there is no view."""
        with self._in_our_words():
            if not self._is_done(job):
                whole = self._draft(job) / "whole"  # where a run that is killed leaves nothing that stays
                self._join_counts(job, whole)
                self._join_chunks(job, whole)
                whole.replace(self.file)
            for folder in self.file.parent.glob(f".{self.file.name}.*.chunks"):
                shutil.rmtree(folder, ignore_errors=True)
        return ""

    def _join_counts(self, job: Job, out: Path) -> None:
        """The counts file, before the other: a run that is killed between the two is not done, and makes both again."""
        parts = (pyarrow.parquet.read_schema(path).metadata or {} for path in self._draft(job).glob("[0-9]*.parquet"))
        read = (json.loads(part.get(COUNTS, b"[]")) for part in parts)
        total = add_counts({tuple(cell): count for *cell, count in part} for part in read)
        if not total:
            self.counts_file.unlink(missing_ok=True)  # those of another run
            return
        rows = [(job.id, *cell, job.version, count) for cell, count in sorted(total.items())]
        names = [column.name for column in counts_table("").columns]
        table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
        with _opened(out) as stream:
            pyarrow.parquet.write_table(table, stream)
        out.replace(self.counts_file)

    def _join_chunks(self, job: Job, out: Path) -> None:
        fields = list(self.schema)
        if not self.in_folder:  # there the folder's name tells the version
            fields.insert(0, pa.field(VERSION, pa.string()))
        schema = pa.schema(fields, metadata={JOB: job.id})
        with _opened(out) as stream, pyarrow.parquet.ParquetWriter(stream, schema) as writer:
            for table in _gather(sorted(self._draft(job).glob("[0-9]*.parquet"))):
                if not self.in_folder:
                    table = table.add_column(0, VERSION, pa.repeat(job.version, len(table)))  # noqa: PLW2901  # the same rows
                writer.write_table(table.cast(schema))

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            reason = printable(brief_message(getattr(error, "strerror", None) or error, 200))
            text = "what is written stays, the same command goes on from there"
            raise InputError(f"{printable(self.file)}: cannot be written ({reason}); {text}") from error

    def close(self) -> None:
        """See `sink.Sink`."""
        self._held.close()


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file that is on the disk when the block ends: a cut of power must not leave an empty one that counts.

    Opened here, as Arrow leaves its own open where the disk is full.
    """
    with path.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _gather(paths: Sequence[Path]) -> Iterator[Any]:
    """The rows of small files in larger tables."""
    tables: list[Any] = []
    for path in paths:
        tables.append(pyarrow.parquet.read_table(path))
        if sum(map(len, tables)) >= GROUP:
            yield pa.concat_tables(tables)
            tables = []
    if tables:
        yield pa.concat_tables(tables)
