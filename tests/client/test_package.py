"""What a device installs: the files of `edgeship.client`, and nothing of the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.client.channels import ARTIFACT

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "client/pyproject.toml").read_text())["project"]
MOST_BYTES = 40 << 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the sdist, as pip does, in a copy of the tree that has the links in it."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(ROOT / "client", folder / "client", symlinks=True)
    shutil.copytree(ROOT / "src/edgeship/client", folder / "src/edgeship/client")
    shutil.copy2(ROOT / "LICENSE", folder)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(folder / "client")]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_package_holds_the_client_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    root = ROOT / "src"
    files = {
        path for path in (root / "edgeship/client").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == {path.relative_to(root).as_posix() for path in files}


def test_both_packages_have_one_version_and_ask_for_the_same():
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert PROJECT["version"] == whole["version"] and PROJECT["requires-python"] == whole["requires-python"]
    assert {*PROJECT["dependencies"]} <= {*whole["optional-dependencies"]["deploy"]}


@pytest.mark.more
def test_a_bare_environment_with_a_runtime_follows_a_channel(wheel, field, tmp_path):
    def count_bytes() -> int:
        return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())

    def install(*names: str) -> None:
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *names], check=True)

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    python = tmp_path / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    packages = next((tmp_path / "bare").rglob("site-packages"))
    install(str(wheel))
    assert count_bytes() < MOST_BYTES
    install(f"edgeship-client[tflite] @ {wheel.as_uri()}")
    (tmp_path / "root.json").write_bytes(field.repository.first_root)
    field.publish(2, bases=(field.version(1),))
    code = f"""
from edgeship.client import Client
client = Client("{field.server.url}", name="garments/stable", artifact="{ARTIFACT}", state="state", root="root.json")
print(client.update(), client.model)
"""
    ran = subprocess.run(
        [str(python), "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert "status='updated', running=2" in ran.stdout and "patched_files=1" in ran.stdout, ran.stderr
