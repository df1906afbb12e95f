"""The inbox: every report once, in whatever order and however often it arrives.

Two reports of the same key and other content are a conflict: neither is to be believed, so both are put aside, and the result
does not depend on which of them came first.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.arrival import Arrival, KnownBundle
from edgeship.monitoring.inbox.bundles import BundleProfile
from edgeship.monitoring.inbox.database import connect, in_our_words, transaction
from edgeship.monitoring.profile.profile import parse_profile
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.report import Report
from edgeship.untrusted import parse_json, printable

Result = Literal["new", "duplicate", "conflict"]
MOST_COPIES = 8  # of one key that are put aside: more tell nothing
BATCH = 500  # reports read at once
OF_KEYS = "where key in (select value from json_each(?))"


@dataclass(frozen=True)
class StoredReport:
    """A report of the inbox; `received`: seconds since 1970, `late`: its window had been closed."""

    report: Report
    received: int
    late: bool


@dataclass(frozen=True)
class InboxCounts:
    """What an inbox holds: `reports`, of them `late`; keys in `conflicts`; by reason how many were `refused`; profiles known."""

    reports: int
    late: int
    conflicts: int
    refused: Mapping[str, int]
    profiles: int


class Inbox:
    """An opened inbox, used by one thread at a time; a context manager. Raises InputError as `database.connect`."""

    def __init__(self, file: Path, *, create: bool = False) -> None:
        self.file = file
        self._connection = connect(file, create=create)

    def close(self) -> None:
        """Close the file; what was written is in it."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, arrivals: Sequence[Arrival], refused: Mapping[str, int] | None = None) -> list[Result]:
        """Keep reports, all or none; what became of each, in their order. `refused`: how many others were, by reason.

        Raises StoreError where the disk is full, or another process writes for too long: then nothing of them is kept.
        """
        with in_our_words(self.file), transaction(self._connection):
            self._count_refusals(refused or {})
            return self._add(arrivals)

    def _add(self, arrivals: Sequence[Arrival]) -> list[Result]:
        keys = json.dumps([item.key for item in arrivals])
        known = {key: bytes(digest) for key, digest in self._select(f"select key, digest from report {OF_KEYS}", keys)}
        disputed: dict[str, set[bytes]] = {}
        for key, digest in self._select(f"select key, digest from conflict {OF_KEYS}", keys):
            disputed.setdefault(key, set()).add(bytes(digest))
        new: dict[str, Arrival] = {}
        results: list[Result] = []
        for item in arrivals:
            before = known.get(item.key)
            if item.key in disputed:
                results.append("conflict")
                self._put_aside(item, disputed[item.key])
            elif before is None:
                results.append("new")
                known[item.key], new[item.key] = item.digest, item
            elif before == item.digest:
                results.append("duplicate")
            else:
                results.append("conflict")
                disputed[item.key] = set()
                first = new.pop(item.key) if item.key in new else self._take_out(item.key)
                self._put_aside(first, disputed[item.key])
                self._put_aside(item, disputed[item.key])
        self._connection.executemany(
            "insert into report(key, window, profile, digest, body, received, late) values(?, ?, ?, ?, ?, ?, ?)",
            new.values(),
        )
        return results

    def _select(self, statement: str, keys: str) -> list[tuple[str, bytes]]:
        return self._connection.execute(statement, (keys,)).fetchall()

    def _take_out(self, key: str) -> Arrival:
        statement = "select key, window, profile, digest, body, received, late from report where key = ?"
        row = self._connection.execute(statement, (key,)).fetchone()
        self._connection.execute("delete from report where key = ?", (key,))
        return Arrival(*row)

    def _put_aside(self, item: Arrival, copies: set[bytes]) -> None:
        if item.digest not in copies and len(copies) < MOST_COPIES:
            copies.add(item.digest)
            self._connection.execute(
                "insert into conflict(key, received, digest, body) values(?, ?, ?, ?)",
                (item.key, item.received, item.digest, item.body),
            )

    def _count_refusals(self, reasons: Mapping[str, int]) -> None:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        self._connection.executemany(
            "insert into refusal values(?, ?, ?) on conflict(day, reason) do update set count = count + excluded.count",
            [(day, reason, count) for reason, count in reasons.items()],
        )

    def check_writable(self) -> None:
        """Raise StoreError where nothing can be written: it is tried, by the time in nanoseconds."""
        with in_our_words(self.file), transaction(self._connection):
            self._connection.execute("insert or replace into server values(1, ?)", (time.time_ns(),))

    def add_profiles(self, found: Iterable[BundleProfile]) -> None:
        """Remember profiles, and the manifests that they came with: reports of them are taken from now on."""
        with in_our_words(self.file), transaction(self._connection):
            for item in found:
                digest = hashlib.sha256(item.body).hexdigest()
                self._connection.execute("insert or ignore into profile values(?, ?)", (digest, item.body))
                if item.manifest:
                    self._connection.execute("insert or ignore into bundle values(?, ?)", (item.manifest, digest))

    def read_known(self) -> dict[str, KnownBundle]:
        """The bundles whose reports are taken, by the sha256 of their profile. Raises InputError for a damaged profile."""
        with in_our_words(self.file):
            profiles = self._connection.execute("select digest, body from profile").fetchall()
            bundles = self._connection.execute("select manifest, profile from bundle").fetchall()
        found = {}
        for digest, body in profiles:
            what = f"{printable(self.file)}: the profile {digest[:16]}"
            if hashlib.sha256(body).hexdigest() != digest:
                raise InputError(f"{what} was changed; bring the inbox back from a backup")
            manifests = frozenset(manifest for manifest, profile in bundles if profile == digest)
            found[digest] = KnownBundle(parse_profile(parse_json(body, what)), manifests)
        return found

    def read(self, window: str | None = None) -> Iterator[StoredReport]:
        """The reports that are to be believed, of one window or all, in the order in which they came."""
        last = 0
        where = "id > ?" if window is None else "id > ? and window = ?"
        statement = f"select id, received, late, body from report where {where} order by id limit {BATCH}"
        while True:
            with in_our_words(self.file):
                rows = self._connection.execute(statement, (last,) if window is None else (last, window)).fetchall()
            if not rows:
                return
            for last, received, late, body in rows:  # noqa: B007  # where the next batch begins
                yield StoredReport(read_report(body), received, bool(late))

    def read_windows(self) -> list[str]:
        """The windows of which there are reports, the oldest first."""
        with in_our_words(self.file):
            return [window for (window,) in self._connection.execute("select distinct window from report order by 1")]

    def count_profiles(self) -> dict[str, dict[str, int]]:
        """By window, how many reports there are of each profile."""
        found: dict[str, dict[str, int]] = {}
        statement = "select window, profile, count(*) from report group by window, profile order by window, profile"
        with in_our_words(self.file):
            for window, profile, count in self._connection.execute(statement):
                found.setdefault(window, {})[profile] = count
        return found

    def count(self) -> InboxCounts:
        """What the inbox holds."""
        run = self._connection.execute
        with in_our_words(self.file):
            (reports,) = run("select count(*) from report").fetchone()
            (late,) = run("select count(*) from report where late").fetchone()
            (conflicts,) = run("select count(distinct key) from conflict").fetchone()
            refused = dict(run("select reason, sum(count) from refusal group by reason order by reason").fetchall())
            (profiles,) = run("select count(*) from profile").fetchone()
        return InboxCounts(reports, late, conflicts, refused, profiles)
