"""A real OpenSSH server on this machine stands for a board: Debian's package, unpacked, on a port of its own (slow: network)."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeship.benchmarks.measure import driver
from edgeship.devices.profiles import Device
from edgeship.errors import ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import debian, find_launcher
from edgeship.types import Kind
from tests.present import metric_value, present

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(debian.packages_problem()), reason="the server is taken from Debian 12's packages"),
]
# As root sshd wants an account and a folder; here it finds them in a mount namespace that nobody else sees.
PRIVATE = """set -e
cp /etc/passwd passwd
grep -q ^sshd: passwd || echo 'sshd:x:100:65534::/run/sshd:/usr/sbin/nologin' >> passwd
mount --bind passwd /etc/passwd
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
exec "$@"
"""


def _config(folder: Path, port: int) -> None:
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    settings = (
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
    )
    (folder / "sshd_config").write_text(settings)
    reach = (
        f"Host board\n HostName 127.0.0.1\n Port {port}\n IdentityFile {folder}/user\n IdentitiesOnly yes\n"
        f" StrictHostKeyChecking accept-new\n UserKnownHostsFile {folder}/known\n"
    )
    (folder / "ssh_config").write_text(reach)


def _listens(port: int, server: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The unpacked packages, fetched as boards' packages are."""
    folder = tmp_path_factory.mktemp("sshd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGESHIP_CACHE", str(folder / "cache"))
        debian.Packages("arm64").unpack(["openssh-server", "libwrap0"], folder / "tree")
    return folder / "tree"


@pytest.fixture
def board(tmp_path, monkeypatch, tree):
    """A device that the system's own ssh reaches; `PATH` begins with an ssh that reads the test's configuration."""
    real = shutil.which("ssh")
    if not real or not shutil.which("ssh-keygen"):
        pytest.skip("ssh is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _config(tmp_path, port)
    libraries = next(tree.rglob("libwrap.so.0")).parent
    command = [str(tree / "usr/sbin/sshd"), "-D", "-e", "-f", str(tmp_path / "sshd_config")]
    if os.getuid() == 0:
        command = ["unshare", "--mount", "sh", "-c", PRIVATE, "sh", *command]
    env = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)
    try:
        if not _listens(port, server):
            pytest.skip(f"no server can be started here: {(tmp_path / 'log').read_text()[-300:]}")
        programs = tmp_path / "programs"
        programs.mkdir()
        (programs / "ssh").write_text(f'#!/bin/sh\nexec {real} -F {tmp_path}/ssh_config "$@"\n')
        (programs / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        launch = {"how": "ssh", "host": "board", "python": sys.executable, "folder": str(tmp_path / "there")}
        figures = ("quality", "speed")
        yield find_launcher(Device("board", "a board", Kind.MEASURED, ("litert",), 1, figures, launch=launch))
    finally:
        server.terminate()
        server.wait()


def test_the_worker_runs_behind_a_real_ssh_server(board, bench, subject):
    board.install()
    assert board.version("litert") == registry.find("litert").version()
    (item,) = driver.measure(bench, driver.Job(subject, (registry.find("litert"),), board.device))
    assert present(item.details.cell).text == "bit-exact"
    assert present(item.details.samples).n == 60
    busy = {metric.reason for metric in item.metrics if metric.value is None}
    assert present(item.metric("latency_p50_ms")).value or busy, "a time, or why there is none"
    assert metric_value(item, "peak_memory_bytes") > 1_000_000


def test_a_login_that_is_refused_is_told(board, tmp_path):
    (tmp_path / "user.pub").write_text("")
    with pytest.raises(ProcessError, match=r"copying the worker to board failed; ssh says: .*Permission denied"):
        board.install()
    assert board.unavailable_reason()
