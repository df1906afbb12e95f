"""The bar: two built-in tasks, three formats, made again twice, and in another folder on another day in another time zone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TASKS = ("motion", "fashion-mnist")
pytestmark = pytest.mark.more


def edgeship(cwd: Path, *arguments: object, before: tuple[str, ...] = (), env: dict[str, str]) -> str:
    command = [*before, sys.executable, "-m", "edgeship.cli", *map(str, arguments)]
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
    later = (faketime, "-f", "+400d")
    arguments = ("rebuild", away / "edgeship.lock", "--out", "again")
    edgeship(away.parent, *arguments, before=later, env={**cache, "TZ": "Asia/Tokyo"})
    folders = (away / "bundle", away.parent / "again")
    dates = [json.loads((folder / "manifest.json").read_text())["created"] for folder in folders]
    assert dates[0][:4] < dates[1][:4]  # the clock was another
