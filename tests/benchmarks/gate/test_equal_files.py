"""Equal files get equal verdicts, whatever their variants are called, and `auto` is held to what its peers show."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.bundle.manifest import parse_manifest
from edgeship.types import Verdict

INT8, RECIPES = "onnx/int8", ("float32", "static_w8a8", "auto", "dynamic_w8", "weight_only_w8", "dynamic_w4")
LAYERS = ((), ("conv",), ("conv", "dense"))


def noisy(outputs):
    """Noise that a floor for every network must allow, and that costs no answer."""
    return outputs * (1 + 0.15 * np.random.default_rng(1).choice([-1, 1], size=(len(outputs), 1)))


def add_copy(manifest, name, recipe, layers=(), source=INT8):
    """The same file and figures under another name, made by another recipe."""
    entry = copy.deepcopy(next(item for item in manifest["artifacts"] if item["id"] == source))
    variant = name.partition("/")[2]
    path = entry["path"].replace(source.partition("/")[2], variant)
    entry.update(id=name, variant=variant, path=path)
    entry["steps"][-1]["recipe"] = {"recipe": recipe, **({"layers": list(layers)} if recipe == "auto" else {})}
    manifest["files"][path] = manifest["files"][f"onnx/{source.partition('/')[2]}.onnx"]
    manifest["artifacts"].append(entry)
    measured = copy.deepcopy(next(item for item in manifest["measurements"] if item["artifact"] == source))
    manifest["measurements"].append({**measured, "artifact": name})
    known = manifest["config"].get("variants") or []
    manifest["config"]["variants"] = [*known, {"name": variant, "quantize": recipe, "formats": ["onnx"]}]


def verdicts(manifest, **budget):
    """By artifact and check."""
    result = judge(parse_manifest(manifest), Budget.parse(budget))
    return {(item.artifact, item.check): item.verdict for item in result.checks}


def of(found, artifact):
    return {check: verdict for (name, check), verdict in found.items() if name == artifact}


def test_auto_that_keeps_no_layer_is_judged_as_the_int8_that_it_is(manifest, replace_outputs):
    replace_outputs(manifest, INT8, noisy)
    replace_outputs(manifest, "tflite/int8", lambda outputs: outputs * 1.001)
    add_copy(manifest, "onnx/auto", "auto")
    found = verdicts(manifest)
    assert of(found, INT8)["parity"] is Verdict.FAIL
    assert of(found, INT8) == of(found, "onnx/auto")


@pytest.mark.parametrize("budget", [{}, {"max_latency_ratio": 1.0, "min_agreement": 0.98, "max_peak_memory": "50 MB"}])
@pytest.mark.parametrize("others", list(itertools.combinations(RECIPES, 2)))
def test_equal_files_get_equal_verdicts_by_whatever_recipes_they_were_made(manifest, replace_outputs, others, budget):
    replace_outputs(manifest, INT8, noisy)
    replace_outputs(manifest, "tflite/int8", lambda outputs: outputs * 1.001)
    for number, recipe in enumerate(others):
        add_copy(manifest, f"onnx/copy{number}", recipe, LAYERS[number + 1])
    found = verdicts(manifest, **budget)
    assert of(found, "onnx/copy0") == of(found, "onnx/copy1") == of(found, INT8)


def test_the_float_file_under_another_name_is_compared_with_no_latency(manifest):
    """Nothing times it against itself."""
    add_copy(manifest, "onnx/plain", "float32", source="onnx/float32")
    measured = manifest["measurements"][-1]
    assert not [item for item in measured["metrics"] if item["name"] == "latency_ratio"]
    found = verdicts(manifest, max_latency_ratio=1.0)
    assert of(found, "onnx/plain") == of(found, "onnx/float32")


def test_auto_with_layers_in_higher_precision_is_held_to_int8_and_not_the_other_way(manifest, replace_outputs):
    replace_outputs(manifest, INT8, lambda outputs: outputs * 1.001)
    replace_outputs(manifest, "tflite/int8", lambda outputs: outputs * 1.001)
    add_copy(manifest, "onnx/auto", "auto", ["conv"])
    change(manifest, "onnx/auto", noisy, replace_outputs)
    assert verdicts(manifest)["onnx/auto", "parity"] is Verdict.FAIL
    for name in (INT8, "tflite/int8"):
        replace_outputs(manifest, name, noisy)
    change(manifest, "onnx/auto", lambda outputs: outputs * 1.001, replace_outputs)
    found = verdicts(manifest)
    assert found[INT8, "parity"] is found["tflite/int8", "parity"] is found["onnx/auto", "parity"] is Verdict.PASS


def change(manifest, name, outputs, replace_outputs):
    """Another file than int8's, with outputs of its own."""
    mine = next(item for item in manifest["artifacts"] if item["id"] == name)
    mine["content"] = manifest["files"][mine["path"]] = "cc" * 32
    before = copy.deepcopy(next(item for item in manifest["measurements"] if item["artifact"] == INT8))
    replace_outputs(manifest, INT8, outputs)
    own = next(item for item in manifest["measurements"] if item["artifact"] == INT8)
    manifest["measurements"] = [item for item in manifest["measurements"] if item["artifact"] not in (INT8, name)]
    details = {**own["details"], "content": mine["content"]}
    manifest["measurements"] += [before, {**own, "artifact": name, "details": details}]


@pytest.mark.parametrize(("kept", "verdict"), [(["conv"], Verdict.FAIL), (["conv", "dense"], Verdict.PASS)])
def test_auto_of_the_other_format_says_nothing_where_it_keeps_layers_that_this_one_does_not(
    manifest, replace_outputs, kept, verdict
):
    for name in (INT8, "tflite/int8"):
        replace_outputs(manifest, name, noisy)
    replace_outputs(manifest, "tfjs/weight_only_w8", noisy)
    add_copy(manifest, "onnx/auto", "auto", ["conv"])
    change(manifest, "onnx/auto", noisy, replace_outputs)
    add_copy(manifest, "onnx/other", "auto", kept)
    manifest["artifacts"][-1]["content"] = "dd" * 32
    change(manifest, "onnx/other", lambda outputs: outputs * 1.001, replace_outputs)
    manifest["artifacts"][-1]["content"] = "dd" * 32
    assert verdicts(manifest)["onnx/auto", "parity"] is verdict


@pytest.mark.parametrize(("mine", "verdict"), [([], Verdict.PASS), (["scale"], Verdict.FAIL)])
def test_a_peer_with_operators_in_float_says_nothing_of_one_without(manifest, replace_outputs, mine, verdict):
    replace_outputs(manifest, INT8, noisy)
    replace_outputs(manifest, "tflite/int8", lambda outputs: outputs * 1.001)
    for name, operators in ((INT8, mine), ("tflite/int8", ["dense"])):
        entry = next(item for item in manifest["artifacts"] if item["id"] == name)
        entry["steps"][-1]["recipe"] = {"recipe": "static_w8a8", "float_operators": operators}
    assert verdicts(manifest)[INT8, "parity"] is verdict
