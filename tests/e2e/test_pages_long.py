"""What README.md and docs/ci.md promise and what takes minutes or downloads: `make test-more`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeship.bundle import bundle
from tests.e2e.lab.page_blocks import ROOT, commands_below, read_steps
from tests.present import present

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run(command: list[str] | str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A command as a list, or a shell's lines, in a folder."""
    words = ["bash", "-e", "-c", command] if isinstance(command, str) else command
    return subprocess.run(words, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def checked(command: list[str] | str, folder: Path, **env: str) -> str:
    """The same; returns what it printed, and fails where it fails."""
    done = run(command, folder, **env)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_make_demo_leaves_what_the_readme_says(tmp_path):
    output = checked(["make", "demo", f"RUN={tmp_path}/run"], ROOT, EDGESHIP_CACHE=str(tmp_path / "cache"))
    assert "gate: PASS" in output
    for name in ("server.keras", "model-card.md", "bundle/manifest.json", "bundle/goldens", "bundle/report/index.html"):
        assert (tmp_path / "run" / name).exists(), name


def test_devices_of_the_readme_are_installed_and_run(tiny_models, tmp_path):
    env = {"EDGESHIP_CACHE": str(tmp_path / "cache"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with np.load(tiny_models / "expected.npz") as arrays:
        images = np.concatenate([arrays["cnn/inputs/image"]] * 20)
        np.savez(tmp_path / "data.npz", image=images, y=np.tile(arrays["cnn/outputs/probs"].argmax(axis=1), 20))
    convert = f"edgeship convert {tiny_models / 'cnn.keras'} --out bundle --to tflite --variant int8 --data data.npz"
    checked(convert, tmp_path, **env)
    install, benchmark = commands_below("README.md", "On machines that you do not have")
    checked(install, tmp_path, **env)
    done = run(f"{benchmark} --data data.npz", tmp_path, **env)
    manifest = bundle.open_bundle(tmp_path / "bundle").manifest
    assert done.returncode == (0 if present(manifest.gate).verdict == "PASS" else 1), done.stderr
    devices = present(re.search(r"--device (\S+)", benchmark))[1].split(",")
    assert {item.device for item in manifest.measurements} == set(devices)


def test_make_sizes_prints_what_the_readme_says():
    output = checked(["make", "--no-print-directory", "sizes"], ROOT)
    whole, light = (int(size) / 1000 for size in re.findall(r"(?m)^(\d+)\s", output))
    sizes = present(re.search(r"takes ([\d.]+) GB.*?takes ([\d.]+) GB", (ROOT / "README.md").read_text(), re.DOTALL))
    assert [whole, light] == pytest.approx([float(sizes[1]), float(sizes[2])], rel=0.2)


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The file that `make wheel` leaves, under the name that docs/ci.md gives it."""
    checked(["make", "wheel"], ROOT)
    (name,) = set(re.findall(r"edgeship-[\d.]+-py3-none-any\.whl", (ROOT / "docs" / "ci.md").read_text()))
    return ROOT / "dist" / name


def test_the_ci_page_runs_from_a_new_environment(wheel, shipped, tmp_path):
    """All `run:` steps of docs/ci.md as they stand, then the installations that may take the place of the first."""
    folder = shipped.folder
    shutil.move(folder / "server.keras", folder / "model.keras")
    shutil.copy(wheel, folder)
    checked([sys.executable, "-m", "venv", str(tmp_path / "venv")], folder)
    env = {
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "EDGESHIP_CACHE": str(tmp_path / "cache"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PIP_NO_COMPILE": "1",  # half a minute less; Python compiles what it uses
        "PYTHONDONTWRITEBYTECODE": "",
    }
    install, ship, write = read_steps().values()
    checked(install, folder, **env)
    assert run("command -v edgeship", folder, **env).stdout.startswith(str(tmp_path / "venv"))
    done = run(ship, folder, **env)
    assert done.returncode in (0, 1), done.stderr
    checked(write, folder, **env)
    assert ("PASS" if done.returncode == 0 else "gate") in (folder / "summary.md").read_text()
    assert (folder / "gate.xml").exists()
    checked(["git", "clone", "--quiet", str(ROOT), "edgeship"], folder)
    for command in commands_below("docs/ci.md", "Where edgeship comes from"):
        checked("pip uninstall --quiet --yes edgeship", folder, **env)
        address = f"git+file://localhost{folder / 'edgeship'}"  # pip before 24 wants a host
        checked(command.replace("git+https://git.example.com/PLACEHOLDER/edgeship.git", address), folder, **env)
        assert "edgeship, version" in checked("edgeship --version", folder, **env)
