"""The lanes of generated clients, so that they are listed and installed like runtimes; they run self-tests, no artifacts."""

from __future__ import annotations

from edgeship import __version__
from edgeship.errors import MissingDependencyError
from edgeship.runtimes.clients.lanes import LANES, Lane
from edgeship.runtimes.runtime import Launch, Runtime


def _refuse() -> Launch:
    raise MissingDependencyError("a client runs its own self-test: edgeship deploy selftest BUNDLE")


def _as_runtime(lane: Lane) -> Runtime:
    return Runtime(
        lane.name,
        (),
        lane.title,
        f"install it with: edgeship runtimes install {lane.name}",
        find_version=lambda: None if lane.unavailable_reason() else __version__,
        find_launch=_refuse,
        find_reason=lane.unavailable_reason,
        prepare=lane.install,
    )


RUNTIMES = tuple(_as_runtime(lane) for lane in LANES.values())
