"""Databases as rows come from them: their addresses, and a query's rows, by ADBC's streams, in a Parquet file.

A table is read several times. A query may give other rows the second time, so that it is run once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from edgeship.errors import InputError, MissingDependencyError
from edgeship.light_dataclass import dataclass
from edgeship.storage.adbc import driver_reason, hide_password, quote_name
from edgeship.tables.reading import BATCH, import_pyarrow
from edgeship.untrusted import printable

SQLITE, SERVERS = "sqlite:///", ("postgresql://", "postgres://")
SQLITE_ROWS = "adbc.sqlite.query.batch_rows"
SNAPSHOT = "set transaction isolation level repeatable read, read only"
EXTRA = "pip install 'edgeship[batch]'"


@dataclass(frozen=True)
class Database:
    """A database: the `text` that people see (no password in it), the `uri` for its driver, of SQLite its `file`."""

    kind: Literal["sqlite", "postgresql"]
    text: str
    uri: str
    file: Path = Path()

    def __str__(self) -> str:
        return self.text


def find_database(text: str) -> Database | None:
    """The database of an address, `sqlite:///FILE` or `postgresql://...`; None for any other text.

    Raises InputError for an address at which none can be.
    """
    if text.startswith(SERVERS):
        return Database("postgresql", hide_password(text), text)
    if not text.startswith(SQLITE):
        return None
    name = text.removeprefix(SQLITE)
    if not name or "?" in name or printable(name) != name:
        raise InputError(f"{printable(text)}: no database can be there; write sqlite:///FILE")
    return Database("sqlite", name, Path(name).absolute().as_uri(), Path(name))


def check_query(database: Database, query: str | None) -> str:
    """The query without its semicolon. Raises InputError where there is none, or no file of SQLite."""
    if query is None or not query.strip().rstrip(";"):
        raise InputError(f"{database}: which rows are read of a database: --query 'select ...'")
    if database.kind == "sqlite" and not database.file.is_file():
        raise InputError(f"{database}: no such file")
    return query.strip().rstrip(";")


def copy_query(database: Database, query: str, out: Path) -> None:
    """Write the rows of a query into a Parquet file, batch by batch; the database is not written to.

    Values of SQLite, whose columns have no fixed type, become texts, of which the schema is inferred as that of a CSV. Of
    PostgreSQL numbers, texts, truth values and dates stay what they are, other types become texts. Raises InputError for a query
    that cannot be run, MissingDependencyError without ADBC.
    """
    pa = import_pyarrow()
    import pyarrow.parquet as pq

    query = check_query(database, query)
    with _open_rows(database, query) as rows, pq.ParquetWriter(out, rows.schema) as writer:
        for batch in rows:
            writer.write_table(pa.Table.from_batches([batch]))


@contextlib.contextmanager
def _open_rows(database: Database, query: str) -> Iterator[Any]:
    """A reader of the query's rows, in types that a table may have."""
    with _in_our_words(database):
        import_module("adbc_driver_manager")
        driver: Any = import_module(f"adbc_driver_{database.kind}.dbapi")
        uri = f"{database.uri}?mode=ro" if database.kind == "sqlite" else database.uri
        with driver.connect(uri) as connection, connection.cursor() as cursor:
            if database.kind == "sqlite":
                cursor.adbc_statement.set_options(**{SQLITE_ROWS: str(BATCH)})
            else:
                cursor.execute(SNAPSHOT)
            cursor.execute(f"select * from ({query}) as q limit 0")  # noqa: S608  # the user's own query
            fields = cursor.fetch_arrow_table().schema
            if doubles := sorted({name for name in fields.names if fields.names.count(name) > 1}):
                raise InputError(f"{database}: two columns are called '{printable(doubles[0])}'; name them apart (as)")
            selected = ", ".join(_select_texts(fields.names) if database.kind == "sqlite" else _select_typed(fields))
            cursor.execute(f"select {selected} from ({query}) as q")  # noqa: S608  # names are quoted
            with cursor.fetch_record_batch() as reader:
                yield reader


def _select_texts(names: Sequence[str]) -> list[str]:
    """Each column as text. A cast of a real number has 15 digits, which are not all of it."""
    return [
        f"case typeof({name}) when 'real' then printf('%!.17g', {name}) else cast({name} as text) end as {name}"
        for name in map(quote_name, names)
    ]


def _select_typed(fields: Any) -> list[str]:
    """Each column as it is, or as text; numbers of any length as double precision."""
    tests = import_pyarrow().types
    known = (
        *(tests.is_integer, tests.is_floating, tests.is_boolean, tests.is_string, tests.is_large_string),
        *(tests.is_timestamp, tests.is_date),
    )
    columns = []
    for field in fields:
        name = quote_name(field.name)
        is_numeric = (field.metadata or {}).get(b"ADBC:postgresql:typname") == b"numeric"
        kind = "double precision" if is_numeric else "" if any(test(field.type) for test in known) else "text"
        columns.append(f"{name}::{kind} as {name}" if kind else name)
    return columns


@contextlib.contextmanager
def _in_our_words(database: Database) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(f"{database}: queries need ADBC ({error}): {EXTRA}") from error
    except (InputError, MissingDependencyError):
        raise
    except Exception as error:
        # ADBC's and pyarrow's own, and OSError out of a stream of rows: their classes are there only with the driver.
        if not type(error).__module__.startswith(("adbc", "pyarrow")) and not isinstance(error, OSError):
            raise
        raise InputError(f"{database}: the query cannot be run ({driver_reason(error)})") from error
