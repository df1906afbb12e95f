"""`python -m scripts.bench.batch`: 1,000,000 rows of 16 numbers into SQLite and PostgreSQL, beside loops written by hand.

The loops do nothing but read, predict and upsert, a transaction a chunk: no checks, no digests, no second process. Both are
timed in turn; `edgeship` with its first pass over the source and the start of its workers, both without Python's imports.
Writes docs/results/services/batch.md.
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts import RESULTS
from tests.postgres_server import PostgresServer, find_programs
from tests.serving.batch.shops import write_plain

ROWS, WIDTH, CHUNK, ROUNDS = 1_000_000, 16, 8192, 3
MODEL = "onnx/float32.onnx"
UPSERT = (
    "insert into by_hand (model_version, row_key, label, score) {} on conflict (model_version, row_key) "
    "do update set label = excluded.label, score = excluded.score"
)
DDL = (
    "create table by_hand (model_version text not null, row_key bigint not null, label bigint, score double precision, "
    "primary key (model_version, row_key))",
    "create table by_hand_chunks (chunk bigint primary key)",
)


def write_rows(path: Path) -> None:
    """The rows: a key, and a list of numbers."""
    random = np.random.default_rng(0)
    kind = pa.list_(pa.float32(), WIDTH)
    with pq.ParquetWriter(path, pa.schema([("id", pa.int64()), ("x", kind)])) as writer:
        for start in range(0, ROWS, 100_000):
            numbers = pa.array(random.normal(size=100_000 * WIDTH).astype(np.float32))
            lists = pa.FixedSizeListArray.from_arrays(numbers, WIDTH)
            writer.write_table(pa.table({"id": np.arange(start, start + 100_000), "x": lists}))


def predictions(source: Path, model: Path) -> Iterator[tuple[int, Any, Any, Any]]:
    """Chunks by hand: number, keys, labels, scores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options)
    for number, batch in enumerate(pq.ParquetFile(source).iter_batches(CHUNK)):
        numbers = batch.column("x").flatten().to_numpy().reshape(-1, WIDTH)
        scores = session.run(None, {"x": numbers})[0]
        yield number, batch.column("id"), scores.argmax(1), scores.max(1).astype(np.float64)


def by_hand_sqlite(source: Path, model: Path, file: Path) -> None:
    """Python's own module, write-ahead log, `executemany`."""
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("pragma journal_mode = wal")
    for statement in DDL:
        database.execute(statement)
    for number, keys, labels, scores in predictions(source, model):
        rows = zip(itertools.repeat("model/7"), keys.to_pylist(), labels.tolist(), scores.tolist())  # endless
        database.execute("begin immediate")
        database.executemany(UPSERT.format("values (?, ?, ?, ?)"), rows)
        database.execute("insert into by_hand_chunks values (?)", (number,))
        database.execute("commit")
    database.close()


def by_hand_postgresql(source: Path, model: Path, uri: str) -> None:
    """ADBC: a temporary table, and the upsert from it."""
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(uri) as connection, connection.cursor() as cursor:
        for statement in ("drop table if exists by_hand, by_hand_chunks", *DDL):
            cursor.execute(statement)
        for number, keys, labels, scores in predictions(source, model):
            versions = pa.array(["model/7"] * len(keys))
            columns = {"model_version": versions, "row_key": keys, "label": labels, "score": scores}
            cursor.adbc_ingest("stage", pa.table(columns), mode="create", temporary=True)
            cursor.execute(UPSERT.format("select model_version, row_key, label, score from stage where true"))
            cursor.execute(f"insert into by_hand_chunks values ({number})")  # noqa: S608  # a number of ours
            cursor.execute("drop table stage")
            connection.commit()


def tree_memory(root: int) -> int:
    """Bytes that a process and all below it hold in memory, shared pages counted once for each (Linux)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    total, pending = 0, [root]
    while pending:
        process = pending.pop()
        pending += children.get(process, [])
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total


def run_edgeship(bundle: Path, source: Path, sink: str, *, watched: bool) -> dict[str, Any]:
    """The command's JSON; where it is `watched`, which takes time, with the `peak` of memory of all its processes."""
    command = [sys.executable, "-m", "edgeship.cli", "predict", str(bundle), "--from", str(source), "--to", sink]
    peaks = [0]
    with subprocess.Popen([*command, "--json", "-"], stdout=subprocess.PIPE, text=True) as process:

        def watch() -> None:
            while watched and process.poll() is None:
                peaks.append(tree_memory(process.pid))
                time.sleep(0.05)

        watcher = threading.Thread(target=watch)
        watcher.start()
        out = process.communicate()[0]
        watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return {**json.loads(out), "peak": max(peaks)}


def measure(name: str, folder: Path, uri: str = "") -> list[str]:
    """A row of the table: rows per second of both, their ratio, memory."""
    ours, bare, peak = [], [], 0
    bundle, source = folder / "bundle", folder / "rows.parquet"
    for number in range(ROUNDS + 1):
        start = time.perf_counter()
        if uri:
            by_hand_postgresql(source, bundle / MODEL, uri)
        else:
            by_hand_sqlite(source, bundle / MODEL, folder / f"by-hand-{number}.db")
        seconds = time.perf_counter() - start
        result = run_edgeship(bundle, source, uri or f"sqlite:///{folder / f'{number}.db'}", watched=not number)
        if result["written"] != ROWS:
            sys.exit(f"{result['written']:,} rows were written")
        if uri:
            clear_tables(uri)
        if number:
            bare.append(ROWS / seconds)
            ours.append(result["rows_per_second"])
            print(f"{name}: by hand {bare[-1]:,.0f} rows/s, edgeship {ours[-1]:,.0f}", flush=True)
        else:  # the first of both warms the disk's cache, and tells memory
            peak = result["peak"]
    ratio = statistics.median(one / two for one, two in zip(ours, bare, strict=True))
    return [
        name, f"{statistics.median(ours):,.0f}", f"{statistics.median(bare):,.0f}", f"{ratio:.2f}", f"{peak / 1e6:.0f} MB"
    ]  # fmt: skip


def clear_tables(uri: str) -> None:
    """Forget what was written."""
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(
            "drop table if exists predictions, predictions_jobs, predictions_chunks, predictions_counts cascade"
        )
        connection.commit()


def main() -> None:
    """Measure, print and write the page."""
    rows, load = [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)  # the server's user passes through it
        write_rows(folder / "rows.parquet")
        write_plain(folder / "bundle", WIDTH)
        rows.append(measure("SQLite", folder))
        if programs := find_programs():
            server = PostgresServer(programs, folder / "server")
            try:
                rows.append(measure("PostgreSQL", folder, server.uri))
            finally:
                server.stop()
    lines = ["| sink | edgeship, rows/s | by hand, rows/s | ratio | memory, all processes |", "|---|--:|--:|--:|--:|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    text = "\n".join(lines)
    print(text)
    machine = f"{os.cpu_count()} cores, load average {load:.0f} before, niceness {os.nice(0)}"
    head = (
        f"# Batch prediction\n\n`python -m scripts.bench.batch`, {date.today():%d %b %Y}, {machine}: {ROWS:,} rows of\n"
        f"{WIDTH} float32 from Parquet through a small ONNX model. Ratios are medians of {ROUNDS} pairs, one after the other;\n"
        "absolute figures are this machine's and this moment's. By hand: one process that reads, predicts and upserts, without\n"
        "any check.\n\n"
    )
    (RESULTS / "services" / "batch.md").write_text(f"{head}{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
