"""A Redis server of one's own, as Debian has it, on a free port of this machine; nothing of it stays."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import NoReturn


@contextlib.contextmanager
def run_redis(missing: Callable[[str], NoReturn]) -> Iterator[str]:
    """The address of an empty server, without a database number; `missing` is told where there is no program for one."""
    program = shutil.which("redis-server")
    if program is None:
        missing("no redis-server is here (Debian: apt install redis-server)")
    import redis
    from redis.backoff import ConstantBackoff
    from redis.retry import Retry

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait = Retry(ConstantBackoff(0.1), 100)  # until it listens
            with redis.Redis(port=port, retry=wait, retry_on_error=[redis.ConnectionError]) as client:
                client.ping()
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()
