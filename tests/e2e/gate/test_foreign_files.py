"""`benchmark` and `gate` of files that edgeship did not make: judged by their figures, and of unknown origin."""

from __future__ import annotations

import json
import shutil

import onnx
import pytest
from onnx import helper

from edgeship.bundle import bundle as bundles
from edgeship.types import to_json


@pytest.fixture
def given(edgeship, shipped):
    """Files as a stranger gives them: an int8 `.tflite`, an `.onnx` with channels first and one without its softmax."""
    shutil.copyfile(shipped.bundle / "tflite/int8.tflite", edgeship.folder / "vendor.tflite")
    plain = onnx.load(shipped.bundle / "onnx/float32.onnx")
    onnx.save(_with_channels_first(plain), edgeship.folder / "nchw.onnx")
    onnx.save(_without_softmax(plain), edgeship.folder / "logits.onnx")
    model, data = edgeship.folder / "given.keras", edgeship.folder / "given.npz"
    shutil.copyfile(shipped.model, model)
    shutil.copyfile(shipped.folder / "evaluation.npz", data)
    return ["--server", model, "--data", data]


def _copy(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _with_channels_first(model):
    model = _copy(model)
    (own,) = model.graph.input
    shape = [item.dim_param or item.dim_value for item in own.type.tensor_type.shape.dim]
    first = helper.make_tensor_value_info(
        "input_1", own.type.tensor_type.elem_type, [shape[0], shape[-1], *shape[1:-1]]
    )
    order = [0, *range(2, len(shape)), 1]
    model.graph.node.insert(0, helper.make_node("Transpose", ["input_1"], [own.name], perm=order))
    model.graph.input.remove(own)
    model.graph.input.append(first)
    return model


def _without_softmax(model):
    model = _copy(model)
    (softmax,) = [node for node in model.graph.node if node.op_type == "Softmax"]
    (output,) = model.graph.output
    producer = next(node for node in model.graph.node if softmax.input[0] in node.output)
    model.graph.node.remove(softmax)
    producer.output[:] = [output.name if name == softmax.input[0] else name for name in producer.output]
    return model


def test_files_are_judged_by_their_figures(edgeship, given):
    done = edgeship("gate", "vendor.tflite", *given, "--max-drop", "3", "--json", "-", "--junit", "gate.xml")
    gate = json.loads(done.stdout)["gate"]
    assert done.returncode == 0, done.stderr
    assert gate["unknown_origin"] == ["tflite/vendor"]
    assert not [item for item in gate["checks"] if item["check"] == "origin"]
    assert "accuracy" in {item["check"] for item in gate["checks"]}
    assert "note tflite/vendor: input" in done.stderr and "int8: quantized by its own scale" in done.stderr
    assert "<testsuite" in (edgeship.folder / "gate.xml").read_text()

    done = edgeship("gate", "nchw.onnx", *given)
    assert done.returncode == 2 and "with channels first" in done.stderr and "--layout nchw" in done.stderr
    done = edgeship("gate", "logits.onnx", *given)
    assert done.returncode == 2 and "lacks the softmax of the server model's" in done.stderr
    done = edgeship("gate", "nchw.onnx", "vendor.tflite", *given, "--max-drop", "3", "--layout", "nchw", check=0)
    assert "ORIGIN UNKNOWN onnx/nchw, tflite/vendor: not made by edgeship" in done.stdout
    assert "'input_1' is taken for the server model's" in done.stderr


def test_a_bundle_of_them_is_measured_again_and_does_not_launder(edgeship, given, shipped):
    done = edgeship("benchmark", "vendor.tflite", *given, "--max-drop", "3", "--out", "foreign", "--json", "out.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((edgeship.folder / "out.json").read_text())["artifacts"][0]["foreign"]["file"] == "vendor.tflite"
    assert "of unknown origin: vendor.tflite" in (edgeship.folder / "foreign/report/index.html").read_text()
    assert edgeship("gate", "foreign", check=0).stdout.count("ORIGIN UNKNOWN tflite/vendor") == 1
    assert "ORIGIN UNKNOWN" in edgeship("benchmark", "foreign", check=0).stdout

    assert "match" in edgeship("verify", "foreign", check=0).stdout
    done = edgeship("debug", "foreign", check=2)
    assert "tflite/vendor: edgeship did not make it, so the float file" in done.stderr and "--profile" in done.stderr
    assert "unknown artifact 'tflite/x'" in edgeship("debug", "foreign", "--artifact", "tflite/x", check=2).stderr

    opened = bundles.open_bundle(edgeship.folder / "foreign")
    content = to_json(opened.manifest)
    shutil.copyfile(shipped.bundle / "tflite/float32.tflite", opened.root / "tflite/vendor.tflite")
    bundles.seal_content(opened.root, content)
    done = edgeship("gate", "foreign", check=1)
    assert "changed or replaced after it was measured" in done.stdout.replace("\n", " ")
    assert "FAIL" in edgeship("verify", "foreign", check=1).stdout
    content["goldens"]["artifacts"] = {}  # as earlier versions wrote it
    bundles.seal_content(opened.root, content)
    assert "--out BUNDLE writes them" in " ".join(edgeship("verify", "foreign", check=1).stdout.split())
    content["config"]["data"]["calibration"] = "given.npz"  # not what it was made with, which other data would not mend
    bundles.seal_content(opened.root, content)
    assert "edgeship did not make it" in edgeship("debug", "foreign", check=2).stderr

    content = to_json(bundles.open_bundle(shipped.bundle).manifest)
    content["artifacts"][0]["foreign"] = {"file": "x.tflite"}
    bundles.seal_content(shipped.bundle, content)
    done = edgeship("gate", shipped.bundle, check=2)
    assert "some of its artifacts are of unknown origin and some are not" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["vendor.tflite"], "name what it is compared with: --server MODEL"),
        (["vendor.tflite", "bundle", "--server", "given.keras"], "bundle: give one bundle, or"),
        (["none.tflite", "--server", "given.keras", "--data", "given.npz"], "none.tflite: no such file"),
        (["cut.tflite", "--server", "given.keras", "--data", "given.npz"], "tflite/cut: cannot be read"),
        (["vendor.tflite", "--server", "given.keras"], "no evaluation data to compare on"),
        (["bundle", "--max-drop", "1"], "--max-drop is for model files, and bundle is none"),
        (["bundle", "--data", "given.npz"], "--data is for model files, and bundle is none"),
    ],
)
def test_bad_input_is_named(edgeship, given, arguments, why):
    cut = (edgeship.folder / "vendor.tflite").read_bytes()[:900]
    (edgeship.folder / "cut.tflite").write_bytes(cut)
    (edgeship.folder / "bundle").mkdir()
    done = edgeship("gate", *arguments, check=2)
    assert why in done.stderr
    assert "Traceback" not in done.stderr
