"""Nothing that a manifest says allows code to run, or has a file read that the bundle was not made with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.bundle import bundle as bundles
from edgeship.bundle.manifest import DataEntry, Manifest
from edgeship.errors import InputError
from edgeship.storage import digest
from tests.hostile.permissions.stranger import CODE, DATA


@pytest.mark.parametrize("command", ["benchmark", "debug"])
def test_custom_objects_do_not_come_from_a_manifest(stranger, command):
    bundle = stranger.bundle(model={"custom_objects": "evil"}, data=DATA)
    stranger.refuses(command, bundle, words=('custom_objects = "evil"', "cannot grant", "--custom-objects evil"))
    (stranger.folder / "own.toml").write_text('[data]\nevaluation = "data.npz"\n')
    stranger.refuses(command, bundle, "--config", "own.toml", words=("--custom-objects evil",))


def test_the_user_can_grant_what_a_bundle_was_made_with(stranger):
    bundle = stranger.bundle(model={"custom_objects": "evil"}, data=DATA)
    stranger.runs("benchmark", bundle, "--custom-objects", "evil")
    (stranger.folder / "own.toml").write_text('[model]\ncustom_objects = "evil"\n')
    stranger.runs("benchmark", bundle, "--config", "own.toml")


@pytest.mark.parametrize("command", ["benchmark", "debug"])
def test_unsafe_loading_does_not_come_from_a_manifest(stranger, command):
    bundle = stranger.bundle(kind="lambda", model={"allow_unsafe": True}, data=DATA)
    stranger.refuses(command, bundle, words=("allow_unsafe = true", "cannot grant", "add --allow-unsafe"))


@pytest.mark.parametrize("command", ["benchmark", "debug"])
def test_data_that_is_code_does_not_come_from_a_manifest(stranger, command):
    bundle = stranger.bundle(data=CODE)
    stranger.refuses(command, bundle, words=('evaluation = "evil:data"', "cannot grant", "--data evil:data"))
    (stranger.folder / "own.toml").write_text("[model]\nallow_unsafe = false\n")
    stranger.refuses(command, bundle, "--config", "own.toml", words=("--data evil:data",))


def test_the_user_can_name_data_that_is_code(stranger):
    bundle = stranger.bundle(data=CODE)
    stranger.runs("benchmark", bundle, "--data", "evil:data")
    (stranger.folder / "own.toml").write_text('[data]\nevaluation = "evil:data"\n')
    stranger.runs("benchmark", bundle, "--config", "own.toml")


@pytest.mark.parametrize("benchmark", [{"metric": "evil:data"}, {"metrics": {"a": "f1", "b": "evil:data"}}])
def test_a_metric_that_is_code_does_not_come_from_a_manifest(stranger, benchmark):
    bundle = stranger.bundle(benchmark=benchmark, data=DATA)
    stranger.refuses(
        "benchmark", bundle, words=('"evil:data"', "cannot grant", "name a file that says so with --config")
    )
    (stranger.folder / "own.toml").write_text("[model]\nallow_unsafe = false\n")
    stranger("benchmark", bundle, "--config", "own.toml")
    assert not stranger.canary.exists()
    (stranger.folder / "own.toml").write_text('[benchmark]\nmetric = "evil:data"\n')
    stranger.runs("benchmark", bundle, "--config", "own.toml")


def test_a_table_of_metrics_that_is_none_is_a_sentence(stranger):
    bundle = stranger.bundle(benchmark={"metrics": "evil:data"}, data=DATA)
    (stranger.folder / "own.toml").write_text("[model]\nallow_unsafe = false\n")
    for arguments in ((), ("--config", "own.toml")):
        done = stranger("benchmark", bundle, *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert not stranger.canary.exists()


def test_calibration_that_is_code_is_refused_where_it_is_needed_and_else_left_out(stranger):
    bundle = stranger.bundle(data={**DATA, "calibration": "evil:data", "validation": "evil:data"})
    stranger.refuses("debug", bundle, words=('calibration = "evil:data"', "with --config"))
    (stranger.folder / "bundle").rename(stranger.folder / "former")
    bundle = stranger.bundle(kind="none", data={**DATA, "calibration": "evil:data", "validation": "evil:data"})
    done = stranger("benchmark", bundle)
    assert not stranger.canary.exists()
    assert 'left out, as a bundle cannot grant it: [data] validation = "evil:data"' in done.stderr


@pytest.mark.parametrize("command", [("gate",), ("demo", "--out", "site")])
def test_no_other_command_obeys_a_manifest(stranger, command):
    bundle = stranger.bundle(model={"custom_objects": "evil", "allow_unsafe": True}, data=CODE)
    stranger(command[0], bundle, *command[1:])
    assert not stranger.canary.exists()


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("evaluation", ("benchmark",)),
        ("validation", ("benchmark",)),
        ("calibration", ("debug",)),
        ("evaluation", ("demo", "--out", "site")),
    ],
)
def test_a_manifest_may_not_name_a_pipe_as_data(stranger, command, kind):
    os.mkfifo(stranger.folder / "pipe.npz")
    bundle = stranger.bundle(data={**DATA, kind: str(stranger.folder / "pipe.npz")})
    stranger.refuses(command[0], bundle, *command[1:], words=("pipe.npz", "a pipe, not a regular file"))


@pytest.fixture
def private(stranger):
    """A bundle whose manifest names another file of the same shape, for samples of it to be sent away with the bundle."""
    path = stranger.folder / "private.npz"
    np.savez(path, x=np.full((8, 4), 7, np.float32), y=np.arange(8))
    return stranger, path


@pytest.mark.parametrize(
    ("kind", "command", "way_out"),
    [
        ("evaluation", "benchmark", "name the data to use: add --data, or [data] evaluation in a file for --config"),
        ("evaluation", "debug", "name the data to use: add --data"),
        ("calibration", "debug", "name the data to use: [data] calibration in a file for --config"),
    ],
)
def test_data_that_a_manifest_names_is_what_the_bundle_was_made_with(private, kind, command, way_out):
    stranger, path = private
    bundle = stranger.bundle(data={**DATA, kind: str(path)})
    words = (f"its {kind} data", "private.npz, is not what it was made with, by the digest in its manifest", way_out)
    stranger.refuses(command, bundle, words=words)


def test_data_that_a_manifest_names_without_its_digest_is_not_read(private):
    stranger, path = private
    bundle = stranger.bundle(lambda _: {"data": {}}, data={"evaluation": "data.npz", "validation": str(path)})
    stranger.refuses("benchmark", bundle, words=("its evaluation data, data.npz, is not what it was made with",))
    from edgeship.bundle.bundle import open_bundle
    from edgeship.pipeline.run_settings.of_bundle import BundleOptions, bundle_settings

    options = BundleOptions(evaluation="data.npz")
    settings = bundle_settings(open_bundle(bundle), None, options, {"evaluation"})
    assert settings.data.evaluation == "data.npz"
    assert settings.data.validation is None


def settings_from_here(bundle, **options):
    from edgeship.bundle.bundle import open_bundle
    from edgeship.pipeline.run_settings.of_bundle import BundleOptions, bundle_settings

    return bundle_settings(open_bundle(bundle), None, BundleOptions(**options), {"evaluation", "calibration"}).data


def test_data_is_found_from_any_folder_by_where_the_bundle_was_made(stranger, monkeypatch):
    """The paths were written in the folder above the bundle's; what lies there is still held to its digest."""
    bundle = stranger.bundle(lambda _: {"folder": ".."}, data=DATA)
    (stranger.folder / "elsewhere" / "deep").mkdir(parents=True)
    (stranger.folder / "linked").symlink_to(bundle)
    for folder, name in (("elsewhere/deep", "../../bundle"), ("bundle", "."), (".", "linked"), (".", str(bundle))):
        monkeypatch.chdir(stranger.folder / folder)
        found = settings_from_here(Path(name))
        assert Path(found.evaluation).samefile(stranger.folder / "data.npz"), folder
        assert not os.path.isabs(found.evaluation), "a manifest with it tells nothing of this machine"
    monkeypatch.chdir(stranger.folder / "elsewhere")
    np.savez(stranger.folder / "data.npz", x=np.ones((8, 4), np.float32), y=np.zeros(8, np.int64))
    with pytest.raises(InputError, match="is not what it was made with"):
        settings_from_here(bundle)


