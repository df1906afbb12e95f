"""`edgeship predict`: what comes in from every source, what goes out to every sink, and each row once."""

from __future__ import annotations

import json
import sqlite3
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyarrow import csv

from edgeship.cli.serving.predict import predict
from edgeship.errors import MissingDependencyError
from edgeship.serving.batch.survey import watermark_text, watermark_value
from tests.serving.batch.conftest import read_all
from tests.serving.batch.shops import expected_answers, make_rows, write_shop


def list_column(table: pa.Table) -> pa.Table:
    """The four numbers as one column of lists."""
    names = [f"signal_{number}" for number in range(4)]
    flat = np.stack([table[name].to_numpy() for name in names], 1).reshape(-1)
    return table.drop(names).append_column("signal", pa.FixedSizeListArray.from_arrays(pa.array(flat), 4))


def write_csv(table, folder):
    csv.write_csv(table, folder / "rows.csv")
    return folder / "rows.csv", ()


def write_lists(table, folder):
    pq.write_table(list_column(table), folder / "lists.parquet")
    return folder / "lists.parquet", ()


def write_parts(table, folder):
    """Files whose order is that of their names, one of them in a folder of its own."""
    for number, (start, place) in enumerate([(0, "a"), (300, "b/c"), (301, "d")]):
        (folder / "parts" / place).mkdir(parents=True)
        length = (300, 1, 699)[number]
        pq.write_table(table.slice(start, length), folder / "parts" / place / "rows.parquet")
    return folder / "parts", ()


def write_pattern(table, folder):
    write_parts(table, folder)
    return folder / "parts" / "**" / "*.parquet", ()


def write_categories(table, folder):
    """Texts as dictionaries, numbers as decimals and halves."""
    table = table.set_column(1, "age", table["age"].cast(pa.decimal128(22, 3)))
    for name in ("town", "plan"):
        table = table.set_column(table.schema.names.index(name), name, table[name].dictionary_encode())
    pq.write_table(table, folder / "rows.parquet", row_group_size=77)
    return folder / "rows.parquet", ()


def write_sqlite(table, folder):
    """A table in another order than that of its keys."""
    database = sqlite3.connect(folder / "in.db")
    names = table.schema.names
    database.execute(f"create table visits ({', '.join(names)})")
    values = list(zip(*[column.to_pylist() for column in table.columns], strict=True))[::-1]
    database.executemany(f"insert into visits values ({', '.join('?' * len(names))})", values)
    database.commit()
    database.close()
    return f"sqlite:///{folder / 'in.db'}", ("--query", "select * from visits where age > 0;")


SOURCES = [write_csv, write_lists, write_parts, write_pattern, write_categories, write_sqlite]


