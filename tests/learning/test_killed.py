"""`retrain` killed at random moments: called again it goes on, and what comes of it is what an unbroken run gives."""

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

import pytest

from edgeship import api
from edgeship.model_registry.store import open_store
from tests.learning.conftest import run_edgeship

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")


def command(world: Path) -> list[str]:
    named = ["--labels", "pool.csv", "--audit", "audit.csv", "--samples", "field.npz", "--data", str(world), "--force"]
    return ["retrain", "--name", "bars", *named, "--now", "2027-01-05", "--out", "out"]


def kill_until_done(world: Path, place: Path, cache: Path, rng: random.Random, took: float) -> int:
    """The command, ended with all that it began by SIGKILL at random moments until a run is done before; how often.

    `took`: seconds of an unbroken run that finds nothing in a cache.
    """
    killed = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgeship.cli", *command(world)], cwd=place, env={**os.environ, "EDGESHIP_CACHE": str(cache)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            assert process.wait(rng.uniform(0.02, 0.9) * took) == 0
            return killed
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1


def outcome_of(place: Path) -> dict[str, Any]:
    """What the registry and the folder hold, without what a second run may have otherwise: times."""
    store = f"sqlite:///{place / 'registry.db'}"
    with open_store(store) as opened:
        tags = opened.read_tags("bars", "edgeship.retraining")
        assert list(tags) == [2]
        for use in (*json.loads(tags[2])["pools"], *json.loads(tags[2])["audits"]):
            opened.files.find(use["digest"])
    rows = api.list_versions("bars", store=store)
    assert [row.aliases for row in rows] == [("champion",), ()]
    return {"record": json.loads(tags[2]), "server": rows[1].record.server, "verdict": rows[1].record.verdict}


def run_whole(world: Path, place: Path, cache: Path, monkeypatch) -> float:
    """The command, unbroken; the seconds that it took."""
    monkeypatch.setenv("EDGESHIP_CACHE", str(cache))
    begin = time.perf_counter()
    run_edgeship(*command(world), cwd=place)
    return time.perf_counter() - begin


def beside(place: Path, folder: Path) -> Path:
    """A copy of the registry and the field as they were before."""
    shutil.copytree(place, folder)
    return folder


def check_killed(world, place, tmp_path_factory, monkeypatch, kills: int, seed: int) -> None:
    """Each round begins with the registry as it was and an empty cache; rounds go on until there were so many kills."""
    unbroken = beside(place, tmp_path_factory.mktemp("unbroken") / "place")
    took = run_whole(world, unbroken, tmp_path_factory.mktemp("cache"), monkeypatch)
    expected, rng, killed = outcome_of(unbroken), random.Random(seed), 0
    while killed < kills:
        again = beside(place, tmp_path_factory.mktemp("killed") / "place")
        killed += kill_until_done(world, again, tmp_path_factory.mktemp("cache"), rng, took)
        assert outcome_of(again) == expected


@pytest.mark.more
def test_a_killed_run_goes_on(world, place, tmp_path_factory, monkeypatch):
    check_killed(world, place, tmp_path_factory, monkeypatch, kills=2, seed=1)


@pytest.mark.more
@pytest.mark.timeout(3600)
def test_thirty_killed_runs_go_on(world, place, tmp_path_factory, monkeypatch):
    check_killed(world, place, tmp_path_factory, monkeypatch, kills=30, seed=2)
