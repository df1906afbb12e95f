"""The bar: two built-in tasks, three formats, made again twice, and in another folder on another day in another time zone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

TASKS = ("motion", "fashion-mnist")
# What the processes that convert take for the time.
CHILD_CLOCK = """
from edgeship.processes.child import FunctionProcess
with FunctionProcess() as process:
    print(process.call_named("time:time", {}))
"""
pytestmark = pytest.mark.more


def edgeship(cwd: Path, *arguments: object, before: tuple[str, ...] = (), env: dict[str, str]) -> str:
    return run(cwd, *before, sys.executable, "-m", "edgeship.cli", *arguments, env=env)


def run(cwd: Path, *words: object, env: dict[str, str]) -> str:
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("task", TASKS)
def test_a_lock_gives_the_same_bytes_anywhere_and_at_any_time(task, tmp_path, missing):
    faketime = shutil.which("faketime") or missing("faketime is not installed (Debian: faketime)")
    cache = {"EDGESHIP_CACHE": str(tmp_path / "cache")}
    edgeship(tmp_path, "train", task, "--epochs", 1, "--out", "here", env=cache)
    variants = ("--variant", "float32,float16,int8,dynamic_w8,weight_only_w8")
    edgeship(tmp_path, "convert", "here/server.keras", "--out", "here/bundle", *variants, env=cache)
    edgeship(tmp_path, "lock", "here/bundle", env=cache)
    for _ in range(2):
        assert edgeship(tmp_path, "rebuild", "here/edgeship.lock", env=cache).count("same") == 12
    away = tmp_path / "another place" / "there"
    shutil.copytree(tmp_path / "here", away)
    shutil.rmtree(tmp_path / "here")
    later, env = (faketime, "-f", "+400d"), {**cache, "TZ": "Asia/Tokyo", "EDGESHIP_CHILD_ENV": "FAKETIME*"}
    assert float(run(tmp_path, *later, sys.executable, "-c", CHILD_CLOCK, env=env)) > time.time() + 399 * 86400
    edgeship(away.parent, "rebuild", away / "edgeship.lock", before=later, env=env)
