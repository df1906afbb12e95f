"""A shipped bundle of a small model of colours, and what compiles and runs its clients on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from edgeship.deploy.codegen.generate import LANGUAGES
from edgeship.processes.child import FunctionProcess
from tests.deploy.codegen.made_up.pictures import Picture, draw_pictures
from tests.monitoring.golden_profile import add_profile

HERE = Path(__file__).parent
DRIVERS = HERE / "drivers"


def run(
    *command: object, cwd: Path | None = None, check: int | None = 0, **env: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    if check is not None:
        assert done.returncode == check, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def edgeship(*arguments: object, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "edgeship.cli", *arguments, check=check, COLUMNS="200")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders `colour-squares` and `mixed`, each with its `bundle`."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if base.name.startswith("popen-") else base) / "client-models"
    with filelock.FileLock(root.with_suffix(".lock")):
        if not (root / "done").exists():
            root.mkdir()
            with FunctionProcess(env={"PYTHONPATH": str(HERE / "made_up")}) as process:
                process.call("client_models:build", folder=str(root))
            for name in ("colour-squares", "mixed"):
                folder = root / name
                colours = name == "colour-squares"
                options = ["--to", "tflite" if colours else "tflite,tfjs"]
                options += ["--variant", "float32,int8" if colours else "float32,mobile"]
                edgeship("convert", folder / "server.keras", "--out", folder / "bundle", *options)
                add_profile(folder / "bundle")
            (root / "done").touch()
    return root


@pytest.fixture(scope="session")
def bundle(bundles: Path) -> Path:
    return bundles / "colour-squares" / "bundle"


@pytest.fixture(scope="session")
def clients(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The int8 model's client in every language."""
    out = tmp_path_factory.mktemp("clients")
    edgeship("deploy", "codegen", bundle, "--for", ",".join(LANGUAGES), "--out", out, "--artifact", "tflite/int8")
    return out


@pytest.fixture(scope="session")
def pictures() -> list[Picture]:
    return draw_pictures()


@pytest.fixture(scope="session")
def pictures_file(pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "pictures.bin"
    file.write_bytes(b"".join(picture.encode() for picture in pictures))
    return file
