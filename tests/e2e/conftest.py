"""Real models trained, shipped and spoiled through the command line, once per test run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import pytest

from edgeship.bundle import bundle as bundles
from edgeship.processes.child import FunctionProcess

SEED = os.environ.get("EDGESHIP_TEST_SEED", "0")  # of the models that are trained: `make test-seeds`


@dataclass(frozen=True)
class Shipped:
    """The motion model as `train`, `init` and `ship` left it."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "server.keras"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Change the manifest's configuration, and let it name the calibration data where it lies now."""
        manifest = json.loads((self.bundle / "manifest.json").read_text())
        manifest["config"]["data"]["calibration"] = str(self.folder / "calibration.npz")
        edit(manifest["config"])
        bundles.seal_content(self.bundle, manifest)

    @property
    def log(self) -> str:
        return (self.folder / "ship.log").read_text()


@dataclass(frozen=True)
class Command:
    """Runs `edgeship` as a user would, in a folder, with a cache of the test run's own."""

    folder: Path
    cache: Path

    def __call__(self, *arguments: object, check: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "edgeship.cli", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, "EDGESHIP_CACHE": str(self.cache), "COLUMNS": "200", **env},
            capture_output=True,
            text=True,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a test run share."""
    base = factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


@pytest.fixture
def edgeship(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path, shared(tmp_path_factory) / "cache")


@pytest.fixture(scope="session")
def shipped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shared(tmp_path_factory)
    folder = root / "motion"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            draft = root / "motion.draft"
            draft.mkdir()
            run = Command(root, root / "cache")
            run("train", "motion", "--out", draft, "--epochs", "6", "--seed", SEED, check=0)
            run("init", draft / "server.keras", check=0)
            done = run("ship", draft / "server.keras", "--out", draft / "bundle")
            assert done.returncode in (0, 1), done.stderr
            (draft / "ship.log").write_text(done.stderr)
            draft.rename(folder)
    return folder


@pytest.fixture
def shipped(shipped_once: Path, tmp_path: Path) -> Shipped:
    """A copy that a test may spoil."""
    return Shipped(shutil.copytree(shipped_once, tmp_path / "motion"))


@pytest.fixture(scope="session")
def odd_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that must be refused or need help: see `odd.py`."""
    folder = shared(tmp_path_factory) / "odd-models"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent / "lab")}) as process:
                process.call("odd:build", folder=str(folder))
            (folder / "done").touch()
    return folder
