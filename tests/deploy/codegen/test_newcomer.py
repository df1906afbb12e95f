"""A newcomer with nothing but a generated folder: copied out of the repository, an empty environment, no edgeship on the path.

What a README says is done as it stands, from getting the runtime to a first prediction; but for the library's path.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.deploy.codegen.test_readme import code_block
from tests.machines.trees import CARRIED

PATH = "/usr/local/bin:/usr/bin:/bin"


def follow(command: str, cwd: Path) -> str:
    """A command of a README with an empty environment, but for what a person behind a company's proxy has set up."""
    carried = {name: value for name, value in os.environ.items() if CARRIED.fullmatch(name) or name == "HOME"}
    shell = ["/bin/sh", "-c", command]
    done = subprocess.run(shell, cwd=cwd, env={"PATH": PATH, **carried}, capture_output=True, text=True, check=False)
    assert not done.returncode, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def find_command(readme: Path, mark: str) -> str:
    """The command of a README that holds `mark`."""
    return next(line.strip() for line in readme.read_text().splitlines() if mark in line and "`" not in line)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the C library, got as the READMEs say."""
    folder = tmp_path_factory.mktemp("wheel")
    follow("python3 -m pip download --quiet --no-deps pymicro-wakeword", folder)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder / "pymicro_wakeword" / "lib"


def copy_client(clients: Path, language: str, tmp_path: Path) -> tuple[Path, str]:
    folder = shutil.copytree(clients / language, tmp_path / "app")
    contract = json.loads((folder / "contract.json").read_text())
    return folder, str(contract["goldens"]["cases"][0]["label"])


@pytest.mark.more
def test_c(clients, library, tmp_path):
    folder, label = copy_client(clients, "c", tmp_path)
    readme = folder / "README.md"
    check = find_command(readme, "make check").replace("/path/to/folder-of-libtensorflowlite_c", str(library))
    assert '"passed": true}' in follow(check, folder)
    (folder / "predict.c").write_text(code_block(readme, "c", "int main"))
    build = re.search("`(make predict [^`]+)`", readme.read_text())
    assert build
    said = follow(build[1].replace("/path/to/folder-of-libtensorflowlite_c", str(library)), folder)
    assert said.splitlines()[-1].split()[1] == label


@pytest.mark.more
def test_typescript(clients, library, tmp_path):
    folder, label = copy_client(clients, "typescript", tmp_path)
    readme, file = folder / "README.md", library / "libtensorflowlite_c.so"
    follow("npm install", folder)
    selftest = find_command(readme, "npm run selftest -- /path").replace("/path/to/libtensorflowlite_c.so", str(file))
    assert '"passed": true' in follow(selftest, folder)
    program = code_block(readme, "ts", "nodeEngine").replace("/path/to/libtensorflowlite_c.so", str(file))
    (folder / "src" / "predict.ts").write_text(program)
    assert f"label: '{label}'" in follow("npm run build && node build/predict.js", folder)
