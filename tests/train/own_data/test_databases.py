"""`edgeship train --data` from queries, through the command: a real PostgreSQL server, and a file of SQLite."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from tests.postgres_server import run_server

ROWS = 400
GENERATED = f"""
select n % 97 as age, n * 1.5 as income, case when n % 5 > 0 then 'town ' || n % 3 end as town,
    case when n % 97 > 48 then 'yes' else 'no' end as bought from generate_series(1, {ROWS}) as n"""


def train(address: str, query: str, folder: Path) -> dict[str, object]:
    """The card of a short training."""
    command = [sys.executable, "-m", "edgeship.cli", "train", "--data", address, "--query", query, "--label", "bought"]
    options = ["--epochs", "3", "--folds", "3", "--allow-worse", "--out", str(folder / "run")]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    card: dict[str, object] = json.loads((folder / "run" / "model-card.json").read_text())
    return card


def check_files(folder: Path) -> None:
    with np.load(folder / "run" / "train.npz") as arrays:
        assert arrays["numbers"].shape[1] == 2 and arrays["categories"].shape[1] == 1
        assert set(np.unique(arrays["y"])) == {0, 1}


@pytest.mark.more
def test_rows_of_postgresql_are_learned_from(missing: Callable[[str], NoReturn], tmp_path: Path) -> None:
    with run_server(missing) as server:
        card = train(server.uri.replace("postgres@", "postgres:secret-word@"), GENERATED, tmp_path)
    check_files(tmp_path)
    assert "secret-word" not in json.dumps(card) and "postgresql://" in json.dumps(card)


@pytest.mark.more
def test_rows_of_sqlite_are_learned_from(tmp_path: Path) -> None:
    rows = [
        (n % 97, n * 1.5, f"town {n % 3}" if n % 5 else None, "yes" if n % 97 > 48 else "no") for n in range(1, ROWS)
    ]
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table shop (age, income, town, bought)")
        database.executemany("insert into shop values (?, ?, ?, ?)", rows)
    database.close()
    train("sqlite:///shop.db", "select * from shop", tmp_path)
    check_files(tmp_path)