def test_a_bundle_that_left_its_data_behind_says_which_key_and_what_to_give(stranger, monkeypatch):
    bundle = stranger.bundle(lambda _: {"folder": "../gone"}, data={**DATA, "calibration": "../data.npz"})
    (stranger.folder / "elsewhere").mkdir()
    monkeypatch.chdir(stranger.folder / "elsewhere")
    with pytest.raises(InputError) as told:
        settings_from_here(bundle)
    assert "bundle: its evaluation data, ../gone/data.npz: no such file\n" in str(told.value)
    assert "name the data to use: add --data, or [data] evaluation in a file for --config" in str(told.value)
    given = settings_from_here(bundle, evaluation="../data.npz")
    assert (given.evaluation, given.calibration) == ("../data.npz", "../data.npz")
    bundle.rename(bundle.with_name("former"))
    bundle = stranger.bundle(lambda _: {"folder": ".."}, data={**DATA, "calibration": "none.npz"})
    with pytest.raises(
        InputError, match=r"its calibration data, \.\./none.npz: no such file\nname .*: \[data\] calibration in a"
    ):
        settings_from_here(bundle)


def test_a_bundle_keeps_the_digest_of_all_data_that_its_configuration_names(stranger):
    from edgeship.pipeline.data_checks import is_recorded, named_datasets
    from edgeship.settings.config import Config
    from edgeship.settings.sections import Data
    from edgeship.settings.variants import Variant

    there, missing = str(stranger.folder / "data.npz"), str(stranger.folder / "missing.npz")
    data = Data(train=there, validation=there, evaluation=missing)
    assert set(named_datasets(Config(data=data))) == {"validation"}
    assert set(named_datasets(Config(data=data, variants=(Variant("small", prune=0.5),)))) == {"validation", "train"}
    entry = DataEntry(there, named_datasets(Config(data=data))["validation"].digest, 8)
    assert is_recorded(Manifest({}, (), (), data={"validation": entry}), "validation", there)


