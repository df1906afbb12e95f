"""`python -m scripts.bench.monitoring.ingest`: how fast reports come into an inbox, from files and over HTTP.

Files: 100,000 reports of a model with 10 classes, 30 % of them twice, some forged, truncated, unknown or in other bins, shuffled;
beside it a bare `sqlite3` insert of the same rows with the same settings, that checks nothing. Both are timed in turn in one
process. The same file goes into PostgreSQL, where a server is here (apt-get install postgresql). HTTP: `wrk` (apt-get install
wrk) posts reports that all differ to `edgeship monitor collect`. Processor time is told beside the clock's, which depends on what
else runs. Writes docs/results/services/ingest.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import api
from edgeship.bundle.bundle import MANIFEST
from edgeship.monitoring.inbox.arrival import check_report
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.monitoring.inbox.place import parse_store
from edgeship.monitoring.inbox.sqlite_database import connect
from edgeship.monitoring.profile.profile import Descriptor, Profile, ProfileInput, ProfileOutput, profile_json
from edgeship.monitoring.reports.windows import find_window
from scripts import RESULTS
from tests.deploy.channel.bundles import write_bundle
from tests.hostile.bundles import sealed_bundle
from tests.postgres_server import PostgresServer, find_programs

REPORTS, ROUNDS, SECONDS, CONNECTIONS, BATCH = 100_000, 3, 10, 50, 2000
ARTIFACT = "tflite/int8"
INSERT = "insert into report(key, window, profile, digest, body, received, late) values(?, ?, ?, ?, ?, ?, ?)"
LUA = """
local head, tail, number = %s, %s, %d
function request()
  number = number + 1
  return wrk.format("POST", "/reports", {["Content-Type"] = "application/json"}, head .. number .. tail)
