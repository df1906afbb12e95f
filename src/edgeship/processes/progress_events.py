"""How training tells what it is doing: the child appends JSON lines to a file, the parent reads them as they come."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgeship import notices

FILE = "progress.jsonl"  # in the folder that the results are written to
INTERVAL = 0.2  # seconds between two looks at the file

Event = dict[str, Any]


def append_event(path: Path, **event: Any) -> None:
    """Append one event. A whole line at once, so that a reader never sees half of it without its newline."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(event) + "\n")


@contextlib.contextmanager
def follow_events(path: Path, show: Callable[[Event], None]) -> Iterator[None]:
    """Call `show`, in a thread of its own, for each event in the file for as long as the context lasts."""
    path.touch()
    end = threading.Event()

    def follow() -> None:
        rest = ""
        with path.open(encoding="utf-8") as stream:
            while True:
                last = end.wait(INTERVAL)
                *lines, rest = (rest + stream.read()).split("\n")
                for line in lines:
                    show(json.loads(line))
                if last:
                    return

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@contextlib.contextmanager
def display_events() -> Iterator[Callable[[Event], None]]:
    """A function that shows events on standard error: a moving bar on a terminal, a line per epoch elsewhere."""
    if not notices.are_visible():
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        yield lambda event: _print_event(event, lambda line: print(line, file=sys.stderr, flush=True))
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task("starting TensorFlow", total=None)

        def show(event: Event) -> None:
            if event["event"] == "batch":
                bar.update(row, description="training", completed=event["done"], total=event["total"])
            else:
                _print_event(event, lambda line: bar.console.print(line, highlight=False, markup=False))

        yield show


def _print_event(event: Event, write: Callable[[str], None]) -> None:
    if event["event"] == "stage":
        write(event["text"])
    elif event["event"] == "epoch":
        write(
            f"epoch {event['epoch']:>2}/{event['epochs']}  loss {event['loss']:.3f}  accuracy {event['accuracy']:.1%}  "
            f"validation {event['validation_accuracy']:.1%}  ({event['seconds']:.0f} s)"
        )
