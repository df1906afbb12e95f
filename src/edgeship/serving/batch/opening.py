"""Sources and sinks, opened by their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeship.deploy.contract.contract import Contract
from edgeship.errors import InputError, MissingDependencyError, unknown_name_error
from edgeship.serving.batch.addresses import Address
from edgeship.serving.batch.rows.outputs import TableColumn
from edgeship.serving.batch.scoring import Engine, LocalEngine, Scoring
from edgeship.serving.batch.sinks.database import Database
from edgeship.serving.batch.sinks.ledger import DatabaseSink
from edgeship.serving.batch.sinks.parquet_file import ParquetSink
from edgeship.serving.batch.sinks.sink import Sink
from edgeship.serving.batch.sources.files import CsvFiles, ParquetFiles, PictureFolder, Source

ENGINES = ("local", "ray")
EXTRA = "pip install 'edgeship[batch]'"


def open_source(address: Address, query: str | None, key: str, contract: Contract) -> Source:
    """The source there. Raises InputError where a query is missing or has no place, or pictures do not suit the model."""
    if address.is_database != (query is not None):
        text = (
            "which rows are read of a database: --query 'select ...'" if query is None else "--query is for databases"
        )
        raise InputError(f"{address}: {text}")
    if query is not None:
        try:
            from edgeship.serving.batch.sources.sql_query import SqlQuery

            return SqlQuery(address, query, key, contract.inputs)
        except ImportError as error:
            raise MissingDependencyError(f"{address}: queries need ADBC ({error}): {EXTRA}") from error
    if address.kind == "csv":
        return CsvFiles(address, contract.inputs)
    if address.kind == "parquet":
        return ParquetFiles(address)
    if len(contract.inputs) != 1 or contract.inputs[0].kind != "image":
        takes = ", ".join(f"'{item.name}' ({item.kind})" for item in contract.inputs)
        raise InputError(f"{address}: holds pictures, and the model takes {takes}")
    return PictureFolder(address, key, contract.inputs[0].name)


def open_database(address: Address) -> Database:
    """The database there. Raises InputError where no server answers, MissingDependencyError without its driver."""
    if address.kind == "sqlite":
        from edgeship.serving.batch.sinks.sqlite_database import SqliteDatabase

        return SqliteDatabase(address.root)
    try:
        from edgeship.serving.batch.sinks.postgres_database import PostgresDatabase
    except ImportError as error:
        raise MissingDependencyError(f"{address}: PostgreSQL needs ADBC ({error}): {EXTRA}") from error
    return PostgresDatabase(address)


def open_engine(name: str, scoring: Scoring, model: Path) -> Engine:
    """What scores chunks: `local`, or `ray`. Raises InputError where no cluster answers, MissingDependencyError without Ray."""
    if name not in ENGINES:
        raise unknown_name_error("engine", name, ENGINES)
    if name == "local":
        return LocalEngine(scoring, model)
    try:
        from edgeship.serving.batch.ray_engine import RayEngine
    except ImportError as error:
        raise MissingDependencyError(f"--engine ray needs Ray ({error}): pip install 'edgeship[ray]'") from error
    return RayEngine(scoring, model)


def open_sink(
    address: Address,
    database: Database | None,
    table: str,
    version: str,
    key_is_text: bool,
    columns: Sequence[TableColumn],
) -> Sink:
    """The sink there; of a database it is the one that is open."""
    if database is None:
        return ParquetSink(address.root, table, version, key_is_text, columns)
    return DatabaseSink(database, address, table, "text" if key_is_text else "whole", columns)
