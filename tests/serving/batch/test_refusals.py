"""What cannot be done is refused in a sentence, and nothing is written."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.serving.batch.conftest import read_all
from tests.serving.batch.shops import write_failed


def replaced(table, column, place, value):
    """The table with one value of a column changed."""
    values = table[column].to_pylist()
    values[place] = value
    return table.set_column(table.schema.names.index(column), column, pa.array(values))


ROWS = [
    ("age", 700, None, "row 701, column age: is NULL"),
    ("signal_2", 999, None, "row 1,000, column signal_2: is NULL"),
    ("signal_2", 3, float("nan"), "row 4, column signal_2: NaN or infinity"),
    ("age", 3, float("inf"), "row 4, column age: NaN or infinity"),
    ("plan", 650, None, "row 651, column plan: is NULL"),
    ("plan", 650, "gold", "row 651, column plan: 'gold' is none of its values"),
    ("id", 650, None, "row 651, column id: is NULL"),
    ("id", 650, 649, "row 651, key id: 649 is there twice"),
    ("id", 650, 2, "key 2 is there twice"),
]


@pytest.mark.parametrize(("column", "place", "value", "sentence"), ROWS)
def test_rows_that_cannot_be_predicted(column, place, value, sentence, refusal, table, tmp_path):
    pq.write_table(replaced(table, column, place, value), tmp_path / "rows.parquet")
    text = refusal(tmp_path / "rows.parquet", f"sqlite:///{tmp_path / 'out.db'}", "--batch", 100)
    assert sentence in text
    assert not (tmp_path / "out.db").exists()


def test_what_the_contract_allows_to_be_missing(run, table, tmp_path):
    """A category with a number for every other text takes a NULL, too."""
    pq.write_table(replaced(table, "town", 5, None), tmp_path / "rows.parquet")
    assert run(tmp_path / "rows.parquet", tmp_path / "out.parquet")["written"] == 1000


TYPES = [
    ("age", pa.array(["x"] * 1000), "row 1, column age: 'x' is no number"),
    ("signal_1", pa.array(["x"] * 1000), "row 1, column signal_1: 'x' is no number"),
    ("id", pa.array([0.5] * 1000), "key id: keys are whole numbers or texts, and these are double"),
    ("id", pa.array([2**64 - 1] * 1000, pa.uint64()), "key id: a key is larger than 64 bits"),
]


@pytest.mark.parametrize(("column", "values", "sentence"), TYPES)
def test_types_that_do_not_fit(column, values, sentence, refusal, table, tmp_path):
    names = table.schema.names
    pq.write_table(table.set_column(names.index(column), column, values), tmp_path / "rows.parquet")
    assert sentence in refusal(tmp_path / "rows.parquet", tmp_path / "out.parquet")


def test_columns_that_fit_no_input(refusal, table, tmp_path):
    pq.write_table(table.drop(["signal_3", "plan"]), tmp_path / "rows.parquet")
    text = refusal(tmp_path / "rows.parquet", tmp_path / "out.parquet")
    assert "'row' takes age, town, plan" in text and "'signal' takes signal (a list) or signal_0 to signal_3" in text
    assert "it has id, age, town, at, signal_0, signal_1, signal_2" in text
    pq.write_table(table, tmp_path / "rows.parquet")
    assert "no column nope (--key); it has id," in refusal(
        tmp_path / "rows.parquet", tmp_path / "out.parquet", "--key", "nope"
    )
    assert "(--since)" in refusal(tmp_path / "rows.parquet", "sqlite:///x.db", "--since", "nope")


def test_lists_of_another_length(refusal, table, tmp_path):
    names = [f"signal_{number}" for number in range(4)]
    plain = table.drop(names)
    lists: list[Any] = [[1.0] * 4] * 999 + [[1.0] * 3]
    pq.write_table(plain.append_column("signal", pa.array(lists)), tmp_path / "rows.parquet")
    text = refusal(tmp_path / "rows.parquet", tmp_path / "out.parquet")
    assert "row 1,000, column signal: a list of 3 numbers, not 4" in text
    lists[999] = [1.0, None, 1.0, 1.0]
    pq.write_table(plain.append_column("signal", pa.array(lists)), tmp_path / "rows.parquet")
    assert "row 1,000, column signal: a NULL in the list" in refusal(
        tmp_path / "rows.parquet", tmp_path / "out.parquet"
    )
    pq.write_table(plain.append_column("signal", pa.array(["x"] * 1000)), tmp_path / "rows.parquet")
    assert "takes a list" in refusal(tmp_path / "rows.parquet", tmp_path / "out.parquet")


SINKS = [
    (
        "create table predictions (a text)",
        "table predictions has a text, and needs model_version text, row_key bigint,",
    ),
    ("create table predictions_jobs (a text)", "table predictions_jobs has a text"),
    ("create table predictions_current (a text)", "predictions_current is no view"),
    (
        "create table predictions (model_version text, row_key bigint, answer_label text, answer_score double precision, "
        "amount double precision, hidden text)",
        "has the primary key nothing",
    ),
]


@pytest.mark.parametrize(("statement", "sentence"), SINKS)
def test_a_table_of_another_schema(statement, sentence, refusal, rows, tmp_path):
    database = sqlite3.connect(tmp_path / "out.db")
    database.execute(statement)
    database.close()
    before = read_all(tmp_path / "out.db", "select sql from sqlite_master")
    text = refusal(rows, f"sqlite:///{tmp_path / 'out.db'}")
    assert sentence in text and "--table" in text
    assert read_all(tmp_path / "out.db", "select sql from sqlite_master") == before


PLACES = [
    ("nothing.csv", "out.parquet", "no such file or folder"),
    ("rows.parquet", "out.csv", "no sink that is known"),
    ("mysql://u:secret@h/db", "out.parquet", "mysql://u@h/db: no source that is known"),
    ("rows.parquet", "mysql://u:secret@h/db", "mysql://u@h/db: no sink that is known"),
    (
        "rows.parquet",
        "postgresql://me:secret@127.0.0.1:1/db",
        "postgresql://me@127.0.0.1:1/db: no server answers there",
    ),
    ("sqlite:///nothing.db", "out.parquet", "nothing.db: no such file"),
    ("empty", "out.parquet", "no rows are there"),
    ("both", "out.parquet", "holds csv and parquet"),
    ("broken.parquet", "out.parquet", "broken.parquet: cannot be read"),
    ("broken.csv", "out.parquet", "broken.csv: cannot be read"),
    ("rows.parquet", "sqlite:///broken.parquet", "file is not a database"),
    ("rows.parquet", "broken.parquet", "broken.parquet: cannot be written"),
    ("rows.parquet", "other.parquet", "other.parquet: has a, and needs row_key"),
]


@pytest.mark.parametrize(("source", "sink", "sentence"), PLACES)
def test_places(source, sink, sentence, refusal, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "both"):
        (tmp_path / folder).mkdir()
    for name in ("both/a.csv", "both/b.parquet", "broken.parquet"):
        (tmp_path / name).write_bytes(b"no")
    (tmp_path / "broken.csv").write_bytes(b"id,age\n1,2,3\n")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    text = refusal(source, sink)
    assert sentence in text and "secret" not in text
    assert not (tmp_path / "out.parquet").exists()


def test_options_that_do_not_fit(refusal, rows, shop, tmp_path):
    out = tmp_path / "out.parquet"
    assert "which rows are read of a database" in refusal(f"sqlite:///{rows}", out)
    assert "--query is for databases" in refusal(rows, out, "--query", "select 1")
    assert "--current needs a database" in refusal(rows, out, "--current", "keep")
    assert "--since needs a database" in refusal(rows, out, "--since", "at")
    assert "a table's name" in refusal(rows, out, "--table", "a b; drop")
    assert "unknown artifact 'tflite/int4'" in refusal(rows, out, "--artifact", "tflite/int4")
    assert "--version" in refusal(rows, out, "--version", "a\nb")
    assert "lies in the bundle" in refusal(rows, shop / "out.parquet")


def test_a_bundle_whose_gate_failed_predicts_only_by_name(run, refusal, rows, tmp_path):
    """Nobody should fill a table by a model that may not ship without having said so."""
    failed, out = write_failed(tmp_path / "failed"), tmp_path / "out.parquet"
    assert "recommends no artifact (its gate says FAIL); name one by --artifact: onnx/float32" in refusal(
        rows, out, bundle=failed
    )
    assert not out.exists()
    assert run(rows, out, "--artifact", "onnx/float32", bundle=failed)["written"] == 1000


def test_a_query_that_fails(refusal, tmp_path):
    sqlite3.connect(tmp_path / "in.db").close()
    source = f"sqlite:///{tmp_path / 'in.db'}"
    text = refusal(source, tmp_path / "out.parquet", "--query", "select * from visits")
    assert "the query cannot be run" in text and "no such table: visits)" in text
    assert "cannot be run" in refusal(source, tmp_path / "out.parquet", "--query", "drop table x")


def test_a_column_of_a_database_that_changes_its_type(refusal, tmp_path):
    """SQLite takes any value in any column."""
    source = tmp_path / "in.db"
    with contextlib.closing(sqlite3.connect(source)) as database:
        database.execute("create table visits (id, age, town, plan, signal_0, signal_1, signal_2, signal_3)")
        lines = [[number, 30, "Bonn", "free", 1, 2.5, 3, 4] for number in range(300)]
        lines[250][1] = "old"
        database.executemany(f"insert into visits values ({', '.join('?' * 8)})", lines)
        database.commit()
    options = ("--query", "select * from visits", "--batch", 100)
    text = refusal(f"sqlite:///{source}", f"sqlite:///{tmp_path / 'out.db'}", *options)
    assert "its rows cannot be read ([SQLite] Type mismatch in column 1: expected DOUBLE" in text
    assert not (tmp_path / "out.db").exists()


def test_no_row_at_all(refusal, table, tmp_path):
    pq.write_table(table.slice(0, 0), tmp_path / "rows.parquet")
    assert "holds no row" in refusal(tmp_path / "rows.parquet", tmp_path / "out.parquet")
