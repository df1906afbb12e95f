"""A runtime and a format of one's own are one new file each: all of edgeship and the contracts find them by themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgeship

HERE = Path(__file__).parent
NOT_CODE = shutil.ignore_patterns("node_modules", "web", "page", "__pycache__", "data")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which edgeship has the two files."""
    folder = tmp_path_factory.mktemp("extended")
    package = folder / "edgeship"
    shutil.copytree(Path(edgeship.__file__).parent, package, ignore=NOT_CODE)
    shutil.copyfile(HERE / "own" / "runtime.py", package / "runtimes" / "engines" / "tflz.py")
    shutil.copyfile(HERE / "own" / "format.py", package / "formats" / "known" / "tflz.py")
    return {**os.environ, "PYTHONPATH": str(folder), "EDGESHIP_CACHE": str(folder / "cache")}


def _run(environment: dict[str, str], *arguments: object) -> str:
    command = [sys.executable, "-P", "-m", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def bundles(extended: dict[str, str], tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `edgeship convert` makes of the tiny models in that format."""
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("cnn", "pair"):
        _run(extended, "edgeship.cli", "convert", tiny_models / f"{name}.keras", "--out", folder / name, "--to", "tflz")
    return folder


def test_the_commands_know_them(extended: dict[str, str], bundles: Path) -> None:
    runtimes = {
        row["name"]: row for row in json.loads(_run(extended, "edgeship.cli", "runtimes", "--json", "-"))["runtimes"]
    }
    assert runtimes["tflz"]["formats"] == ["tflz"]
    assert runtimes["tflz"]["available"]
    manifest: dict[str, Any] = json.loads((bundles / "cnn" / "manifest.json").read_text())
    (artifact,) = manifest["artifacts"]
    assert artifact["path"] == "tflz/float32.tflz"
    assert artifact["receipt"]["format"] == "tflz"
    assert manifest["goldens"]["artifacts"]["tflz/float32"]["runtime"] == "tflz"
    _run(extended, "edgeship.cli", "verify", bundles / "cnn")


def test_the_contracts_find_and_hold_for_them(
    extended: dict[str, str], bundles: Path, tiny_models: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for path in tiny_models.iterdir():
        (models / path.name).symlink_to(path)
    for name in ("cnn", "pair"):
        (models / f"{name}.tflz").symlink_to(bundles / name / "tflz" / "float32.tflz")
    files = (HERE / "test_runtimes.py", HERE / "test_formats.py")
    selected = ("-q", "-p", "no:cacheprovider", "-k", "tflz", "--basetemp", tmp_path / "inner", "-m", "not more")
    told = _run({**extended, "EDGESHIP_TINY_MODELS": str(models)}, "pytest", *selected, *files)
    assert "20 passed" in told, told
