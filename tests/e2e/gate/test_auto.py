"""A model that int8 breaks: `edgeship debug` names the layers, `quantize = "auto"` ships it with few of them in float."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.processes.child import FunctionProcess

CONFIG = """
[data]
calibration = "calibration.npz"
evaluation = "evaluation.npz"
[variants.float32]
formats = ["tflite"]
[variants.int8]
formats = ["tflite"]
[variants.mended]
quantize = "auto"
formats = ["tflite", "onnx"]
[budget]
{budget}
"""
CULPRITS = {"depthwise1", "pointwise1"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The model and its data."""
    folder = tmp_path_factory.mktemp("broken")
    with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parents[1] / "lab")}) as process:
        process.call("broken:build", folder=str(folder))
    return folder


@pytest.fixture
def broken(edgeship, built):
    """A folder with the model, its data and a configuration."""
    shutil.copytree(built, edgeship.folder, dirs_exist_ok=True)
    (edgeship.folder / "edgeship.toml").write_text(CONFIG.format(budget="max_drop = 2"))
    return edgeship.folder


def verdicts(manifest: dict[str, Any], artifact: str) -> set[str]:
    return {check["verdict"] for check in manifest["gate"]["checks"] if check["artifact"] == artifact}


def test_the_layers_are_found_blamed_and_kept_in_higher_precision(edgeship, broken):
    shipped = edgeship("ship", "broken.keras", "--out", "bundle", "--to", "tflite,onnx")
    assert shipped.returncode == 1, shipped.stderr  # plain int8 is in it, too
    manifest = json.loads((broken / "bundle/manifest.json").read_text())
    assert "FAIL" in verdicts(manifest, "tflite/int8")
    assert verdicts(manifest, "tflite/mended") == verdicts(manifest, "onnx/mended") == {"PASS"}
    item = next(item for item in manifest["artifacts"] if item["id"] == "tflite/mended")
    recipe = item["steps"][-1]["recipe"]
    assert set(recipe["layers"]) == CULPRITS
    assert len(recipe["layers"]) <= recipe["of"] / 3
    assert recipe["steps"][0]["done"] == "plain"
    for artifact in (item, next(other for other in manifest["artifacts"] if other["id"] == "onnx/mended")):
        kept = artifact["receipt"]["kept_layers"]
        assert {row["layer"] for row in kept} == CULPRITS
        assert all(row["kept"] and not row["int8"] for row in kept)
    assert "no int8 form" not in shipped.stderr
    assert all(step["bytes"] > 0 for step in recipe["steps"] if step["bytes"] is not None)
    assert "Layers in higher precision: tflite/mended" in (broken / "bundle/report/index.html").read_text()
    assert "passes" in shipped.stderr
    advised = " ".join(shipped.stdout.split())
    assert any(
        f"next: tflite/int8: layer '{name}' costs most: with it alone in float32, top1" in advised for name in CULPRITS
    )
    assert "recommended for apps: tflite/mended" in advised or "recommended for apps: tflite/float32" in advised

    done = edgeship("debug", "bundle", "--artifact", "tflite/int8", "--samples", "200", "--json", "found.json", check=0)
    found = json.loads((broken / "found.json").read_text())
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert set(sorted(layers, key=lambda name: layers[name]["only_layer_int8"]["sqnr_db"])[:2]) == CULPRITS
    assert found["quantized"]["drop"] > 0.02 > found["float32"]["drop"]
    assert all(layers[name]["sqnr_db"] is not None for name in layers)
    first = next(line.split()[0] for line in done.stdout.splitlines() if line.partition(" ")[0] in layers)
    assert first in CULPRITS
    edgeship("verify", "bundle", check=0)
    report = (broken / "bundle/report/index.html").read_text()
    assert "layers of tflite/int8" in report
    again = edgeship("debug", "bundle", "--artifact", "tflite/int8", "--samples", "200", "--json", "-", check=0)
    assert json.loads(again.stdout)["layers"] == found["layers"]
    assert again.stderr.count("cached") == again.stderr.count("done ")