@pytest.mark.parametrize("write", SOURCES)
def test_every_source_gives_the_same_job_and_the_model_s_own_answers(write, run, table, tmp_path):
    source, options = write(table, tmp_path)
    result = run(source, f"sqlite:///{tmp_path / 'out.db'}", *options, "--batch", 100)
    assert (result["rows"], result["written"], result["chunks"]) == (1000, 1000, 10)
    found = read_all(
        tmp_path / "out.db", "select row_key, answer_label, answer_score, amount, hidden from predictions_current"
    )
    labels, hidden = expected_answers(table)
    assert [row[0] for row in found] == table["id"].to_pylist()
    assert [row[1] for row in found] == labels
    np.testing.assert_allclose([json.loads(row[4]) for row in found], hidden, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose([row[3] for row in found], hidden.sum(1), rtol=1e-4, atol=1e-4)
    shares = np.exp(hidden - hidden.max(1, keepdims=True))
    np.testing.assert_allclose([row[2] for row in found], (shares / shares.sum(1, keepdims=True)).max(1), rtol=1e-5)
    pq.write_table(table, tmp_path / "plain.parquet")
    again = run(tmp_path / "plain.parquet", f"sqlite:///{tmp_path / 'out.db'}", "--batch", 100)
    assert again["job"] == result["job"] and again["written"] == 0


@pytest.mark.parametrize("sink", ["out.parquet", "folder"])
def test_parquet_sinks(sink, run, rows, table, tmp_path):
    result = run(rows, tmp_path / sink, "--batch", 300)
    assert result["written"] == 1000
    found = pq.read_table(tmp_path / sink)
    assert set(found["model_version"].to_pylist()) == {result["model_version"]}
    assert found["row_key"].to_pylist() == table["id"].to_pylist()
    labels, hidden = expected_answers(table)
    assert found["answer_label"].to_pylist() == labels
    np.testing.assert_allclose(found["hidden"].to_pylist(), hidden, rtol=1e-5, atol=1e-5)
    assert run(rows, tmp_path / sink, "--batch", 300)["written"] == 0
    assert run(rows, tmp_path / sink, "--batch", 500)["written"] == 1000  # another job takes the file's place
    assert pq.read_table(tmp_path / sink).num_rows == 1000
    assert not [path for path in tmp_path.rglob(".*") if path.suffix != ".lock"]


def test_versions_stand_side_by_side_and_the_view_shows_one(run, rows, tmp_path):
    out, other = f"sqlite:///{tmp_path / 'out.db'}", write_shop(tmp_path / "other", 2)
    first = run(rows, out)
    second = run(rows, out, "--current", "keep", bundle=other)
    assert first["shown"] == first["model_version"] != second["model_version"] and second["shown"] == ""
    view = "select distinct model_version from predictions_current"
    assert read_all(tmp_path / "out.db", view) == [(first["model_version"],)]
    assert read_all(tmp_path / "out.db", "select count(*) from predictions") == [(2000,)]
    assert run(rows, out, bundle=other)["shown"] == second["model_version"]
    assert read_all(tmp_path / "out.db", view) == [(second["model_version"],)]
    named = run(rows, out, "--version", "o'neil 7", bundle=other)
    assert named["written"] == 1000
    assert read_all(tmp_path / "out.db", f"{view} order by 1") == [("o'neil 7",)]


@pytest.mark.more
def test_the_view_follows_the_registry(run, refusal, rows, shop, tmp_path):
    from edgeship import api
    from edgeship.model_registry.store import open_store

    store, out = f"sqlite:///{tmp_path / 'registry.db'}", f"sqlite:///{tmp_path / 'out.db'}"
    other = write_shop(tmp_path / "other", 2)
    for bundle in (shop, other):
        api.add_version(bundle, "shop", store=store)
    champion = ("--current", "champion", "--store", store)
    assert "unknown version of shop 'champion'" in refusal(rows, out, *champion)
    with open_store(store) as opened:
        opened.client.set_registered_model_alias("shop", "champion", "1")
    challenger = run(rows, out, *champion, bundle=other)
    assert challenger["shown"] == ""  # nothing of the champion is there yet
    first = run(rows, out, *champion)
    assert first["shown"] == first["model_version"]
    assert run(rows, out, *champion, bundle=other)["shown"] == first["model_version"]
    with open_store(store) as opened:
        opened.client.set_registered_model_alias("shop", "champion", "2")
    assert run(rows, out, *champion)["shown"] == challenger["model_version"]


def test_a_job_that_another_has_written_over_is_done_again(run, table, tmp_path):
    """Rows A, changed rows B, rows A: what is there in the end are the predictions of A."""
    out = f"sqlite:///{tmp_path / 'out.db'}"
    changed = table.set_column(1, "age", pa.array([age + 1 for age in table["age"].to_pylist()]))
    for name, content in (("a", table), ("b", changed), ("c", make_rows(50, first=5000))):
        pq.write_table(content, tmp_path / f"{name}.parquet")
    assert run(tmp_path / "a.parquet", out)["written"] == 1000
    before = read_all(tmp_path / "out.db")
    assert run(tmp_path / "c.parquet", out)["written"] == 50  # other keys: nothing of A is touched
    assert run(tmp_path / "a.parquet", out)["written"] == 0
    assert run(tmp_path / "b.parquet", out)["written"] == 1000
    assert read_all(tmp_path / "out.db")[:1000] != before
    assert run(tmp_path / "a.parquet", out)["written"] == 1000
    assert read_all(tmp_path / "out.db")[:1000] == before
    assert run(tmp_path / "c.parquet", out)["written"] == 0


@pytest.mark.parametrize("kind", ["sqlite", "parquet"])
def test_only_new_rows_are_read_since_a_watermark(kind, run, table, tmp_path):
    out = f"sqlite:///{tmp_path / 'out.db'}"

    def source(content):
        if kind == "parquet":
            pq.write_table(content, tmp_path / "rows.parquet")
            return tmp_path / "rows.parquet", ()
        (tmp_path / "in.db").unlink(missing_ok=True)
        return write_sqlite(content, tmp_path)

    def since(content):
        place, options = source(content)
        return run(place, out, *options, "--since", "at")

    assert since(table)["written"] == 1000
    more = pa.concat_tables([table, make_rows(5, first=1000)])
    result = since(more)
    assert (result["rows"], result["written"]) == (6, 6)  # the last of before may have had company
    assert result["watermark"] == "int64|2004"
    assert since(more)["rows"] == 1 and since(more)["written"] == 0
    assert read_all(tmp_path / "out.db", "select count(*), count(distinct row_key) from predictions") == [(1005, 1005)]


def test_one_database_is_source_and_sink(run, table, tmp_path):
    source, options = write_sqlite(table, tmp_path)
    assert run(source, source, *options, "--batch", 64)["written"] == 1000
    assert read_all(tmp_path / "in.db", "select count(*) from predictions join visits on id = row_key") == [(1000,)]


def test_keys_of_text_in_any_order(run, table, tmp_path):
    keys = [f"k{number * 7919 % 1000}" for number in range(1000)]
    pq.write_table(table.set_column(0, "id", pa.array(keys)), tmp_path / "rows.parquet")
    run(tmp_path / "rows.parquet", f"sqlite:///{tmp_path / 'out.db'}", "--batch", 64)
    assert {row[0] for row in read_all(tmp_path / "out.db", "select row_key from predictions")} == set(keys)


WATERMARKS = [
    pa.scalar(5),
    pa.scalar(0.1),
    pa.scalar("2026-11-29 b"),
    pa.scalar(1234567890123456789, pa.timestamp("ns")),
    pa.scalar(1234567890123456, pa.timestamp("us", tz="UTC")),
    pa.scalar(20000, pa.date32()),
]


@pytest.mark.parametrize("value", WATERMARKS)
def test_a_watermark_is_read_as_it_was_written(value):
    assert watermark_value(watermark_text(value)).equals(value)


def test_a_watermark_of_another_type(run, refusal, table, tmp_path):
    out, source = f"sqlite:///{tmp_path / 'out.db'}", tmp_path / "rows.parquet"
    pq.write_table(table, source)
    run(source, out, "--since", "at")
    pq.write_table(table.set_column(4, "at", pa.array(["b"] * 1000)), source)
    assert "column at (--since) was int64 in earlier runs, and is string now" in refusal(source, out, "--since", "at")


def test_without_pyarrow_it_is_said_what_to_install(rows, shop, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("edgeship.serving.batch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = CliRunner().invoke(predict, [str(shop), "--from", str(rows), "--to", "out.parquet"])
    assert isinstance(done.exception, MissingDependencyError) and "pip install 'edgeship[batch]'" in str(done.exception)


def test_an_interrupted_run_says_how_it_goes_on(rows, shop, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgeship.api.predict_batch", interrupt, raising=False)
    done = CliRunner().invoke(predict, [str(shop), "--from", str(rows), "--to", "out.parquet"])
    assert done.exit_code == 130 and "what is written stays" in done.output


def test_an_engine_that_is_not_here(rows, shop, refusal, monkeypatch, tmp_path):
    assert "unknown engine 'spark'; known: local, ray" in refusal(rows, tmp_path / "out.parquet", "--engine", "spark")
    monkeypatch.delitem(sys.modules, "edgeship.serving.batch.ray_engine", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'edgeship[ray]'" in refusal(rows, tmp_path / "out.parquet", "--engine", "ray")
    assert not (tmp_path / "out.parquet").exists()
