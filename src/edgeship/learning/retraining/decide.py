"""Whether it is time to train again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edgeship.bundle.manifest import Manifest
from edgeship.errors import InputError
from edgeship.learning.retraining.record import Retraining
from edgeship.learning.retraining.request import RetrainRequest
from edgeship.learning.retraining.results import Decision
from edgeship.learning.samples.sample_table import LABEL, PREDICTED, read_table
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.audit import judge_audit
from edgeship.monitoring.drift.field import Question, judge_field
from edgeship.monitoring.drift.results import DriftResult
from edgeship.monitoring.inbox.arrival import closes_at
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.monitoring.inbox.place import parse_store
from edgeship.monitoring.reports.windows import first_day
from edgeship.typed_json import convert
from edgeship.types import Verdict
from edgeship.untrusted import printable, read_json, regular_file

PROFILE = "profile.json"
ALARMS = 2  # closed windows, one after the other, in which the alarm must have been: one may be a holiday


@dataclass(frozen=True)
class _Why:
    """What was found in one respect; `holds`: it is a reason to train."""

    holds: bool
    text: str


def decide(request: RetrainRequest, manifest: Manifest, records: Mapping[int, Retraining], added: datetime) -> Decision:
    """Whether to train: alarms in two closed windows, an outcome or audit bound crossed, too long a time, or by force.

    `records`: of the challengers of this name; `added`: when the champion came. Raises InputError for results that cannot be
    read.
    """
    found = [
        *_look_at_drift(request, manifest),
        *_look_at_audit(request, manifest),
        _look_at_time(request, records, added),
    ]
    if request.force:
        found.insert(0, _Why(True, "asked for by --force"))
    reasons = tuple(item.text for item in found if item.holds)
    return Decision(bool(reasons), reasons, tuple(item.text for item in found if not item.holds))


def _look_at_drift(request: RetrainRequest, manifest: Manifest) -> Iterator[_Why]:
    profile = manifest.files.get(PROFILE)
    if not request.drift and request.inbox is None:
        yield _Why(False, "drift was not looked at: --inbox or --drift names where it is told")
        return
    results = [_read_result(path) for path in request.drift]
    if request.inbox is not None:
        results += _judge_windows(request, profile)
    others = [item for item in results if profile is not None and item.profile != profile]
    mine = {item.window: item for item in results if item not in others}
    if others:
        yield _Why(
            False, f"{len(others)} drift result{'s'[: len(others) != 1]} of another version's profile do not count"
        )
    windows = sorted(mine, key=first_day)
    closed = [mine[window] for window in windows if not mine[window].preliminary]
    last = closed[-ALARMS:]
    said = ", ".join(f"{item.window} {item.verdict}" for item in last) or "no closed window"
    in_a_row = len(last) == ALARMS and first_day(last[1].window) - first_day(last[0].window) == timedelta(days=7)
    alarmed = in_a_row and all(item.verdict == "ALARM" for item in last)
    yield _Why(alarmed, f"drift: {said}{', two alarms in a row' if alarmed else ''}")
    yield from _look_at_outcomes(closed[-1:])


def _look_at_outcomes(newest: Sequence[DriftResult]) -> Iterator[_Why]:
    for result in newest:
        drop = result.judgement.accepted if result.judgement else None
        if drop is None:
            yield _Why(False, f"outcomes in {result.window}: none to judge by")
            continue
        crossed = drop.low > result.tolerance
        text = f"outcomes in {result.window}: accepted fell by {100 * (drop.before - drop.now):.1f} points"
        bound = (
            f"surely more than {100 * result.tolerance:g}"
            if crossed
            else f"not surely more than {100 * result.tolerance:g}"
        )
        yield _Why(crossed, f"{text}, {bound}")


def _read_result(path: Path) -> DriftResult:
    """A result as `monitor drift --json` wrote it."""
    if not path.exists():
        raise InputError(f"{printable(path)}: no such file; `edgeship monitor drift --json` writes one")
    content = read_json(regular_file(path, links=True))
    if not isinstance(content, dict) or content.pop("schema", None) != 1:
        raise InputError(f"{printable(path)}: is no result of `edgeship monitor drift --json`")
    try:
        result = convert(DriftResult, content)
        first_day(result.window)
    except InputError as error:
        raise InputError(f"{printable(path)}: is no result of `edgeship monitor drift --json` ({error})") from error
    return result


def _judge_windows(request: RetrainRequest, profile: str | None) -> Iterable[DriftResult]:
    """The newest closed windows of the inbox that have reports of the champion."""
    if profile is None:
        raise InputError(
            "the champion's bundle has no profile, so that drift cannot be judged; give results by --drift"
        )
    with Inbox(parse_store(str(request.inbox))) as inbox:
        windows = sorted(inbox.read_windows(), key=first_day)
        closed = [window for window in windows if closes_at(window) <= request.now]
        counted = [window for window in closed if any(item.report.profile == profile for item in inbox.read(window))]
        return [
            judge_field(inbox, Question(request.tolerance / 100, request.now, profile, window))
            for window in counted[-ALARMS:]
        ]


def _look_at_audit(request: RetrainRequest, manifest: Manifest) -> Iterator[_Why]:
    if request.audit is None:
        yield _Why(False, "no audit was named")
        return
    fields, _ = read_table(request.audit)
    figures = manifest.server_measurement
    if PREDICTED not in fields or LABEL not in fields or figures is None or figures.server is None or not figures.share:
        yield _Why(False, "the audit has no column predicted, which would tell how right the champion was")
        return
    result = judge_audit(
        request.audit, request.tolerance / 100, (float(figures.server), int(figures.n)), manifest.labels or ()
    )
    crossed = result.verdict is Verdict.FAIL
    lab = f"{float(figures.server):.1%} on the evaluation data"
    told = f"audit: accuracy {result.accuracy:.1%} of {result.labelled:,} labels, {lab}"
    yield _Why(crossed, f"{told}: {'surely' if crossed else 'not surely'} more than {request.tolerance:g} points lost")


def _look_at_time(request: RetrainRequest, records: Mapping[int, Retraining], added: datetime) -> _Why:
    evaluated = [datetime.fromisoformat(item.when) for item in records.values()]
    last = max([*evaluated, added])
    days = (request.now - last).days
    what = "the last evaluated challenger" if evaluated and last in evaluated else "the champion was added"
    return _Why(days >= request.days, f"{days} day{'s'[: days != 1]} since {what}, {request.days} are the limit")


def parse_moment(text: str) -> datetime:
    """A moment of ISO 8601, UTC unless it says so. Raises InputError for another text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{printable(text)[:40]!r} is no day or time, as 2026-11-29 or 2026-11-29T14:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
