"""Clients of a bundle, generated, compiled and run in the lanes of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeship.bundle.bundle import Bundle
from edgeship.deploy.codegen.client import describe_client
from edgeship.deploy.codegen.generate import LANGUAGES, write_clients
from edgeship.errors import InputError, MissingDependencyError, ProcessError, unknown_name_error
from edgeship.light_dataclass import dataclass
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
    """The self-tests of the lanes of these languages, or of all, that are installed here, one after the other.

    Lanes that are not, and those that do not run the artifact, are left out with a sentence. Raises InputError for an unknown
    language or artifact, MissingDependencyError where a named language has no lane here.
    """
    for language in languages:
        if language not in LANGUAGES:
            raise unknown_name_error("language", language, LANGUAGES)
    lanes = [lane for lane in LANES.values() if not languages or lane.language in languages]
    fitting = _fitting_lanes(bundle, lanes, artifact)
    usable = [lane for lane in fitting if _is_usable(lane)]
    for language in languages:
        wanted = [lane for lane in fitting if lane.language == language]
        if wanted and not any(lane.language == language for lane in usable):
            raise MissingDependencyError(
                f"{wanted[0].name} is not available: {wanted[0].unavailable_reason()}; "
                f"install it with: edgeship runtimes install {wanted[0].name}"
            )
    for lane in usable:
        print_notice(f"{lane.name}: {lane.title}")
        yield _run_lane(bundle, lane, artifact)


def _fitting_lanes(bundle: Bundle, lanes: Sequence[Lane], artifact: str | None) -> list[Lane]:
    """Those that run the artifact, or one of their own format where none is named. Raises InputError where none does."""
    fitting, problems = [], {}
    for lane in lanes:
        try:
            client = describe_client(bundle, artifact, [lane.format])
        except InputError as error:
            problems[lane.name] = error
            continue
        if misfit := lane.find_misfit(client):
            print_notice(f"{lane.name} is left out: {client.artifact}: {misfit}")
        else:
            fitting.append(lane)
    if problems and not fitting:
        raise next(iter(problems.values()))
    for name, problem in problems.items():
        print_notice(f"{name} is left out: {problem}")
    return fitting


def _is_usable(lane: Lane) -> bool:
    reason = lane.unavailable_reason()
    if reason:
        print_notice(f"{lane.name} is left out: {reason}")
    return not reason


def _run_lane(bundle: Bundle, lane: Lane, artifact: str | None) -> ClientRun:
    with tempfile.TemporaryDirectory(prefix="edgeship-client-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        (client,) = write_clients(
            bundle, [lane.language], Path(folder), describe_client(bundle, artifact, [lane.format]).artifact
        )
        try:
            result = lane.run_selftest(client, work)
        except ProcessError as error:
            return ClientRun(lane.name, False, None, str(error))
    failures = result["failures"]
    first = f"{failures[0]['case']}: {failures[0]['what']}: {failures[0]['detail']}" if failures else ""
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return ClientRun(lane.name, result["passed"] is True and not failures, result, first + more)
