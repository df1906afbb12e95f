"""Killed at any moment, on a full disk: what was taken is there, what was not is taken later, and each counts once."""

from __future__ import annotations

import json
import queue
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path

import pytest

from edgeship import api
from tests.monitoring.inbox.samples import mix_traffic, report_of, to_line
from tests.monitoring.inbox.test_collect import Sender

ROOM = 400_000  # bytes of a file, where the disk is full


def edgeship(*words: object, limit: int | None = None, module: str = "edgeship.cli") -> subprocess.Popen[str]:
    """A process, whose files can have so many bytes."""
    command = [sys.executable, "-m", module, *map(str, words)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit or before[0], before[1]))  # which the child takes over
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class KilledServer:
    """`edgeship monitor collect`, started again after each kill."""

    def __init__(
        self, store: Path | str, bundle: Path, limit: int | None = None, options: Sequence[object] = ()
    ) -> None:
        self._words = [
            "monitor",
            "collect",
            "--store",
            store,
            "--bundle",
            bundle,
            "--port",
            0,
            "--rate",
            1e6,
            "--json",
            "-",
            *options,
        ]
        self._limit = limit
        self.start()

    def start(self) -> None:
        self.process = edgeship(*self._words, limit=self._limit)
        assert self.process.stdout
        said = ""
        while not said.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            said += line
        self.url: str = json.loads(said)["url"]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


class Clients:
    """Threads that post lines, each until it is answered for good."""

    def __init__(self, server: KilledServer, lines: list[bytes]) -> None:
        self._server, self._lines = server, queue.SimpleQueue[bytes]()
        self._left = len(lines)
        self.answered: list[tuple[bytes, int]] = []
        self.refused, self.count = 0, len(lines)  # for now; all in all
        self.changed = threading.Condition()
        for line in lines:
            self._lines.put(line)
        self._threads = [threading.Thread(target=self._post_all, daemon=True) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _post_all(self) -> None:
        sender = Sender(self._server.url)
        while self._left:
            try:
                line = self._lines.get(timeout=0.05)
            except queue.Empty:
                continue
            try:
                status = sender.post(line)[0]
            except (OSError, HTTPException):
                status = 0
                sender = Sender(self._server.url)
            if status in (0, 503):
                self._lines.put(line)  # the device keeps it
                with self.changed:
                    self.refused += status == 503
                    self.changed.notify_all()
                    self.changed.wait(0.05)
                continue
            with self.changed:
                self.answered.append((line, status))
                self._left -= 1
                self.changed.notify_all()

    def wait(self, done: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(done, 300)

    def taken(self) -> set[str]:
        with self.changed:
            return {json.loads(line)["install"] for line, status in self.answered if status == 201}


def check_killed_servers(bundle: Path, store: str, count: int, kills: int) -> None:
    lines, good, kinds = mix_traffic(bundle, count, kills)
    chance = random.Random(kills)
    server = KilledServer(store, bundle)
    clients = Clients(server, lines)
    moments = sorted(chance.sample(range(1, len(lines) - 10), kills))
    for moment in moments:
        clients.wait(lambda moment=moment: len(clients.answered) >= moment)  # type: ignore[misc]
        taken = clients.taken()
        server.kill()
        stored = {item.report.install for item in api.read_reports(store)}
        assert taken & good <= stored, "what was taken is there"
        server.start()
    clients.wait(lambda: len(clients.answered) == len(lines))
    server.stop()
    assert sorted(item.report.install for item in api.read_reports(store)) == sorted(good)
    assert api.count_reports(store).conflicts == kinds["forged"]


def test_a_server_that_is_killed_loses_nothing_that_it_took(bundle: Path, store: str) -> None:
    check_killed_servers(bundle, store, 200, 3)


@pytest.mark.more
def test_a_server_that_is_killed_50_times_loses_nothing(bundle: Path, store: str) -> None:
    check_killed_servers(bundle, store, 4000, 50)


def check_killed_ingest(bundle: Path, store: str, folder: Path, count: int, kills: int) -> None:
    lines, good, kinds = mix_traffic(bundle, count, 5)
    (folder / "r.jsonl").write_bytes(b"\n".join(lines))
    words = ["monitor", "ingest", folder / "r.jsonl", "--store", store, "--bundle", bundle]
    stored = -1
    for number in range(1, kills + 1):
        process = edgeship(number, *words, module="tests.monitoring.inbox.killed")
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        before, stored = stored, api.count_reports(store).reports
        assert stored > before, "one more transaction was whole"
    process = edgeship(*words)
    process.communicate()
    assert process.returncode == 0
    assert sorted(item.report.install for item in api.read_reports(store)) == sorted(good)
    assert api.count_reports(store).conflicts == kinds["forged"]


def test_an_ingest_that_is_killed_goes_on(bundle: Path, store: str, tmp_path: Path) -> None:
    check_killed_ingest(bundle, store, tmp_path, 400, 3)


@pytest.mark.more
@pytest.mark.timeout(2400)  # 50 starts of a process: 19 minutes beside 20 others
def test_an_ingest_that_is_killed_50_times_goes_on(bundle: Path, store: str, tmp_path: Path) -> None:
    check_killed_ingest(bundle, store, tmp_path, 5000, 50)


def test_on_a_full_disk_nothing_is_half_in(bundle: Path, tmp_path: Path) -> None:
    lines = [to_line(report_of(bundle, number)) for number in range(5000)]
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(lines))
    words = ["monitor", "ingest", tmp_path / "r.jsonl", "--store", tmp_path / "s", "--bundle", bundle]
    full = edgeship(*words, limit=3_000_000)
    _, said = full.communicate()
    assert full.returncode == 2
    assert "no room on its disk" in said and "Traceback" not in said
    stored = api.count_reports(tmp_path / "s").reports
    assert 0 < stored < 5000
    again = edgeship(*words)
    assert again.communicate()[0].startswith(
        f"5,000 reports in 1 file: {5000 - stored:,} new, {stored:,} there already"
    )


def test_a_server_on_a_full_disk_asks_for_patience_and_goes_on(bundle: Path, tmp_path: Path) -> None:
    server = KilledServer(tmp_path, bundle, limit=ROOM)
    sender = Sender(server.url)
    taken = []
    for number in range(2000):
        status, answer = sender.post(report_of(bundle, number))
        if status != 201:
            break
        taken.append(number)
    assert (status, answer["reason"], sender.headers["retry-after"]) == (503, "store", "60")
    assert 503 in [sender.ask("GET", "/health")[0] for _ in range(8)], "what it writes takes less room than a report"
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert sender.ask("GET", "/health")[0] == 200
    assert sender.post(report_of(bundle, number))[0] == 201
    server.stop()
    stored = sorted(item.report.install for item in api.read_reports(tmp_path))
    assert stored == sorted(report_of(bundle, at)["install"] for at in [*taken, number])
