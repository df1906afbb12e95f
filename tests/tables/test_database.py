"""Rows of a query as a table: what of a database arrives, and what is refused."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow.parquet as pq
import pytest

from edgeship.api.own_data.checks import check_data
from edgeship.errors import InputError
from edgeship.storage.adbc import hide_password
from edgeship.tables.database import copy_query, find_database
from edgeship.tables.inference import read_schema
from edgeship.tables.schema import TableSchema
from edgeship.train.own_data.sources.source import Source, read_source
from tests.postgres_server import PostgresServer, run_server
from tests.train.own_data.tables import SHOP, shop_rows, write_table


def write_database(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A SQLite file with a table `t`; returns its address."""
    database = sqlite3.connect(path)
    database.execute(f"create table t ({', '.join(names)})")
    database.executemany(f"insert into t values ({', '.join('?' * len(names))})", rows)
    database.commit()
    database.close()
    return f"sqlite:///{path}"


def copy(address: str, query: str, out: Path) -> TableSchema:
    database = find_database(address)
    assert database is not None
    copy_query(database, query, out)
    return read_schema(out)


def test_a_query_on_sqlite_is_the_table_that_a_csv_would_be(tmp_path: Path) -> None:
    """Gaps, quotes and truth values included; whatever the database calls a column's type."""
    rows = shop_rows(300)
    address = write_database(tmp_path / "shop.db", SHOP, [[value or None for value in row] for row in rows])
    csv = write_table(tmp_path / "shop.csv", SHOP, rows)
    (work := tmp_path / "work").mkdir()
    of_query = read_source(Source(Path("shop.db"), "bought", database=address, query="select * from t;"), work)
    of_file = read_source(Source(csv, "bought"), work)
    train = np.arange(200)
    for name, values in of_file.prepare(train).inputs.items():
        np.testing.assert_array_equal(of_query.prepare(train).inputs[name], values)
    assert of_query.prepare(train).forms == of_file.prepare(train).forms
    np.testing.assert_array_equal(of_query.targets, of_file.targets)
    assert of_query.name == str(tmp_path / "shop.db") and "select * from t" in of_query.notes[-1]
    assert not list(work.iterdir())


def test_numbers_of_sqlite_keep_all_their_digits_whatever_the_first_rows_are(tmp_path: Path) -> None:
    values = [1, math.pi, 2**60, -1e-300, None]
    address = write_database(tmp_path / "d.db", ("x", "y"), [(value, "a") for value in values])
    schema = copy(address, "select x, y from t", tmp_path / "t.parquet")
    assert schema.column("x").kind == "number" and schema.column("x").missing == 1
    texts = pq.read_table(tmp_path / "t.parquet").column("x").to_pylist()
    assert [None if text is None else float(text) for text in texts] == values


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (None, "--query"),
        ("  ;", "--query"),
        ("select nothing from t", "the query cannot be run .*nothing"),
        ("select x from t where x > 100", "empty, it holds no row"),
        ("delete from t", "the query cannot be run"),
    ],
)
def test_a_query_that_gives_no_table_is_refused(query: str, why: str, tmp_path: Path) -> None:
    address = write_database(tmp_path / "d.db", ("x", "y"), [(1, 2)] * 30)
    before = (tmp_path / "d.db").read_bytes()
    for check in (
        lambda: check_data(address, query=query, out=tmp_path / "page"),
        lambda: read_source(Source(Path("d.db"), "y", database=address, query=query), tmp_path),
    ):
        with pytest.raises(InputError, match=why) as refusal:
            check()
        assert "\n" not in str(refusal.value) and "query.parquet" not in str(refusal.value)
    assert (tmp_path / "d.db").read_bytes() == before


def test_a_database_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        check_data(f"sqlite:///{tmp_path}/absent.db", query="select 1 as x")
    with pytest.raises(InputError, match="--query is for databases"):
        check_data(write_table(tmp_path / "t.csv", ("x",), [(1,)]), query="select 1")
    (tmp_path / "text.db").write_text("this is no database" * 100)
    with pytest.raises(InputError, match="the query cannot be run"):
        check_data(f"sqlite:///{tmp_path}/text.db", query="select * from t")


def test_a_password_is_not_shown() -> None:
    assert hide_password("postgresql://me:secret@host:1/shop?password=x") == "postgresql://me@host:1/shop"
    database = find_database("postgres://me:secret@host/shop")
    assert database is not None and "secret" not in str(database)


def test_a_query_is_looked_at_as_a_file_is(tmp_path: Path) -> None:
    rows = [(n, n % 7, "yes" if n % 2 else "no") for n in range(200)]
    address = write_database(tmp_path / "d.db", ("id", "x", "bought"), rows)
    check = check_data(address, query="select x, bought from t", label="bought", out=tmp_path / "page")
    assert check.report.path == str(tmp_path / "d.db") and check.report.samples == 200
    assert check.schema_file is None and check.page.is_file()


@pytest.fixture(scope="module")
def server(missing: Callable[[str], NoReturn]) -> Iterator[PostgresServer]:
    with run_server(missing) as opened:
        yield opened


@pytest.mark.more
def test_types_of_postgresql_become_those_of_a_table(server: PostgresServer, tmp_path: Path) -> None:
    query = """
        select n as whole, (n / 3.0)::numeric(20, 6) as price, n * 0.5::real as half, n % 2 = 0 as even,
            date '2024-01-01' + n as day, case when n % 4 > 0 then 'town ' || n % 3 end as town,
            ('{"a": ' || n % 2 || '}')::jsonb as document
        from generate_series(1, 5000) as n"""
    schema = copy(server.uri, query, tmp_path / "t.parquet")
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds == {
        "whole": "number", "price": "number", "half": "number", "even": "boolean", "day": "date", "town": "category",
        "document": "category",
    }  # fmt: skip
    assert schema.rows == 5000 and schema.column("town").missing == 1250
    prices = pq.read_table(tmp_path / "t.parquet").column("price").to_numpy()
    np.testing.assert_allclose(prices, np.arange(1, 5001) / 3, atol=1e-6)
    with pytest.raises(InputError, match="two columns are called 'x'"):
        copy(server.uri, "select 1 as x, 2 as x", tmp_path / "t.parquet")
    with pytest.raises(InputError, match="the query cannot be run"):
        copy(server.uri, "create table x (y int)", tmp_path / "t.parquet")
