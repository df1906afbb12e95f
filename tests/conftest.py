"""What several folders of tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import filelock
import pytest

from edgeship.process import FunctionProcess


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Called with what is not on this machine: skips the test and, in CI, where .ci/run has installed it, fails it."""

    def tell(reason: str) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI must not go without (.ci/run, make pages)", pytrace=False)
        pytest.skip(reason)

    return tell


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models that tests/models.py builds, once per test run, whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "tiny-models"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not (folder / "expected.npz").exists():
            folder.mkdir(exist_ok=True)
            with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent)}) as tensorflow:
                tensorflow.call("models:build", folder=str(folder))
    return folder
