"""`python -m tests.serving.batch.killed CHUNK ARGUMENTS`: `edgeship predict`, killed inside the transaction of that chunk."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from edgeship.cli import main
from edgeship.serving.batch.sinks.ledger import DatabaseSink


def kill_inside(number: int) -> None:
    """Rows and ledger's entry are written, and not committed."""
    write = DatabaseSink._write

    def write_and_die(self: Any, job: Any, chunk: int, rows: Any, counts: Any) -> bool:
        done = write(self, job, chunk, rows, counts)
        if chunk == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    DatabaseSink._write = write_and_die  # type: ignore[method-assign]


if __name__ == "__main__":
    kill_inside(int(sys.argv.pop(1)))
    main()
