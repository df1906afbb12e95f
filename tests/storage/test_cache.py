import dataclasses
import os
import subprocess
import sys
import threading
import time

import pytest

from edgeship.errors import InputError
from edgeship.storage import cache
from edgeship.storage.cache import Cache, Entry
from edgeship.types import TensorSpec


def writer(text, calls):
    def make(folder):
        calls.append(text)
        (folder / "out.txt").write_text(text)
        return {"length": len(text)}

    return make


def test_the_same_key_is_made_once_and_another_key_again(tmp_path):
    calls: list[str] = []
    for key in ({"a": 1}, {"a": 1}, {"a": 2}):
        entry = Cache(tmp_path).get("step", key, writer("text", calls))
    assert len(calls) == 2
    assert entry.result == {"length": 4}
    assert (entry.path / "out.txt").read_text() == "text"


def test_what_is_looked_for_is_never_made(tmp_path):
    assert Cache(tmp_path).find("step", {"a": 1}) is None
    stored = Cache(tmp_path).get("step", {"a": 1}, writer("text", []))
    found = Cache(tmp_path).find("step", {"a": 1})
    assert found == dataclasses.replace(stored, hit=True)
    (stored.path / "out.txt").write_text("changed")
    assert Cache(tmp_path).find("step", {"a": 1}) is None


def test_keys_may_hold_dataclasses(tmp_path):
    spec = TensorSpec("x", (None, 3), "float32")
    first = Cache(tmp_path).get("step", {"spec": spec}, writer("text", []))
    again = Cache(tmp_path).get("step", {"spec": spec}, writer("text", []))
    other = Cache(tmp_path).get("step", {"spec": dataclasses.replace(spec, name="y")}, writer("text", []))
    assert [first.hit, again.hit, other.hit] == [False, True, False]


def test_a_hit_on_changed_files_is_no_hit(tmp_path):
    calls: list[str] = []
    first = Cache(tmp_path).get("step", {}, writer("right", calls))
    (first.path / "out.txt").write_text("wrong")
    again = Cache(tmp_path).get("step", {}, writer("right", calls))
    assert not again.hit
    assert (again.path / "out.txt").read_text() == "right"
    assert len(calls) == 2


def test_a_failed_make_leaves_nothing_that_counts(tmp_path):
    def fail(folder):
        (folder / "half").write_text("half")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        Cache(tmp_path).get("step", {}, fail)
    entry = Cache(tmp_path).get("step", {}, writer("whole", []))
    assert not entry.hit
    assert [path.name for path in entry.path.iterdir()] == ["out.txt"]


def test_two_at_once_make_it_once(tmp_path):
    calls: list[str] = []
    entries: list[Entry] = []
    threads = [
        threading.Thread(target=lambda: entries.append(Cache(tmp_path).get("step", {}, writer("text", calls))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert sorted(entry.hit for entry in entries) == [False, True, True, True]


def test_a_process_killed_while_making_leaves_no_entry(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from edgeship.storage.cache import Cache, Entry\n"
        "def make(folder):\n    (folder / 'half').write_text('half'); os.kill(os.getpid(), 9)\n"
        "Cache(Path(sys.argv[1])).get('step', {}, make)"
    )
    process = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert process.returncode == -9
    entry = Cache(tmp_path).get("step", {}, writer("whole", []))
    assert [path.name for path in entry.path.iterdir()] == ["out.txt"]


def test_a_cache_that_cannot_be_made_is_bad_input(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"no folder can be made there .* EDGESHIP_CACHE"):
            cache.own_folder(place)


def test_entries_without_use_for_a_month_are_dropped_by_a_look_once_a_day(tmp_path):
    store = Cache(tmp_path)
    long_ago = time.time() - 31 * 86400

    def age(entry):
        os.utime(entry.path.parent / "entry.json", (long_ago, long_ago))
        return entry.path

    dropped, used = age(store.get("step", {"a": 1}, writer("text", []))), store.get("step", {"a": 2}, writer("b", []))
    store.prune()
    assert not dropped.exists()
    assert used.path.exists()
    aged = age(used)
    store.prune()
    assert aged.exists()  # the next look is tomorrow's
    os.utime(tmp_path / "pruned", (time.time() - 86401,) * 2)
    store.prune()
    assert not aged.exists()


def test_a_clock_that_runs_ahead_drops_nothing_that_is_in_use(tmp_path, monkeypatch):
    """Of two processes whose clocks differ, one took from the other what it was about to read."""
    store = Cache(tmp_path)
    used = store.get("step", {"a": 1}, writer("text", []))
    ahead = time.time() + 90 * 86400
    monkeypatch.setattr(time, "time", lambda: ahead)
    store.prune()
    assert used.path.exists()
