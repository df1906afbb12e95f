"""A stream's source by its address."""

from __future__ import annotations

from edgeship.deploy.contract.inputs import ContractInput
from edgeship.errors import InputError, MissingDependencyError
from edgeship.learning.stream.sources.files import GrowingFiles
from edgeship.learning.stream.sources.source import ColumnChooser, StreamSource
from edgeship.light_dataclass import dataclass
from edgeship.storage.adbc import hide_password
from edgeship.tables.database import find_database

QUEUES = ("redis://", "rediss://", "unix://")
EXTRA = "pip install 'edgeship[stream]'"


@dataclass(frozen=True)
class QueueReader:
    """Who reads a queue: `name` of the model, its `inputs`, which columns are key and label, when the dead are inherited from."""

    name: str
    inputs: tuple[ContractInput, ...]
    key: str
    label: str
    consumer: str
    claim_after: float


def open_source(
    address: str, query: str | None, watermark: str | None, columns: ColumnChooser, reader: QueueReader
) -> StreamSource:
    """The source there.

    Raises InputError where nothing is there, a column is missing, or query and watermark do not suit it; MissingDependencyError
    without a driver.
    """
    database = find_database(address)
    if database is None:
        if query is not None or watermark is not None:
            raise InputError(f"{hide_password(address)}: --query and --watermark are for databases")
        if address.startswith(QUEUES):
            return _open_queue(address, columns, reader)
        return GrowingFiles(address, columns)
    if watermark is None:
        raise InputError(
            f"{database}: --watermark must name the column whose values only grow, by which new rows are found"
        )
    if database.kind == "sqlite":
        from edgeship.learning.stream.sources.sqlite_table import SqliteRows

        return SqliteRows(database, query, watermark, columns)
    try:
        from edgeship.learning.stream.sources.postgres_table import PostgresRows
    except ImportError as error:
        raise MissingDependencyError(f"{database}: PostgreSQL needs ADBC ({error}): {EXTRA}") from error
    return PostgresRows(database, query, watermark, columns)


def _open_queue(address: str, columns: ColumnChooser, reader: QueueReader) -> StreamSource:
    try:
        from edgeship.learning.stream.sources.redis_streams import RedisStreams
    except ImportError as error:
        raise MissingDependencyError(
            f"{hide_password(address)}: needs the client of Redis ({error}): {EXTRA}"
        ) from error
    return RedisStreams(
        address, reader.name, reader.inputs, columns, reader.key, reader.label, reader.consumer, reader.claim_after
    )
