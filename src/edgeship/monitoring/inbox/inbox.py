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
from types import TracebackType
from typing import Literal, Self

from edgeship.errors import InputError, MissingDependencyError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.arrival import Arrival, KnownBundle
from edgeship.monitoring.inbox.bundles import BundleProfile
from edgeship.monitoring.inbox.database import InboxDatabase, NoInboxError
from edgeship.monitoring.inbox.place import StorePlace
from edgeship.monitoring.profile.profile import parse_profile
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.report import Report
from edgeship.untrusted import parse_json

Result = Literal["new", "duplicate", "conflict"]
MOST_COPIES = 8  # of one key that are put aside: more tell nothing
BATCH = 500  # reports read at once
COLUMNS = ("key", "window", "profile", "digest", "body", "received", "late")
EXTRA = "pip install 'edgeship[monitor-postgres]'"


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


def _open_database(place: StorePlace, create: bool) -> InboxDatabase:
    if place.file is not None:
        from edgeship.monitoring.inbox.sqlite_database import SqliteDatabase

        return SqliteDatabase(place.file, create=create)
    try:
        from edgeship.monitoring.inbox.postgres_database import PostgresDatabase
    except ImportError as error:
        raise MissingDependencyError(f"{place}: PostgreSQL needs its driver ({error}): {EXTRA}") from error
    return PostgresDatabase(place.text, place.uri, create=create)


class Inbox:
    """An opened inbox, used by one thread at a time; a context manager. With `create` it is made where there is none.

    Raises NoInboxError where there is none, InputError where it is of another schema or something else, and StoreError where
    its database fails.
    """

    def __init__(self, place: StorePlace, *, create: bool = False) -> None:
        self.place = place
        self._database = _open_database(place, create)

    def close(self) -> None:
        """Let go of it; what was written is in it."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, arrivals: Sequence[Arrival], refused: Mapping[str, int] | None = None) -> list[Result]:
        """Keep reports, all or none; what became of each, in their order. `refused`: how many others were, by reason.

        Raises StoreError where the disk is full, or another process writes for too long: then nothing of them is kept. Where
        the connection to a server broke at the very end, they may be kept: whoever sends them again is told `duplicate`.
        """
        with self._database.transaction():
            self._count_refusals(refused or {})
            return self._add(arrivals)

    def _add(self, arrivals: Sequence[Arrival]) -> list[Result]:
        keys = json.dumps([item.key for item in arrivals])
        known = {key: digest for key, digest in self._select("report", keys)}
        disputed: dict[str, set[bytes]] = {}
        for key, digest in self._select("conflict", keys):
            disputed.setdefault(key, set()).add(digest)
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
        self._database.insert("report", COLUMNS, [*new.values()])
        return results

    def _select(self, table: str, keys: str) -> list[tuple[str, bytes]]:
        rows = self._database.run(f"select key, digest from {table} where {self._database.of_keys}", (keys,))
        return [(key, bytes(digest)) for key, digest in rows]

    def _take_out(self, key: str) -> Arrival:
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        (row,) = self._database.run(f"select {names} from report where key = ?", (key,))
        self._database.run("delete from report where key = ?", (key,))
        return Arrival(*row)

    def _put_aside(self, item: Arrival, copies: set[bytes]) -> None:
        if item.digest not in copies and len(copies) < MOST_COPIES:
            copies.add(item.digest)
            row = (item.key, item.received, item.digest, item.body)
            self._database.insert("conflict", ("key", "received", "digest", "body"), [row])

    def _count_refusals(self, reasons: Mapping[str, int]) -> None:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        change = "on conflict(day, reason) do update set count = refusal.count + excluded.count"
        for reason, count in reasons.items():
            self._database.run(f"insert into refusal values(?, ?, ?) {change}", (day, reason, count))

    def check_writable(self) -> None:
        """Raise StoreError where nothing can be written: it is tried, by the time in nanoseconds."""
        change = "on conflict(id) do update set alive = excluded.alive"
        with self._database.transaction():
            self._database.run(f"insert into server values(1, ?) {change}", (time.time_ns(),))

    def add_profiles(self, found: Iterable[BundleProfile]) -> None:
        """Remember profiles, and the manifests that they came with: reports of them are taken from now on."""
        with self._database.transaction():
            for item in found:
                digest = hashlib.sha256(item.body).hexdigest()
                self._database.run("insert into profile values(?, ?) on conflict do nothing", (digest, item.body))
                if item.manifest:
                    self._database.run(
                        "insert into bundle values(?, ?) on conflict do nothing", (item.manifest, digest)
                    )

    def read_known(self) -> dict[str, KnownBundle]:
        """The bundles whose reports are taken, by the sha256 of their profile. Raises InputError for a damaged profile."""
        profiles = self._database.run("select digest, body from profile")
        bundles = self._database.run("select manifest, profile from bundle")
        found = {}
        for digest, body in profiles:
            what = f"{self.place}: the profile {digest[:16]}"
            if hashlib.sha256(body).hexdigest() != digest:
                raise InputError(f"{what} was changed; bring the inbox back from a backup")
            manifests = frozenset(manifest for manifest, profile in bundles if profile == digest)
            found[digest] = KnownBundle(parse_profile(parse_json(body, what)), manifests)
        return found

    def read(self, window: str | None = None) -> Iterator[StoredReport]:
        """The reports that are to be believed, of one window or all, in the order in which they came."""
        last = 0
        where = "id > ?" if window is None else 'id > ? and "window" = ?'
        statement = f"select id, received, late, body from report where {where} order by id limit {BATCH}"
        while True:
            rows = self._database.run(statement, (last,) if window is None else (last, window))
            if not rows:
                return
            for last, received, late, body in rows:  # noqa: B007  # where the next batch begins
                yield StoredReport(read_report(body), received, bool(late))

    def read_windows(self) -> list[str]:
        """The windows of which there are reports, the oldest first."""
        return [window for (window,) in self._database.run('select distinct "window" from report order by 1')]

    def count_profiles(self) -> dict[str, dict[str, int]]:
        """By window, how many reports there are of each profile."""
        found: dict[str, dict[str, int]] = {}
        statement = (
            'select "window", profile, count(*) from report group by "window", profile order by "window", profile'
        )
        for window, profile, count in self._database.run(statement):
            found.setdefault(window, {})[profile] = count
        return found

    def count(self) -> InboxCounts:
        """What the inbox holds."""
        run = self._database.run
        ((reports,),) = run("select count(*) from report")
        ((late,),) = run("select count(*) from report where late")
        ((conflicts,),) = run("select count(distinct key) from conflict")
        refused = dict(run("select reason, cast(sum(count) as bigint) from refusal group by reason order by reason"))
        ((profiles,),) = run("select count(*) from profile")
        return InboxCounts(reports, late, conflicts, refused, profiles)


def open_filled(place: StorePlace, found: Sequence[BundleProfile]) -> Inbox:
    """An inbox that takes reports of the bundles that were found, and of those that it knows. It is made where there is none.

    Raises InputError as `Inbox`, and where there would be no bundle whose reports could be taken: nothing is made then.
    """
    unknown = f"{place}: knows no bundle yet; name one by --bundle, --channel or --registry"
    try:
        inbox = Inbox(place, create=bool(found))
    except NoInboxError as error:
        raise InputError(unknown) from error
    try:
        if found:
            inbox.add_profiles(found)
        elif not inbox.count().profiles:
            raise InputError(unknown)
    except BaseException:
        inbox.close()
        raise
    return inbox
