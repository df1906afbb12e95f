"""Two artifacts timed against each other: run in turn, in several pairs of fresh processes (measuring.md 4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

from edgeship.benchmarks.measure.latency import Ratio, ratio
from edgeship.runtimes.session import Session

# Student's t over 8 pairs is 1.2 times as wide as over endlessly many, over 5 it is 1.4 times; one of 8 is trimmed at each end.
PAIRS = 8
# Short, so that what disturbs one artifact's block disturbs its neighbour too; at least one query each.
BLOCK_SECONDS = 0.01
# Per artifact and pair, beside one that warms up; models whose single query outlasts the time have no more.
MIN_BLOCKS = 2

Open = Callable[[], Session]
Blocks = list[list[float]]


def compare_latency(ours: Open, theirs: Open, seconds: float, pairs: int = PAIRS) -> Ratio:
    """How many times as long `ours` takes as `theirs`, at batch 1 on their sessions' samples, in about `seconds`.

    `ours` and `theirs` start a fresh process each time that they are called; what that takes is part of `seconds`.
    Raises what opening a session or running it raises.
    """
    end = time.monotonic() + seconds
    taken = []
    for number in range(pairs):
        # Each pair has its share of what is left, so that a slow start shortens all that follow alike.
        share = (end - time.monotonic()) / (pairs - number)
        taken.append(_time_pair(ours, theirs, time.monotonic() + share))
    return ratio(taken)


def _time_pair(ours: Open, theirs: Open, end: float) -> tuple[Blocks, Blocks]:
    """Blocks of both until `end`, A, B, B, A, ...; both processes are started at once, since nothing is timed yet."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        opening = [pool.submit(ours), pool.submit(theirs)]
        for future in wait(opening).done:
            if not future.exception():
                stack.enter_context(future.result())  # also where the other one fails: it must not stay
        sessions = [future.result() for future in opening]
        for session in sessions:
            session.block(BLOCK_SECONDS)
        blocks: tuple[Blocks, Blocks] = ([], [])
        order = [0, 1]
        while time.monotonic() < end or len(blocks[0]) < MIN_BLOCKS:
            for which in order:
                blocks[which].append(list(sessions[which].block(BLOCK_SECONDS)))
            order.reverse()
    return blocks