end
"""


def write_model(root: Path) -> Path:
    """A bundle with a profile of 10 classes and an image."""
    write_bundle(root)
    manifest = json.loads((root / MANIFEST).read_bytes())
    manifest.pop("digest")
    edges = tuple(np.linspace(0, 1, 13)[1:-1].tolist())
    image = ProfileInput("image", "image", tuple(Descriptor(str(number), edges) for number in range(5)))
    profile = Profile(
        server_model="f" * 64, artifacts={item["id"]: item["content"] for item in manifest["artifacts"]}, data="e" * 64,
        samples=10, latency=tuple(float(1.1**place) for place in range(135)), inputs=(image,), answers={}, not_counted={},
        outputs=(ProfileOutput("scores", classes=10, confidence=edges, margin=edges, entropy=edges),),
    )  # fmt: skip
    (root / "profile.json").write_text(json.dumps(profile_json(profile)))
    sealed_bundle.seal(root, manifest)
    return root


def make_reports(bundle: Path, count: int) -> list[dict[str, Any]]:
    """Reports of 200 inferences each, of as many installations."""
    chance, content = np.random.default_rng(0), (bundle / "profile.json").read_bytes()
    head: dict[str, Any] = {
        "schema": 1, "window": find_window(datetime.now(UTC).date()), "sequence": 0, "bundle": None, "artifact": ARTIFACT,
        "content": json.loads(content)["artifacts"][ARTIFACT], "profile": hashlib.sha256(content).hexdigest(),
        "arms": {"exp-7": "b"}, "runtime": "LiteRT 2.3", "tier": "mid", "n": 200, "switches": 17, "errors": {}, "fallbacks": 0,
    }  # fmt: skip

    def histogram(bins: int) -> list[int]:
        shares: list[int] = chance.multinomial(200, weights[bins]).tolist()
        return shares

    def pairs(bins: int) -> list[int]:
        return [number for cell, found in enumerate(histogram(bins)) if found for number in (cell, found)]

    weights = {bins: chance.dirichlet(np.full(bins, 0.3)) for bins in (12, 13, 120, 136)}
    return [
        {
            **head,
            "install": hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest(),
            "outputs": {"scores": {"kind": "classes", "joint": pairs(120), "margin": histogram(12), "entropy": histogram(12)}},
            "inputs": {"image": [histogram(13) for _ in range(5)]},
            "latency": pairs(136),
            "outcomes": {"accepted": [0, 2, 3, 1]},
        }
        for number in range(count)
    ]  # fmt: skip


def mix(reports: list[dict[str, Any]]) -> list[bytes]:
    """The lines with 30 % of copies and what should not count, shuffled."""
    chance = random.Random(0)  # noqa: S311
    few = len(reports) // 1000
    lines = [json.dumps(report, separators=(",", ":")).encode() for report in reports]
    bad: list[dict[str, Any]] = [
        {"switches": 18},
        {"n": 201},
        {"profile": "9" * 64},
        {"latency": [136, 1]},
        {"window": "2020-W01"},
    ]
    extra = [{**report, **fields} for fields in bad for report in chance.sample(reports, few)]
    every = [*lines, *chance.choices(lines, k=3 * len(lines) // 10), *(json.dumps(item).encode() for item in extra)]
    every += [line[: len(line) // 2] for line in chance.sample(lines, few)]
    chance.shuffle(every)
    return every


def take_time(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of this process's processor time."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def insert_bare(file: Path, rows: list[Any]) -> None:
    """The same rows into the same table, without a check."""
    connection = connect(file, create=True)
    for start in range(0, len(rows), BATCH):
        connection.execute("begin immediate")
        connection.executemany(INSERT, rows[start : start + BATCH])
        connection.execute("commit")
    connection.close()


def measure_files(bundle: Path, folder: Path) -> list[str]:
    """Lines of the table: reports a second from a file, and rows a second of a bare insert."""
    reports = make_reports(bundle, REPORTS)
    lines = mix(reports)
    file = folder / "reports.jsonl"
    file.write_bytes(b"\n".join(lines))
    rates: dict[str, list[tuple[float, float]]] = {"ingest": [], "bare": []}
    for number in range(ROUNDS):
        store = folder / str(number)
        clock, processor = take_time(lambda store=store: api.ingest_reports([file], store=store, bundles=[bundle]))  # type: ignore[misc]
        rates["ingest"].append((len(lines) / clock, len(lines) / processor))
        counts = api.count_reports(store)
        if (counts.reports, counts.conflicts) != (REPORTS - REPORTS // 1000, REPORTS // 1000):
            raise SystemExit(f"not every valid report is there once: {counts}")
        rows = read_rows(store / "inbox.db", bundle)
        clock, processor = take_time(lambda store=store, rows=rows: insert_bare(store / "bare.db", rows))  # type: ignore[misc]
        rates["bare"].append((len(rows) / clock, len(rows) / processor))
        shutil.rmtree(store)
    size = statistics.mean(map(len, lines))
    labels = {
        "ingest": f"`monitor ingest`, {len(lines):,} reports of {size:,.0f} bytes",
        "bare": "bare `sqlite3` insert of the valid ones",
    }
    rows = [f"| {labels[name]} | {middle(found, 0):,} | {middle(found, 1):,} |" for name, found in rates.items()]
    ratios = [f"{middle(rates['ingest'], at) / middle(rates['bare'], at):.2f}" for at in (0, 1)]
    return [*rows, f"| the first as a share of the second | {ratios[0]} | {ratios[1]} |"]


def measure_postgres(bundle: Path, folder: Path) -> list[str]:
    """The line of the same file into a PostgreSQL server of this machine, which waits for the disk; none where there is none."""
    programs = find_programs()
    if programs is None:
        return []
    lines = len((folder / "reports.jsonl").read_bytes().splitlines())
    found = []
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)  # it runs as another user
        server = PostgresServer(programs, Path(place) / "server")
        try:
            for _ in range(ROUNDS):
                store = server.make_database()
                clock, processor = take_time(
                    lambda store=store: api.ingest_reports([folder / "reports.jsonl"], store=store, bundles=[bundle])  # type: ignore[misc]
                )
                found.append((lines / clock, lines / processor))
                if api.count_reports(store).reports != REPORTS - REPORTS // 1000:
                    raise SystemExit("not every valid report is there once")
        finally:
            server.stop()
    return [f"| `monitor ingest` of the same into PostgreSQL | {middle(found, 0):,} | {middle(found, 1):,} |"]


def read_rows(file: Path, bundle: Path) -> list[Any]:
    """What an inbox holds, as it was inserted."""
    with Inbox(parse_store(str(file.parent))) as inbox:
        known = inbox.read_known()
    connection = sqlite3.connect(file)
    rows = [
        tuple(check_report(body, known, received))
        for body, received in connection.execute("select body, received from report")
    ]
    connection.close()
    return rows


def middle(found: list[tuple[float, float]], at: int) -> int:
    """The median, in three digits."""
    return int(float(f"{statistics.median(item[at] for item in found):.3g}"))


def measure_http(bundle: Path, folder: Path) -> list[str]:
    """Lines of the table: requests a second with one server, of which each carries another report."""
    text = json.dumps(make_reports(bundle, 1)[0], separators=(",", ":"))
    head, tail = text.split('"sequence":0')
    words = [
        "monitor",
        "collect",
        "--store",
        folder / "http",
        "--bundle",
        bundle,
        "--port",
        0,
        "--rate",
        1e9,
        "--json",
        folder / "j",
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "edgeship.cli", *map(str, words)], stdout=subprocess.PIPE, text=True
    )
    if server.stdout is None or not server.stdout.readline():
        raise SystemExit("the server did not start")
    url = json.loads((folder / "j").read_text())["url"]
    found = []
    for number in range(ROUNDS):
        (folder / "post.lua").write_text(
            LUA % (json.dumps(head + '"sequence":'), json.dumps(tail), number * 100_000_000)
        )
        before, stored = processor_seconds(server.pid), api.count_reports(folder / "http").reports
        clock, _ = take_time(lambda: run_wrk(url, folder / "post.lua"))
        taken = api.count_reports(folder / "http").reports - stored
        found.append((taken / clock, taken / (processor_seconds(server.pid) - before)))
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    return [f"| `monitor collect`, {CONNECTIONS} connections | {middle(found, 0):,} | {middle(found, 1):,} |"]


def run_wrk(url: str, script: Path) -> None:
    """Post as fast as one thread can; every answer must be a success."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)


def processor_seconds(pid: int) -> float:
    """What a process has used so far, of all its threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, print and write the page."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        bundle = write_model(Path(place) / "bundle")
        folder = Path(place)
        rows = [*measure_files(bundle, folder), *measure_postgres(bundle, folder), *measure_http(bundle, folder)]
    head = (
        f"# Reports into an inbox\n\n`python -m scripts.bench.monitoring.ingest`, {date.today():%d %b %Y}, "
        f"{os.cpu_count()} cores, load {load:.1f} when it began; medians of {ROUNDS} rounds in turn.\n"
        "Every round ends with a count: each valid report "
        "is there once. The second column holds whatever else runs; the first does not.\n\n"
    )
    text = "\n".join(["| | reports/s by the clock | reports per second of processor |", "|---|--:|--:|", *rows])
    print(text)
    (RESULTS / "services" / "ingest.md").write_text(f"{head}{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
