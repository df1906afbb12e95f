"""Two processes at once, and processes that are killed in the middle: no version is lost, and none is there by halves."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import sys

import pytest

from edgeship import api
from edgeship.model_registry.store import open_store
from tests.model_registry import made_up, workers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Four bundles, of models that are as good as one another."""
    folder, truth = tmp_path_factory.mktemp("bundles"), made_up.truth_of(600)
    answers = made_up.answers_of(truth, 0.95, 1)
    budget = {"accuracy": "mlperf95"}
    return [made_up.write_bundle(folder / f"{n}", truth, answers, name=str(n), budget=budget) for n in range(4)]


def run(*calls):
    """Run functions of `workers` at once, as (function, *arguments); their exit codes."""
    processes = [workers.server().Process(target=function, args=arguments) for function, *arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def check_whole(store):
    """Every version can be read with all its files, and the database is whole."""
    with open_store(store) as opened:
        rows = opened.versions("garments") if "garments" in opened.names() else []
        for row in rows:
            for content in opened.manifest(row).files.values():
                opened.files.find(content)
        promotions = opened.promotions("garments") if rows else []
        aliases = opened.aliases("garments") if rows else {}
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        if promotions:
            assert promotions[-1].version == aliases["champion"]
    with sqlite3.connect(store.removeprefix("sqlite:///")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    return rows, promotions


def test_two_processes_add_at_once(registry, bundles):
    assert run((workers.add, bundles[0], registry), (workers.add, bundles[1], registry)) == [0, 0]
    rows, _ = check_whole(registry)
    assert len({row.record.bundle for row in rows}) == 2


def test_a_full_disk_leaves_the_registry_as_it_was(registry, bundles, tmp_path):
    assert run((workers.add_where_files_end_at, 100, bundles[0], registry)) == [2]
    size = (tmp_path / "registry.db").stat().st_size
    assert run((workers.add_where_files_end_at, size, bundles[0], registry)) == [2]
    assert check_whole(registry) == ([], [])
    assert not list((tmp_path / "registry-files").rglob(".draft*"))


@pytest.mark.more
def test_many_processes_begin_a_registry_at_once(tmp_path, bundles):
    store = f"sqlite:///{tmp_path / 'registry.db'}"
    assert run(*((workers.add, item, store) for item in bundles)) == [0] * len(bundles)
    rows, _ = check_whole(store)
    assert len({row.record.bundle for row in rows}) == len(bundles)


def kill_while_adding(registry, bundles, moments):
    """Add the second bundle over and over, killed at each of these moments, until all went well; how often it was killed."""
    api.add_version(bundles[0], "garments", store=registry)
    killed = 0
    for moment in moments:
        (code,) = run((workers.add, bundles[1], registry, moment))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        rows, _ = check_whole(registry)
        assert 1 <= len(rows) <= 2
        if code == 0:
            break
    added = api.add_version(bundles[1], "garments", store=registry)
    assert added.version.number == 2
    with open_store(registry) as opened:
        runs = opened.client.search_runs([opened.client.get_experiment_by_name("edgeship/garments").experiment_id])
        unfinished = [run for run in runs if run.info.status == "RUNNING"]
        assert len(unfinished) <= 1  # one whose version is there, and that was only not marked as done
    return killed


def kill_while_promoting(registry, bundles, moments):
    """Promote and roll back, killed at each of these moments; how often it was killed."""
    for item in bundles[:2]:
        api.add_version(item, "garments", store=registry)
    api.promote_version(1, to="champion", why="the first", store=registry)
    killed, champion = 0, 1
    for moment in moments:
        call = (workers.promote, 2) if champion == 1 else (workers.roll_back,)
        (code,) = run((*call, registry, moment))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        _, promotions = check_whole(registry)
        assert promotions[-1].version in (1, 2)
        champion = promotions[-1].version
    return killed


def test_a_process_that_is_killed_leaves_a_whole_registry(registry, bundles, tmp_path, empty_registry):
    assert kill_while_adding(registry, bundles, (25, 60, 100)) >= 2
    (tmp_path / "other").mkdir()
    other = f"sqlite:///{shutil.copyfile(empty_registry, tmp_path / 'other' / 'registry.db')}"
    assert kill_while_promoting(other, bundles, (30, 45)) >= 1


@pytest.mark.more
def test_processes_that_are_killed_thirty_times_leave_a_whole_registry(registry, bundles, tmp_path, empty_registry):
    assert kill_while_adding(registry, bundles, range(3, 400, 4)) >= 30
    (tmp_path / "other").mkdir()
    other = f"sqlite:///{shutil.copyfile(empty_registry, tmp_path / 'other' / 'registry.db')}"
    assert kill_while_promoting(other, bundles, range(2, 112, 3)) >= 30
