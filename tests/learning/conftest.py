"""A champion in a registry, made once per test run, and a field that moved away from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest
from click.testing import CliRunner

from edgeship import api, cli
from edgeship.processes.child import FunctionProcess
from tests.learning import small_world

POOL, AUDIT = 300, 500


def run_edgeship(*arguments: object, cwd: Path, code: int = 0, says: str = "") -> str:
    """`edgeship ...` as a user runs it; what it wrote to standard output."""
    command = [sys.executable, "-m", "edgeship.cli", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert says in " ".join((done.stdout + done.stderr).split()), (done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the champion's files, its bundle, `registry.db`, and of the field `field.npz` with two tables."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "small-world"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent)}) as tensorflow:
                tensorflow.call("small_world:build", folder=str(folder))
            run_edgeship("ship", "server.keras", "--out", "bundle", "--to", "tflite", cwd=folder)
            api.add_version(folder / "bundle", "bars", store=f"sqlite:///{folder / 'registry.db'}")
            api.promote_version(1, "bars", to="champion", why="first", store=f"sqlite:///{folder / 'registry.db'}")
            pictures, labels = small_world.draw(POOL + AUDIT, 5, moved=0.6)
            small_world.write(folder / "field.npz", pictures)
            names = [small_world.LABELS[label] for label in labels]
            small_world.write_labels(folder / "pool.csv", range(POOL), names[:POOL])
            small_world.write_labels(folder / "audit.csv", range(POOL, POOL + AUDIT), names[POOL:])
            np.save(folder / "truth.npy", labels)
            (folder / "done").touch()
    return folder


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    """A folder of this test's own with the registry and the field; the champion's data is in `world`."""
    for name in ("registry.db", "pool.csv", "audit.csv", "field.npz"):
        shutil.copyfile(world / name, tmp_path / name)
    shutil.copytree(world / "registry-files", tmp_path / "registry-files", copy_function=os.link)
    return tmp_path


@pytest.fixture
def edgeship(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`edgeship(command, *options, code, says)`: in this process and that folder, which spares the imports of MLflow."""
    monkeypatch.chdir(place)

    def run(*arguments: object, code: int = 0, says: str = "") -> str:
        done = CliRunner().invoke(cli.cli, [*map(str, arguments)])
        error = done.exception if done.exception and not isinstance(done.exception, SystemExit) else None
        said = " ".join(f"{done.output} {error or ''}".split())
        assert getattr(error, "exit_code", done.exit_code) == code, (said, done.exc_info)
        assert says in said
        return done.output

    return run


@pytest.fixture
def retrain(world: Path, place: Path, edgeship: Callable[..., Any]) -> Callable[..., Any]:
    """`retrain(*options, code, says)`: the result of `edgeship retrain` on the field as JSON; None where there is none."""

    def run(
        *options: object, code: int = 0, says: str = "", labels: object = "pool.csv", audit: object = "audit.csv"
    ) -> Any:
        named = ["--labels", labels, "--audit", audit, "--samples", "field.npz", "--data", world, "--force"]
        edgeship("retrain", "--name", "bars", *named, "--json", "result.json", *options, code=code, says=says)
        file = place / "result.json"
        result = json.loads(file.read_text()) if file.exists() else None
        file.unlink(missing_ok=True)
        return result

    return run
