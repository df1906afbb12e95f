"""All of MLflow, in an environment of its own: its page of a registry, and its server as one."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments import make_environment
from tests.model_registry import made_up

ROOT = Path(__file__).parents[2]
SECONDS = 240  # to come up on a busy machine
pytestmark = pytest.mark.more


@pytest.fixture(scope="module")
def python(tmp_path_factory, missing) -> Path:
    """The interpreter of an environment with what `edgeship[registry-ui]` asks for, and this checkout."""
    return make_environment(tmp_path_factory.mktemp("mlflow") / "environment", ("registry-ui",), missing)


@pytest.fixture(scope="module")
def versions(tmp_path_factory) -> list[Path]:
    """Bundles of one that is good, one that is better and one that is worse."""
    folder, truth = tmp_path_factory.mktemp("bundles"), made_up.truth_of()
    shares = {"good": 0.9, "better": 0.97, "worse": 0.5}
    return [
        made_up.write_bundle(folder / name, truth, made_up.answers_of(truth, share, 1), name=name)
        for name, share in shares.items()
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def edgeship(*words: object, code: int = 0, python: Path | None = None) -> str:
    command = [str(word) for word in (python or sys.executable, "-m", "edgeship.cli", "registry", *words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code and "Traceback" not in done.stderr, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return str(answer.read().decode())


@contextlib.contextmanager
def running(command: list[object], port: int, folder: Path) -> Iterator[str]:
    """What serves on that port, once it answers; the processes that it started are ended with it."""
    address, log = f"http://127.0.0.1:{port}", folder / "server.log"
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("w") as err, (folder / "server.out").open("w") as out:
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err, env=env, cwd=folder)
    try:
        end = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(OSError):
                read(f"{address}/health")
                break
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def test_mlflows_own_page_shows_the_registry(python, versions, registry, tmp_path):
    edgeship("add", versions[0], "--name", "garments", "--store", registry)
    edgeship("promote", 1, "--to", "champion", "--why", "first", "--store", registry)
    port = free_port()
    words = ("ui", "--store", registry, "--port", port, "--json", "-")
    with running([python, "-m", "edgeship.cli", "registry", *words], port, tmp_path) as address:
        assert "<html" in read(address).lower()
        found = json.loads(read(f"{address}/api/2.0/mlflow/registered-models/alias?name=garments&alias=champion"))
        assert str(found["model_version"]["version"]) == "1"
        assert f"port {port} cannot be used" in edgeship(*words, code=2, python=python)
    assert json.loads((tmp_path / "server.out").read_text()) == {"schema": 1, "address": address, "page": None}
    with pytest.raises(urllib.error.URLError):  # nothing of it is left
        read(address)


def test_a_server_is_a_registry(python, versions, tmp_path):
    good, better, worse = versions
    port = free_port()
    places = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination",
        tmp_path / "kept",
    ]
    command = [python, "-m", "mlflow", "server", *places, "--host", "127.0.0.1", "--port", port, "--workers", 1]
    with running(command, port, tmp_path) as address:

        def run(*words: object, code: int = 0) -> str:
            return edgeship(*words, "--store", address, code=code)

        assert "garments version 1: added (PASS" in run("add", good, "--name", "garments")
        assert "the same bundle is there already" in run("add", good, "--name", "garments")
        run("add", better, "--name", "garments")
        run("add", worse, "--name", "garments")
        assert "3 versions" in run("list")
        assert [row["number"] for row in json.loads(run("search", "accuracy > 0.95", "--json", "-"))["versions"]] == [2]
        assert "champion: version none -> 1" in run("promote", 1, "--to", "champion", "--why", "first")
        assert "champion: version 1 -> 2" in run("promote", 2, "--to", "champion", "--why", "x", "--claim", "better")
        refused = run("promote", 3, "--to", "champion", "--why", "x", "--json", tmp_path / "refused", code=1)
        assert ": worse" in refused and not json.loads((tmp_path / "refused").read_text())["promoted"]
        difference = json.loads(run("diff", 1, "champion", "--json", "-"))
        assert difference["after"] == 2 and difference["paired"][0]["low"] > 0
        assert "champion: version 2 -> 1" in run("rollback", "--why", "complaints")
        run("get", "champion", "--out", tmp_path / "got")
        files = {path.relative_to(good) for path in good.rglob("*") if path.is_file()}
        assert files == {path.relative_to(tmp_path / "got") for path in (tmp_path / "got").rglob("*") if path.is_file()}
        assert all((good / name).read_bytes() == (tmp_path / "got" / name).read_bytes() for name in files)
        assert "is a server with a page of its own" in run("ui", code=2)
    assert "no MLflow server answers there" in run("list", code=2)
