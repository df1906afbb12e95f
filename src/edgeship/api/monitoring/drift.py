"""Drift: whether what clients report of a week has moved, and whether that costs accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyPath, open_bundle
from edgeship.api.files import check_outside_of_bundles
from edgeship.api.monitoring.inbox import open_inbox
from edgeship.errors import InputError

if TYPE_CHECKING:
    from edgeship.monitoring.drift.audit import AuditResult, DrawnAudit
    from edgeship.monitoring.drift.field_report import FieldReport
    from edgeship.monitoring.drift.results import DriftResult, NamedDrift
    from edgeship.monitoring.drift.tables import Section
    from edgeship.monitoring.inbox.bundles import BundleSources


def judge_drift(
    store: AnyPath,
    *,
    bundle: AnyPath | None = None,
    window: str | None = None,
    tolerance: float = 1.0,
    now: datetime | None = None,
    page: AnyPath | None = None,
) -> DriftResult:
    """The verdict on a week of an inbox beside the field's own first four, of one bundle's reports.

    `bundle`: whose (default: the one with the most reports in that week). `window`: as 2026-W48 (default: the newest that is
    closed at `now`, of which there are such reports). `tolerance`: points of accuracy that may be lost without an alarm.
    `page`: an .html or .md to write.

    Raises InputError where there are no such reports.
    """
    from edgeship.monitoring.drift.field import Question, judge_field
    from edgeship.monitoring.drift.page import show_drift, write_page

    _check_tolerance(tolerance)
    _check_page(page)
    digest, labels = (None, ()) if bundle is None else _read_bundle(bundle)
    question = Question(tolerance / 100, now or datetime.now(UTC), digest, window, labels)
    with open_inbox(store) as inbox:
        result = judge_field(inbox, question)
    if page is not None:
        write_page(show_drift(result), Path(page))
    return result


def judge_drift_by_version(
    store: AnyPath,
    *,
    name: str | None = None,
    channel: AnyPath | None = None,
    registry: str | None = None,
    window: str | None = None,
    tolerance: float = 1.0,
    now: datetime | None = None,
    page: AnyPath | None = None,
) -> NamedDrift:
    """The verdicts of `judge_drift` on each version of a name in a channel's folder or a registry, and the worst of them.

    `name`: as garments (default: the only one there). `window`: default the newest that is closed at `now`, of which there are
    reports of any version. Reports of other names do not count.

    Raises InputError where there are no such reports, and for a name that is not there.
    """
    from edgeship.monitoring.drift.field import Question, judge_versions
    from edgeship.monitoring.drift.page import show_versions, write_page
    from edgeship.monitoring.drift.versions import choose_versions, find_versions

    _check_tolerance(tolerance)
    _check_page(page)
    sources = _versioned_sources((), channel, registry)
    chosen, versions = choose_versions(find_versions(sources), name, _describe_place(channel, registry))
    with open_inbox(store) as inbox:
        result = judge_versions(
            inbox, chosen, versions, Question(tolerance / 100, now or datetime.now(UTC), None, window)
        )
    if page is not None:
        write_page(show_versions(result), Path(page))
    return result


def describe_drift(result: DriftResult) -> tuple[Section, ...]:
    """A result as tables for people."""
    from edgeship.monitoring.drift import tables

    return tables.describe_drift(result)


def report_field(
    store: AnyPath,
    *,
    name: str | None = None,
    bundles: Sequence[AnyPath] = (),
    channel: AnyPath | None = None,
    registry: str | None = None,
    page: AnyPath | None = None,
) -> FieldReport:
    """What the newest 13 weeks of an inbox tell of each version: use, estimated accuracy, latency, errors, outcomes.

    `name`: of its versions in the channel or registry alone. `bundles`, `channel`, `registry` tell the versions' names, and the
    latency of the lab. `page`: an .html or .md to write. Raises InputError where there are no reports, and for an unknown name.
    """
    from edgeship.monitoring.drift import field_report
    from edgeship.monitoring.drift.field_page import show_field
    from edgeship.monitoring.drift.page import write_page
    from edgeship.monitoring.drift.versions import choose_versions, find_versions
    from edgeship.monitoring.inbox.bundles import BundleSources

    _check_page(page)
    folders = tuple(map(Path, bundles))
    if name is None:
        known = find_versions(BundleSources(folders, None if channel is None else Path(channel), registry))
    else:
        found = find_versions(_versioned_sources(folders, channel, registry))
        _, known = choose_versions(found, name, _describe_place(channel, registry))
    with open_inbox(store) as inbox:
        result = field_report.report_field(inbox, known, name or "")
    if page is not None:
        write_page(show_field(result, name or ""), Path(page))
    return result


def describe_field(result: FieldReport) -> tuple[Section, ...]:
    """A field's report as tables for people."""
    from edgeship.monitoring.drift import field_page

    return field_page.describe_field(result)


