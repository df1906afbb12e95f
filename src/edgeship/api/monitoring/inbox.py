"""The inbox: reports of clients, collected by a server or brought from files.

`store` is a folder, in which the inbox is `inbox.db`, or `sqlite:///FILE`. All raise InputError for a store of something else
or of another schema, and for what is named and cannot be read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyPath
from edgeship.api.files import check_outside_of_bundles
from edgeship.errors import InputError

if TYPE_CHECKING:
    from edgeship.monitoring.inbox.bundles import BundleSources
    from edgeship.monitoring.inbox.inbox import Inbox, InboxCounts, StoredReport
    from edgeship.monitoring.inbox.ingest import Ingested


def ingest_reports(
    files: Sequence[AnyPath],
    *,
    store: AnyPath,
    bundles: Sequence[AnyPath] = (),
    channel: AnyPath | None = None,
    registry: str | None = None,
    received: datetime | str | None = None,
) -> Ingested:
    """Bring reports into an inbox, each once. `files`: JSON lines or single reports, packed by gzip or not, or folders of them.

    Reports of the bundles, and of the versions in the channel and registry, are taken, now and from now on. `received`: when
    they arrived (default: now; a text of ISO 8601, UTC unless it says so), which bounds the weeks that they may be of.
    """
    from edgeship.monitoring.inbox.ingest import ingest_files

    moment = _parse_moment(received) if isinstance(received, str) else received
    sources = _sources(bundles, channel, registry)
    found = sources.read()
    with _open(store, create=True) as inbox:
        inbox.add_profiles(found)
        return ingest_files(
            inbox, [Path(file) for file in files], int(time.time() if moment is None else moment.timestamp())
        )


def read_reports(store: AnyPath, window: str | None = None) -> Iterator[StoredReport]:
    """The reports that are to be believed, of one window (as 2026-W48) or all, in the order in which they came."""
    if window is not None:
        from edgeship.monitoring.reports.windows import first_day

        first_day(window)
    with _open(store) as inbox:
        yield from inbox.read(window)


def count_reports(store: AnyPath) -> InboxCounts:
    """What an inbox holds."""
    with _open(store) as inbox:
        return inbox.count()


def _open(store: AnyPath, *, create: bool = False) -> Inbox:
    from edgeship.monitoring.inbox.inbox import Inbox
    from edgeship.monitoring.inbox.place import parse_store

    file = parse_store(str(store))
    check_outside_of_bundles(file)
    return Inbox(file, create=create)


def _sources(bundles: Sequence[AnyPath], channel: AnyPath | None, registry: str | None) -> BundleSources:
    from edgeship.monitoring.inbox.bundles import BundleSources

    return BundleSources(tuple(map(Path, bundles)), None if channel is None else Path(channel), registry)


def _parse_moment(text: str) -> datetime:
    from edgeship.untrusted import printable

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{printable(text)[:40]!r} is no day or time, as 2026-11-29 or 2026-11-29T14:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
