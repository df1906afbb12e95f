"""Runs that are killed, two at once, a full disk, a server that starts again: every row once, equal to the unbroken run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from edgeship.errors import InputError
from edgeship.serving.batch.addresses import Address
from edgeship.serving.batch.sinks.parquet_file import ParquetSink
from edgeship.serving.batch.sinks.postgres_database import PostgresDatabase
from tests.serving.batch.conftest import read_all
from tests.serving.batch.shops import make_rows

COLUMNS = "row_key, answer_label, answer_score, amount, hidden"
PREDICT = [sys.executable, "-m", "edgeship.cli", "predict"]
ROOT = Path(__file__).parents[3]


def start(command: Sequence[object], *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(map(str, [*command, *arguments])), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def test_a_run_that_is_killed_inside_a_transaction_goes_on_where_it_was(shop, run, rows, tmp_path):
    run(rows, f"sqlite:///{tmp_path / 'whole.db'}", "--batch", 64)
    options = (shop, "--from", rows, "--to", f"sqlite:///{tmp_path / 'out.db'}", "--batch", 64, "--json", "-")
    for chunk in (0, 9):
        process = start([sys.executable, "-m", "tests.serving.batch.killed", chunk, "predict"], *options)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        counts = "select count(*), coalesce((select sum(rows) from predictions_chunks), 0) from predictions"
        assert read_all(tmp_path / "out.db", counts) == [(chunk * 64, chunk * 64)]
        views = "select count(*) from sqlite_master where type = 'view'"
        assert read_all(tmp_path / "out.db", views) == [(0,)]  # half of a version is nobody's present one
    assert run(rows, f"sqlite:///{tmp_path / 'out.db'}", "--batch", 64)["written"] == 1000 - 9 * 64
    whole, found = (read_all(tmp_path / name) for name in ("whole.db", "out.db"))
    assert found == whole
    assert run(rows, f"sqlite:///{tmp_path / 'out.db'}", "--batch", 64)["written"] == 0


def test_two_at_once_share_the_work(shop, run, rows, tmp_path):
    run(rows, f"sqlite:///{tmp_path / 'whole.db'}", "--batch", 16)
    options = (shop, "--from", rows, "--to", f"sqlite:///{tmp_path / 'out.db'}", "--batch", 16, "--json", "-")
    results = [finish(process) for process in [start(PREDICT, *options), start(PREDICT, *options)]]
    assert sum(result["written"] for result in results) == 1000
    assert read_all(tmp_path / "out.db") == read_all(tmp_path / "whole.db")


@pytest.mark.more
def test_two_at_once_on_postgresql(server, shop, run, rows, tmp_path):
    """Both find no table, and make it."""
    run(rows, f"sqlite:///{tmp_path / 'whole.db'}", "--batch", 16)
    options = (shop, "--from", rows, "--to", server.uri, "--batch", 16, "--table", "thrice", "--json", "-")
    results = [finish(process) for process in [start(PREDICT, *options) for _ in range(3)]]
    assert sum(result["written"] for result in results) == 1000
    query = "select row_key, answer_label, answer_score, amount from {} order by row_key"
    assert read_sink(server.uri, query.format("thrice")) == read_all(tmp_path / "whole.db", query.format("predictions"))


def test_a_parquet_file_that_was_interrupted(run, rows, tmp_path, monkeypatch):
    """Chunks are written, the file is not: the next run takes them."""

    def stop(*_):
        raise InputError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "finish", stop)
        with pytest.raises(AssertionError, match="stopped"):
            run(rows, tmp_path / "out.parquet", "--batch", 64)
    assert not (tmp_path / "out.parquet").exists()
    assert run(rows, tmp_path / "out.parquet", "--batch", 64)["written"] == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 1000


@pytest.mark.more
def test_a_full_disk(shop, refusal, run, rows, tmp_path):
    """What is written stays whole; with room again, the same command goes on."""
    full = tmp_path / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", full], check=False).returncode:
        pytest.skip("no permission to mount a small file system")
    try:
        for name in (f"sqlite:///{full / 'out.db'}", full / "out.parquet"):
            text = refusal(rows, name, "--batch", 16)
            assert "the same command goes on from there" in text and ("room" in text or "No space" in text)
            assert not (full / "out.parquet").exists()
            subprocess.run(["mount", "-o", "remount,size=8m", full], check=True)
            assert 0 < run(rows, name, "--batch", 16)["written"] < 1000
            subprocess.run(["mount", "-o", f"remount,size={200 + used(full)}k", full], check=True)
        assert read_all(full / "out.db", "select count(*), count(distinct row_key) from predictions") == [(1000, 1000)]
        assert pq.read_table(full / "out.parquet").num_rows == 1000
    finally:
        subprocess.run(["umount", full], check=True)


def used(folder: Path) -> int:
    """Kilobytes that are taken on a file system."""
    state = os.statvfs(folder)
    return (state.f_blocks - state.f_bfree) * state.f_frsize // 1024


def read_sink(sink: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query on SQLite or PostgreSQL."""
    if sink.startswith("sqlite"):
        return read_all(Path(sink.removeprefix("sqlite:///")), query)
    database = PostgresDatabase(Address("postgresql", sink, sink))
    try:
        return database.transact(lambda: database.run(query))
    finally:
        database.close()


