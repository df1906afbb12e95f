"""Another machine by ssh: here an `ssh` that runs its command on this machine, in a home of its own."""

import os
import sys
from pathlib import Path

import pytest

from edgeship.benchmarks.measure import driver
from edgeship.devices.profiles import Device
from edgeship.errors import InputError, MissingDependencyError, ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher
from edgeship.runtimes.session import open_session
from edgeship.types import Kind
from tests.present import metric_value, present


@pytest.fixture
def login(tmp_path) -> Path:
    """The home folder on the board."""
    folder = tmp_path / "login"
    folder.mkdir()
    return folder


@pytest.fixture
def board(tmp_path, monkeypatch, login):
    """A device behind a stand-in for ssh, which checks how it is called."""
    programs = tmp_path / "programs"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(
        "#!/bin/sh\n"
        '[ "$1 $2 $3 $6 $7" = "-T -o BatchMode=yes -- pi@board" ] || { echo "no route to host" >&2; exit 255; }\n'
        f'cd {login} && exec sh -c "$8"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def make(host="pi@board", python=sys.executable):
        launch = {"how": "ssh", "host": host, "python": python}
        return find_launcher(
            Device("rpi5", "a board", Kind.MEASURED, ("litert",), 1, ("quality", "memory"), launch=launch)
        )

    return make


def test_the_worker_is_copied_and_measures_there(board, login, bench, subject):
    place = board()
    assert "the worker has not been copied to pi@board" in (place.unavailable_reason() or "")
    place.install()
    assert place.unavailable_reason() is None
    assert place.version("litert") == registry.find("litert").version()
    with open_session("litert", subject.artifact.path, launch=place.launch("litert")) as session:
        assert session.run({session.inputs[0].name: next(bench.reference.batches())["window"]})
    assert len(list((login / ".cache/edgeship/models").iterdir())) == 1
    (item,) = driver.measure(bench, driver.Job(subject, (registry.find("litert"),), place.device))
    assert present(item.details.cell).text == "bit-exact"
    assert metric_value(item, "peak_memory_bytes") > 1_000_000
    assert len(list((login / ".cache/edgeship/models").iterdir())) == 1, "copied once"


def test_a_board_that_cannot_be_reached_is_told_and_nothing_is_kept(board):
    with pytest.raises(ProcessError, match="copying the worker to pi@elsewhere failed; ssh says: no route to host"):
        board("pi@elsewhere").install()
    assert board("pi@elsewhere").unavailable_reason()


def test_a_board_without_a_runtime_is_told(board, tmp_path):
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho \'{"python": [3, 11], "machine": "x", "system": "y", "versions": {"numpy": null}}\'\n'
    )
    python.chmod(0o755)
    with pytest.raises(MissingDependencyError, match="pi@board has no runtime; install one there"):
        board(python=str(python)).install()


def test_a_host_that_would_be_an_option_is_refused(board):
    with pytest.raises(InputError, match="is no place for ssh"):
        board("-oProxyCommand=x").unavailable_reason()
