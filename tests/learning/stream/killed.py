"""`python -m tests.learning.stream.killed POINT ARGUMENTS`: `edgeship stream`, killed at a point of its way.

`take:3` inside the third commit of rows, `settle:2` after the second and before the source knows of it, `tag` when the registry
has the snapshot's bundle and no record of it, `snapshot` when it has all and the state does not.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import Any

from edgeship.cli import main
from edgeship.learning.stream import run
from edgeship.learning.stream.sources.redis_streams import RedisStreams
from edgeship.learning.stream.sources.source import TableSource
from edgeship.learning.stream.state import StreamState
from edgeship.model_registry.store import Store


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(point: str) -> None:
    kind, _, number = point.partition(":")
    counter = itertools.count(1)
    if kind == "take":
        write = StreamState.write_fact

        def write_and_die(self: Any, name: str, content: Any) -> None:
            write(self, name, content)
            if name == "position" and next(counter) == int(number):
                die()

        StreamState.write_fact = write_and_die  # type: ignore[method-assign]
    elif kind == "settle":
        for source in (TableSource, RedisStreams):

            def settle_or_die(self: Any, rows: Any, count: int, settle: Any = source.settle) -> None:
                if next(counter) == int(number):
                    die()
                settle(self, rows, count)

            source.settle = settle_or_die  # type: ignore[method-assign]
    elif kind == "tag":
        Store.write_tag = lambda *_: die()  # type: ignore[method-assign]
    elif kind == "snapshot":
        setattr(run, "measure_deltas", lambda *_: die())  # noqa: B010  # which the module imports, and does not offer
    else:
        raise SystemExit(f"no such point: {point}")


if __name__ == "__main__":
    kill_at(sys.argv.pop(1))
    main()
