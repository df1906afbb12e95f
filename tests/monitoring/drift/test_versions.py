"""`monitor drift` and `monitor report` of a name: the versions in a channel or registry say whose reports are judged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.bundle.bundle import MANIFEST
from edgeship.cli.monitoring.monitor import monitor
from edgeship.deploy.signing.keys import generate_keys
from edgeship.errors import InputError
from edgeship.monitoring.drift.versions import choose_versions, find_versions
from edgeship.monitoring.inbox.bundles import BundleSources
from edgeship.monitoring.profile.profile import profile_json
from tests.deploy.channel.bundles import write_bundle
from tests.hostile.bundles import sealed_bundle
from tests.monitoring.drift.small_field import SmallField, fill_inbox, make_reports, window_of


def variant(field: SmallField, number: int) -> SmallField:
    """The same model, as another version: its profile is of other data."""
    profile = replace(field.profile, data=f"{number:064x}")
    return replace(field, profile=profile, body=json.dumps(profile_json(profile)).encode())


def write_version(root, field, number):
    write_bundle(root, number)
    manifest = json.loads((root / MANIFEST).read_bytes())
    manifest.pop("digest")
    (root / "profile.json").write_bytes(field.body)
    sealed_bundle.seal(root, manifest)
    return root


@pytest.fixture(scope="module")
def fields(field):
    return [variant(field, number) for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def bundles(fields, tmp_path_factory):
    """Two versions of garments, and one of shoes."""
    folder = tmp_path_factory.mktemp("named")
    return [write_version(folder / f"bundle-{number}", field, number) for number, field in enumerate(fields, 1)]


@pytest.fixture(scope="module")
def channel(bundles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("channel")
    generate_keys(folder / "keys")
    for bundle, name in zip(bundles, ("garments", "garments", "shoes"), strict=True):
        api.publish_bundle(bundle, folder / "site", name=f"{name}/stable", keys=folder / "keys")
    return folder / "site"


@pytest.fixture(scope="module")
def store(fields, tmp_path_factory):
    """In week 4 the inputs of the second version of garments are noisy; shoes, whose are too, has the most reports."""
    folder = tmp_path_factory.mktemp("inbox")
    old, new, shoes = fields
    for seed, (field, users, noise) in enumerate(((old, 40, 0.0), (new, 30, 8.0), (shoes, 50, 8.0))):
        weeks = {week: make_reports(field, week, users, noise=noise * (week == 4), seed=seed) for week in range(5)}
        fill_inbox(field, folder, weeks)
    return fill_inbox(old, folder, {5: make_reports(old, 5, 30)})


def run(command, *options):
    result = CliRunner().invoke(monitor, [command, *map(str, options)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_each_version_of_a_name_has_a_verdict_and_the_worst_counts(store, channel, tmp_path):
    page = tmp_path / "drift.html"
    words = ("--store", store, "--channel", channel, "--name", "garments", "--window", window_of(4))
    result = run("drift", *words, "--page", page, "--json", "-")
    content = json.loads(result.output)
    assert (result.exit_code, content["verdict"], content["name"]) == (1, "ALARM", "garments")
    verdicts = {item["version"]: item["verdict"] for item in content["versions"]}
    assert list(verdicts) == ["garments 1", "garments 2"]
    assert verdicts["garments 1"] in ("OK", "INCONCLUSIVE")
    assert verdicts["garments 2"] == "ALARM"
    assert [item["weeks"][-1]["installs"] for item in content["versions"]] == [40, 30]
    html = page.read_text()
    assert html.count("<svg") == 4
    assert "garments 2: ALARM" in html
    assert "shoes" not in html
    shown = run("drift", *words).output
    assert f"drift of garments 1 in {window_of(4)}" in shown
    assert "other profiles" not in shown


def test_a_version_without_reports_of_the_week_is_told(store, channel):
    result = api.judge_drift_by_version(store, channel=channel, name="garments")
    assert result.window == window_of(5)
    assert [item.version for item in result.versions] == ["garments 1"]
    assert result.silent == ("garments 2",)
    assert "garments 2" in run("drift", "--store", store, "--channel", channel, "--name", "garments").output


def test_a_name_of_which_nobody_reports_any_more_is_judged_by_its_last_week(store, channel):
    result = api.judge_drift_by_version(store, channel=channel, name="shoes")
    assert (result.window, result.verdict) == (window_of(4), "ALARM")
    assert "the newest week that is closed, there is no report" in " ".join(result.versions[0].notes)


def test_a_report_of_a_name_is_of_its_versions_alone(store, channel, tmp_path):
    page = tmp_path / "field.html"
    words = ("--store", store, "--channel", channel)
    content = json.loads(run("report", *words, "--name", "garments", "--page", page, "--json", "-").output)
    assert {item["version"] for item in content["versions"]} == {"garments 1", "garments 2"}
    assert {week["version"] for week in content["weeks"]} == {"garments 1", "garments 2"}
    assert "Reports of garments" in page.read_text()
    assert "shoes" not in page.read_text()
    every = json.loads(run("report", *words, "--json", "-").output)
    assert {item["version"] for item in every["versions"]} == {"garments 1", "garments 2", "shoes 1"}


@pytest.mark.more  # a registry's sixty tables take seconds
def test_a_registry_says_it_too(store, bundles, tmp_path):
    registry = f"sqlite:///{tmp_path}/registry.db"
    for bundle, name in zip(bundles, ("garments", "garments", "shoes"), strict=True):
        api.add_version(bundle, name, store=registry)
    result = api.judge_drift_by_version(store, registry=registry, name="garments", window=window_of(4))
    assert [item.version for item in result.versions] == ["garments 1", "garments 2"]
    assert result.verdict == "ALARM"
    found = api.report_field(store, registry=registry, name="shoes")
    assert [item.version for item in found.versions] == ["shoes 1"]


def test_one_bundle_may_be_several_versions(bundles, store, tmp_path):
    generate_keys(tmp_path / "keys")
    names = ("garments/stable", "shoes/stable")
    for name in names:
        api.publish_bundle(bundles[0], tmp_path / "site", name=name, keys=tmp_path / "keys")
    found = find_versions(BundleSources((bundles[0], bundles[1]), tmp_path / "site"))
    assert {item.name for item in found.values()} == {"garments 1; shoes 1", "bundle-2"}
    name, chosen = choose_versions(found, "shoes", "here")
    assert (name, [item.name for item in chosen.values()]) == ("shoes", ["shoes 1"])
    result = api.judge_drift_by_version(store, channel=tmp_path / "site", name="shoes", window=window_of(4))
    assert "kept as garments, too" in " ".join(result.versions[0].notes)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "garments"}, "--name needs --channel or --registry"),
        ({"channel": True}, "--name must say which: garments, shoes"),
        ({"channel": True, "name": "hats"}, "unknown name 'hats'.*known: garments, shoes"),
        ({"channel": True, "name": "shoes", "window": window_of(5)}, "is of a version of shoes"),
        ({"channel": True, "name": "shoes", "window": "2020-W01"}, "no report is of 2020-W01"),
    ],
)
def test_bad_names_are_a_sentence(store, channel, options, text):
    given = {**options, **({"channel": channel} if options.get("channel") else {})}
    with pytest.raises(InputError, match=text):
        api.judge_drift_by_version(store, **given)


def test_a_bundle_is_one_version(store, channel, bundles):
    result = run("drift", "--store", store, "--bundle", bundles[0], "--channel", channel)
    assert result.exit_code == 2
    assert "--bundle is one version" in result.output
