"""A bundle, rows for it, and the command as a user runs it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from edgeship.cli.serving.predict import predict
from edgeship.errors import EdgeshipError
from tests.postgres_server import PostgresServer, run_server
from tests.serving.batch.shops import make_rows, write_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop") / "bundle")


@pytest.fixture(scope="session")
def table() -> pa.Table:
    return make_rows(1000)


@pytest.fixture
def rows(table: pa.Table, tmp_path: Path) -> Path:
    """The rows as a Parquet file."""
    pq.write_table(table, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.fixture
def run(shop: Path) -> Callable[..., dict[str, Any]]:
    """`run(source, sink, *options, bundle=)`: the JSON of `edgeship predict`."""

    def run_one(source: object, sink: object, *options: object, bundle: Path = shop) -> dict[str, Any]:
        arguments = [bundle, "--from", source, "--to", sink, "--json", "-", *options]
        done = CliRunner().invoke(predict, list(map(str, arguments)))
        assert done.exit_code == 0, f"{done.output} {done.exception!r}"
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run_one


@pytest.fixture
def refusal(shop: Path) -> Callable[..., str]:
    """`refusal(source, sink, *options)`: the sentence with which `edgeship predict` refuses, exit code 2."""

    def refuse(source: object, sink: object, *options: object, bundle: Path = shop) -> str:
        arguments = [bundle, "--from", source, "--to", sink, *options]
        done = CliRunner().invoke(predict, list(map(str, arguments)))
        assert isinstance(done.exception, EdgeshipError), f"{done.output} {done.exception!r}"
        assert done.exception.exit_code == 2 and "\n" not in str(done.exception)
        return str(done.exception)

    return refuse


@pytest.fixture(scope="session")
def server(missing: Callable[[str], NoReturn], tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test run."""
    with run_server(missing) as opened:
        yield opened


def read_all(file: Path, query: str = "select * from predictions order by model_version, row_key") -> list[Any]:
    """The rows that a query gives."""
    database = sqlite3.connect(file)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()
