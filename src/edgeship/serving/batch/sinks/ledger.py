"""Predictions in a database: each chunk of rows in one transaction with its entry in the ledger.

Tables: NAME (predictions, by model version and key), NAME_chunks (which chunks of which job are in), NAME_jobs (which jobs
there were, with the watermark of an incremental one), NAME_counts (drift counters of each job); the view NAME_current shows one
version. A job is a content (`sink.Job`): one that was interrupted goes on after its last chunk, one that is done does nothing.
Where another job writes the same keys of the same version, the chunks of the earlier one are no longer what is there, and are
forgotten. So are its counts, unless it was done: then they stay, as what that run saw, until it is done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeship.errors import InputError
from edgeship.serving.batch.counts import Counts
from edgeship.serving.batch.rows.outputs import VERSION, TableColumn
from edgeship.serving.batch.sinks.database import Database
from edgeship.serving.batch.sinks.sink import Current, Job
from edgeship.serving.batch.sinks.sql_text import (
    Table,
    chunks_table,
    counts_table,
    jobs_table,
    predictions_table,
    quote_text,
)
from edgeship.storage.adbc import quote_name as quote
from edgeship.untrusted import printable

CELLS = 500  # that one statement adds
RUNNING, DONE, REPLACED = "running", "done", "replaced"


class DatabaseSink:
    """The tables of one name in a database."""

    def __init__(self, database: Database, where: object, name: str, key: str, columns: Sequence[TableColumn]) -> None:
        self.database, self.where, self.name = database, where, name
        self.predictions = predictions_table(name, key, columns)
        self.jobs, self.chunks, self.counts = jobs_table(name), chunks_table(name), counts_table(name)
        self.counts_name = self.counts.name
        self.view = f"{name}_current"

    @property
    def _tables(self) -> tuple[Table, ...]:
        return self.predictions, self.jobs, self.chunks, self.counts

    def check(self) -> None:
        """See `sink.Sink`."""
        self.database.read(self._check_tables)

    def _check_tables(self) -> None:
        for table in self._tables:
            self._check_table(table)
        there = self.database.describe(self.view)
        if there and not there.is_view:
            raise InputError(f"{self.where}: {self.view} is no view; choose another --table")

    def _check_table(self, table: Table) -> None:
        there, expected = self.database.describe(table.name), table.shape(self.database.types)
        if there is None or there == expected:
            return
        if there.columns == expected.columns:
            keys = ", ".join(map(printable, there.keys)) or "nothing"
            raise InputError(f"{self.where}: table {table.name} has the primary key {keys}; choose another --table")
        have, need = (
            ", ".join(f"{printable(name)} {kind}" for name, kind in shape.columns) for shape in (there, expected)
        )
        raise InputError(f"{self.where}: table {table.name} has {have}, and needs {need}; choose another --table")

    def find_watermarks(self, version: str, source: str, since: str) -> list[str]:
        """See `sink.Sink`."""
        text = (
            f"select watermark from {quote(self.jobs.name)} "
            "where model_version = ? and source = ? and since = ? and state <> ? and watermark <> ''"
        )

        def find() -> list[str]:
            if self.database.describe(self.jobs.name) is None:
                return []
            return [str(row[0]) for row in self.database.run(text, (version, source, since, RUNNING))]

        return self.database.read(find)

    def begin(self, job: Job) -> frozenset[int]:
        """See `sink.Sink`."""
        return self.database.transact(lambda: self._begin(job))

    def _begin(self, job: Job) -> frozenset[int]:
        for table in self._tables:
            if self.database.describe(table.name) is None:
                self.database.run(table.creation(self.database.types, self.database.ending))
        self._forget_replaced(job)
        entry = (job.id, job.version, job.bundle, job.artifact, job.source, job.least_key, job.greatest_key)
        self.database.run(
            self.jobs.insertion(f"values ({', '.join('?' * len(self.jobs.columns))})"),
            (*entry, job.since, "", job.rows, job.chunks, RUNNING),
        )
        replaced = self.database.run(
            f"update {quote(self.jobs.name)} set state = ? where job = ? and state = ? returning job",
            (RUNNING, job.id, REPLACED),
        )
        if replaced:
            self._forget_chunks(job.id, with_counts=True)
        rows = self.database.run(f"select chunk from {quote(self.chunks.name)} where job = ?", (job.id,))
        return frozenset(int(row[0]) for row in rows)

    def _forget_replaced(self, job: Job) -> None:
        jobs = quote(self.jobs.name)
        text = f"select job, least_key, greatest_key, state from {jobs} where model_version = ? and job <> ?"
        for other, least, greatest, state in self.database.run(text, (job.version, job.id)):
            if job.overlaps(least, greatest):
                self._forget_chunks(other, with_counts=state == RUNNING)
                self.database.run(
                    f"update {quote(self.jobs.name)} set state = ? where job = ? and state = ?", (REPLACED, other, DONE)
                )

    def _forget_chunks(self, job: str, *, with_counts: bool) -> None:
        for table in (self.chunks, *([self.counts] if with_counts else [])):
            self.database.run(f"delete from {quote(table.name)} where job = ?", (job,))

    def write(self, job: Job, chunk: int, rows: Any, counts: Counts) -> bool:
        """See `sink.Sink`."""
        return self.database.transact(lambda: self._write(job, chunk, rows, counts))

    def _write(self, job: Job, chunk: int, rows: Any, counts: Counts) -> bool:
        claim = (
            f"insert into {quote(self.chunks.name)} (job, chunk, rows) values (?, ?, ?) "
            "on conflict (job, chunk) do nothing returning chunk"
        )
        if not self.database.run(claim, (job.id, chunk, rows.num_rows)):
            return False  # whoever writes it too has committed it
        self.database.upsert(self.predictions, job.version, rows)
        cells = sorted(counts.items())  # two writers wait for each other in one order
        for start in range(0, len(cells), CELLS):
            part = cells[start : start + CELLS]
            values = [value for cell, count in part for value in (job.id, *cell, job.version, count)]
            self.database.run(self.counts.addition(len(part)), values)
        return True

    def finish(self, job: Job, current: Current) -> str:
        """See `sink.Sink`."""
        return self.database.transact(lambda: self._finish(job, current))

    def _finish(self, job: Job, current: Current) -> str:
        self._forget_replaced(job)  # another job of these keys may have begun meanwhile
        self.database.run(
            f"update {quote(self.jobs.name)} set state = ?, watermark = ? where job = ?", (DONE, job.watermark, job.id)
        )
        version = current.version or self._find_version(current, job.artifact)
        if version:
            columns = ", ".join(quote(column.name) for column in self.predictions.columns)
            which = f"where {quote(VERSION)} = {quote_text(version)}"
            self.database.replace_view(self.view, f"select {columns} from {quote(self.name)} {which}")
        return version

    def _find_version(self, current: Current, artifact: str) -> str:
        """The version whose rows a finished job wrote by that artifact of the chosen bundle; empty where there is none."""
        text = f"select model_version from {quote(self.jobs.name)} where bundle = ? and artifact = ? and state <> ? order by 1"
        rows = self.database.run(text, (current.bundle, artifact, RUNNING))
        return str(rows[-1][0]) if rows else ""

    def close(self) -> None:
        """See `sink.Sink`."""
        self.database.close()