def draw_audit(
    samples: AnyPath,
    out: AnyPath,
    *,
    count: int = 400,
    seed: int | None = None,
    bundle: AnyPath | None = None,
    artifact: str | None = None,
    window: str | None = None,
) -> DrawnAudit:
    """Draw rows of a CSV of samples (`predicted`, perhaps `user`) at random into another one, with a column `label` to fill in.

    `samples` may be the folder of samples that a collector took, or the inbox that it lies in: then only those that were picked
    at random are drawn from, of one `bundle`, `artifact` and, where it is named, `window` (as 2026-W48). Of each user at most
    one. Raises InputError where `out` is there, or there are fewer rows.
    """
    from secrets import randbits

    from edgeship.monitoring.drift import audit

    check_outside_of_bundles(Path(out))
    chosen = {"bundle": _read_bundle(bundle)[0] if bundle is not None else None, "artifact": artifact, "week": window}
    named = {name: value for name, value in chosen.items() if value is not None}
    return audit.draw_audit(Path(samples), Path(out), count, randbits(64) if seed is None else seed, named)


def judge_audit(
    labelled: AnyPath, *, bundle: AnyPath | None = None, artifact: str = "tflite/int8", tolerance: float = 1.0
) -> AuditResult:
    """How right a model is by the labels of an audit, beside the server model (column `server`) and a bundle's evaluation data.

    `tolerance`: points that may be lost. Raises InputError without labels, and for an artifact that has no accuracy there.
    """
    from edgeship.errors import unknown_name_error
    from edgeship.monitoring.drift import audit
    from edgeship.monitoring.drift.accuracy import calibrate
    from edgeship.monitoring.profile.profile import read_profile

    _check_tolerance(tolerance)
    lab, labels = None, tuple[str, ...]()
    if bundle is not None:
        _, labels = _read_bundle(bundle)
        profile = read_profile(open_bundle(bundle).root)
        measured = calibrate(profile).lab if profile else {}
        if profile is None or artifact not in measured:
            raise unknown_name_error("artifact", artifact, measured)
        lab = measured[artifact], profile.samples
    return audit.judge_audit(Path(labelled), tolerance / 100, lab, labels)


def _check_tolerance(tolerance: float) -> None:
    if not 0 < tolerance < 100:
        raise InputError(f"tolerance: points of accuracy, above 0 and below 100, not {tolerance:g}")


def _check_page(page: AnyPath | None) -> None:
    if page is not None:
        from edgeship.monitoring.drift.page import check_page

        check_page(Path(page))
        check_outside_of_bundles(Path(page))


def _versioned_sources(bundles: tuple[Path, ...], channel: AnyPath | None, registry: str | None) -> BundleSources:
    """Where the versions of a name are. Raises InputError where nothing is named that has names."""
    from edgeship.monitoring.inbox.bundles import BundleSources

    if channel is None and registry is None:
        raise InputError("--name needs --channel or --registry, which say what the versions of a name are")
    return BundleSources(bundles, None if channel is None else Path(channel), registry)


def _describe_place(channel: AnyPath | None, registry: str | None) -> str:
    from edgeship.model_registry.connection import Place
    from edgeship.untrusted import printable

    places = [printable(channel)] if channel is not None else []
    return " and ".join([*places, str(Place.parse(registry))] if registry is not None else places)


def _read_bundle(bundle: AnyPath) -> tuple[str, tuple[str, ...]]:
    """The sha256 of a bundle's profile, and the labels of its first output that has some."""
    from edgeship.deploy.contract.contract import read_contract
    from edgeship.monitoring.profile.profile import FILE
    from edgeship.storage import digest
    from edgeship.untrusted import printable

    root = open_bundle(bundle).root
    if not (root / FILE).is_file():
        raise InputError(f"{printable(bundle)}: has no {FILE}, by which clients count; ship it with evaluation data")
    contract = read_contract(root)
    outputs = contract.outputs if contract else ()
    return digest.of_path(root / FILE), next((item.labels for item in outputs if item.labels), ())
