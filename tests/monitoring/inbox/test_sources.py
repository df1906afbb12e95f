"""Whose reports are taken: bundles of a folder, a channel, a registry; and what a real client sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeship import api
from edgeship.client.reports.counter import Counter
from edgeship.deploy.signing.keys import generate_keys
from edgeship.errors import InputError
from edgeship.monitoring.reports.report import ClassCounts
from tests.deploy.channel.bundles import write_bundle
from tests.monitoring.inbox.samples import ARTIFACT, report_of, to_line, write_bundle_with_profile
from tests.monitoring.inbox.test_collect import Sender, collecting


def test_versions_of_a_channel_are_known_also_those_that_follow(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeship.monitoring.inbox.collector.known.PAUSE", 0.0)
    generate_keys(tmp_path / "keys")
    channel, other = tmp_path / "channel", write_bundle_with_profile(tmp_path / "other", 2)
    api.publish_bundle(write_bundle(tmp_path / "plain", 3), channel, name="garments/stable", keys=tmp_path / "keys")
    with pytest.raises(InputError, match=r"channel: no version has a profile\.json"):
        api.open_collector(store=tmp_path / "s", channel=channel, port=0)
    api.publish_bundle(bundle, channel, name="garments/stable", keys=tmp_path / "keys")
    with collecting(tmp_path / "s", channel=channel) as url:
        sender = Sender(url)
        assert sender.post(report_of(bundle, 1))[0] == 201
        assert sender.post(report_of(other, 2))[0] == 422
        api.publish_bundle(other, channel, name="garments/stable", keys=tmp_path / "keys")
        assert sender.post(report_of(other, 2))[0] == 201
    with pytest.raises(InputError, match="no channel"):
        api.open_collector(store=tmp_path / "s", channel=tmp_path / "keys", port=0)


@pytest.mark.more  # a registry's sixty tables take seconds
def test_versions_of_a_registry_are_known(bundle: Path, tmp_path: Path) -> None:
    registry, file = f"sqlite:///{tmp_path}/registry.db", tmp_path / "r.jsonl"
    manifest = api.add_version(bundle, "garments", store=registry).version.record.bundle
    file.write_bytes(
        b"\n".join(to_line(report_of(bundle, at, bundle=name)) for at, name in enumerate((manifest, "8" * 64)))
    )
    result = api.ingest_reports([file], store=tmp_path / "s", registry=registry)
    assert (result.new, result.refused) == (1, {"unknown": 1})


def test_a_client_counts_and_the_server_takes_it_once(bundle: Path, store: str, tmp_path: Path) -> None:
    with (
        collecting(store, bundle) as url,
        Counter(bundle / "profile.json", artifact=ARTIFACT, state=tmp_path / "state", runtime="LiteRT 2.3") as counter,
    ):
        for number in range(50):
            scores = [0.1, 0.2, 0.7] if number % 2 else [0.96, 0.03, 0.01]
            predicted = counter.count({"scores": scores}, {"image": [[0.1, 0.9], [0.4, 0.2]]}, milliseconds=3.0)
            counter.outcome("accepted", predicted)
        counter.save()
        sent = counter.send(f"{url}/reports", current=True)
        assert (sent.sent, sent.refused, sent.waiting) == (1, 0, 0)
    (stored,) = api.read_reports(store)
    counted = stored.report.outputs["scores"]
    assert isinstance(counted, ClassCounts)
    assert (stored.report.n, counted.joint, stored.late) == (50, (2, 25, 7, 25), False)
