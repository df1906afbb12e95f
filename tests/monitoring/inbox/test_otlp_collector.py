"""What is exported for OpenTelemetry, posted to a collector of others (Rotel), arrives behind it with every value."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.monitoring.inbox.samples import Json
from tests.monitoring.inbox.stores import export

ROTEL = "rotel==0.0.1a15"  # its wheels bring the program along
READY = "Starting Rotel"


class Backend:
    """Where the collector sends what it took; `requests` are read as OpenTelemetry's own types."""

    def __init__(self) -> None:
        backend = self
        self.requests: list[ExportMetricsServiceRequest] = []
        self.came = threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
                with backend.came:
                    backend.requests.append(ExportMetricsServiceRequest.FromString(body))
                    backend.came.notify_all()
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def points(self) -> list[tuple[str, int]]:
        """Each value with the name of its metric."""
        metrics = [
            metric
            for request in self.requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        sums = [(metric.name, point.as_int) for metric in metrics for point in metric.sum.data_points]
        return sums + [
            (item.name, sum(point.bucket_counts)) for item in metrics for point in item.histogram.data_points
        ]


@pytest.fixture(scope="module")
def rotel(missing: Callable[[str], NoReturn], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collector's program."""
    folder = tmp_path_factory.mktemp("rotel")
    command = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--target", folder, ROTEL]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"{ROTEL} cannot be installed: {done.stderr[-200:]}")
    return folder / "rotel" / "rotel-agent"


@pytest.fixture
def collector(rotel: Path) -> Iterator[tuple[str, Backend]]:
    """The address of one that runs, and what stands behind it."""
    backend = Backend()
    ports = [free_port(), free_port()]
    options = {
        "otlp-http-endpoint": f"127.0.0.1:{ports[0]}",
        "otlp-grpc-endpoint": f"127.0.0.1:{ports[1]}",
        "otlp-exporter-endpoint": f"http://127.0.0.1:{backend.server.server_port}",
        "otlp-exporter-protocol": "http",
        "otlp-exporter-compression": "gzip",
        "batch-timeout": "200ms",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with subprocess.Popen(
        [rotel, "start", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        assert any(READY in line for line in process.stdout)
        wait_for(ports[0], process)
        try:
            yield f"http://127.0.0.1:{ports[0]}/v1/metrics", backend
        finally:
            process.kill()
            backend.server.shutdown()


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    """It listens a moment after it says that it starts."""
    while process.poll() is None:
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
            return
    raise AssertionError("the collector ended")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.more
def test_every_value_arrives_behind_a_collector(
    collector: tuple[str, Backend], filled_store: str, reports: list[Json], tmp_path: Path
) -> None:
    url, backend = collector
    export("--store", filled_store, "--to", "otlp-json", "--out", tmp_path / "metrics.jsonl")
    expected = 0
    for line in (tmp_path / "metrics.jsonl").read_bytes().splitlines():
        request = urllib.request.Request(url, line, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        expected += 1
    with backend.came:
        assert backend.came.wait_for(
            lambda: sum(len(request.resource_metrics) for request in backend.requests) == expected, 60
        )
    totals: dict[str, int] = {}
    for name, value in backend.points():
        totals[name] = totals.get(name, 0) + value
    n = sum(report["n"] for report in reports)
    assert totals == {
        "edgeship.reports": 30, "edgeship.inferences": n, "edgeship.predictions": n, "edgeship.latency": 150,
        "edgeship.outcomes": 90, "edgeship.switches": 60, "edgeship.errors": 30, "edgeship.fallbacks": 15,
    }  # fmt: skip
