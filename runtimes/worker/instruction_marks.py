"""Marks around inferences, for an emulator that counts what is executed between them."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable

MARK = 0x45444700  # an invalid scheduling policy: the system call fails and changes nothing
BEGIN, END, EMPTY_BEGIN, EMPTY_END = range(1, 5)
WARM_UP = 20  # the interpreter of Python 3.11 specializes its own code in the first rounds


def mark(number: int) -> None:
    """A place that the emulator's plugin recognizes."""
    with contextlib.suppress(OSError):
        os.sched_get_priority_max(MARK + number)


def mark_each(run: Callable[[], object], inferences: int) -> None:
    """Run that often, each between BEGIN and END; before that pairs around nothing, which tell what the marks cost."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(WARM_UP):
            _run_marked(_do_nothing, EMPTY_BEGIN, EMPTY_END)
        for _ in range(inferences):
            _run_marked(run, BEGIN, END)
    finally:
        gc.enable()


def _run_marked(call: Callable[[], object], begin: int, end: int) -> None:
    mark(begin)
    call()
    mark(end)


def _do_nothing() -> None:
    pass
