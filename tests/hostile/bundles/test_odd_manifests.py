"""Manifests and self-tests of any structure: every command says in a sentence what is wrong, or works. No traceback."""

from __future__ import annotations

import copy
import json
import random
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import numpy as np
import pytest
from click.testing import CliRunner

from edgeship.benchmarks.report import html_report as reports
from edgeship.bundle import goldens
from edgeship.bundle.bundle import Bundle, open_bundle
from edgeship.bundle.figures.comparisons import CandidateFigures, LayerSensitivity
from edgeship.bundle.manifest import parse_manifest
from edgeship.cli.bundles.benchmark import benchmark
from edgeship.cli.bundles.bom import bom
from edgeship.cli.bundles.debug import debug
from edgeship.cli.bundles.demo import demo
from edgeship.cli.bundles.gate import gate
from edgeship.cli.bundles.inspect import inspect
from edgeship.cli.bundles.report import report
from edgeship.cli.bundles.verify import verify
from edgeship.cli.output import show_verdict
from edgeship.demo import selftest
from edgeship.demo import site as demos
from edgeship.errors import EdgeshipError, InputError
from edgeship.pipeline import ship
from edgeship.pipeline import verify as verification
from edgeship.pipeline.layerwise import layer_sensitivity
from edgeship.runtimes import registry
from tests.benchmarks.conftest import _write_files, build_manifest
from tests.hostile.bundles import sealed_bundle
from tests.hostile.bundles.mutate import mutate, swap

FEW, MANY = 400, 10_000
JUDGING: list[tuple[Any, ...]] = [
    (gate, "--json", "gate.json", "--junit", "gate.xml", "--markdown", "gate.md"),
    (report, "--out", "report.html"),
    (gate,),
    (verify,),
    (bom,),
]


@pytest.fixture(scope="module")
def made_up() -> dict[str, Any]:
    """A manifest with every kind of figure, a few of each."""
    manifest: dict[str, Any] = build_manifest()
    manifest["measurements"] = [
        {**item, "details": _few(item["details"])}
        for item in manifest["measurements"]
        if "onnx" not in item["artifact"]
    ]
    manifest["artifacts"] = [item for item in manifest["artifacts"] if item["format"] != "onnx"]
    for item in manifest["artifacts"]:
        item["receipt"]["weights"]["elements"] = 1
    manifest["artifacts"][0]["temperature"] = {"scores": {"value": None, "reason": "none"}}
    manifest["between_formats"] = [{"artifact": "onnx/int8", "against": "tflite/int8", "parity": _parity(manifest)}]
    ids = [item["id"] for item in manifest["artifacts"]]
    golden = {"runtime": "litert", "reason": "", "tolerance": {"scores": 0.01}, "clear": {"scores": [0]}}
    manifest["goldens"] = {"samples": 1, "artifacts": {name: copy.deepcopy(golden) for name in ids}}
    cell = {"state": "close", "text": "1e-6", "reason": "", "kind": "emulated"}
    device = copy.deepcopy(manifest["measurements"][1])
    device |= {"device": "cortex-a72", "details": {**device["details"], "cell": cell}}
    manifest["measurements"].append(device)
    manifest["matrix"] = {
        "devices": ["cortex-a72"], "kinds": {"cortex-a72": "emulated"}, "artifacts": ["tflite/int8"],
        "cells": {"tflite/int8": {"cortex-a72": {**cell, "runtime": "litert"}}},
    }  # fmt: skip
    return manifest


def _few(value: Any) -> Any:
    """The value with at most three items in each list."""
    if isinstance(value, dict):
        return {key: _few(item) for key, item in value.items()}
    return [_few(item) for item in value[:3]] if isinstance(value, list) else value


def _parity(manifest: dict[str, Any]) -> Any:
    return copy.deepcopy(manifest["measurements"][0]["details"]["parity"])


