"""A publication that is killed anywhere: clients see the old version whole or the new one, and the next one works."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeship import api
from tests.deploy.channel.conftest import NAME, Watcher

# Says when it begins, so that the moment of the kill counts from there and not from the imports.
PUBLISH = """
import sys
from edgeship import api
from edgeship.deploy.channel import publish
print("ready", flush=True)
sys.stdin.readline()
api.publish_bundle(sys.argv[1], sys.argv[2], name=sys.argv[3], keys=sys.argv[4])
"""


def start(bundle: Path, channel: Path, keys: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PUBLISH, str(bundle), str(channel), NAME, str(keys)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


def check_kills(channel: Path, published: Path, bundles: list[Path], keys: Path, state: Path, count: int) -> set[int]:
    """Kill `count` publications at moments of the time that one takes; the versions that clients saw."""
    whole = start(bundles[2], Path(shutil.copytree(published, state / "whole")), keys)
    began = time.perf_counter()
    go(whole)
    assert whole.wait() == 0
    seconds = time.perf_counter() - began
    moments = [(number + random.Random(number).random()) / count * seconds for number in range(count)]
    seen = set()
    for number, moment in enumerate(moments):
        folder = Path(shutil.copytree(published, channel / str(number)))
        watcher = Watcher(folder, state / str(number))
        watcher.look()
        process = start(bundles[2], folder, keys)
        go(process)
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        found = watcher.look()["version"]
        seen.add(found)
        api.publish_bundle(bundles[3], folder, name=NAME, keys=keys)
        assert watcher.look()["version"] == found + 1
        assert not [path for path in folder.rglob(".*") if path.name != ".lock"], "drafts are swept"
    return seen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_publication_that_is_killed_at_any_write_shows_no_half(
    published: Path, bundles: list[Path], keys: Path, tmp_path: Path
) -> None:
    seen = []
    for written in range(100):
        folder = Path(shutil.copytree(published, tmp_path / str(written)))
        watcher = Watcher(folder, tmp_path / "states" / str(written))
        watcher.look()
        if not fork_and_kill(lambda: api.publish_bundle(bundles[2], folder, name=NAME, keys=keys), written):  # noqa: B023
            break
        seen.append(watcher.look()["version"])
        api.publish_bundle(bundles[3], folder, name=NAME, keys=keys)
        assert watcher.look()["version"] == seen[-1] + 1
        assert not [path for path in folder.rglob(".*") if path.name != ".lock"], "drafts are swept"
    assert len(seen) >= 8 and seen == [2] * len(seen), "the last write is the timestamp, and shows it whole"
    assert watcher.look()["version"] == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_a_rotation_that_is_killed_at_any_write_is_seen_by_no_client(
    role: str, published: Path, keys: Path, all_keys: Path, tmp_path: Path
) -> None:
    for written in range(100):
        folder = Path(shutil.copytree(published, tmp_path / str(written)))
        watcher = Watcher(folder, tmp_path / "states" / str(written))
        watcher.look()

        def rotate(folder: Path = folder) -> None:
            api.rotate_keys(folder, role, keys=keys, new_keys=all_keys / "b")

        killed = fork_and_kill(rotate, written)
        assert watcher.look()["version"] == 2
        if not killed:
            break
        rotate()
        assert watcher.look()["version"] == 2
    assert written == {"root": 1, "targets": 4, "snapshot": 3, "timestamp": 2}[role]


def fork_and_kill(action: Callable[[], object], written: int) -> bool:
    """Act in a child that gets SIGKILL with so many files in place and the next one half written; whether it came to that."""
    child = os.fork()
    if child == 0:
        count = iter(range(1000))

        def replace(beside: Path, target: Path) -> Any:
            if next(count) == written:
                os.kill(os.getpid(), signal.SIGKILL)
            return os.replace(beside, target)

        Path.replace = replace  # type: ignore[assignment, method-assign]
        try:
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.more
def test_thirty_that_are_killed_show_no_half(published: Path, bundles: list[Path], keys: Path, tmp_path: Path) -> None:
    assert check_kills(tmp_path / "channels", published, bundles, keys, tmp_path, 30) <= {2, 3}
