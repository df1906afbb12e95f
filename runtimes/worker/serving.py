"""A worker's loop: one answer per request, in order, while the next request is already read."""

from __future__ import annotations

import os
import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import IO, Any

from edgeship import wire
from edgeship.process import claim_stdio

Answer = tuple[dict[str, Any], wire.Arrays]
Message = tuple[dict[str, Any], wire.Arrays]

# How many requests are read ahead while the model runs: one is enough to overlap transfer and compute.
READ_AHEAD = 2


def _read(stream: IO[bytes], arrived: queue.Queue[Message | None]) -> None:
    """Read ahead, so that the next batch arrives while this one is computed."""
    try:
        while True:
            arrived.put(wire.receive(stream))
    except EOFError:
        arrived.put(None)
    except BaseException:  # most of all a batch that does not fit into memory: what follows it cannot be read either
        traceback.print_exc()
        os._exit(1)


def serve(requests: Mapping[str, Callable[[dict[str, Any], wire.Arrays], Answer]]) -> None:
    """Answer each request by the handler that its `do` names, failures included, until the parent closes the stream."""
    incoming, answers = claim_stdio()
    arrived: queue.Queue[Message | None] = queue.Queue(READ_AHEAD)
    threading.Thread(target=_read, args=(incoming, arrived), daemon=True).start()
    while (message := arrived.get()) is not None:
        header, feeds = message
        try:
            answer, arrays = requests[header["do"]](header, feeds)
        except Exception as error:  # every failure must reach the parent, which shows it
            traceback.print_exc()
            answer, arrays = {"error": {"type": type(error).__name__, "message": str(error)}}, {}
        wire.send(answers, answer, arrays)
