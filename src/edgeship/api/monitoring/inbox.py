"""The inbox: reports of clients, collected by a server or brought from files.

`store` is a folder, in which the inbox is `inbox.db`, or `sqlite:///FILE`. All raise InputError for a store of something else
or of another schema, and for what is named and cannot be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyPath
from edgeship.api.files import check_outside_of_bundles
from edgeship.errors import InputError, MissingDependencyError

EXPORTS = ("parquet", "otlp-json")
SAMPLES_MB, MOST_SAMPLES = 1024, 1000
EXTRA = "pip install 'edgeship[monitor]'"

if TYPE_CHECKING:
    from edgeship.monitoring.inbox.bundles import BundleProfile, BundleSources
    from edgeship.monitoring.inbox.collector.sample_desk import SampleDesk
    from edgeship.monitoring.inbox.collector.server import Collector
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


def open_collector(
    *,
    store: AnyPath,
    host: str = "127.0.0.1",
    port: int = 8090,
    origins: Sequence[str] = (),
    rate: float = 20.0,
    bundles: Sequence[AnyPath] = (),
    channel: AnyPath | None = None,
    registry: str | None = None,
    clock: Callable[[], float] = time.time,
    samples: int = 0,
    samples_to: AnyPath | None = None,
    samples_mb: int = SAMPLES_MB,
) -> Collector:
    """A server that takes reports into an inbox: `url`, `serve()` until `stop()`; a context manager.

    `origins`: pages that may send, as https://shop.example. `rate`: requests a second of one address in the long run. Port 0
    is any that is free. Versions that appear in the channel or registry are taken without a restart. `clock`: seconds since
    1970, which say when a report arrived. `samples`: how many inputs for audits each device may send of a week, 0 for none; of
    the bundles that are named here. They lie in the folder `samples_to` (default: `samples` beside the inbox), at most
    `samples_mb` megabytes.

    Raises InputError for a port in use and where no bundle is known, MissingDependencyError without uvicorn.
    """
    from edgeship.untrusted import printable

    try:
        from edgeship.monitoring.inbox.collector.server import Collector, parse_origin
    except ImportError as error:
        raise MissingDependencyError(f"the server needs uvicorn ({error}): {EXTRA}") from error
    from edgeship.monitoring.inbox.collector.app import CollectorApp, CollectorSettings

    origin_names = frozenset(map(parse_origin, origins))
    sources = _sources(bundles, channel, registry)
    found = sources.read()
    inbox, desk = _open(store, create=True), None
    try:
        if samples:
            desk = _open_desk(found, store, samples, samples_to, samples_mb)
        inbox.add_profiles(found)
        app = CollectorApp(inbox, sources, CollectorSettings(origin_names, rate, clock, desk))
        if not app.knows_bundles:
            raise InputError(
                f"{printable(inbox.file)}: knows no bundle yet; name one by --bundle, --channel or --registry"
            )
        return Collector(inbox, app, host, port)
    except BaseException:
        if desk:
            desk.close()
        inbox.close()
        raise


def _open_desk(
    found: Sequence[BundleProfile], store: AnyPath, number: int, folder: AnyPath | None, megabytes: int
) -> SampleDesk:
    """What takes samples. Raises InputError for a folder that cannot be one, and where no bundle can have samples."""
    from edgeship.monitoring.inbox.collector.sample_desk import SampleDesk
    from edgeship.monitoring.inbox.place import parse_store
    from edgeship.monitoring.inbox.samples.folder import SampleFolder, SampleLimits
    from edgeship.monitoring.inbox.samples.form import check_forms, make_forms

    if not 0 < number <= MOST_SAMPLES or megabytes < 1:
        raise InputError(
            f"samples: 1 to {MOST_SAMPLES:,} of a week, and at least 1 MB, not {number:,} and {megabytes:,}"
        )
    place = parse_store(str(store)).parent / "samples" if folder is None else Path(folder)
    check_outside_of_bundles(place)
    forms = make_forms(found)
    check_forms(forms)
    return SampleDesk(SampleFolder(place, SampleLimits(number, megabytes << 20)), forms)


def export_reports(out: AnyPath, *, store: AnyPath, to: str, window: str | None = None) -> int:
    """Write the reports of one window (as 2026-W48) or all to the file `out`; how many they were.

    `to`: `parquet`, a row a report, or `otlp-json`, sums over installations as requests of OpenTelemetry, one a line. Raises
    MissingDependencyError without pyarrow, which Parquet needs.
    """
    from edgeship.errors import unknown_name_error

    if to not in EXPORTS:
        raise unknown_name_error("form", to, EXPORTS)
    file = Path(out)
    check_outside_of_bundles(file)
    _check_window(window)
    with _open(store) as inbox:
        if to == "otlp-json":
            from edgeship.monitoring.inbox.export.otlp import write_otlp

            return write_otlp(inbox.read(window), inbox.read_known(), file)
        try:
            from edgeship.monitoring.inbox.export.parquet import write_parquet
        except ImportError as error:
            raise MissingDependencyError(f"Parquet needs pyarrow ({error}): {EXTRA}") from error
        return write_parquet(inbox.read(window), file)


def read_reports(store: AnyPath, window: str | None = None) -> Iterator[StoredReport]:
    """The reports that are to be believed, of one window (as 2026-W48) or all, in the order in which they came."""
    _check_window(window)
    return _read(_open(store), window)


def _read(inbox: Inbox, window: str | None) -> Iterator[StoredReport]:
    with inbox:
        yield from inbox.read(window)


def count_reports(store: AnyPath) -> InboxCounts:
    """What an inbox holds."""
    with _open(store) as inbox:
        return inbox.count()


def _check_window(window: str | None) -> None:
    from edgeship.monitoring.reports.windows import first_day

    if window is not None:
        first_day(window)


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