def test_what_cannot_be_had_is_refused(edgeship, broken):
    text = (broken / "edgeship.toml").read_text()
    (broken / "edgeship.toml").write_text(text.replace('evaluation = "evaluation.npz"\n', ""))
    done = edgeship("convert", "broken.keras", "--out", "bundle", "--to", "tflite", check=2)
    assert "needs evaluation data" in done.stderr
    done = edgeship("convert", "broken.keras", "--out", "bundle", "--to", "tfjs", "--variant", "auto", check=2)
    assert "recipe 'auto' is not possible for tfjs" in done.stderr
    # A budget that allows nothing: neither layers in higher precision nor float inputs and outputs help.
    (broken / "edgeship.toml").write_text(CONFIG.format(budget="max_abs_error = 1e-6"))
    done = edgeship("ship", "broken.keras", "--out", "bundle", "--to", "tflite", check=1)
    text = " ".join(done.stdout.split())
    assert "in higher precision" in text and ", with float inputs and outputs too" in text
    assert "made at all" in done.stdout
    manifest = json.loads((broken / "bundle/manifest.json").read_text())
    assert [item["artifact"] for item in manifest["failures"]] == ["tflite/mended"]

    (broken / "edgeship.toml").write_text(CONFIG.format(budget="max_drop = 2"))
    edgeship("convert", "broken.keras", "--out", "plain", "--to", "tflite", "--variant", "float32", check=0)
    assert "no full-integer .tflite in it" in edgeship("debug", "plain", check=2).stderr
    assert "known: tflite/float32" in edgeship("debug", "plain", "--artifact", "tflite/int9", check=2).stderr
    assert "not a bundle" in edgeship("debug", ".", check=2).stderr


def test_what_no_runtime_loads_in_plain_int8_is_mended_as_well(edgeship):
    """XNNPACK refuses scales that lie so far apart."""
    with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parents[1] / "lab")}) as process:
        process.call("broken:build", folder=str(edgeship.folder), smaller=1e-6)
    (edgeship.folder / "edgeship.toml").write_text(CONFIG.format(budget="max_drop = 2"))
    plain = edgeship("ship", "broken.keras", "--out", "bundle", "--to", "tflite", "--variant", "int8", check=1)
    assert "cannot run in LiteRT" in " ".join(plain.stdout.split())
    edgeship("ship", "broken.keras", "--out", "bundle", "--to", "tflite", "--variant", "float32,mended", check=0)
    manifest = json.loads((edgeship.folder / "bundle/manifest.json").read_text())
    recipe = next(item for item in manifest["artifacts"] if item["id"] == "tflite/mended")["steps"][-1]["recipe"]
    assert recipe["layers"] and recipe["steps"][0]["bytes"] is None


@pytest.fixture(scope="module")
def raw_models(tmp_path_factory):
    """Models on raw features, and their data."""
    folder = tmp_path_factory.mktemp("raw")
    with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parents[1] / "lab")}) as process:
        process.call("raw:build", folder=str(folder))
    return folder


def test_raw_features_pass_in_int8_and_a_fail_ends_with_the_next_step(edgeship, raw_models):
    shutil.copytree(raw_models, edgeship.folder, dirs_exist_ok=True)
    edgeship("init", "table/server.keras", check=0)
    config = edgeship.folder / "table/edgeship.toml"
    forced = '[variants.forced]\nquantize = "static_w8a8"\nio = "int8"\n[benchmark]'
    config.write_text(config.read_text().replace("[benchmark]", forced).replace("mlperf99", "mlperf98"))
    done = edgeship("ship", "table/server.keras", "--out", "bundle", "--to", "tflite", "--json", "found.json", check=1)
    manifest = json.loads((edgeship.folder / "bundle/manifest.json").read_text())
    assert verdicts(manifest, "tflite/int8") == {"PASS"}
    assert "FAIL" in verdicts(manifest, "tflite/forced")
    kinds = {item["id"]: (item["inputs"][0]["dtype"], item["outputs"][0]["dtype"]) for item in manifest["artifacts"]}
    assert kinds["tflite/int8"] == ("float32", "int8") and kinds["tflite/forced"] == ("int8", "int8")
    text = " ".join(done.stdout.split())
    assert "next: tflite/forced: int8 inputs are too coarse for some features; with --io auto" in text
    assert "recommended for apps: tflite/int8" in text
    (found,) = json.loads((edgeship.folder / "found.json").read_text())["recommended"]
    assert (found["target"], found["artifact"]) == ("apps", "tflite/int8")
    report = (edgeship.folder / "bundle/report/index.html").read_text()
    assert "with --io auto" in report and "<h2>Recommended</h2>" in report


