"""Jobs in an SQLite file: what was asked, how far it is, what came of it. One server has the file to itself."""

from __future__ import annotations

import secrets
import sqlite3
import time
from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.serving.rest.host.failures import Busy
from edgeship.untrusted import printable

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
ENDED = (DONE, FAILED, CANCELLED)
MOST_WAITING = 1000
MOST_BYTES = 4 << 30  # of what is asked and answered, kept at once
KEPT_SECONDS = 24 * 3600  # after its end
SCHEMA = """
create table if not exists jobs (
  id text primary key, created real not null, ended real, state text not null, model text not null, version text,
  header_length text, request blob not null, response blob, response_length integer, error text not null default '',
  callback text not null default '', told integer not null default 1
);
create index if not exists jobs_by_state on jobs (state, created);
"""


@dataclass(frozen=True)
class Job:
    """A job, without its tensors. Times are seconds since 1970; `error` says why it failed."""

    id: str
    state: str
    model: str
    version: str | None
    created: float
    ended: float | None
    error: str
    callback: str


COLUMNS = "id, state, model, version, created, ended, error, callback"


class JobStore:
    """The file. Every change is on disk before its method returns; to be used by one thread at a time."""

    def __init__(self, file: str) -> None:
        place = printable(file)
        try:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=1, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma locking_mode = exclusive")
            self._db.executescript(SCHEMA)
            self.requeue()
        except sqlite3.OperationalError as error:
            why = "another server has it" if "locked" in str(error) else str(error)
            raise InputError(f"--jobs {place}: cannot be used ({why})") from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"--jobs {place}: is no file of jobs ({error})") from error
        except OSError as error:
            raise InputError(f"--jobs {place}: cannot be written ({error.strerror})") from error

    def requeue(self) -> None:
        """Begin again what ran when the last server ended, or whose end could not be written."""
        self._db.execute("update jobs set state = ? where state = ?", (QUEUED, RUNNING))

    def add(self, model: str, version: str | None, body: bytes, header_length: str | None, callback: str) -> Job:
        """A new job. Raises Busy where too many wait, or too much is kept."""
        waiting, size = self._db.execute(
            "select sum(state in (?, ?)), sum(length(request) + ifnull(length(response), 0)) from jobs",
            (QUEUED, RUNNING),
        ).fetchone()
        if (waiting or 0) >= MOST_WAITING or (size or 0) + len(body) > MOST_BYTES:
            raise Busy("too many jobs wait or are kept; try again later, or delete those that are done with")
        identity = secrets.token_urlsafe(18)
        self._db.execute(
            "insert into jobs (id, created, state, model, version, header_length, request, callback, told)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (identity, time.time(), QUEUED, model, version, header_length, body, callback, not callback),
        )
        return self._require(identity)

    def find(self, identity: str) -> Job | None:
        """A job."""
        row = self._db.execute(f"select {COLUMNS} from jobs where id = ?", (identity,)).fetchone()  # noqa: S608
        return Job(*row) if row else None

    def begin_next(self) -> tuple[Job, bytes, str | None] | None:
        """The oldest job that waits, now running, with its body and the length of the JSON in it."""
        row = self._db.execute(
            "update jobs set state = ? where id = (select id from jobs where state = ? order by created limit 1)"
            " returning id, request, header_length",
            (RUNNING, QUEUED),
        ).fetchall()
        return (self._require(row[0][0]), row[0][1], row[0][2]) if row else None

    def end(
        self, identity: str, state: str, *, response: bytes = b"", length: int | None = None, error: str = ""
    ) -> bool:
        """The end of a job, unless it has ended already: whether it had not."""
        changed = self._db.execute(
            "update jobs set state = ?, ended = ?, response = ?, response_length = ?, error = ?"
            " where id = ? and state in (?, ?)",
            (state, time.time(), response, length, error, identity, QUEUED, RUNNING),
        ).rowcount
        return bool(changed)

    def response(self, identity: str) -> tuple[bytes, int | None]:
        """The answer of a job that is done, and the length of the JSON in it where tensors follow."""
        row = self._db.execute("select response, response_length from jobs where id = ?", (identity,)).fetchone()
        return row[0], row[1]

    def delete(self, identity: str) -> None:
        """Forget a job."""
        self._db.execute("delete from jobs where id = ?", (identity,))

    def untold(self) -> list[Job]:
        """Jobs that have ended, and whose callback has not heard of it."""
        marks = ", ".join("?" * len(ENDED))
        rows = self._db.execute(
            f"select {COLUMNS} from jobs where told = 0 and state in ({marks})",  # noqa: S608
            ENDED,
        ).fetchall()
        return [Job(*row) for row in rows]

    def mark_told(self, identity: str) -> None:
        """Its callback has heard of it, or never will."""
        self._db.execute("update jobs set told = 1 where id = ?", (identity,))

    def forget_old(self) -> None:
        """Delete what ended long ago."""
        self._db.execute("delete from jobs where ended < ?", (time.time() - KEPT_SECONDS,))

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def _require(self, identity: str) -> Job:
        job = self.find(identity)
        assert job is not None  # noqa: S101  # it was written a moment ago
        return job
