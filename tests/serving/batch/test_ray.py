"""`edgeship predict --engine ray` on a real cluster: two nodes on this machine, one of which is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.environments import ROOT, make_environment
from tests.serving.batch.conftest import read_all
from tests.serving.batch.shops import make_rows

ROWS, CHUNK = 20_000, 20
COLUMNS = "row_key, answer_label, answer_score, amount"
SECONDS = 240  # for a node to come up on a busy machine
pytestmark = pytest.mark.more


@pytest.fixture(scope="module")
def python(tmp_path_factory, missing) -> Path:
    """The interpreter of an environment with Ray, and this checkout."""
    return make_environment(tmp_path_factory.mktemp("ray") / "environment", ("ray", "onnx"), missing)


@contextlib.contextmanager
def start_node(python: Path, *options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A node of a Ray cluster with one processor, all of whose processes end with it."""
    command = [python.with_name("ray"), "start", "--num-cpus", "1", "--disable-usage-stats", "--block", *options]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            yield process
        finally:
            kill_node(process)


def kill_node(process: subprocess.Popen[bytes]) -> None:
    """Its raylet and its workers, too, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def count_nodes(python: Path, address: str) -> int:
    """The nodes of a cluster that are alive; 0 where none answers."""
    text = (
        "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR');"
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    done = subprocess.run([python, "-c", text, address], capture_output=True, text=True, check=False)
    return int(done.stdout.split()[-1]) if not done.returncode else 0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Until it holds, or fail."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def count_written(path: Path) -> int:
    """The rows that the ledger has."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file,
    ):
        return int(file.execute("select coalesce(sum(rows), 0) from predictions_chunks").fetchone()[0])
    return 0


def test_a_node_that_is_killed_costs_no_row(python: Path, shop: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    pq.write_table(make_rows(ROWS), tmp_path / "rows.parquet")
    run(tmp_path / "rows.parquet", f"sqlite:///{tmp_path / 'whole.db'}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    out = tmp_path / "out.db"
    options = ("--from", tmp_path / "rows.parquet", "--to", f"sqlite:///{out}", "--batch", CHUNK, "--engine", "ray")
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray"))  # names of sockets are short
        head = ("--head", "--port", address.rpartition(":")[2], "--include-dashboard", "false", "--temp-dir", place)
        stack.enter_context(start_node(python, *head))
        wait_until(lambda: count_nodes(python, address) == 1, "the head node does not answer")
        second = stack.enter_context(start_node(python, "--address", address))
        wait_until(lambda: count_nodes(python, address) == 2, "the second node does not answer")
        command = [python, "-m", "edgeship.cli", "predict", shop, *options]
        with subprocess.Popen(
            list(map(str, command)), cwd=ROOT, env={**os.environ, "RAY_ADDRESS": address}, stderr=subprocess.PIPE
        ) as predict:
            wait_until(lambda: count_written(out) > ROWS // 10 or predict.poll() is not None, "nothing is written")
            kill_node(second)
            assert count_written(out) < ROWS, "the node was killed after the run's end"
            _, errors = predict.communicate(timeout=600)
        assert predict.returncode == 0, errors
        assert count_nodes(python, address) == 1
    query = f"select {COLUMNS} from predictions order by row_key"
    assert read_all(out, query) == read_all(tmp_path / "whole.db", query)
    assert len(read_all(out, query)) == ROWS
