"""Rows of the small world as a stream has them, the command on them, and servers of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.learning import small_world
from tests.learning.stream.redis_server import run_redis
from tests.postgres_server import PostgresServer, run_server

INTERVAL, MORE = 96, 24  # rows that are learned, and rows that wait


def make_rows(count: int, seed: int, moved: float = 0.0, first: int = 0) -> pa.Table:
    """Rows with the columns id, image (a list of 64 numbers) and label."""
    pictures, labels = small_world.draw(count, seed, moved=moved)
    return pa.table(
        {
            "id": [f"row-{first + number}" for number in range(count)],
            "image": [picture.reshape(-1).astype(np.int64).tolist() for picture in pictures],
            "label": [small_world.LABELS[label] for label in labels],
        }
    )


@pytest.fixture
def rows(place: Path) -> Path:
    """A folder of Parquet files: an interval that moves in its second half, and the beginning of the next."""
    folder = place / "rows"
    folder.mkdir()
    half = INTERVAL // 2
    pq.write_table(make_rows(half, 50), folder / "0.parquet")
    pq.write_table(make_rows(half + MORE, 51, 0.4, half), folder / "1.parquet")
    return folder


@pytest.fixture
def stream(world: Path, place: Path, edgeship: Callable[..., Any]) -> Callable[..., Any]:
    """`stream(source, *options, code, says)`: the result of `edgeship stream --once` as JSON; None where there is none."""

    def run(source: object, *options: object, code: int = 0, says: str = "") -> Any:
        given = ["--from", source, "--state", "state", "--data", world, "--interval", INTERVAL, "--once"]
        edgeship("stream", "--name", "bars", *given, "--json", "result.json", *options, code=code, says=says)
        file = place / "result.json"
        result = json.loads(file.read_text()) if file.exists() else None
        file.unlink(missing_ok=True)
        return result

    return run


@pytest.fixture(scope="session")
def redis_server(missing: Callable[[str], NoReturn]) -> Iterator[str]:
    """The address of a Redis server of this test run."""
    with run_redis(missing) as address:
        yield address


@pytest.fixture
def queue(redis_server: str) -> Iterator[Any]:
    """A client of an empty database of it."""
    import redis

    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
        yield client


@pytest.fixture(scope="session")
def postgres(missing: Callable[[str], NoReturn]) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test run."""
    with run_server(missing) as opened:
        yield opened
