"""Reading a table of a million rows and 50 columns: beside bare pyarrow, and the memory of `edgeship data check`.

`python -m scripts.bench.tables [ROWS]` prints seconds of processor time of interleaved runs, their ratio, and peak memory.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.tables.inference import read_schema
from edgeship.tables.reading import import_pyarrow, iterate_batches
from edgeship.tables.schema import TableSchema

NUMBERS, CATEGORIES = 40, 10
RUNS = 5


def write_table(path: Path, rows: int) -> None:
    """A CSV of 40 columns of numbers and 10 of categories; the first category is a class."""
    pa = import_pyarrow()
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {f"n{place}": rng.normal(size=rows).round(4) for place in range(NUMBERS)}
    words = np.array(["red", "green", "blue", "a longer one"])
    columns |= {f"c{place}": pa.array(words[rng.integers(0, len(words), rows)]) for place in range(CATEGORIES)}
    pa.csv.write_csv(pa.table(columns), path)


def clock(read: Callable[[], Any]) -> float:
    """Seconds of processor time."""
    start = time.process_time()
    for _ in read():
        pass
    return time.process_time() - start


def compare(path: Path, schema: TableSchema) -> list[tuple[float, float]]:
    """Seconds of bare pyarrow, which guesses types from the first block, and of `iterate_batches`, in turns."""
    pa = import_pyarrow()
    return [(clock(lambda: pa.csv.open_csv(path)), clock(lambda: iterate_batches(path, schema))) for _ in range(RUNS)]


def main(rows: int) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "table.csv"
        write_table(path, rows)
        schema = read_schema(path)
        pairs = compare(path, schema)
        ratios = [bare / ours for bare, ours in pairs]
        print(f"{rows:,} rows, {len(schema.columns)} columns, {path.stat().st_size / 1e6:.0f} MB, {RUNS} pairs of runs")
        print(f"bare pyarrow: {statistics.median(bare for bare, _ in pairs):.2f} s of processor time")
        print(f"iterate_batches: {statistics.median(ours for _, ours in pairs):.2f} s")
        print(f"throughput: {statistics.median(ratios):.2f} of bare pyarrow ({min(ratios):.2f} to {max(ratios):.2f})")
        command = [sys.executable, "-m", "edgeship.cli", "data", "check", str(path), "--label", "c0", "--out", name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"data check: {used.ru_utime + used.ru_stime:.0f} s, peak memory {used.ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
