"""Nothing that a stranger wrote allows code to run: no manifest, no edgeship.toml found beside a model, no device profile.

Code that runs leaves a file; each attack goes through the command line, and is refused with its cause.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle import bundle as bundles
from edgeship.bundle.manifest import DataEntry, Manifest
from edgeship.data import RepresentativeDataset
from edgeship.devices import profiles
from edgeship.errors import InputError
from edgeship.storage import digest

SPEC = {"name": "x", "shape": [None, 4], "dtype": "float32", "quantization": None}
CONFIG: dict[str, Any] = {
    "model": {"custom_objects": None, "signature": None, "allow_unsafe": False},
    "data": {
        **dict.fromkeys(
            ("calibration", "calibration_samples", "train", "validation", "evaluation", "evaluation_samples")
        ),
        "labels": [],
    },
    "variants": [{"name": "int8", "quantize": "static_w8a8", "formats": ["tflite"]}],
    "benchmark": {"profile": "rapid", "devices": ["host"], "runtimes": [], "metric": None, "output": None},
    "budget": {"accuracy": "mlperf99"},
    "training": {},
}


class Stranger:
    """A folder with a stranger's files in it: `evil.py`, which writes `canary` and fails, data, a model, bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.canary = folder, folder / "canary"
        (folder / "evil.py").write_text(
            f"open({str(self.canary)!r}, 'w').close()\nraise ImportError('and that is all')\n"
        )
        np.savez(folder / "data.npz", x=np.zeros((8, 4), np.float32), y=np.zeros(8, np.int64))
        self.write_model(folder / "model.keras")

    @staticmethod
    def write_model(path: Path) -> None:
        """As much of a model as is read before its custom objects are imported."""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": []}}))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.10.0"}))
            weights = io.BytesIO()
            h5py.File(weights, "w").close()
            archive.writestr("model.weights.h5", weights.getvalue())

    def write_lambda(self, path: Path) -> None:
        """A whole model of one layer, whose code writes the file."""
        code = compile(f"lambda x: (open({str(self.canary)!r}, 'w').close(), x)[1]", "evil", "eval").co_consts[0]
        function = {"code": base64.b64encode(marshal.dumps(code)).decode(), "defaults": None, "closure": None}
        layer = {"name": "evil", "trainable": True, "dtype": "float32", "arguments": {}}
        layer["function"] = {"class_name": "__lambda__", "config": function}
        start = {"batch_shape": [None, 4], "dtype": "float32", "sparse": False, "name": "x"}
        layers = [("InputLayer", start), ("Lambda", layer)]
        named = [
            {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None}
            for name, config in layers
        ]
        model = {
            "name": "model",
            "trainable": True,
            "dtype": "float32",
            "layers": named,
            "build_input_shape": [None, 4],
        }
        whole = {"module": "keras", "class_name": "Sequential", "config": model, "registered_name": None}
        h5 = io.BytesIO()
        with h5py.File(h5, "w") as file:
            file.create_group("layers/evil/vars")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(whole))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.10.0"}))
            archive.writestr("model.weights.h5", h5.getvalue())

    def bundle(self, change: Any = None, *, kind: str = "", **sections: Any) -> Path:
        """A sealed bundle whose manifest says what is given of its configuration."""
        root = self.folder / "bundle"
        for name in ("server", "tflite", "goldens"):
            (root / name).mkdir(parents=True)
        kinds = {"": self.write_model, "lambda": self.write_lambda, "none": lambda path: path.write_bytes(b"no model")}
        kinds[kind](root / "server/model.keras")
        (root / "tflite/int8.tflite").write_bytes(b"TFL3")
        np.savez(root / "goldens/inputs.npz", x=np.zeros((1, 4), np.float32))
        content = digest.of_path(root / "tflite/int8.tflite")
        config = {key: {**CONFIG[key], **sections.get(key, {})} if key != "variants" else CONFIG[key] for key in CONFIG}
        artifact = {
            **{"id": "tflite/int8", "path": "tflite/int8.tflite", "format": "tflite", "variant": "int8"},
            **{"inputs": [SPEC], "outputs": [SPEC], "steps": [], "digest": content, "content": content},
        }
        server = {
            **{"path": "server/model.keras", "digest": digest.of_path(root / "server/model.keras")},
            **{"loading": config["model"], "loader": "keras", "notes": [], "parameters": 0},
            **{"inputs": [SPEC], "outputs": [SPEC]},
        }
        bundles.seal_content(
            root,
            {
                **{"created": "2026-01-01T00:00:00+00:00", "server_model": server, "labels": None, "config": config},
                **{"data": self.recorded(), "artifacts": [artifact], "skipped": [], "tools": {}, "machine": {}},
                **{"measurements": [], "gate": None, "goldens": {"samples": 1, "source": "", "artifacts": {}}},
                **(change(config) if change else {}),
            },
        )
        return root

    def recorded(self) -> dict[str, Any]:
        """What a manifest keeps of the data that it was made with."""
        data = {"source": "data.npz", "digest": RepresentativeDataset(self.folder / "data.npz").digest, "samples": 8}
        return {"calibration": data, "evaluation": data}

    def __call__(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        """`edgeship` as the user runs it here."""
        own = {"EDGESHIP_CACHE": str(self.folder / "cache"), "EDGESHIP_TRUST": str(self.folder / "trust/trusted.json")}
        return subprocess.run(
            [sys.executable, "-m", "edgeship.cli", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **own, "COLUMNS": "200", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def refuses(self, *arguments: object, told: tuple[str, ...], **env: str) -> None:
        """The command ends with one or two lines that say what is wrong, and no code of the stranger's has run."""
        done = self(*arguments, **env)
        assert not self.canary.exists(), f"code ran\n{done.stderr}"
        assert done.returncode == 2, done.stdout + done.stderr
        message = done.stderr.partition("error:")[2]
        assert len(message.strip().splitlines()) <= 2, done.stderr
        for part in told:
            assert part in message, done.stderr

    def runs(self, *arguments: object) -> str:
        """The command lets the code run, which then fails it."""
        done = self(*arguments)
        assert self.canary.exists(), done.stdout + done.stderr
        self.canary.unlink()
        return done.stderr


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    return Stranger(tmp_path)


DATA = {"evaluation": "data.npz", "calibration": "data.npz"}
CODE = {"evaluation": "evil:data", "calibration": "data.npz"}


@pytest.mark.parametrize("command", ["benchmark", "debug"])
def test_custom_objects_do_not_come_from_a_manifest(stranger, command):
    bundle = stranger.bundle(model={"custom_objects": "evil"}, data=DATA)
    stranger.refusal(command, bundle, told=('custom_objects = "evil"', "cannot grant", "--custom-objects evil"))
    (stranger.folder / "own.toml").write_text('[data]\nevaluation = "data.npz"\n')
    stranger.refusal(command, bundle, "--config", "own.toml", told=("--custom-objects evil",))


def test_the_user_can_grant_what_a_bundle_was_made_with(stranger):
    bundle = stranger.bundle(model={"custom_objects": "evil"}, data=DATA)
    stranger.runs("benchmark", bundle, "--custom-objects", "evil")
    (stranger.folder / "own.toml").write_text('[model]\ncustom_objects = "evil"\n')
    stranger.runs("benchmark", bundle, "--config", "own.toml")


@pytest.mark.parametrize("command", ["benchmark", "debug"])
def test_unsafe_loading_does_not_come_from_a_manifest(stranger, command):
    bundle = stranger.bundle(kind="lambda", model={"allow_unsafe": True}, data=DATA)
    stranger.refusal(command, bundle, told=("allow_unsafe = true", "cannot grant", "add --allow-unsafe"))


@pytest.mark.parametrize("command", ["benchmark", "debug"])
def test_data_that_is_code_does_not_come_from_a_manifest(stranger, command):
    bundle = stranger.bundle(data=CODE)
    stranger.refusal(command, bundle, told=('evaluation = "evil:data"', "cannot grant", "--data evil:data"))
    (stranger.folder / "own.toml").write_text("[model]\nallow_unsafe = false\n")
    stranger.refusal(command, bundle, "--config", "own.toml", told=("--data evil:data",))


def test_the_user_can_name_data_that_is_code(stranger):
    bundle = stranger.bundle(data=CODE)
    stranger.runs("benchmark", bundle, "--data", "evil:data")
    (stranger.folder / "own.toml").write_text('[data]\nevaluation = "evil:data"\n')
    stranger.runs("benchmark", bundle, "--config", "own.toml")


def test_calibration_that_is_code_is_refused_where_it_is_needed_and_else_left_out(stranger):
    bundle = stranger.bundle(data={**DATA, "calibration": "evil:data", "validation": "evil:data"})
    stranger.refusal("debug", bundle, told=('calibration = "evil:data"', "with --config"))
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
    stranger.refusal(command[0], bundle, *command[1:], told=("pipe.npz", "a pipe, not a regular file"))


@pytest.fixture
def private(stranger):
    """A bundle whose manifest names another file of the same shape, for samples of it to be sent away with the bundle."""
    path = stranger.folder / "private.npz"
    np.savez(path, x=np.full((8, 4), 7, np.float32), y=np.arange(8))
    return stranger, path


@pytest.mark.parametrize(
    ("kind", "command", "told"),
    [
        ("evaluation", "benchmark", "name the data to use: add --data, or [data] evaluation in a file for --config"),
        ("evaluation", "debug", "name the data to use: add --data"),
        ("calibration", "debug", "name the data to use: [data] calibration in a file for --config"),
    ],
)
def test_data_that_a_manifest_names_is_what_the_bundle_was_made_with(private, kind, command, told):
    stranger, path = private
    bundle = stranger.bundle(data={**DATA, kind: str(path)})
    told = (f"its {kind} data", "private.npz, is not what it was made with, by the digest in its manifest", told)
    stranger.refusal(command, bundle, told=told)


def test_data_that_a_manifest_names_without_its_digest_is_not_read(private):
    stranger, path = private
    bundle = stranger.bundle(lambda _: {"data": {}}, data={"evaluation": "data.npz", "validation": str(path)})
    stranger.refusal("benchmark", bundle, told=("its evaluation data, data.npz, is not what it was made with",))
    from edgeship.bundle.bundle import open_bundle
    from edgeship.pipeline.run_settings.of_bundle import BundleOptions, bundle_settings

    options = BundleOptions(evaluation="data.npz")
    settings = bundle_settings(open_bundle(bundle), None, options, {"evaluation"})
    assert settings.data.evaluation == "data.npz"
    assert settings.data.validation is None


def test_a_bundle_keeps_the_digest_of_all_data_that_its_configuration_names(stranger):
    from edgeship.pipeline.data_checks import named, recorded
    from edgeship.settings.config import Config
    from edgeship.settings.sections import Data
    from edgeship.settings.variants import Variant

    there, missing = str(stranger.folder / "data.npz"), str(stranger.folder / "missing.npz")
    data = Data(train=there, validation=there, evaluation=missing)
    assert set(named(Config(data=data))) == {"validation"}
    assert set(named(Config(data=data, variants=(Variant("small", prune=0.5),)))) == {"validation", "train"}
    entry = DataEntry(there, named(Config(data=data))["validation"].digest, 8)
    assert recorded(Manifest({}, (), (), data={"validation": entry}), "validation", there)


@pytest.mark.parametrize("name", ["data.npz", "private.npz"])
def test_a_page_takes_no_samples_that_only_a_manifest_names(private, name, monkeypatch):
    from click.testing import CliRunner

    from edgeship.cli.bundles.demo import demo as command
    from edgeship.demo import site

    stranger, _ = private
    source, taken = str(stranger.folder / name), []
    bundle = stranger.bundle(data={"evaluation": source})
    monkeypatch.setattr(site, "page", lambda: None)
    monkeypatch.setattr(site, "write_site", lambda opened, out, built, samples: taken.append(samples))
    told = CliRunner().invoke(command, [str(bundle), "--out", str(stranger.folder / "site")]).output
    assert taken == [source if name == "data.npz" else None]
    assert ("no samples: " in told) == (name == "private.npz")


@pytest.mark.parametrize("source", ["C:\\Users\\me\\evaluation.npz", "c:/data"])
def test_a_path_of_windows_in_a_manifest_is_no_code(stranger, source):
    (stranger.folder / "evil.py").rename(stranger.folder / f"{source[0]}.py")
    bundle = stranger.bundle(data={"evaluation": source})
    stranger.refusal("benchmark", bundle, told=(f"{source}: no such file",))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_report_goes_into_no_pipe_that_lies_where_it_would(stranger):
    """Whoever made the folder around a bundle can have put one there, or a link to a device."""
    stranger.bundle()
    place = stranger.folder / "bundle-report.html"
    for make in (lambda: os.mkfifo(place), lambda: place.symlink_to("/dev/null")):
        make()
        stranger.refusal("report", "bundle", told=("bundle-report.html: is no file that a report can replace", "--out"))
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


PROFILE = 'kind = "measured"\nruntimes = ["tfjs-web"]\n[launch]\nhow = "browser"\narguments = ["{}"]\n'


def test_a_device_profile_does_not_come_from_a_manifest(stranger):
    profile = stranger.folder / "evil.toml"
    profile.write_text('kind = "measured"\n[launch]\nhow = "direct"\n')
    bundle = stranger.bundle(data=DATA, benchmark={"devices": ["host", str(profile)]})
    stranger.refusal("benchmark", bundle, told=("[benchmark] devices", "cannot grant", f"--device host,{profile}"))


def test_a_manifest_names_no_file_as_a_built_in_device(stranger):
    (stranger.folder / "evil.toml").write_text(PROFILE.format("--renderer-cmd-prefix=touch canary"))
    name = os.path.relpath(stranger.folder / "evil", Path(profiles.__file__).parent / "here")
    bundle = stranger.bundle(data=DATA, benchmark={"devices": [name]})
    stranger.refusal("benchmark", bundle, told=("unknown device",))


@pytest.mark.parametrize("argument", ["--renderer-cmd-prefix={}", "--utility-cmd-prefix={}", "--gpu-launcher={}"])
def test_chromium_starts_no_programs_whoever_asks(stranger, argument):
    program = stranger.folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {stranger.canary}\n")
    program.chmod(0o755)
    (stranger.folder / "phone.toml").write_text(PROFILE.format(argument.format(program)))
    bundle = stranger.bundle(data=DATA)
    told = (argument.partition("=")[0], "not taken", "--use-angle")
    stranger.refusal("benchmark", bundle, "--device", "phone.toml", told=told)


@pytest.mark.parametrize(
    ("break_it", "told"),
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
def test_a_manifest_whose_configuration_is_none_is_a_sentence(stranger, break_it, told):
    def change(config):
        config = json.loads(json.dumps(config))
        break_it(config)
        return {"config": config}

    bundle = stranger.bundle(change)
    stranger.refusal("gate", bundle, told=(told,))


def test_a_manifest_without_a_configuration_is_a_sentence(stranger):
    stranger.refuses("gate", stranger.bundle(lambda _: {"config": None}), told=("config is missing",))


GRANTS = {
    'custom_objects = "evil"': "[model]\ncustom_objects = 'evil'\n",
    "allow_unsafe = true": "[model]\nallow_unsafe = true\ncustom_objects = 'evil'\n",
    'calibration = "evil:data"': "[data]\ncalibration = 'evil:data'\n",
    'devices = ["evil.toml"]': "[benchmark]\ndevices = ['evil.toml']\n[model]\ncustom_objects = 'evil'\n",
}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        *((("convert",), told) for told in GRANTS),
        *(
            (command, next(iter(GRANTS)))
            for command in (("ship", "--evaluation", "data.npz"), ("optimize", "--qat", "--data", "data.npz"))
        ),
    ],
)
def test_a_configuration_beside_a_model_grants_nothing_in_silence(stranger, command, told):
    (stranger.folder / "evil.toml").write_text('kind = "measured"\n[launch]\nhow = "direct"\n')
    (stranger.folder / "edgeship.toml").write_text(GRANTS[told])
    out = {"optimize": "out.keras"}.get(command[0], "out")
    given = ("model.keras", "--out", out, *command[1:])
    stranger.refusal(command[0], *given, told=("edgeship.toml", told, "edgeship trust edgeship.toml", "--trust"))
    assert not (stranger.folder / out).exists()


def test_a_file_called_like_code_makes_it_no_data(stranger):
    """What is a file here is a module to a process that works in another folder."""
    (stranger.folder / "data.npz").rename(stranger.folder / "evil:data")
    (stranger.folder / "edgeship.toml").write_text("[data]\ncalibration = 'evil:data'\n")
    stranger.refusal("convert", "model.keras", "--out", "out", told=('calibration = "evil:data"', "edgeship trust"))


def test_training_data_that_is_code_is_found_too(stranger):
    (stranger.folder / "edgeship.toml").write_text("[data]\ntrain = 'evil:data'\n")
    stranger.refusal("optimize", "model.keras", "--out", "out.keras", "--qat", told=('train = "evil:data"',))


def test_what_a_file_grants_is_asked_for_once_and_again_when_it_changes(stranger):
    file = stranger.folder / "edgeship.toml"
    file.write_text("[model]\ncustom_objects = 'evil'\n")
    given = ("convert", "model.keras", "--out", "out", "--to", "onnx")
    stranger.refusal(*given, told=("lies beside the model", 'custom_objects = "evil"'))
    shown = stranger("trust", "edgeship.toml").stdout
    assert '[model] custom_objects = "evil" (imports that module)' in shown
    assert not stranger.canary.exists()
    stranger.runs(*given)
    assert str(file) in stranger("trust", "--list").stdout
    file.write_text("[model]\ncustom_objects = 'evil'\nallow_unsafe = true\n")
    stranger.refusal(*given, told=("changed since you trusted it", "allow_unsafe = true"))
    file.write_text("[model]\ncustom_objects = 'evil'\n")
    stranger.runs(*given)
    stranger("trust", "--remove", "edgeship.toml")
    stranger.refusal(*given, told=("lies beside the model",))
    copy = stranger.folder / "other"
    copy.mkdir()
    stranger("trust", "edgeship.toml")
    (stranger.folder / "model.keras").rename(copy / "model.keras")
    file.rename(copy / "edgeship.toml")
    stranger.refusal(*given[:1], "other/model.keras", *given[2:], told=("other/edgeship.toml", "lies beside the model"))


def test_naming_the_file_or_trusting_the_run_is_enough(stranger):
    (stranger.folder / "edgeship.toml").write_text("[model]\ncustom_objects = 'evil'\n")
    given = ("convert", "model.keras", "--out", "out", "--to", "onnx")
    assert "is trusted for this run: [model] custom_objects" in stranger.runs(*given, "--trust")
    stranger.runs(*given, "--config", "edgeship.toml")
    stranger.runs(*given, "--custom-objects", "evil")  # the command line says it already
    stranger.refusal(*given, told=("lies beside the model",))


def test_a_configuration_that_grants_nothing_needs_no_trust(stranger):
    (stranger.folder / "edgeship.toml").write_text(
        "[data]\ncalibration = 'data.npz'\n[benchmark]\ndevices = ['host']\n"
    )
    stranger.refusal("convert", "missing.keras", "--out", "out", told=("missing.keras", "no such file"))
    assert "lets no code run" in stranger("trust", "edgeship.toml").stdout


def test_a_list_of_trusted_files_that_others_may_write_is_not_believed(stranger):
    (stranger.folder / "edgeship.toml").write_text("[model]\ncustom_objects = 'evil'\n")
    stranger("trust", "edgeship.toml")
    store = stranger.folder / "trust/trusted.json"
    assert store.stat().st_mode & 0o777 == 0o600
    assert store.parent.stat().st_mode & 0o777 == 0o700
    given = ("convert", "model.keras", "--out", "out", "--to", "onnx")
    store.chmod(0o666)
    stranger.refusal(*given, told=("not yours alone to write",))
    store.chmod(0o600)
    store.rename(stranger.folder / "elsewhere.json")
    store.symlink_to(stranger.folder / "elsewhere.json")
    stranger.refusal(*given, told=("cannot be read",))
    store.unlink()
    store.write_text("[]")
    store.chmod(0o600)
    stranger.refusal(*given, told=("not a list of trusted files",))


def link(place, target):
    try:
        place.symlink_to(target)
    except OSError:  # Windows lets not everybody make links
        pytest.skip("no links here")


PRIVATE = ("elsewhere/labels.txt", "elsewhere/private.npz", "model/labels.txt", "model/data.npz")


@pytest.fixture
def beside(stranger):
    """A model with a folder of its own, and private files elsewhere."""
    for name in ("model", "elsewhere", "model/linked"):
        (stranger.folder / name).mkdir()
    stranger.write_model(stranger.folder / "model/model.keras")
    for name in PRIVATE:
        data = stranger.folder / "data.npz"
        (stranger.folder / name).write_bytes(b"a\nb\n" if name.endswith("txt") else data.read_bytes())
    link(stranger.folder / "model/link.txt", stranger.folder / "elsewhere/labels.txt")
    link(stranger.folder / "model/link.npz", stranger.folder / "elsewhere/private.npz")
    link(stranger.folder / "model/linked/1.npz", stranger.folder / "elsewhere/private.npz")
    link(stranger.folder / "model/there", stranger.folder / "elsewhere")
    return stranger


@pytest.mark.parametrize(
    "line",
    [
        *("labels = '../elsewhere/labels.txt'", "labels = 'link.txt'", "labels = 'there/labels.txt'"),
        *("calibration = '{}/elsewhere/private.npz'", "calibration = 'link.npz'", "evaluation = 'linked'"),
        *("train = 'there/private.npz'", "validation = 'model/../../elsewhere/private.npz'"),
    ],
)
def test_a_configuration_beside_a_model_reads_nothing_outside_its_folder(beside, line):
    from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings

    path = beside.folder / "model/edgeship.toml"
    path.write_text("[data]\n" + line.format(beside.folder))
    with pytest.raises(InputError, match=r"(?s)names files outside its folder: \[data\] .*edgeship trust"):
        model_settings(beside.folder / "model/model.keras", None, ModelOptions())
    model_settings(beside.folder / "model/model.keras", path, ModelOptions())
    model_settings(beside.folder / "model/model.keras", None, ModelOptions(trust=True))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no colon in names")
@pytest.mark.parametrize(
    "line",
    [
        *("labels = 'link:1'", "labels = 'a:b/../../elsewhere/labels.txt'"),
        *("calibration = 'C:\\link.npz'", "train = 'c:/data.npz'"),
    ],
)
def test_a_colon_leads_nowhere_else(beside, line):
    """Labels are never code, and what Windows takes for a drive is looked for in the working folder, where anything lies."""
    from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings

    link(beside.folder / "model/link:1", beside.folder / "elsewhere/labels.txt")
    (beside.folder / "model/a:b").mkdir()
    (beside.folder / "model/edgeship.toml").write_text(f"[data]\n{line}\n")
    with pytest.raises(InputError, match=r"names files outside its folder: \[data\]"):
        model_settings(beside.folder / "model/model.keras", None, ModelOptions())


def test_a_student_outside_the_folder_is_asked_for(beside):
    (beside.folder / "model/edgeship.toml").write_text(
        "[variants.small.distill]\nstudent = '../elsewhere/model.keras'\n"
    )
    told = ("[variants.small] distill.student", "is read from outside its folder", "edgeship trust")
    beside.refusal("convert", "model/model.keras", "--out", "out", told=told)
    assert "distill.student" in beside("trust", "model/edgeship.toml").stdout


def test_data_inside_the_folder_needs_no_trust(beside):
    from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings

    (beside.folder / "model/edgeship.toml").write_text("[data]\nlabels = './labels.txt'\ncalibration = 'data.npz'\n")
    found = model_settings(beside.folder / "model/model.keras", None, ModelOptions()).data
    assert found.labels == ("a", "b")
    assert found.calibration == str(beside.folder / "model/data.npz")


def test_links_beside_a_model_are_not_used_unasked(beside, capsys):
    from edgeship.settings import config
    from edgeship.settings.sections import Data

    folder = beside.folder / "model"
    (folder / "labels.txt").unlink()
    (folder / "link.txt").rename(folder / "labels.txt")
    (folder / "link.npz").rename(folder / "calibration.npz")
    assert config.default_config(folder / "model.keras").data == Data()
    told = capsys.readouterr().err
    assert "labels.txt is a link, so it is not used unasked" in told
    assert "calibration.npz is a link" in told


def test_init_names_no_link_beside_a_model(beside, monkeypatch, capsys):
    """The command that it proposes names the file, which then may read whatever it names."""
    from edgeship.pipeline import init_config
    from edgeship.processes.child import FunctionProcess

    folder = beside.folder / "model"
    (folder / "labels.txt").unlink()
    (folder / "link.txt").rename(folder / "labels.txt")
    (folder / "link.npz").rename(folder / "evaluation.npz")
    (folder / "data.npz").rename(folder / "calibration.npz")
    described = {"inputs": [SPEC], "outputs": [{**SPEC, "name": "y"}]}
    monkeypatch.setattr(FunctionProcess, "call", lambda *_, **__: described)
    init_config.write_config(folder / "model.keras", None, {}, force=False)
    assert "labels.txt is a link, so it is not used unasked" in capsys.readouterr().err
    data = tomllib.loads((folder / "edgeship.toml").read_text(encoding="utf-8"))["data"]
    assert data == {"calibration": "calibration.npz"}


def test_a_link_to_a_trusted_configuration_is_not_trusted(beside):
    own = beside.folder / "elsewhere/edgeship.toml"
    own.write_text("[model]\ncustom_objects = 'evil'\n")
    beside("trust", own)
    link(beside.folder / "model/edgeship.toml", own)
    beside.refusal("convert", "model/model.keras", "--out", "out", told=("lets code run", "edgeship trust"))


def test_all_that_is_trusted_is_shown(stranger):
    devices = [f"{number:03d}-{'x' * 40}.toml" for number in range(20)]
    (stranger.folder / "edgeship.toml").write_text(f"[benchmark]\ndevices = {json.dumps(devices)}\n")
    assert devices[-1] in stranger("trust", "edgeship.toml").stdout


def test_a_configuration_nested_without_end_is_a_sentence(stranger):
    (stranger.folder / "edgeship.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    stranger.refusal("convert", "model.keras", "--out", "out", told=("not valid TOML",))


LONG, HUGE = "a" * 5000, "0x" + "f" * 5000


@pytest.mark.parametrize(
    "text",
    [
        *(f"[data]\nlabels = '{LONG}'", '[data]\nlabels = "a\\u0000b"', f"[data]\ncalibration = '{LONG}.npz'"),
        *('[data]\ncalibration = "a\\u0000:b"', "[variants.a]\ndistill = {student = 5}"),
        *('[variants.a.distill]\nstudent = "a\\u0000"', f"[budget]\nmax_size_disk = {10**400}"),
        *(f"[budget]\nmax_drop = {10**400}", f"[budget]\nmax_size_disk = '{'9' * 400} B'"),
        *(f"[data]\nlabels = {HUGE}", f"[data]\ncalibration_samples = {HUGE}", f"[variants.a]\nprune = [{HUGE}]"),
        *(f"[training]\nepochs = {HUGE}", f"[benchmark]\ndevices = ['host', {HUGE}]", f"budget{'.a' * 3000} = 1"),
        *(f"[variants.a]\nprune{'.a' * 3000} = 1", f"[variants.a]\nqat = -{10**30}"),
    ],
)
def test_names_and_numbers_without_end_are_a_sentence(stranger, text):
    (stranger.folder / "edgeship.toml").write_text(text)
    stranger.refusal("convert", "model.keras", "--out", "out", "--config", "edgeship.toml", told=())


@pytest.mark.parametrize(
    "text",
    [
        *(
            '["a\\ngate: PASS\\nb"]\nx = 1',
            '[variants."a\\ngate: PASS\\nb"]',
            '[variants.a]\nformats = ["a\\nPASS\\nb"]',
        ),
        *('[budget."tflite/a\\nPASS\\nb"]\nx = 1', '[benchmark]\nprofile = "a\\nPASS\\nb"'),
        *('[benchmark]\ndevices = ["a\\nPASS\\nb"]', '[variants.a]\nprune = {pattern = "a\\nPASS\\nb"}'),
    ],
)
def test_names_of_many_lines_are_told_in_one(stranger, text):
    """Else a line of an error could look like one of edgeship's own."""
    from edgeship.settings.config import Config

    path = stranger.folder / "edgeship.toml"
    path.write_text(text)
    with pytest.raises(InputError) as told:
        Budget.parse(Config.read(path).budget)
    assert "\n" not in str(told.value)


def test_a_configuration_without_end_is_a_sentence(stranger):
    with (stranger.folder / "edgeship.toml").open("wb") as file:
        file.truncate(1 << 40)  # no byte of it takes room
    stranger.refusal("convert", "model.keras", "--out", "out", told=("edgeship.toml: larger than",))


@pytest.mark.parametrize(
    "number", ["seconds = inf", "seconds = nan", "seconds = 1e300", "threads = 9223372036854775807"]
)
def test_a_device_has_numbers_that_mean_something(tmp_path, number):
    from edgeship.devices import profiles as devices

    (tmp_path / "mine.toml").write_text(f'kind = "measured"\n{number}\n')
    with pytest.raises(InputError, match=f"mine.toml: {number.split()[0]} = .* must be"):
        devices.find(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("drop", ["1e307", "1" + "0" * 307])
def test_a_figure_that_is_infinite_in_percent_is_a_sentence(stranger, drop):
    row = {"class": 0, "significant": True, **dict.fromkeys(("drop", "low", "high", "server", "artifact"), 0.125)}
    accuracy = {"metric": "top1", "value": 1, "server": 1, "drop": 0, "low": 0, "high": 0, "n": 9, "share": True}
    item: dict[str, Any] = {"artifact": "tflite/int8", "runtime": "litert", "device": "host", "metrics": []}
    item["details"] = {"accuracy": {**accuracy, "per_class": [row]}}
    bundle = stranger.bundle(lambda _: {"measurements": [item]})
    text = (bundle / "manifest.json").read_text()
    changed = text.replace("0.125", drop)
    manifest = json.loads(changed)
    sealed = manifest.pop("digest")
    (bundle / "manifest.json").write_text(changed.replace(sealed, digest.of_json(manifest)))
    stranger.refuses("gate", bundle, "--json", "-", told=("must be a number <= 1e+300, not",))


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


def test_labels_are_not_read_from_a_pipe(stranger):
    os.mkfifo(stranger.folder / "names")
    (stranger.folder / "edgeship.toml").write_text("[data]\nlabels = 'names'\n")
    stranger.refusal("convert", "model.keras", "--out", "out", told=("names", "a pipe, not a regular file"))


def test_a_device_profile_is_not_read_from_a_pipe(stranger):
    os.mkfifo(stranger.folder / "pipe.toml")
    stranger.refusal("devices", "install", "pipe.toml", told=("pipe.toml", "a pipe, not a regular file"))


ENVIRONMENT = 'kind = "measured"\n[launch]\nhow = "environment"\nrequirements = [{}]\n'
BOARD = (
    'kind = "emulated"\nfigures = ["quality"]\n[launch]\nhow = "qemu"\ncpu = "cortex-a72"\n'
    'requirements = ["numpy==2.4.6"]\npackages = [{}]\n'
)
REACHED = 'kind = "measured"\n[launch]\nhow = "ssh"\nhost = "pi@board"\n{}\n'


def test_a_requirement_by_address_is_not_installed(stranger):
    (stranger.folder / "mine.toml").write_text(ENVIRONMENT.format('"evil @ file:///tmp/evil-1-py3-none-any.whl?a==1"'))
    stranger.refusal("devices", "install", "mine.toml", told=("requirements", "must be pinned, as numpy==1.26.4"))
    assert not list(stranger.folder.glob("cache/devices/environment-*"))


def programs(stranger, *names):
    """A search path that begins with programs which write down how they are called."""
    folder = stranger.folder / "programs"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >> {stranger.canary}\nexit 1\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_apt_is_given_no_option_of_a_profile(stranger):
    (stranger.folder / "mine.toml").write_text(BOARD.format('"-oDebug::NoLocking=1"'))
    path = programs(stranger, "apt-get", "dpkg-deb")
    stranger.refusal("devices", "install", "mine.toml", told=("packages", "the name of a Debian package"), PATH=path)


@pytest.mark.parametrize("line", ['host = "pi@board;touch canary"', 'python = "PYTHONPATH=x"'])
def test_ssh_is_given_names_and_places_only(stranger, line):
    text = (
        REACHED.format(line) if not line.startswith("host") else REACHED.format("").replace('host = "pi@board"', line)
    )
    (stranger.folder / "mine.toml").write_text(text)
    told = (f"{line.partition(' ')[0]} = ", "must be")
    stranger.refusal("devices", "install", "mine.toml", told=told, PATH=programs(stranger, "ssh"))


def test_a_device_is_called_by_a_plain_name(stranger):
    path = stranger.folder / "--index-url x.toml"
    path.write_text('kind = "measured"\n[launch]\nhow = "direct"\n')
    stranger.refusal("devices", "install", str(path), told=("called like its file",))
