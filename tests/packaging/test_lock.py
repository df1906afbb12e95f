"""What `make` installs is the lock, to the version, whatever has been released since and whichever Python there is."""

import os
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv"
MAKE = shutil.which("make") or ""
needs_make = pytest.mark.skipif(not MAKE or os.name != "posix", reason="make is not installed")


def pins(*files: str) -> dict[str, str]:
    """Versions by distribution, of those that the locks want for this platform and this Python."""
    lines = "".join((ROOT / name).read_text() for name in files).replace("\\\n", " ").splitlines()
    wanted = [Requirement(line.partition(" --hash")[0]) for line in lines if line[:1].isalnum()]
    here = [item for item in wanted if item.marker is None or item.marker.evaluate()]
    return {canonicalize_name(item.name): str(item.specifier).removeprefix("==") for item in here}


def recipe(*options: str) -> list[str]:
    """The commands of `make env`, as make would give them to the shell."""
    command = [MAKE, "--dry-run", "--always-make", "--no-print-directory", ".venv/.done", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.replace("\\\n", " ").splitlines()


@pytest.mark.skipif(Path(sys.prefix) != VENV, reason="this Python is not the environment that make builds")
def test_what_is_installed_is_the_lock():
    installed = {str(canonicalize_name(item.metadata["Name"])): item.version for item in metadata.distributions()}
    assert installed.pop("edgeship")
    assert installed == pins("requirements.lock", "requirements-uv.lock")


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-uv.lock"])
def test_the_lock_pins_by_digest_and_names_no_host(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "index-url" not in text
    for requirement in text.replace("\\\n", " ").splitlines():
        assert not requirement[:1].isalnum() or ("==" in requirement and "--hash=sha256:" in requirement)


@pytest.fixture
def checkout(overridden) -> Path:
    """The folder `overridden` with an environment in it, and uv in that."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", overridden / ".venv"], check=True)
    (overridden / ".venv" / "bin" / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    return overridden


def install(command: list[str], checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@needs_make
@pytest.mark.skipif(not Path(sys.executable).with_name("uv").exists(), reason="uv is not beside this Python")
def test_a_newer_release_in_the_index_changes_nothing(checkout):
    [line] = [line for line in recipe() if line.endswith("-r requirements.lock")]
    command = shlex.split(line)
    done = install(command, checkout)
    assert done.returncode == 0, done.stderr
    [installed] = (checkout / ".venv").glob("lib/python*/site-packages/tiny-*.dist-info")
    assert installed.name == "tiny-1.0.dist-info"
    # What guards against it: without this option uv obeys the folder's overrides, and the newest one has no digest here.
    shutil.rmtree(installed)
    done = install([word for word in command if word != "--no-config"], checkout)
    assert done.returncode != 0
    assert "tiny==2.0" in done.stderr


def interpreter(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """A search path with a shell and make on it, and no Python."""
    folder = tmp_path / "path"
    folder.mkdir()
    for tool in ("sh", "make"):
        (folder / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("PYTHON", raising=False)
    return folder


SHIM = "echo 'pyenv: command not found' >&2; exit 127"
WORKS = f'exec "{sys.executable}" -c "pass"'
NO_PIP = "exit 1"


@needs_make
@pytest.mark.parametrize(
    ("pythons", "taken"),
    [
        ({"python3.11": WORKS, "python3.12": WORKS, "python3.13": WORKS}, "python3.13"),
        ({"python3.11": WORKS, "python3.12": WORKS, "python3.13": SHIM}, "python3.12"),
        ({"python3.11": WORKS, "python3.12": NO_PIP, "python3.13": SHIM}, "python3.11"),
    ],
)
def test_make_takes_the_newest_python_that_works(path, pythons, taken):
    for name, body in pythons.items():
        interpreter(path, name, body)
    assert f"{taken} -m venv --without-pip --clear .venv" in recipe()


@needs_make
def test_a_python_of_the_users_choice_is_taken(path):
    interpreter(path, "python3.13", WORKS)
    interpreter(path, "mine", WORKS)
    assert "mine -m venv --without-pip --clear .venv" in recipe("PYTHON=mine")


@needs_make
@pytest.mark.parametrize("pythons", [{}, {"python3.13": SHIM, "python3.11": NO_PIP}])
def test_a_machine_without_a_python_is_told_what_to_do(path, pythons, tmp_path):
    for name, body in pythons.items():
        interpreter(path, name, body)
    for name in ("Makefile", "requirements.lock", "requirements-uv.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    # The make that runs these tests would have this one say which folders it enters.
    env = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    done = subprocess.run([MAKE, "env"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    first, second = done.stdout.splitlines()[:2]
    assert (
        "needs Python 3.11, 3.12 or 3.13 with pip and venv; each of python3.13 python3.12 python3.11 is missing"
        in first
    )
    assert "make env PYTHON=" in second


@needs_make
def test_a_python_that_the_lock_does_not_hold_for_is_refused():
    code = next(line for line in recipe("PYTHON=mine") if "sys.exit(not" in line).split("'")[1]
    for version, status in (((3, 10), 1), ((3, 11), 0), ((3, 13), 0), ((3, 14), 1)):
        fake = f"import sys; sys.version_info = {version!r}; sys.modules['pip'] = sys; exec({code!r})"
        assert subprocess.run([sys.executable, "-c", fake], check=False).returncode == status, version
