"""A Python 3.11 that works, whatever lies on the path, and an installer that no project's settings reach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeship.errors import MissingDependencyError
from edgeship.runtimes import interpreters, tfjs_node

SHIM = "echo >&2; echo 'pyenv: python3.11: command not found' >&2; exit 127"


@pytest.fixture
def path(tmp_path, monkeypatch) -> list[Path]:
    """Two folders of programs, none of them there yet, under a Python that is not 3.11."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("PATH", ":".join(map(str, folders)))
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    return folders


def program(folder: Path, body: str, name: str = "python3.11") -> str:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


def test_a_shim_that_fails_is_passed_over(path):
    program(path[0], SHIM)
    works = program(path[1], "exit 0")
    assert interpreters.find_python311("it is needed") == works


@pytest.mark.skipif(sys.version_info[:2] == interpreters.VERSION, reason="it takes a Python that is not 3.11")
def test_a_python_of_another_version_is_no_python311(path):
    program(path[0], f'exec "{sys.executable}" "$@"')
    with pytest.raises(MissingDependencyError, match=r"python3.11 does not work \(exit code 1\)"):
        interpreters.find_python311("it is needed")


def test_a_shim_alone_is_told_with_what_it_says(path):
    shim = program(path[0], SHIM)
    with pytest.raises(MissingDependencyError) as raised:
        interpreters.find_python311("this device needs 3.11")
    assert str(raised.value) == (
        f"this device needs 3.11, and {shim} does not work (pyenv: python3.11: command not found); "
        "install Python 3.11 beside this one"
    )


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """The working folder: a stranger's, with a file by which a version manager's stand-in chooses the program."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / ".tool-versions").write_text("python path:.\n")
    monkeypatch.chdir(folder)
    return folder


OBEYS = "test -e .tool-versions && : > chosen"


def test_the_working_folder_chooses_no_python(path, repository):
    itself = program(path[1], 'echo "$0"')
    program(path[0], f'{OBEYS}; exec "{itself}"')
    assert interpreters.find_python311("it is needed") == itself
    assert not (repository / "chosen").exists()


def test_the_working_folder_chooses_no_node(path, repository, monkeypatch):
    monkeypatch.setattr(tfjs_node, "_find_node", tfjs_node._find_node.__wrapped__)
    itself = program(path[1], 'test "$1" = --version && echo v22.1.0 || echo "$0"', "node")
    program(path[0], f'{OBEYS}; exec "{itself}" "$@"', "node")
    assert tfjs_node._find_node() == (itself, (22, 1))
    assert not (repository / "chosen").exists()


def test_a_path_without_one_is_told(path):
    with pytest.raises(MissingDependencyError, match=r"3.11, and no python3.11 is on the path; install Python 3.11"):
        interpreters.find_python311("this device needs 3.11")


def test_a_python_without_pip_and_uv_is_told(monkeypatch):
    monkeypatch.setattr(interpreters, "find_program", lambda *_, **__: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    with pytest.raises(MissingDependencyError, match="needs uv or pip, and this Python has none: install uv"):
        interpreters.pip_command()
    with pytest.raises(MissingDependencyError, match="needs pip, and this Python has none: install pip"):
        interpreters.pip_command(uv=False)


def test_settings_of_the_folder_that_one_works_in_change_nothing(overridden, monkeypatch, tmp_path):
    monkeypatch.chdir(overridden)
    target = tmp_path / "target"
    options = ["--no-deps", "--require-hashes", "--target", str(target), "-r", str(overridden / "requirements.lock")]
    command = interpreters.pip_command(*options, python=Path(sys.executable))
    if Path(command[0]).stem != "uv":
        pytest.skip("uv is not installed")
    subprocess.run(command, check=True)
    assert [path.name for path in target.glob("tiny-*")] == ["tiny-1.0.dist-info"]
    # Without going elsewhere, it would have taken the newest release of a package that the project overrides.
    shutil.rmtree(target)
    there = command.index("--directory")
    plain = [*command[:there], *command[there + 2 :]]
    assert "tiny==2.0" in subprocess.run(plain, capture_output=True, text=True, check=False).stderr
