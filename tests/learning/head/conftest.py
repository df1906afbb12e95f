"""A model that learns, made once as a user makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import filelock
import pytest

from edgeship.client.learning import HeadLearner
from edgeship.processes.child import FunctionProcess


@dataclass(frozen=True)
class Made:
    """The folder of models, what cutting the others said, and the bundle that learns."""

    root: Path
    refused: dict[str, str]

    @property
    def task(self) -> Path:
        return self.root / "task"

    @property
    def bundle(self) -> Path:
        return self.task / "bundle"


def run(*arguments: str, cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EDGESHIP_CACHE": str(cache)}
    command = [sys.executable, "-m", "edgeship.cli", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Shared by all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if base.name.startswith("popen-") else base) / "learns"
    with filelock.FileLock(root.with_suffix(".lock")):
        if not (root / "refused.json").exists():
            root.mkdir(exist_ok=True)
            with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent)}) as tensorflow:
                refused = tensorflow.call("head_models:build", folder=str(root))
            # TF.js has no base for the head, and takes as long as both others: `page_bundle` has it.
            arguments = ("convert", "pictures.keras", "--out", "bundle", "--head-step", "--to", "tflite,onnx")
            converted = run(*arguments, cwd=root / "task", cache=root / "cache")
            assert converted.returncode == 0, converted.stderr
            (root / "said.txt").write_text(converted.stderr)
            (root / "refused.json").write_text(json.dumps(refused))
    return Made(root, json.loads((root / "refused.json").read_text()))


@pytest.fixture
def cli(made: Made) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command beside the bundle."""
    return lambda *arguments: run(*arguments, cwd=made.task, cache=made.root / "cache")


@pytest.fixture
def learner(made: Made, tmp_path: Path) -> HeadLearner:
    return HeadLearner(made.bundle / "learning", tmp_path / "state")