@pytest.fixture
def root(made_up: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with that manifest and its files, on a machine without runtimes; plots take too long to be drawn each time."""
    monkeypatch.setattr(registry.Runtime, "unavailable_reason", lambda _: "it is off")
    monkeypatch.setattr(reports, "draw_plots", lambda _: [])
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "bundle"
    folder.mkdir()
    _write_files(folder, made_up)
    (folder / "goldens").mkdir()
    for name in ("inputs", "outputs"):
        np.savez(folder / "goldens" / f"{name}.npz", x=np.zeros((1, 2), np.float32))
    sealed_bundle.seal(folder, made_up)
    return folder


def run(command: click.Command, *arguments: object) -> str:
    """What a command says; every failure must be one of edgeship's own, with a sentence."""
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if done.exception and not isinstance(done.exception, (EdgeshipError, SystemExit)):
        raise done.exception
    if isinstance(done.exception, EdgeshipError):
        assert 10 < len(str(done.exception)) < 1500
        return str(done.exception)
    return done.output


def fuzz(seeds: range, one: Callable[[int], None]) -> None:
    """Fail with every seed that does not give a sentence."""
    failed = []
    for seed in seeds:
        try:
            one(seed)
        except InputError:
            continue
        except Exception as error:
            place = traceback.extract_tb((error.__context__ or error).__traceback__)[-1]
            failed.append(f"seed {seed}: {error!r:.200} in {Path(place.filename).name}, {place.lineno}")
    assert not failed, "\n".join([f"{len(failed)} of {len(seeds)}", *failed[:20]])


def manifests_of(root: Path) -> Callable[[int], None]:
    """Changes the manifest by a seed, and runs the gate on it, or another command."""
    manifest = json.loads((root / "manifest.json").read_text())

    def one(seed: int) -> None:
        sealed_bundle.seal_manifest(root, mutate(manifest, seed))
        command, *options = JUDGING[seed % len(JUDGING)]
        run(command, root, *options)

    return one


def test_the_manifest_that_is_changed_is_right(root):
    assert "gate: PASS" in run(gate, root) or "gate: INCONCLUSIVE" in run(gate, root)
    assert "report:" in run(report, root, "--out", "report.html")
    assert "it is off" in run(verify, root)
    assert "CycloneDX" in run(bom, root)


def test_manifests_of_any_structure_give_a_sentence(root):
    fuzz(range(FEW), manifests_of(root))


@pytest.mark.more
def test_many_manifests_of_any_structure_give_a_sentence(root):
    fuzz(range(FEW, MANY), manifests_of(root))


def test_longer_commands_give_a_sentence(root, monkeypatch):
    """Where nothing can be run, and no server model."""
    monkeypatch.setattr(ship, "runs_server_models", lambda: False)
    monkeypatch.setattr(ship, "draw_plots", lambda _: [])
    monkeypatch.setattr("edgeship.pipeline.inspection.APART", ())  # a process for each takes long
    monkeypatch.setattr(demos, "built_page", lambda: root.parent / "page")
    monkeypatch.setenv("EDGESHIP_CACHE", str(root.parent / "cache"))
    (root.parent / "page").mkdir()
    (root.parent / "page" / "sw.js").write_text("self;")
    manifest = json.loads((root / "manifest.json").read_text())

    def one(seed: int) -> None:
        sealed_bundle.seal_manifest(root, mutate(manifest, seed))
        for command, *options in ((benchmark, "--json", "-"), (demo, "--out", "site"), (debug,), (inspect,)):
            run(command, root, *options)

    fuzz(range(3 * MANY, 3 * MANY + FEW // 6), one)


FIGURES = {"sqnr_db": 3.0, "drop": 0.1, "reason": ""}
LAYER = {
    **{"name": "x", "operators": ["y"], "weight_bytes": 3, "sqnr_db": 3.0, "cosine": 1.0, "mse": 0.0},
    **dict.fromkeys(("only_layer_int8", "only_layer_float"), FIGURES),
}
SENSITIVITY = {
    **{"artifact": "tflite/int8", "content": "ab" * 32, "samples": 3, "layers": [LAYER]},
    **dict.fromkeys(("float32", "quantized"), FIGURES),
}
STEP = {
    **{"done": "keep", "layer": "b", "bytes": 3, "kept": 1, "passed": True, "reason": ""},
    **{"latency_ratio": 1.0, "latency_reason": "", "latency_interval": [0.9, 1.1]},
}
AUTO = {"recipe": "auto", "layers": ["a"], "of": 3, "precision": "int16", "steps": [STEP]}


class Answering:
    """A session of any runtime, which answers anything."""

    def __init__(self, dice: random.Random) -> None:
        random, self._dice = np.random.default_rng(0), dice
        self._outputs = [random.random((1, 10), np.float32), np.full((1, 10), np.nan), np.zeros((1, 10), np.int64)]
        self._outputs += [np.full((1, 10), 1e308), np.full((1, 10), "a"), np.zeros((1, 10), complex), np.ones(())]

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def run(self, _: Any) -> dict[str, Any]:
        return {name: self._dice.choice(self._outputs) for name in self._dice.choice((["scores"], ["scores"], []))}


def odd_values(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Changes values of a manifest by a seed, and runs everything that prints or reports on it."""
    page = root.parent / "page"
    page.mkdir()
    (page / "sw.js").write_text("self;")
    monkeypatch.setattr(demos, "built_page", lambda: page)
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["artifacts"][1]["steps"].append({"name": "quantize", "source": "x", "recipe": AUTO, "tools": {}})
    manifest |= {
        "labels": ["a", "b"],
        "debug": {"tflite/int8": copy.deepcopy(SENSITIVITY)},
    }
    dice = random.Random(0)
    for item in manifest["artifacts"]:
        own = np.full((1, 10), "a") if "float32" in item["id"] else np.ones((1, 10), np.float32)
        np.savez(root / "goldens" / f"{item['id'].replace('/', '-')}.npz", scores=own)
    sealed_bundle.seal(root, manifest)
    manifest = json.loads((root / "manifest.json").read_text())

    def one(seed: int) -> None:
        sealed_bundle.seal_manifest(root, swap(manifest, seed) if seed else manifest)
        texts = [run(gate, root, "--junit", "gate.xml", "--markdown", "gate.md")]
        texts += [run(report, root, "--out", "report.html"), run(demo, root, "--out", "site"), run(inspect, root)]
        with monkeypatch.context() as patch:
            patch.setattr(registry.Runtime, "unavailable_reason", lambda _: None)
            patch.setattr(verification, "open_session", lambda *_, **__: Answering(dice))
            texts.append(run(verify, root))
        texts += [Path(name).read_text(encoding="utf-8") for name in ("gate.md", "report.html") if Path(name).exists()]
        if Path("gate.xml").exists():
            ElementTree.parse("gate.xml")
        assert max(map(len, texts)) < 400_000, [len(text) for text in texts]

    return one


def test_odd_values_of_a_manifest_give_a_sentence(root, monkeypatch):
    one = odd_values(root, monkeypatch)
    one(0)
    assert Path("report.html").exists() and Path("gate.xml").exists(), "what is changed is right"
    fuzz(range(1, 41), one)


def test_an_imaginary_part_is_part_of_an_answer():
    assert goldens.largest_error(np.array([1 + 2j]), np.array([1 + 0j])) == 2
    assert goldens.largest_error(np.array([1 + 2j]), np.array([1.0])) == 2


@pytest.mark.more
def test_many_odd_values_of_a_manifest_give_a_sentence(root, monkeypatch):
    fuzz(range(41, 4000), odd_values(root, monkeypatch))


LATE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "steps of auto": lambda m: m["artifacts"][0]["steps"][-1].update(recipe={"recipe": "auto", "steps": 5}),
    "nothing skipped": lambda m: m.pop("skipped", None),
}


@pytest.mark.parametrize("name", LATE)
def test_what_only_the_report_reads(root, monkeypatch, name):
    """What a manifest says of recipes is met last, when everything has been measured: a sentence, all the same."""
    monkeypatch.setattr(ship, "runs_server_models", lambda: False)
    monkeypatch.setenv("EDGESHIP_CACHE", str(root.parent / "cache"))
    manifest = json.loads((root / "manifest.json").read_text())
    LATE[name](manifest)
    sealed_bundle.seal_manifest(root, manifest)
    output = run(benchmark, root)
    assert ("manifest.json: cannot be read" in output) == (name == "steps of auto"), output


def test_debug_meets_a_report_that_cannot_be_written(root, monkeypatch):
    manifest = json.loads((root / "manifest.json").read_text())
    LATE["steps of auto"](manifest)
    (root / "report").mkdir()
    (root / "report" / "index.html").write_text("old")
    sealed_bundle.seal(root, manifest)
    monkeypatch.setenv("EDGESHIP_CACHE", str(root.parent / "cache"))
    monkeypatch.setattr(ship, "check_model", lambda _: None)
    nothing = LayerSensitivity("tflite/int8", "ab" * 32, 1, CandidateFigures(), CandidateFigures())
    monkeypatch.setattr(layer_sensitivity, "examine", lambda *_: nothing)
    assert "manifest.json: cannot be read" in run(debug, root)
    assert (root / "report" / "index.html").read_text() == "old"


@pytest.mark.parametrize("text", ["9" * 5000, "\n" * 5000])
def test_an_endless_value_of_a_configuration_is_shortened(root, text):
    manifest = json.loads((root / "manifest.json").read_text())
    for odd in (
        {"data": {"calibration_samples": text}},
        {"budget": [text]},
        {"variants": [{"name": "x", "recipes": {"qat": text}}]},
    ):
        sealed_bundle.seal_manifest(root, {**manifest, "config": {**manifest["config"], **odd}})
        run(gate, root)


def test_an_endless_name_is_shortened(root):
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["config"]["benchmark"]["devices"] = ["9" * 5000]
    sealed_bundle.seal_manifest(root, manifest)
    assert len(run(gate, root)) < 1500


def test_plots_of_manifests_of_any_structure(root, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(root.parent)
    manifest = json.loads((root / "manifest.json").read_text())
    for seed in range(MANY, MANY + 4):
        changed = {**manifest, "measurements": mutate(manifest["measurements"], seed)}
        sealed_bundle.seal_manifest(root, changed)
        run(report, root, "--out", "report.html")


CHECK = {"artifact": "a", "runtime": "r", "check": "accuracy", "verdict": "PASS", "reason": ""}
NOTHING = {"artifact": "a", "runtime": "r", "device": "d", "metrics": [], "details": {}}


def quantized_by(quantization: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda m: m["server_model"]["inputs"][0].update(quantization=quantization)


ODD_QUANTIZATIONS: dict[str, dict[str, Any]] = {
    "no scale": {"scale": [], "zero_point": [], "axis": None},
    "two scales and one zero point": {"scale": [1, 2], "zero_point": [0], "axis": 0},
    "an axis that is not there": {"scale": [1, 2], "zero_point": [0, 0], "axis": 9},
    "half a zero point": {"scale": [1], "zero_point": [0.5], "axis": None},
}
BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no config": (lambda m: m.pop("config"), "config is missing"),
    "no server model": (lambda m: m.pop("server_model"), "server_model is missing"),
    "no artifacts": (lambda m: m.pop("artifacts"), "it has no artifacts"),
    "a list as configuration": (lambda m: m.update(config=[]), "config must be an object, not []"),
    "artifacts as an object": (lambda m: m.update(artifacts={}), "artifacts must be a list, not {}"),
    "a text as measurement": (lambda m: m.update(measurements=["x"]), "measurements[0] must be an object"),
    "unknown format": (lambda m: m["artifacts"][0].update(format="exe"), "format 'exe' is none of tflite, onnx, tfjs"),
    "negative shape": (
        lambda m: m["artifacts"][0]["inputs"][0].update(shape=[-4, 4]),
        "artifacts[0].inputs[0] is none: image: a dynamic axis is None, not (-4, 4)",
    ),
    "a number for an id": (lambda m: m["artifacts"][0].update(id=7), "artifacts[0].id must be a text, not 7"),
    "markup in a variant": (
        lambda m: m["artifacts"][0].update(id="tflite/[red]x", variant="[red]x"),
        "must be letters, digits, '.', '_' and '-'",
    ),
    "another id": (lambda m: m["artifacts"][0].update(id="tflite/int9"), "called other than its format and variant"),
    "escape in a path": (lambda m: m["artifacts"][0].update(path="\x1b[2J.tflite"), "is not a printable name of"),
    "endless measurements": (lambda m: m.update(measurements=[NOTHING] * 5001), "at most 5,000 are taken"),
    "endless checks": (
        lambda m: m.update(gate={"verdict": "PASS", "checks": [CHECK] * 20_001}),
        "at most 20,000 are taken",
    ),
    "an endless name of a tensor": (
        lambda m: m["artifacts"][0]["inputs"][0].update(name="x" * 1001),
        "is not a printable name of at most 1,000 characters",
    ),
    "unknown verdict": (
        lambda m: m.update(gate={"verdict": "FINE", "checks": []}),
        "gate.verdict must be one of PASS, FAIL, INCONCLUSIVE, not 'FINE'",
    ),
    "flags as text": (lambda m: m.update(labels=[1]), "labels[0] must be a text, not 1"),
    "files as a list": (lambda m: m.update(files=[]), "files must be an object"),
    "a dtype that is none": (
        lambda m: m["server_model"]["inputs"][0].update(dtype="float33"),
        "image: dtype 'float33' is none of bool, int8",
    ),
    **{
        f"a quantization with {name}": (
            quantized_by(quantization),
            "server_model.inputs[0]",
        )
        for name, quantization in ODD_QUANTIZATIONS.items()
    },
    "a scale beyond all bounds": (
        lambda m: m["server_model"]["inputs"][0].update(quantization={"scale": [10**400], "zero_point": [0]}),
        "server_model.inputs[0].quantization.scale[0] is none: Number out of range",
    ),
    "a digest that is none": (lambda m: m["files"].update(x="sha"), "must be a digest in 64 digits"),
    "a layer without a name": (
        lambda m: m.update(debug={"x": {**SENSITIVITY, "layers": [{}]}}),
        "layers[0] has no name",
    ),
    "a sparsity that is no list": (
        lambda m: m["artifacts"][0]["receipt"].update(sparsity=1e308),
        "artifacts[0].receipt.sparsity must be a list",
    ),
    "a sparsity beyond all bounds": (
        lambda m: m["artifacts"][0]["receipt"]["weights"].update(sparsity=1e308),
        "artifacts[0].receipt.weights.sparsity must be a number",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_manifest_is_named(root, name):
    spoil, says = BROKEN[name]
    manifest = json.loads((root / "manifest.json").read_text())
    spoil(manifest)
    sealed_bundle.seal_manifest(root, manifest)
    for command in (gate, verify, report):
        assert says in run(command, root)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "is not one of a bundle"),
        ("null", "is not one of a bundle"),
        ("7", "is not one of a bundle"),
        ('{"digest": 1e999, "schema": 1}', "is not one of a bundle"),
        ('{"digest": "x", "schema": 1, "labels": 1e999}', "cannot be read"),
        ('{"digest": "x", "schema": 1, "labels": NaN}', "cannot be read"),
        ('{"digest": "x", "schema": 1, "labels": "\\ud800"}', "cannot be read"),
        ('{"digest": "x", "schema": [1]}', "bundle schema [1], this edgeship reads 1 and 2;"),
        ('{"digest": "x", "schema": 1, "labels": ' + "9" * 10_000 + "}", "cannot be read"),
        ("[" * 100_000, "nested deeper than 200 levels"),
        ('{"a":' * 100_000, "nested deeper than 200 levels"),
        ("", "cannot be read"),
        ("\x00", "cannot be read"),
    ],
)
def test_what_is_no_manifest_is_refused(root, text, says):
    (root / "manifest.json").write_text(text)
    for command in (gate, verify, report):
        assert says in run(command, root)


def test_a_verdict_is_shown_without_what_a_manifest_may_leave_out(root, capsys):
    manifest = {**json.loads((root / "manifest.json").read_text()), "gate": {"verdict": "PASS", "checks": []}}
    for key in ("skipped", "matrix"):
        manifest.pop(key, None)
    show_verdict(Bundle(root, parse_manifest(manifest)), root, "-")
    assert json.loads(capsys.readouterr().out)["skipped"] == []


def test_the_shape_names_the_place(made_up):
    manifest = copy.deepcopy(made_up)
    manifest["measurements"][1]["metrics"][0]["kind"] = "guessed"
    with pytest.raises(InputError, match=r"measurements\[1\].metrics\[0\].kind must be one of measured, emulated"):
        parse_manifest(manifest)


def test_an_opened_bundle_holds_artifacts(root):
    """Whatever passed the check becomes the types that commands work with."""
    manifest = json.loads((root / "manifest.json").read_text())
    opened = 0
    for seed in range(2 * MANY, 2 * MANY + FEW):
        sealed_bundle.seal_manifest(root, mutate(manifest, seed))
        try:
            opened += len(open_bundle(root).artifacts) > 0
        except InputError:
            continue
    assert opened > FEW // 20, "most changes are in figures that nobody needs"


SELFTEST = {
    "schema": 1, "kind": "edgeship-selftest", "bundle": "b", "artifact": "tfjs/float32", "artifactDigest": "abc",
    "backend": "wasm", "engine": "SIMD", "userAgent": "Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile", "when": "now",
    "samples": 16, "passed": True, "preprocessing": True, "loadMs": 80, "firstMs": 12, "accuracy": 0.9,
    "outputs": {
        "y": {"maxAbsError": 1e-6, "tolerance": 1e-3, "maxAbsErrorServer": 2e-6, "agreement": 1, "passed": True},
        "z": {"maxAbsError": 1e-6, "tolerance": 1e-3, "maxAbsErrorServer": 2e-6, "agreement": None, "passed": True},
    },
    "latency": {"runs": 50, "p50Ms": 4, "p90Ms": 5.5, "meanMs": 4.2, "minMs": 3, "isolated": True},
}  # fmt: skip


def self_tests_of(made_up: dict[str, Any], path: Path) -> Callable[[int], None]:
    """Changes the self-test by a seed, and renders a report with it."""
    manifest = copy.deepcopy(made_up)
    next(item for item in manifest["artifacts"] if item["id"] == "tfjs/float32")["digest"] = "abc"
    manifest["goldens"]["samples"] = 16
    manifest["goldens"]["artifacts"]["tfjs/float32"]["tolerance"] = {"y": 1e-3, "z": 1e-3}
    manifest["gate"] = {"verdict": "PASS", "checks": [], "not_judged": []}
    bundle = Bundle(path.parent, parse_manifest(manifest))

    (path.parent / "goldens").mkdir()
    own = np.linspace(0, 1, 16, dtype=np.float32)
    np.savez(path.parent / "goldens" / "tfjs-float32.npz", y=own, z=own)

    def one(seed: int) -> None:
        path.write_text(json.dumps(mutate(SELFTEST, seed)))
        reports.render(path.parent, selftest.with_field_results(bundle, [path]), [])

    return one


def test_self_tests_of_any_structure_give_a_sentence(made_up, tmp_path):
    fuzz(range(FEW), self_tests_of(made_up, tmp_path / "selftest.json"))


@pytest.mark.more
def test_many_self_tests_of_any_structure_give_a_sentence(made_up, tmp_path):
    fuzz(range(FEW, MANY), self_tests_of(made_up, tmp_path / "selftest.json"))


HALF = "\ud800".encode("utf-8", "surrogatepass")
NO_JSON = [b"[" * 100_000, b'{"a":' * 100_000, b"1e999", b"NaN", b"9" * 10_000, HALF]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: text[:8])
def test_self_tests_that_are_none_are_refused(made_up, tmp_path, text):
    path = tmp_path / "selftest.json"
    path.write_bytes(text)
    with pytest.raises(InputError):
        selftest.with_field_results(Bundle(tmp_path, parse_manifest(made_up)), [path])
