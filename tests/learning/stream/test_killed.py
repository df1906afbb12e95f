"""`stream` killed at any moment: called again it goes on at the next row, and ends as an unbroken run does."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from edgeship import api
from edgeship.learning.stream.state import StreamState
from edgeship.model_registry.store import open_store
from tests.learning.conftest import run_edgeship
from tests.learning.stream.conftest import INTERVAL, MORE, make_rows

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
ROOT = Path(__file__).parents[3]


def command(world: Path) -> list[str]:
    named = ["--from", "rows", "--state", "state", "--data", str(world), "--interval", str(INTERVAL)]
    return ["stream", "--name", "bars", *named, "--once"]


def kill_at(point: str, world: Path, place: Path) -> None:
    """The command, which ends itself by SIGKILL at that point."""
    killed = [sys.executable, "-m", "tests.learning.stream.killed", point, *command(world)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(killed, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, (point, done.stdout, done.stderr)


def outcome_of(place: Path) -> dict[str, Any]:
    """All that the state, the tables and the registry hold at the end, without times of day."""
    state = StreamState(place / "state")
    try:
        found: dict[str, Any] = {
            "intervals": state.list_intervals(),
            "rows": state.count_rows(),
            "counts": state.counts,
            "position": state.read_fact("position"),
            "model": state.read_fact("model"),
            "watched": state.read_fact("watched_from"),
            "aside": state.list_aside(),
            "errors": list(state.read_errors(1)),
        }
    finally:
        state.close()
    with open_store(f"sqlite:///{place / 'registry.db'}") as opened:
        found["tags"] = {
            number: json.loads(text) for number, text in opened.read_tags("bars", "edgeship.stream").items()
        }
        for tag in found["tags"].values():
            opened.files.find(tag["rows"]["digest"])
    versions = api.list_versions("bars", store=f"sqlite:///{place / 'registry.db'}")
    found["versions"] = [(row.number, row.record.server, row.record.verdict, row.aliases) for row in versions]
    found["table"] = (place / "state" / "intervals.csv").read_text()
    return found


def beside(place: Path, folder: Path) -> Path:
    """A copy of the registry and the rows as they were before."""
    shutil.copytree(place, folder)
    return folder


@pytest.mark.more
@pytest.mark.timeout(600)
def test_a_killed_stream_goes_on_at_the_next_row(world, place, rows, tmp_path_factory, edgeship, monkeypatch):
    unbroken = beside(place, tmp_path_factory.mktemp("unbroken") / "place")
    monkeypatch.chdir(unbroken)
    edgeship(*command(world))
    kill_at("take:2", world, place)
    kill_at("tag", world, place)
    monkeypatch.chdir(place)
    edgeship(*command(world))
    found = outcome_of(place)
    assert found == outcome_of(unbroken)
    assert found["rows"][0] == INTERVAL + MORE and len(found["intervals"]) == 1 and list(found["tags"]) == [2]
    record = found["intervals"][0]
    assert record.server == found["versions"][1][1] and record.first == 1 and record.last == INTERVAL
    assert found["model"] == (2 if record.verdict == "accepted" else 1)


def kill_until_done(world: Path, place: Path, rng: random.Random, least: float) -> int:
    """The command, killed at random moments until a run is done before; how often. `least`: seconds that it takes anyway.

    They come later and later: what cannot be taken up in its middle, as training, ends at last.
    """
    killed = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgeship.cli", *command(world)], cwd=place, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            assert process.wait(rng.uniform(0.2, 1.5) * least * (1 + killed / 10)) == 0
            return killed
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1


@pytest.mark.more
@pytest.mark.timeout(3600)
def test_thirty_killed_streams_go_on(world, place, rows, tmp_path_factory, monkeypatch):
    for number in range(2, 4):
        pq.write_table(make_rows(INTERVAL, 50 + number, 0.2 * number, number * INTERVAL), rows / f"{number}.parquet")
    unbroken, caches = beside(place, tmp_path_factory.mktemp("unbroken") / "place"), tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("EDGESHIP_CACHE", str(caches / "unbroken"))
    run_edgeship(*command(world), cwd=unbroken)
    begin = time.perf_counter()
    run_edgeship(*command(world), cwd=unbroken)  # nothing is new: what the command takes by itself
    least = time.perf_counter() - begin
    expected, rng, killed = outcome_of(unbroken), random.Random(5), 0
    # The first stream finds no cache: training and conversion are under way when it is killed.
    monkeypatch.setenv("EDGESHIP_CACHE", str(caches / "killed"))
    while killed < 30:
        again = beside(place, tmp_path_factory.mktemp("killed") / "place")
        killed += kill_until_done(world, again, rng, least)
        assert outcome_of(again) == expected
