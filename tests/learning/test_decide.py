"""When it is time to train again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeship.errors import InputError
from edgeship.learning.retraining.decide import decide
from edgeship.learning.retraining.request import RetrainRequest
from edgeship.monitoring.drift.accuracy import Drop
from edgeship.monitoring.drift.results import DriftResult, Judgement
from edgeship.monitoring.inbox.arrival import closes_at
from edgeship.types import to_json
from tests.learning import small_world
from tests.monitoring.drift.small_field import fill_inbox, make_field, make_reports, window_of

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ADDED = datetime(2026, 11, 20, tzinfo=UTC)
PROFILE = "ab" * 32
MANIFEST: Any = SimpleNamespace(
    files={"profile.json": PROFILE},
    server_measurement=SimpleNamespace(server=0.9, n=2000, share=True),
    labels=("a", "b"),
)


@pytest.fixture
def ask(tmp_path):
    def ask_one(weeks=(), *, when=None, audit=None, **more):
        files = []
        for number, (window, verdict, *rest) in enumerate(weeks):
            changes = dict(*rest)
            files.append(tmp_path / f"{number}.json")
            files[-1].write_text(json.dumps({"schema": 1, **to_json(result_of(window, verdict, **changes))}))
        records: Any = {2: SimpleNamespace(when=when)} if when else {}
        request = RetrainRequest(name=None, store="", out=tmp_path, drift=tuple(files), audit=audit, now=NOW, **more)
        return decide(request, MANIFEST, records, ADDED)

    return ask_one


def result_of(window, verdict, *, profile=PROFILE, preliminary=False, accepted=None):
    judgement = Judgement(verdict, (), (), (), None, accepted, (), ()) if accepted else None
    return DriftResult(verdict, ("why",), (), profile, window, preliminary, 0.01, (), (), None, judgement, None)


def test_an_alarm_alone_may_be_a_holiday(ask):
    assert not ask([("2026-W45", "OK"), ("2026-W46", "ALARM")]).train
    assert not ask([("2026-W44", "ALARM"), ("2026-W45", "ALARM"), ("2026-W46", "OK")]).train
    assert not ask([("2026-W44", "ALARM"), ("2026-W46", "ALARM")]).train  # a week between them said nothing
    assert not ask([("2026-W45", "ALARM"), ("2026-W46", "ALARM", {"preliminary": True})]).train
    assert not ask([("2026-W45", "ALARM"), ("2026-W46", "ALARM", {"profile": "cd" * 32})]).train


def test_two_alarms_in_a_row_are_a_reason(ask):
    found = ask([("2026-W45", "ALARM"), ("2026-W46", "ALARM"), ("2026-W44", "OK")])
    assert found.train and found.reasons == ("drift: 2026-W45 ALARM, 2026-W46 ALARM, two alarms in a row",)
    assert ask([("2025-W52", "ALARM"), ("2026-W01", "ALARM")]).train


def test_outcomes_that_surely_fell_are_one(ask):
    drop = Drop(0.9, 0.8, 0.05, 0.15, 1e-6, 100, 0)
    assert "surely more than 1" in ask([("2026-W46", "NOTICE", {"accepted": drop})]).reasons[0]
    assert not ask([("2026-W46", "NOTICE", {"accepted": Drop(0.9, 0.88, -0.01, 0.05, 0.1, 100, 0)})]).train


def test_so_is_an_audit(ask, tmp_path):
    def audit(right):
        names, labels = range(400), ["a"] * 400
        predicted = ["a" if number < right else "b" for number in range(400)]
        return small_world.write_labels(tmp_path / "audit.csv", names, labels, predicted=predicted)

    assert "audit: accuracy 75.0% of 400 labels" in ask(audit=audit(300)).reasons[0]
    assert not ask(audit=audit(356)).train
    assert not ask(audit=small_world.write_labels(tmp_path / "plain.csv", [1], ["a"])).train


def test_time_runs_from_the_last_evaluated_challenger(ask):
    assert not ask().train
    assert (
        "40 days since the last evaluated challenger" in ask(when="2026-10-21T00:00:00+00:00").silent[-1]
        or not ask().train
    )
    assert not ask(when="2026-11-25T00:00:00+00:00").train
    late = RetrainRequest(name=None, store="", out=Path(), now=datetime(2026, 12, 20, tzinfo=UTC))
    assert decide(late, MANIFEST, {}, ADDED).reasons == ("30 days since the champion was added, 30 are the limit",)
    record: Any = {2: SimpleNamespace(when="2026-12-10T00:00:00+00:00")}
    assert not decide(late, MANIFEST, record, ADDED).train
    assert ask(force=True).reasons == ("asked for by --force",)


def test_what_is_no_result_is_refused(tmp_path):
    file = tmp_path / "x.json"
    for content in ("{}", '{"schema": 1, "verdict": "ALARM"}', "[]", "nothing"):
        file.write_text(content)
        request = RetrainRequest(name=None, store="", out=tmp_path, drift=(file,), now=NOW)
        with pytest.raises(InputError, match=r"x\.json"):
            decide(request, MANIFEST, {}, ADDED)
    with pytest.raises(InputError, match="--recipe is fine-tune, or a command"):
        RetrainRequest(name=None, store="", out=tmp_path, recipe="train it")


def test_the_inbox_itself_is_judged(tmp_path):
    field = make_field()
    weeks = {week: make_reports(field, week, 60) for week in range(4)}
    weeks |= {week: make_reports(field, week, 60, noise=6) for week in (4, 5)}
    store = fill_inbox(field, tmp_path / "inbox", weeks)
    manifest: Any = SimpleNamespace(
        files={"profile.json": hashlib.sha256(field.body).hexdigest()}, server_measurement=None, labels=None
    )

    def ask_at(moment):
        request = RetrainRequest(name=None, store="", out=tmp_path, inbox=str(store), now=moment)
        return decide(request, manifest, {}, moment)

    closed = closes_at(window_of(5))
    assert not ask_at(closed - timedelta(days=1)).train  # only one of the two weeks is closed
    reasons = ask_at(closed + timedelta(hours=1)).reasons
    assert reasons == (f"drift: {window_of(4)} ALARM, {window_of(5)} ALARM, two alarms in a row",)
    other: Any = SimpleNamespace(files={"profile.json": "ab" * 32}, server_measurement=None, labels=None)
    request = RetrainRequest(name=None, store="", out=tmp_path, inbox=str(store), now=closed)
    assert not decide(request, other, {}, closed).train  # nobody reports of that version