def check_whole_chunks(sink: str) -> int:
    """As many rows as the ledger says, each once; how many they are."""
    both = "select count(*), count(distinct row_key), (select coalesce(sum(rows), 0) from predictions_chunks) from predictions"
    with contextlib.suppress(InputError, sqlite3.OperationalError):  # it was killed before there was a table
        counts = read_sink(sink, both)
        assert len({int(value) for value in counts[0]}) == 1, counts
        return int(counts[0][0])
    return 0


def kill_often(options: Sequence[object], seen: Callable[[], int], forget: Callable[[], None]) -> None:
    """Start the command until it was killed at 50 random moments; where it was faster, begin from nothing again.

    `seen` looks at what is there, and counts it. Every second kill comes soon after something was written: on a busy machine
    the others hit the start most of the time.
    """
    dice, kills, states = random.Random(1), 0, set()
    while kills < 50:
        before, process = seen(), start(PREDICT, *options)
        while kills % 2 and process.poll() is None and seen() == before:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.05)
        try:
            process.wait(timeout=dice.uniform(0.0, 0.3) if kills % 2 else dice.uniform(0.3, 3.0))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
        assert process.returncode in (0, -signal.SIGKILL)
        states.add(seen())
        if process.returncode == 0:
            forget()
    assert len(states) > 10
    finish(start(PREDICT, *options))


@pytest.mark.more
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_fifty_kills_at_random_moments(kind, shop, run, tmp_path, request):
    pq.write_table(make_rows(60_000), tmp_path / "rows.parquet")
    sink = f"sqlite:///{tmp_path / 'out.db'}" if kind == "sqlite" else request.getfixturevalue("server").uri
    options = (shop, "--from", tmp_path / "rows.parquet", "--to", sink, "--batch", 50, "--json", "-")
    run(tmp_path / "rows.parquet", f"sqlite:///{tmp_path / 'whole.db'}", "--batch", 50)
    kill_often(options, lambda: check_whole_chunks(sink), lambda: drop_rows(sink))
    query = f"select {COLUMNS} from predictions order by row_key"
    found = [(*row[:4], row[4] if isinstance(row[4], str) else json.dumps(row[4])) for row in read_sink(sink, query)]
    assert found == read_all(tmp_path / "whole.db", query)
    assert finish(start(PREDICT, *options))["written"] == 0


