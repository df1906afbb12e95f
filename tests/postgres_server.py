"""A PostgreSQL server of one's own, as Debian has it, in a folder and on a free port of this machine."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

USER = "postgres"  # the server refuses to run as root


def find_programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs; None where there is none."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return Path(found).parent if found else folders[-1].parent if folders else None


class PostgresServer:
    """A server whose data are in `folder`, which a user without rights owns where this is root.

    Without `keeps` it does not wait for the disk: what only a power cut would lose, no test can tell.
    """

    def __init__(self, programs: Path, folder: Path, *, keeps: bool = True) -> None:
        self.programs, self.folder, self.keeps = programs, folder, keeps
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.uri = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        self._numbers = itertools.count()
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", USER, "-N")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        user = pwd.getpwnam(USER) if os.geteuid() == 0 else None
        done = subprocess.run(
            command,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = (
            f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync={'on' if self.keeps else 'off'}"
        )
        self._run(
            "pg_ctl", "-w", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` ends its connections, `immediate` is a crash."""
        self._run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-m", mode, "stop")

    def make_database(self) -> str:
        """The address of a new, empty database."""
        from adbc_driver_postgresql import dbapi

        name = f"made_{next(self._numbers)}"
        with dbapi.connect(self.uri, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"create database {name}")
        return self.uri.removesuffix("postgres") + name


@contextlib.contextmanager
def run_server(missing: Callable[[str], NoReturn]) -> Iterator[PostgresServer]:
    """A server in a folder of its own; `missing` is told where there are no programs for one."""
    programs = find_programs()
    if programs is None:
        missing("no PostgreSQL server is here (Debian: apt install postgresql)")
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders let no other user in
        Path(place).chmod(0o755)
        opened = PostgresServer(programs, Path(place) / "server", keeps=False)
        try:
            yield opened
        finally:
            opened.stop("immediate")
