"""What several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import filelock
import pytest

from edgeship.process import FunctionProcess


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
