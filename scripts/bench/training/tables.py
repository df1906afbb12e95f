"""A table of a million rows and 50 columns: reading and batches beside bare pyarrow and tf.data, and the memory of what reads it.

`python -m scripts.bench.training.tables [ROWS]` writes docs/results/training/tables.md. Ratios are of processor time of
interleaved runs; memory is the largest of a command's processes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.tables.inference import read_schema
from edgeship.tables.reading import import_pyarrow, iterate_batches
from scripts import RESULTS

PAGE = RESULTS / "training" / "tables.md"
NUMBERS, CATEGORIES = 40, 10
RUNS = 5
BATCH = 256  # rows that a network of so large a table is shown at once
MEMORY, THROUGHPUT = 1.5, 0.8  # GB at most, and of bare reading at least


def write_table(path: Path, rows: int) -> None:
    """A CSV of 40 columns of numbers, a tenth of one missing, and 10 of categories; `c0` is the class and hangs on another."""
    pa = import_pyarrow()
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(rows, NUMBERS)).round(4)
    columns: dict[str, Any] = {f"n{place}": numbers[:, place] for place in range(NUMBERS)}
    columns["n1"] = pa.array(numbers[:, 1], mask=rng.random(rows) < 0.1)
    words = np.array(["red", "green", "blue", "a longer one"])
    columns |= {f"c{place}": pa.array(words[rng.integers(0, len(words), rows)]) for place in range(1, CATEGORIES)}
    columns["c0"] = pa.array(words[np.digitize(numbers[:, 0] + rng.normal(size=rows) * 0.5, (-1, 0, 1))])
    pa.csv.write_csv(pa.table(columns), path)


def clock(read: Callable[[], Any]) -> float:
    """Seconds of processor time."""
    start = time.process_time()
    for _ in read():
        pass
    return time.process_time() - start


def compare_reading(path: Path) -> list[tuple[float, float]]:
    """Seconds of bare pyarrow, which guesses types from the first block, and of `iterate_batches`, in turns."""
    pa, schema = import_pyarrow(), read_schema(path)
    return [(clock(lambda: pa.csv.open_csv(path)), clock(lambda: iterate_batches(path, schema))) for _ in range(RUNS)]


def compare_batches(rows: int) -> list[tuple[float, float]]:
    """Seconds of bare tf.data over the same arrays, and of `read_batches`, in turns: an epoch in a new order each."""
    import tensorflow as tf

    from edgeship.train.own_data.fitting import read_batches
    from edgeship.train.own_data.samples import Samples

    rng = np.random.default_rng(0)
    inputs = {
        "numbers": rng.normal(size=(rows, NUMBERS)).astype(np.float32),
        "categories": rng.integers(0, 40, (rows, CATEGORIES), np.int32),
    }
    targets = rng.integers(0, 4, rows)
    ours = read_batches(Samples(inputs, targets, np.arange(rows)), targets, BATCH, seed=0)
    bare = tf.data.Dataset.from_tensor_slices((inputs, targets)).shuffle(rows, seed=0).batch(BATCH)
    return [(clock(lambda: bare), clock(lambda: ours)) for _ in range(RUNS)]


def run_command(*arguments: object) -> dict[str, float]:
    """Seconds of processor time and gigabytes of a command of edgeship, in a process of its own: no other's memory counts."""
    code = (
        "import json, resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps({'code': code,"
        " 'cpu': used.ru_utime + used.ru_stime, 'gigabytes': used.ru_maxrss / 1e6}))"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "edgeship.cli", *map(str, arguments)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    if result["code"] > 1:
        raise RuntimeError(f"edgeship {' '.join(map(str, arguments))}: exit code {result['code']}")
    return result


def describe_ratio(what: str, pairs: Sequence[tuple[float, float]]) -> tuple[str, float]:
    """A row of the table, and the median throughput beside what is bare."""
    ratios = [bare / ours for bare, ours in pairs]
    median = statistics.median(ratios)
    seconds = [statistics.median(pair[side] for pair in pairs) for side in (0, 1)]
    return (
        f"| {what} | {seconds[0]:.2f} | {seconds[1]:.2f} | {median:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
        median,
    )


def main(rows: int) -> None:
    """Measure, and write the page."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "table.csv"
        write_table(path, rows)
        size = path.stat().st_size / 1e6
        used = {
            "edgeship data check": run_command("data", "check", path, "--label", "c0", "--out", Path(name) / "page"),
            "edgeship train --data, 1 epoch": run_command(
                "train", "--data", path, "--label", "c0", "--epochs", 1, "--out", Path(name) / "run"
            ),
        }
        reading, read_ratio = describe_ratio("rows of the CSV, beside pyarrow", compare_reading(path))
        batches, batch_ratio = describe_ratio("batches of an epoch, beside tf.data", compare_batches(rows))
    most = max(item["gigabytes"] for item in used.values())
    passed = most < MEMORY and min(read_ratio, batch_ratio) >= THROUGHPUT
    lines = [
        "# A large table",
        "",
        f"{rows:,} rows of {NUMBERS + CATEGORIES} columns, a CSV of {size:.0f} MB ({NUMBERS} of numbers, {CATEGORIES} of "
        "categories, one with gaps), made up. Written by `python -m scripts.bench.training.tables`.",
        "",
        f"| what | bare, s | edgeship, s | throughput, of {RUNS} pairs of runs |",
        "|---|---|---|---|",
        reading,
        batches,
        "",
        "Seconds of processor time. Bare pyarrow guesses types from the first block of rows; bare tf.data holds all rows in "
        "memory and shuffles them as `edgeship train` does.",
        "",
        "| command | seconds of processor time | GB |",
        "|---|---|---|",
        *(f"| `{what}` | {item['cpu']:.0f} | {item['gigabytes']:.2f} |" for what, item in used.items()),
        "",
        f"Memory is the largest process's, TensorFlow's own included. The bar: below {MEMORY} GB, and at least {THROUGHPUT} of "
        f"bare reading: {'held' if passed else '**missed**'}.",
        "",
    ]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
