"""`python -m tests.monitoring.inbox.killed N ARGUMENTS`: `edgeship`, killed inside of its Nth transaction of 100 reports."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from edgeship.cli import main
from edgeship.monitoring.inbox import ingest
from edgeship.monitoring.inbox.inbox import Inbox


def kill_inside(number: int) -> None:
    """All is written, and not committed."""
    ingest.BATCH = 100
    add, count = Inbox._add, 0

    def add_and_die(self: Any, arrivals: Any) -> Any:
        nonlocal count
        results = add(self, arrivals)
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return results

    Inbox._add = add_and_die  # type: ignore[method-assign]


if __name__ == "__main__":
    kill_inside(int(sys.argv.pop(1)))
    main()