@pytest.mark.more
def test_fifty_kills_of_a_run_into_a_parquet_file(shop, run, tmp_path):
    source, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    pq.write_table(make_rows(60_000), source)
    run(source, tmp_path / "whole.parquet", "--batch", 50)

    def count_files() -> int:
        assert not out.exists() or pq.read_metadata(out).num_rows == 60_000
        return len(list(tmp_path.glob(".out.parquet.*.chunks/*")))

    kill_often((shop, "--from", source, "--to", out, "--batch", 50, "--json", "-"), count_files, out.unlink)
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "whole.parquet"))
    assert [path.name for path in tmp_path.glob(".out*")] == [".out.parquet.lock"]


def drop_rows(sink: str) -> None:
    """Forget everything."""
    if sink.startswith("sqlite"):
        for path in Path(sink.removeprefix("sqlite:///")).parent.glob("out.db*"):
            path.unlink()
        return
    database = PostgresDatabase(Address("postgresql", sink, sink))
    database.transact(lambda: database.run("drop table predictions, predictions_jobs, predictions_chunks cascade"))
    database.close()


@pytest.mark.more
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_that_starts_again(mode, server, shop, run, tmp_path):
    pq.write_table(make_rows(40_000), tmp_path / "rows.parquet")
    source = tmp_path / "rows.parquet"
    table = f"again_{mode}"
    options = (shop, "--from", source, "--to", server.uri, "--batch", 50, "--table", table, "--json", "-")
    process = start(PREDICT, *options)
    for _ in range(3):
        before = count_chunks(server.uri, table)
        while process.poll() is None and count_chunks(server.uri, table) < before + 50:
            pass
        server.stop(mode)
        server.start()
    assert finish(process)["rows"] == 40_000
    run(source, f"sqlite:///{tmp_path / 'whole.db'}", "--batch", 50)
    query = "select row_key, answer_label, answer_score, amount from {} order by row_key"
    assert read_sink(server.uri, query.format(table)) == read_all(tmp_path / "whole.db", query.format("predictions"))


def count_chunks(uri: str, table: str) -> int:
    try:
        return int(read_sink(uri, f"select count(*) from {table}_chunks")[0][0])
    except InputError:  # not there yet
        return 0


@pytest.mark.more
def test_postgresql_as_source_and_sink(server, run, refusal, table, tmp_path):
    """Lists, numerics and texts of the server; the same job as from a file; two at once; its own sentences."""
    kinds = "id int, age numeric, town varchar(9), plan text, at timestamptz, signal real[]"
    database = PostgresDatabase(Address("postgresql", server.uri, server.uri))
    values = zip(*[column.to_pylist() for column in table.columns], strict=True)
    texts = [
        f"({row[0]}, {row[1]}, '{row[2]}', '{row[3]}', to_timestamp({row[4]}), array[{', '.join(map(repr, row[5:]))}]::real[])"
        for row in values
    ]
    database.transact(
        lambda: (
            database.run(f"create table visits ({kinds})")
            + database.run(f"insert into visits values {', '.join(texts)}")
        )
    )
    database.close()
    pq.write_table(table, tmp_path / "rows.parquet")
    out = f"sqlite:///{tmp_path / 'out.db'}"
    from_file = run(tmp_path / "rows.parquet", out)
    query = ("--query", "select * from visits")
    assert run(server.uri, out, *query)["job"] == from_file["job"]
    inside = run(server.uri, server.uri, *query, "--table", "scores", "--since", "at", "--batch", 100)
    assert inside["written"] == 1000 and inside["watermark"].startswith("timestamp[us, tz=UTC]|1970-01-01 00:33:19")
    again = run(server.uri, server.uri, *query, "--table", "scores", "--since", "at")
    assert (again["rows"], again["written"]) == (1, 1)
    hidden = read_sink(server.uri, "select hidden from scores order by row_key limit 1")[0][0]
    assert hidden == pytest.approx(json.loads(read_all(tmp_path / "out.db", "select hidden from predictions")[0][0]))
    assert "the query cannot be run" in refusal(server.uri, out, "--query", "select nope from visits")
    text = refusal(tmp_path / "rows.parquet", server.uri, "--table", "visits")
    assert "table visits has id integer, age numeric, town character varying(9)" in text
