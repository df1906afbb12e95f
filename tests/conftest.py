"""What several folders of tests share."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import filelock
import pytest

from edgeship.processes.child import FunctionProcess


@pytest.fixture(scope="session", autouse=True)
def _own_trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests trust is not what the user trusts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGESHIP_TRUST", str(tmp_path_factory.getbasetemp() / "trust" / "trusted.json"))
        yield


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Called with what is not on this machine: skips the test and, in CI, where .ci/run has installed it, fails it."""

    def tell(reason: str) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and with CI=true nothing is skipped (.ci/run, make pages)", pytrace=False)
        pytest.skip(reason)

    return tell


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models that tests/models.py builds, once per test run, whichever worker comes first.

    A test run inside of a test is given that of the outer one.
    """
    if folder_of_outer := os.environ.get("EDGESHIP_TINY_MODELS"):
        return Path(folder_of_outer)
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "tiny-models"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not (folder / "expected.npz").exists():
            folder.mkdir(exist_ok=True)
            with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent)}) as tensorflow:
                tensorflow.call("models:build", folder=str(folder))
    return folder


def _wheel(folder: Path, version: str) -> str:
    """A package `tiny` of one module in a simple index; the digest of its file."""
    name, info = f"tiny-{version}-py3-none-any.whl", f"tiny-{version}.dist-info"
    place = folder / "tiny"
    place.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place / name, "w") as archive:
        archive.writestr("tiny.py", f"VERSION = '{version}'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    with (place / "index.html").open("a") as page:
        page.write(f'<a href="{name}">{name}</a><br>\n')
    return hashlib.sha256((place / name).read_bytes()).hexdigest()


@pytest.fixture
def overridden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose requirements.lock pins tiny 1.0 and whose project overrides it; uv's index is local and has 2.0, too."""
    digest = _wheel(tmp_path / "simple", "1.0")
    _wheel(tmp_path / "simple", "2.0")
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "simple").as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    folder = tmp_path / "overridden"
    folder.mkdir()
    (folder / "requirements.lock").write_text(f"tiny==1.0 \\\n    --hash=sha256:{digest}\n")
    project = '[project]\nname = "app"\nversion = "1"\n[tool.uv]\noverride-dependencies = ["tiny>=1.0"]\n'
    (folder / "pyproject.toml").write_text(project)
    return folder


@pytest.fixture(scope="session")
def tfjs_quantization() -> ModuleType:
    """The module with which the TF.js converter quantizes, without the package around it, which imports TensorFlow."""
    package = importlib.util.find_spec("tensorflowjs")
    assert package and package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "quantization.py"
    spec = importlib.util.spec_from_file_location("tfjs_quantization", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
