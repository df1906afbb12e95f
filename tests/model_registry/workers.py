"""What other processes do with a registry; a fork server that has imported MLflow begins them at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from edgeship import api


def server() -> ForkServerContext:
    """Where processes are begun."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "tests.model_registry.workers", "edgeship.model_registry.promotion"])
    return context


def die_at(moment: int) -> None:
    """End this process by SIGKILL before the statement of that number, counted from 1, that it sends to a database, or file
    that it moves into place. What it does not reach does not end it.
    """  # one sentence
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            count()
            return function(*arguments)

        return call

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    os.replace = counted(os.replace)


def add(bundle: str, store: str, moment: int = 0) -> None:
    """Add a bundle, and die at that moment of it."""
    if moment:
        die_at(moment)
    api.add_version(Path(bundle), "garments", store=store)


def add_where_files_end_at(limit: int, bundle: str, store: str) -> None:
    """Add a bundle where no file can be larger than `limit` bytes, as on a full disk; exit code 2 and a sentence on the way."""
    import resource

    from edgeship.errors import InputError

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        api.add_version(Path(bundle), "garments", store=store)
    except InputError as error:
        words = ("nothing was changed", "too large", "disk")
        raise SystemExit(error.exit_code if any(word in str(error) for word in words) else str(error)) from error


def promote(version: int, store: str, moment: int = 0) -> None:
    """Promote a version, and die at that moment of it."""
    if moment:
        die_at(moment)
    api.promote_version(version, "garments", to="champion", why="try", store=store)


def roll_back(store: str, moment: int = 0) -> None:
    """Roll the champion back, and die at that moment of it."""
    if moment:
        die_at(moment)
    api.roll_back_version("garments", why="try", store=store)
