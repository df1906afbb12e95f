"""A worker's loop: one answer per request, in order, while the next request is already read."""

from __future__ import annotations

import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, TypeVar

from edgeship.processes import wire
from edgeship.processes.child import claim_stdio

T = TypeVar("T")
Answer = tuple[dict[str, Any], wire.Arrays]
Later = Callable[[], Answer]
Message = tuple[dict[str, Any], wire.Arrays]
Handler = Callable[[dict[str, Any], wire.Arrays], Answer | Later]

# How many requests are read ahead while the model runs: one is enough to overlap transfer and compute.
READ_AHEAD = 2


def _read_ahead(stream: IO[bytes], arrived: queue.Queue[Message | None]) -> None:
    """Read ahead, so that the next batch arrives while this one is computed."""
    try:
        while True:
            arrived.put(wire.receive(stream))
    except EOFError:
        arrived.put(None)
    except BaseException:  # most of all a batch that does not fit into memory: what follows it cannot be read either
        traceback.print_exc()
        os._exit(1)


def _begin_answer(handlers: Mapping[str, Handler], header: dict[str, Any], feeds: wire.Arrays) -> Answer | Later:
    return handlers[header["do"]](header, feeds)


def _attempt_call(call: Callable[..., T], *arguments: Any) -> T | Answer:
    try:
        return call(*arguments)
    except Exception as error:  # every failure must reach the parent, which shows it
        traceback.print_exc()
        return {"error": {"type": type(error).__name__, "message": str(error)}}, {}


def _answer_messages(handlers: Mapping[str, Handler], arrived: queue.Queue[Message | None]) -> Iterator[Answer]:
    waiting: Later | None = None
    while (message := arrived.get()) is not None:
        header, feeds = message
        begun = _attempt_call(_begin_answer, handlers, header, feeds)
        if waiting:
            yield _attempt_call(waiting)
        waiting = None
        if isinstance(begun, tuple):
            yield begun
        elif arrived.empty():
            yield _attempt_call(begun)
        else:
            waiting = begun
    if waiting:
        yield _attempt_call(waiting)


def serve_requests(handlers: Mapping[str, Handler]) -> None:
    """Answer each request by the handler that its `do` names, failures included, until the parent closes the stream.

    A handler may give a function in place of its answer. The function is called for the answer once the next request has
    been begun, where one has arrived already: the two overlap. Only the requests of a stream, all with the same handler,
    arrive that early.
    """
    incoming, answers = claim_stdio()
    arrived: queue.Queue[Message | None] = queue.Queue(READ_AHEAD)
    threading.Thread(target=_read_ahead, args=(incoming, arrived), daemon=True).start()
    for answer, arrays in _answer_messages(handlers, arrived):
        wire.send(answers, answer, arrays)
