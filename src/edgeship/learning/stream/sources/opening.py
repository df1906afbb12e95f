"""A stream's source by its address."""

from __future__ import annotations

from edgeship.errors import InputError, MissingDependencyError
from edgeship.learning.stream.sources.files import GrowingFiles
from edgeship.learning.stream.sources.source import ColumnChooser, StreamSource
from edgeship.storage.adbc import hide_password
from edgeship.tables.database import find_database

EXTRA = "pip install 'edgeship[stream]'"


def open_source(address: str, query: str | None, watermark: str | None, columns: ColumnChooser) -> StreamSource:
    """The source there.

    Raises InputError where nothing is there, a column is missing, or query and watermark do not suit it; MissingDependencyError
    without a driver.
    """
    database = find_database(address)
    if database is None:
        if query is not None or watermark is not None:
            raise InputError(f"{hide_password(address)}: --query and --watermark are for databases")
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
