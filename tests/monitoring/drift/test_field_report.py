from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.cli.monitoring.monitor import monitor
from edgeship.deploy.signing.keys import generate_keys
from edgeship.errors import InputError
from tests.monitoring.inbox.samples import report_of, to_line, write_bundle_with_profile


@pytest.fixture(scope="session")
def bundles(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("versions")
    return write_bundle_with_profile(folder / "old"), write_bundle_with_profile(folder / "new", 2)


@pytest.fixture
def store(bundles, tmp_path):
    """40 installations of the old version and 10 of the new one, in one week."""
    old, new = bundles
    file = tmp_path / "reports.jsonl"
    latency = [40, 10, 60, 1]
    reports = [report_of(old, number, latency=latency, errors={"out_of_memory": 2}) for number in range(40)]
    reports += [report_of(new, number, outcomes={"accepted": [0, 3], "corrected": [1, 1]}) for number in range(40, 50)]
    file.write_bytes(b"\n".join(map(to_line, reports)))
    assert api.ingest_reports([file], store=tmp_path / "inbox", bundles=bundles).new == 50
    return tmp_path / "inbox"


def test_a_page_of_two_versions(store, bundles, tmp_path):
    page = tmp_path / "field.html"
    words = ["report", "--store", store, "--bundle", bundles[0], "--bundle", bundles[1], "--page", page, "--json", "-"]
    result = CliRunner().invoke(monitor, list(map(str, words)))
    assert result.exit_code == 0, result.output
    content = json.loads(result.output)
    weeks = {week["version"]: week for week in content["weeks"]}
    assert {name: week["installs"] for name, week in weeks.items()} == {"old": 40, "new": 10}
    assert weeks["old"]["errors"] == 80
    assert weeks["new"]["outcomes"] == {"accepted": 30, "corrected": 10}
    assert {item["version"]: item["accepted"] for item in content["versions"]} == {"old": None, "new": 0.75}
    assert weeks["old"]["estimate"] is None  # the profile has no labels
    row = next(row for row in content["latency"] if row["version"] == "old")
    edges = json.loads((bundles[0] / "profile.json").read_bytes())["latency"]
    assert edges[39] < row["p50_ms"] < edges[40]
    assert edges[59] < row["p99_ms"] < edges[60]
    assert page.read_text().count("<svg") == 2
    shown = CliRunner().invoke(monitor, ["report", "--store", str(store)]).output
    assert "out_of" not in shown
    assert "errors 80" in shown


def test_drift_is_of_one_bundle(store, bundles, tmp_path):
    most = api.judge_drift(store)
    assert most.weeks[-1].installs == 40
    assert "other profiles" in " ".join(most.notes)
    new = api.judge_drift(store, bundle=bundles[1])
    assert new.weeks[-1].installs == 10
    assert new.preliminary
    assert new.verdict == "INCONCLUSIVE"
    other = write_bundle_with_profile(tmp_path / "other", 3)
    with pytest.raises(InputError, match="is of that bundle"):
        api.judge_drift(store, bundle=other)


def test_versions_are_named_by_a_channel(store, bundles, tmp_path):
    generate_keys(tmp_path / "keys")
    for bundle in bundles:
        api.publish_bundle(bundle, tmp_path / "channel", name="garments/stable", keys=tmp_path / "keys")
    found = api.report_field(store, channel=tmp_path / "channel")
    assert {item.version for item in found.versions} == {"garments 1", "garments 2"}


@pytest.mark.more  # a registry's sixty tables take seconds
def test_versions_are_named_by_a_registry(store, bundles, tmp_path):
    registry = f"sqlite:///{tmp_path}/registry.db"
    for bundle in bundles:
        api.add_version(bundle, "garments", store=registry)
    assert {item.version for item in api.report_field(store, registry=registry).versions} == {
        "garments 1",
        "garments 2",
    }


def test_an_empty_inbox_is_a_sentence(bundles, tmp_path):
    (tmp_path / "none.jsonl").touch()
    api.ingest_reports([tmp_path / "none.jsonl"], store=tmp_path / "inbox", bundles=bundles)
    for look in (api.report_field, api.judge_drift):
        with pytest.raises(InputError, match="no reports yet"):
            look(tmp_path / "inbox")