def test_float_inputs_and_outputs_are_tried_before_it_gives_up(edgeship, raw_models):
    shutil.copytree(raw_models, edgeship.folder, dirs_exist_ok=True)
    variants = '[variants.a]\nquantize = "auto"\n[variants.b]\nquantize = "auto"\nio = "int8"\n'
    data = '[data]\ncalibration = "calibration.npz"\nevaluation = "evaluation.npz"\n[budget]\naccuracy = "mlperf98"\n'
    (edgeship.folder / "window/edgeship.toml").write_text(data + variants)
    alone = edgeship("convert", "window/server.keras", "--out", "bundle", "--to", "tflite", "--variant", "b", check=1)
    assert 'try io = "float32"' in " ".join(alone.stdout.split())
    assert "in the bundle is tflite/float32" in alone.stderr
    manifest = json.loads((edgeship.folder / "bundle/manifest.json").read_text())
    assert [item["id"] for item in manifest["artifacts"]] == ["tflite/float32"]
    assert [item["artifact"] for item in manifest["failures"]] == ["tflite/b"]
    edgeship("convert", "window/server.keras", "--out", "bundle", "--to", "tflite", "--variant", "a", check=0)
    (item,) = json.loads((edgeship.folder / "bundle/manifest.json").read_text())["artifacts"]
    recipe = item["steps"][-1]["recipe"]
    assert (recipe["io"], recipe["layers"]) == ("float32", ["scale"])
    assert item["inputs"][0]["dtype"] == item["outputs"][0]["dtype"] == "float32"
    assert "float inputs and outputs" in recipe["steps"][0]["done"]


def test_without_labels_layers_are_found_by_agreement_and_failure_is_a_verdict(edgeship, raw_models):
    """The budget of the second leaves no room for any int8."""
    shutil.copytree(raw_models, edgeship.folder, dirs_exist_ok=True)
    place = edgeship.folder / "window"
    with np.load(place / "evaluation.npz") as labelled:
        np.savez(place / "unlabelled.npz", features=labelled["features"])
    config = '[data]\ncalibration = "calibration.npz"\nevaluation = "unlabelled.npz"\n[budget]\naccuracy = "none"\n'
    (place / "edgeship.toml").write_text(f"{config}min_agreement = 0.98\n")
    options = ("--to", "tflite,onnx", "--variant", "auto")
    edgeship("ship", "window/server.keras", "--out", "bundle", *options, check=0)
    manifest = json.loads((edgeship.folder / "bundle/manifest.json").read_text())
    assert {item["id"]: item["steps"][-1]["recipe"]["layers"] for item in manifest["artifacts"]} == {
        "tflite/auto": ["scale"],
        "onnx/auto": ["scale"],
    }
    (place / "edgeship.toml").write_text(f"{config}max_abs_error = 2e-5\n")
    done = edgeship("ship", "window/server.keras", "--out", "none", *options, check=1)
    text = " ".join(done.stdout.split())
    assert "FAIL tflite/auto, made at all" in text and "FAIL onnx/auto, made at all" in text
    assert "try another recipe" in text
    manifest = json.loads((edgeship.folder / "none/manifest.json").read_text())
    assert manifest["gate"]["verdict"] == "FAIL"
    assert {item["id"] for item in manifest["artifacts"]} == {"tflite/float32", "onnx/float32"}
    assert all(item["layers"] for item in manifest["failures"])
    edgeship("verify", "none", check=0)
    again = edgeship("ship", "window/server.keras", "--out", "none", *options, check=1)
    searches = [line for line in again.stderr.splitlines() if "layers in higher precision" in line]
    assert len(searches) == 2 and all("(cached)" in line for line in searches), (
        "nor is a search that found nothing repeated"
    )
    assert json.loads((edgeship.folder / "none/manifest.json").read_text())["failures"] == manifest["failures"]


def test_each_format_keeps_the_layers_that_it_needs(edgeship, raw_models):
    shutil.copytree(raw_models, edgeship.folder, dirs_exist_ok=True)
    data = '[data]\ncalibration = "calibration.npz"\nevaluation = "evaluation.npz"\n[budget]\naccuracy = "mlperf98"\n'
    (edgeship.folder / "roots/edgeship.toml").write_text(data)
    edgeship("ship", "roots/server.keras", "--out", "bundle", "--to", "tflite,onnx", "--variant", "auto", check=0)
    manifest = json.loads((edgeship.folder / "bundle/manifest.json").read_text())
    recipes = {item["id"]: item["steps"][-1]["recipe"] for item in manifest["artifacts"]}
    found = {name: set(recipe["layers"]) for name, recipe in recipes.items()}
    assert "first" in found["tflite/auto"] - found["onnx/auto"]
    assert any("functional" in layer for layer in found["onnx/auto"] - found["tflite/auto"]), (
        "the square is of no layer"
    )
    assert [recipe["steps"][0]["passed"] for recipe in recipes.values()] == [False, False]