@pytest.mark.parametrize("name", ["data.npz", "private.npz"])
def test_a_page_takes_no_samples_that_only_a_manifest_names(private, name, monkeypatch):
    from click.testing import CliRunner

    from edgeship.cli.bundles.demo import demo as command
    from edgeship.demo import site

    stranger, _ = private
    source, samples_written = str(stranger.folder / name), []
    bundle = stranger.bundle(data={"evaluation": source})
    monkeypatch.setattr(site, "built_page", lambda: None)
    monkeypatch.setattr(
        site, "write_site", lambda opened, out, built, samples, reports: samples_written.append(samples)
    )
    output = CliRunner().invoke(command, [str(bundle), "--out", str(stranger.folder / "site")]).output
    assert samples_written == [source if name == "data.npz" else None]
    assert ("no samples: " in output) == (name == "private.npz")


@pytest.mark.parametrize("source", ["C:\\Users\\me\\evaluation.npz", "c:/data"])
def test_a_path_of_windows_in_a_manifest_is_no_code(stranger, source):
    (stranger.folder / "evil.py").rename(stranger.folder / f"{source[0]}.py")
    bundle = stranger.bundle(data={"evaluation": source})
    stranger.refuses("benchmark", bundle, words=(f"{source}: no such file",))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_report_goes_into_no_pipe_that_lies_where_it_would(stranger):
    """Whoever made the folder around a bundle can have put one there, or a link to a device."""
    stranger.bundle()
    place = stranger.folder / "bundle-report.html"
    for make in (lambda: os.mkfifo(place), lambda: place.symlink_to("/dev/null")):
        make()
        stranger.refuses(
            "report", "bundle", words=("bundle-report.html: is no file that a report can replace", "--out")
        )
        place.unlink()
    private = stranger.folder / "private"
    private.write_text("mine")
    place.symlink_to(private)
    assert stranger("report", "bundle").returncode == 0
    assert private.read_text() == "mine"


