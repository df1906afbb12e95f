"""The inbox: reports of clients, collected by a server or brought from files.

`store` is a folder, in which the inbox is `inbox.db`, `sqlite:///FILE`, or `postgresql://USER@HOST/DATABASE`. All raise
InputError for a store of something else or of another schema, and for what is named and cannot be read, and
MissingDependencyError for PostgreSQL without its driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyPath
from edgeship.api.files import check_outside_of_bundles
from edgeship.errors import InputError, MissingDependencyError

EXPORTS = ("parquet", "duckdb", "otlp-json")
SAMPLES_MB, MOST_SAMPLES = 1024, 1000
EXTRA = "pip install 'edgeship[monitor]'"

if TYPE_CHECKING:
    from edgeship.monitoring.inbox.arrival import KnownBundle
    from edgeship.monitoring.inbox.bundles import BundleProfile, BundleSources
    from edgeship.monitoring.inbox.collector.sample_desk import SampleDesk
    from edgeship.monitoring.inbox.collector.server import Collector
    from edgeship.monitoring.inbox.inbox import Inbox, InboxCounts, StoredReport
    from edgeship.monitoring.inbox.ingest import Ingested
    from edgeship.monitoring.inbox.place import StorePlace


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
    from edgeship.monitoring.inbox.files import find_files
    from edgeship.monitoring.inbox.inbox import open_filled
    from edgeship.monitoring.inbox.ingest import ingest_files

    moment = _parse_moment(received) if isinstance(received, str) else received
    seconds = int(time.time() if moment is None else moment.timestamp())
    place, named = parse_place(store), find_files([Path(file) for file in files])
    found = _sources(bundles, channel, registry).read()
    with open_filled(place, found) as inbox:
        return ingest_files(inbox, named, seconds)


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
    try:
        from edgeship.monitoring.inbox.collector.server import Collector, parse_origin
    except ImportError as error:
        raise MissingDependencyError(f"the server needs uvicorn ({error}): {EXTRA}") from error
    from edgeship.monitoring.inbox.collector.app import CollectorApp, CollectorSettings
    from edgeship.monitoring.inbox.inbox import open_filled
    from edgeship.processes.sockets import open_socket

    origin_names = frozenset(map(parse_origin, origins))
    place, sources = parse_place(store), _sources(bundles, channel, registry)
    found = sources.read()
    with ExitStack() as opened:
        listening = opened.enter_context(open_socket(host, port))
        desk = None
        if samples:
            folder = _samples_folder(place, samples_to)
            desk = opened.enter_context(closing(_open_desk(found, folder, samples, samples_mb)))
        inbox = opened.enter_context(open_filled(place, found))
        settings = CollectorSettings(origin_names, rate, clock, desk)
        collector = Collector(inbox, CollectorApp(inbox, sources, settings), host, listening)
        opened.pop_all()
    return collector


def _samples_folder(place: StorePlace, folder: AnyPath | None) -> Path:
    """Where samples lie. Raises InputError for an inbox that is no file, where none is named."""
    if folder is None:
        if place.file is None:
            raise InputError(f"{place}: is no folder for samples; name one by --samples-to")
        folder = place.file.parent / "samples"
    check_outside_of_bundles(Path(folder))
    return Path(folder)


def _open_desk(found: Sequence[BundleProfile], folder: Path, number: int, megabytes: int) -> SampleDesk:
    """What takes samples. Raises InputError for a folder that cannot be one, and where no bundle can have samples."""
    from edgeship.monitoring.inbox.collector.sample_desk import SampleDesk
    from edgeship.monitoring.inbox.samples.folder import SampleFolder, SampleLimits
    from edgeship.monitoring.inbox.samples.form import check_forms, make_forms

    if not 0 < number <= MOST_SAMPLES or megabytes < 1:
        raise InputError(
            f"samples: 1 to {MOST_SAMPLES:,} of a week, and at least 1 MB, not {number:,} and {megabytes:,}"
        )
    forms = make_forms(found)
    check_forms(forms)
    return SampleDesk(SampleFolder(folder, SampleLimits(number, megabytes << 20)), forms)


def export_reports(out: AnyPath, *, store: AnyPath, to: str, window: str | None = None) -> int:
    """Write the reports of one window (as 2026-W48) or all to the file `out`; how many they were.

    `to`: `parquet`, a row a report (where `out` is a folder, or has no suffix: a file for each window in it), `duckdb`, the same
    with views in which each count is a row, or `otlp-json`, sums over installations as requests of OpenTelemetry, one a line.
    Raises MissingDependencyError without pyarrow, which Parquet needs, and without DuckDB.
    """
    from edgeship.errors import unknown_name_error

    if to not in EXPORTS:
        raise unknown_name_error("form", to, EXPORTS)
    file = Path(out)
    check_outside_of_bundles(file)
    _check_window(window)
    with open_inbox(store) as inbox:
        known = inbox.read_known()
        if to == "otlp-json":
            from edgeship.monitoring.inbox.export.otlp import write_otlp

            return write_otlp(inbox.read(window), known, file)
        return _export_table(inbox, known, file, to, window)


def _export_table(inbox: Inbox, known: Mapping[str, KnownBundle], out: Path, to: str, window: str | None) -> int:
    try:
        from edgeship.monitoring.inbox.export.tables import read_tables

        if to == "duckdb":
            from edgeship.monitoring.inbox.export.duckdb_file import write_duckdb

            return write_duckdb(read_tables(inbox.read(window), known), out)
        from edgeship.monitoring.inbox.export.parquet import write_parquet, write_partitions
    except ImportError as error:
        needed, extra = ("DuckDB", "analysis") if to == "duckdb" else ("Parquet", "monitor")
        raise MissingDependencyError(f"{needed} needs a package ({error}): pip install 'edgeship[{extra}]'") from error
    if out.is_dir() or not (out.suffix or out.exists()):
        windows = inbox.read_windows() if window is None else [window]
        return write_partitions(lambda name: read_tables(inbox.read(name), known), windows, out)
    return write_parquet(read_tables(inbox.read(window), known), out)


def read_reports(store: AnyPath, window: str | None = None) -> Iterator[StoredReport]:
    """The reports that are to be believed, of one window (as 2026-W48) or all, in the order in which they came."""
    _check_window(window)
    return _read(open_inbox(store), window)


def _read(inbox: Inbox, window: str | None) -> Iterator[StoredReport]:
    with inbox:
        yield from inbox.read(window)


def count_reports(store: AnyPath) -> InboxCounts:
    """What an inbox holds."""
    with open_inbox(store) as inbox:
        return inbox.count()


def _check_window(window: str | None) -> None:
    from edgeship.monitoring.reports.windows import first_day

    if window is not None:
        first_day(window)


def open_inbox(store: AnyPath) -> Inbox:
    """The inbox of a store. Raises InputError where there is none."""
    from edgeship.monitoring.inbox.inbox import Inbox

    return Inbox(parse_place(store))


def parse_place(store: AnyPath) -> StorePlace:
    """Where a store is. Raises InputError for an address that cannot be one, and a file in a bundle."""
    from edgeship.monitoring.inbox.place import parse_store

    place = parse_store(str(store))
    if place.file is not None:
        check_outside_of_bundles(place.file)
    return place


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
