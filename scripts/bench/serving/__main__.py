"""`python -m scripts.bench.serving TITLE=ARTIFACT=BUNDLE ...`: `edgeship serve` beside a server written by hand, by `hey`.

Each bundle is served with batches, without, and by hand; the three are asked in turn, round by round, at 1 and at 32
connections, a JSON body with one sample a request. Ratios are of neighbours in a round. Writes docs/results/services/server.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import api
from edgeship.serving.rest.environment import ENVIRONMENT
from scripts import RESULTS

CONNECTIONS = (1, 32)
BY_HAND, BATCHES, ALONE = "by hand", "edgeship serve", "edgeship serve --batch 1"
WAYS = (BY_HAND, BATCHES, ALONE)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """`requests` answered in so many `seconds`; p50 and p99 in ms; `cpu_us` of the server's processor time a request."""

    requests: int
    seconds: float
    p50: float
    p99: float
    cpu_us: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@contextmanager
def serve_by_hand(model: Path) -> Iterator[tuple[str, int]]:
    """Its address and process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(ENVIRONMENT.python()), str(Path(__file__).with_name("by_hand.py")), str(model), str(port)]
    with subprocess.Popen(command, start_new_session=True) as process:  # as the other servers
        try:
            for _ in range(300):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/infer", process.pid
        finally:
            process.terminate()


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def ask(url: str, pid: int, body: Path, connections: int, requests: int) -> Run:
    """One run of hey. Raises RuntimeError where anything but 200 came."""
    options = ["-n", str(requests), "-c", str(connections), "-m", "POST", "-T", "application/json", "-D", str(body)]
    before = cpu_seconds(pid)
    done = subprocess.run(["hey", "-o", "csv", *options, url], capture_output=True, text=True, check=True)  # noqa: S607
    used = cpu_seconds(pid) - before
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    if {row["status-code"] for row in rows} != {"200"} or len(rows) != requests // connections * connections:
        raise RuntimeError(f"{url}: {len(rows)} answers, {done.stdout[-300:]}")
    times = [float(row["response-time"]) for row in rows]
    end = max(float(row["offset"]) + float(row["response-time"]) for row in rows)
    p50, p99 = np.percentile(times, (50, 99)) * 1000
    return Run(len(rows), end, float(p50), float(p99), used / len(rows) * 1e6)


def measure(bundle: Path, artifact: str, rounds: int, seconds: float) -> dict[str, Any]:
    """All runs of one bundle: by way and connections."""
    chosen = next(item for item in api.open_bundle(bundle).artifacts if item.id == artifact)
    runs: dict[tuple[str, int], list[Run]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sample = np.random.default_rng(0).random([size or 1 for size in chosen.inputs[0].shape], np.float32)[:1]
        tensor = {"name": chosen.inputs[0].name, "shape": list(sample.shape), "datatype": "FP32"}
        body = folder / "body.json"
        body.write_text(json.dumps({"inputs": [{**tensor, "data": sample.reshape(-1).tolist()}]}))
        places = {BY_HAND: stack.enter_context(serve_by_hand(chosen.path))}
        for way, batch in ((BATCHES, 16), (ALONE, 1)):
            server = stack.enter_context(
                api.open_server([f"m={bundle}"], artifact=artifact, port=0, grpc_port=None, batch=batch)
            )
            places[way] = (f"{server.url}/v2/models/m/infer", server.pid)
        first = ask(*places[BY_HAND], body, 1, 50)
        for way in WAYS:
            for connections in CONNECTIONS:  # warm
                ask(*places[way], body, connections, 200 if first.p50 < 10 else 32)
        for number in range(rounds):
            for connections in CONNECTIONS:
                requests = max(int(seconds / first.p50 * 1000) // connections, 4) * connections
                for way in WAYS if number % 2 else reversed(WAYS):
                    runs[way, connections].append(ask(*places[way], body, connections, requests))
        size = body.stat().st_size
    return {"runs": runs, "body": size, "artifact": artifact}


def render(title: str, found: Mapping[str, Any]) -> list[str]:
    """Two tables' rows, and the ratios."""
    runs: Mapping[tuple[str, int], list[Run]] = found["runs"]
    lines = [f"## {title}: {found['artifact']}, body of {found['body']:,} bytes", ""]
    lines += [
        "| server | connections | requests/s | p50, ms | p99, ms | processor time a request, µs |",
        "|---|---|---|---|---|---|",
    ]
    for connections in CONNECTIONS:
        for way in WAYS:
            taken = runs[way, connections]
            rate, p50, p99, cpu = (
                statistics.median(getattr(run, name) for run in taken) for name in ("rate", "p50", "p99", "cpu_us")
            )
            lines.append(f"| {way} | {connections} | {rate:,.0f} | {p50:.2f} | {p99:.1f} | {cpu:,.0f} |")
    slower = [one.p50 / other.p50 for one, other in zip(runs[BATCHES, 1], runs[BY_HAND, 1], strict=True)]
    pairs = list(zip(runs[BATCHES, 32], runs[ALONE, 32], strict=True))
    gain = [one.rate / other.rate for one, other in pairs]
    cheaper = [other.cpu_us / one.cpu_us for one, other in pairs]
    lines += ["", f"- p50 at 1 connection, over that of the server by hand: {spread(slower)}."]
    lines += [f"- Batches at 32 connections give {spread(gain)} times the requests a second,"]
    lines += [f"  and {spread(cheaper)} times the requests of a second of processor time.", ""]
    return lines


def spread(ratios: list[float]) -> str:
    """The median, and the lowest and highest of the rounds."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    """Measure the bundles, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="+", metavar="TITLE=ARTIFACT=BUNDLE")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run, by what the server by hand takes")
    parser.add_argument("--out", type=Path, default=RESULTS / "services" / "server.md")
    options = parser.parse_args()
    lines: list[str] = []
    for case in options.cases:
        title, artifact, bundle = case.split("=", 2)
        lines += render(title, measure(Path(bundle), artifact, options.rounds, options.seconds))
        print("\n".join(lines[-12:]), flush=True)
    load = os.getloadavg()[0]
    head = [
        "# What the server of bundles costs", "",
        f"Written by `python -m scripts.bench.serving` on {date.today()}, on {os.cpu_count()} cores with a load of {load:.0f} "
        "at the end (`hey` and the server share them with whatever else runs).",
        "The server by hand is FastAPI around one call of the runtime (`scripts/bench/serving/by_hand.py`): no batches, no",
        f"limits, no metrics. Medians of {options.rounds} rounds, in which the servers are asked in turn; ratios are within a",
        "round, with the lowest and highest. One sample a request, as JSON; all figures `measured`, over loopback.", "",
    ]  # fmt: skip
    options.out.write_text("\n".join(head + lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
