"""An empty registry, made once per test run: its sixty tables take seconds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest

from edgeship import api
from edgeship.model_registry.store import open_store
from tests.model_registry import made_up


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    file = (base.parent if base.name.startswith("popen-") else base) / "empty-registry" / "registry.db"
    with filelock.FileLock(file.parent.with_suffix(".lock")):
        if not file.exists():
            file.parent.mkdir()
            with open_store(f"sqlite:///{file}", create=True):
                pass
    return file


@pytest.fixture
def registry(empty_registry: Path, tmp_path: Path) -> str:
    """The address of an empty registry."""
    return f"sqlite:///{shutil.copyfile(empty_registry, tmp_path / 'registry.db')}"


@pytest.fixture
def add(registry: str, tmp_path: Path) -> Callable[..., Any]:
    """`add(name, right, **more)`: a bundle of a model that is right so often, in the registry."""
    truth = made_up.truth_of()

    def add_one(name: str, right: Any, *, seed: int = 1, **more: Any) -> Any:
        out = made_up.write_bundle(
            tmp_path / f"bundle-{name}", truth, made_up.answers_of(truth, right, seed), name=name, **more
        )
        return api.add_version(out, "garments", store=registry).version

    return add_one
