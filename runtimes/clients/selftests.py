"""Clients of a bundle, generated, compiled and run in the lanes of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeship.bundle.bundle import Bundle
from edgeship.deploy.codegen.generate import LANGUAGES, write_clients
from edgeship.errors import MissingDependencyError, ProcessError, unknown_name_error
from edgeship.notices import print_notice
from edgeship.runtimes.clients.lanes import LANES, Lane


@dataclass(frozen=True)
class ClientRun:
    """A lane's self-test: its `result` as JSON, None where the client did not compile or crashed; `reason`: why it failed."""

    lane: str
    passed: bool
    result: Mapping[str, Any] | None
    reason: str = ""


def run_selftests(bundle: Bundle, languages: Sequence[str], artifact: str | None = None) -> Iterator[ClientRun]:
    """The self-tests of the lanes of these languages, or of all that are installed, one after the other.

    Raises InputError for an unknown language, MissingDependencyError where the lane of a named one is not installed.
    """
    for language in languages:
        if language not in LANGUAGES:
            raise unknown_name_error("language", language, LANGUAGES)
    lanes = [lane for lane in LANES.values() if not languages or lane.language in languages]
    reasons = {lane.name: lane.unavailable_reason() for lane in lanes}
    for lane in lanes:
        reason = reasons[lane.name]
        if reason and languages:
            raise MissingDependencyError(
                f"{lane.name} is not available: {reason}; install it with: edgeship runtimes install {lane.name}"
            )
        if reason:
            print_notice(f"{lane.name} is left out: {reason}")
    for lane in lanes:
        if not reasons[lane.name]:
            print_notice(f"{lane.name}: {lane.title}")
            yield _run_lane(bundle, lane, artifact)


def _run_lane(bundle: Bundle, lane: Lane, artifact: str | None) -> ClientRun:
    with tempfile.TemporaryDirectory(prefix="edgeship-client-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        (client,) = write_clients(bundle, [lane.language], Path(folder), artifact)
        try:
            result = lane.run_selftest(client, work, "this machine")
        except ProcessError as error:
            return ClientRun(lane.name, False, None, str(error))
    failures = result["failures"]
    first = f"{failures[0]['case']}: {failures[0]['what']}: {failures[0]['detail']}" if failures else ""
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return ClientRun(lane.name, result["passed"] is True and not failures, result, first + more)