def test_a_budget_makes_nothing_read_a_file(stranger):
    os.mkfifo(stranger.folder / "pipe.toml")
    bundle = stranger.bundle(budget={"required_devices": [str(stranger.folder / "pipe.toml")]})
    done = stranger("gate", bundle)
    assert "Traceback" not in done.stderr
    assert "pipe" in done.stdout


@pytest.mark.parametrize(
    ("break_it", "word"),
    [
        (lambda config: config.pop("budget"), "'budget' is missing"),
        (lambda config: config.update(sudo=True), "unknown key 'sudo'"),
        (lambda config: config.update(model=[]), "[model]: expected a table"),
        (lambda config: config["model"].update(allow_unsafe="yes", sudo=1), "unknown key 'sudo'"),
        (lambda config: config["data"].update(labels="/etc/passwd"), "labels = '/etc/passwd' must be a list"),
        (lambda config: config["data"].update(evaluation=3), "evaluation = 3 must be a string"),
        (lambda config: config.update(variants={"int8": {}}), "variants must be a list"),
        (lambda config: config.update(variants=[3]), "variants: expected a table"),
        (lambda config: config.update(variants=[{"quantize": "auto"}]), "a variant has no name"),
        (lambda config: config["benchmark"].update(devices="host"), "must be a list of strings"),
        (lambda config: config.update(budget=[]), "[budget]: expected a table"),
        (lambda config: config.update(training={"epochs": "x"}), "epochs = 'x' must be a whole number"),
        (lambda config: config["benchmark"].update(profile="\x1b]0;x\x07"), r"\x1b]0;x\x07"),
    ],
)
def test_a_manifest_whose_configuration_is_none_is_a_sentence(stranger, break_it, word):
    def change(config):
        config = json.loads(json.dumps(config))
        break_it(config)
        return {"config": config}

    bundle = stranger.bundle(change)
    stranger.refuses("gate", bundle, words=(word,))


def test_a_manifest_without_a_configuration_is_a_sentence(stranger):
    stranger.refuses("gate", stranger.bundle(lambda _: {"config": None}), words=("config is missing",))


@pytest.mark.parametrize("drop", ["1e307", "1" + "0" * 307])
def test_a_figure_that_is_infinite_in_percent_is_a_sentence(stranger, drop):
    row = {"class": 0, "significant": True, **dict.fromkeys(("drop", "low", "high", "server", "artifact"), 0.125)}
    accuracy = {"metric": "top1", "value": 1, "server": 1, "drop": 0, "low": 0, "high": 0, "n": 9, "share": True}
    item: dict[str, Any] = {"artifact": "tflite/int8", "runtime": "litert", "device": "host", "metrics": []}
    item["details"] = {"accuracy": {**accuracy, "per_class": [row]}}
    bundle = stranger.bundle(lambda _: {"measurements": [item]})
    text = (bundle / "manifest.json").read_text()
    edited_text = text.replace("0.125", drop)
    manifest = json.loads(edited_text)
    seal = manifest.pop("digest")
    (bundle / "manifest.json").write_text(edited_text.replace(seal, digest.of_json(manifest)))
    stranger.refuses("gate", bundle, "--json", "-", words=("must be a number <= 1e+300, not",))


@pytest.mark.parametrize("what", ["large", "closed"])
def test_somebody_s_manifest_above_an_output_is_no_trouble(tmp_path, monkeypatch, what):
    from edgeship import api, untrusted

    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(b" " * 5000 + bundles.SCHEMA_MARK)
    with pytest.raises(InputError, match="lies in the bundle"):
        api.write_result(tmp_path / "below" / "out.json", "{}")
    if what == "large":
        monkeypatch.setenv(untrusted.LIMITS, "json_bytes=4000")
    else:
        monkeypatch.setattr(Path, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError("closed")))
    api.check_outside_of_bundles(tmp_path / "below" / "out.json")
