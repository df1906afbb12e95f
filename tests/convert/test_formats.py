"""Every model of the zoo, in every format, against the server model: the same names, order and numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgeship.convert.export import export
from edgeship.convert.export.probe import random_feeds
from edgeship.convert.receipts import receipt
from edgeship.errors import InputError


@dataclass(frozen=True)
class Case:
    name: str
    inputs: tuple[str, ...] | None  # None: not checked, Keras numbers them
    outputs: tuple[str, ...]
    loader: str = "keras"
    notes: str = ""
    options: dict[str, str] = field(default_factory=dict)
    # A loop over time that cannot be unrolled: batch 1 in TFLite, none in TF.js.
    loops: bool = False


CASES = [
    Case("functional", ("image",), ("class_probs",)),
    Case("sequential", ("input_layer",), ("dense",)),
    Case("tabular", ("numbers", "t_1st_kind"), ("shared", "shared_output_1", "zz"), notes="'1st kind' is called"),
    Case("dictionary", ("a", "z"), ("alpha_0", "alpha_1", "zeta")),
    Case("subclassed", ("bias", "image"), ("features", "logits"), options={"custom_objects": "zoo_layers"}),
    Case("recurrent", ("window",), ("gru",)),
    # Keras itself answers differently once a masked backward layer is unrolled.
    Case("masked", ("tokens",), ("gru",), loops=True),
    Case("any_length", ("steps",), ("out",), loops=True),
    Case("attention", ("tokens",), ("out",)),
    Case("mixed", None, ("out",), notes="half-precision"),
    Case("legacy_h5", ("image",), ("probs",), "tf_keras", "loaded with tf_keras"),
    Case("legacy_keras", ("image",), ("probs",), "tf_keras", "loaded with tf_keras"),
    Case("era_2017", None, ("out",), "tf_keras", "Keras 2.0.8"),
    Case("saved_model", ("window",), ("beta", "zeta"), "saved_model"),
    Case("signatures", ("x",), ("p", "q"), "saved_model", "is text and left out", {"signature": "first"}),
    Case("no_signature", ("in_put",), ("output_0", "output_1"), "saved_model", "no signature"),
    Case("tf1", ("images",), ("best", "scores"), "saved_model", "TF1"),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def made(request, tensorflow, zoo, tmp_path_factory):
    """The case, what its export tells, the folder with it, feeds and what the server model answers to them."""
    case, folder = request.param, tmp_path_factory.mktemp(request.param.name)
    model = zoo(case.name)
    description = tensorflow.call(export.run, model=model, out=str(folder / "export"), **case.options)
    feeds: dict[str, Any] = next(random_feeds(description.inputs, samples=3, seed=5))
    np.savez(folder / "data.npz", **feeds)
    tensorflow.call(
        "edgeship.server_model.server_model:predict_file",
        model=model,
        data=str(folder / "data.npz"),
        out_npz=str(folder / "expected.npz"),
        batch=2,
        **case.options,
    )
    return case, description, folder, feeds, dict(np.load(folder / "expected.npz"))


def close(found, expected):
    assert set(found) == set(expected)
    for name, want in expected.items():
        assert np.abs(want).max() > 0, "an output of zeros proves nothing"
        np.testing.assert_allclose(found[name], want, rtol=1e-4, atol=1e-5, err_msg=name)


def checked(path, description, **expected):
    contents = receipt.read(path)
    receipt.check(contents, receipt.ExpectedArtifact(description, **expected))
    return contents


def test_the_export_says_what_the_model_is(made):
    case, description, _, _, expected = made
    assert description.loader == case.loader
    assert case.notes in "\n".join(description.notes)
    assert case.inputs is None or tuple(spec.name for spec in description.inputs) == case.inputs
    assert tuple(spec.name for spec in description.outputs) == case.outputs == tuple(expected)
    assert all(spec.shape[0] is None for spec in description.inputs)
    assert description.parameters > 0


def test_tflite(made, tensorflow):
    case, description, folder, feeds, expected = made
    done = tensorflow.call(
        "edgeship.convert.tflite.convert:run", saved_model=str(folder / "export"), out_file=str(folder / "m.tflite")
    )
    held = checked(folder / "m.tflite", description)
    assert held.dynamic_batch is not case.loops
    assert case.loops == any("fixed at 1" in note for note in done["notes"])
    model = Interpreter(str(folder / "m.tflite"))
    inputs = model.get_input_details()
    assert [item["name"] for item in inputs] == [spec.name for spec in description.inputs]
    assert [item["name"] for item in model.get_output_details()] == list(case.outputs)
    samples = 1 if case.loops else 3
    for item in inputs:
        model.resize_tensor_input(item["index"], [samples, *feeds[item["name"]].shape[1:]])
    model.allocate_tensors()
    for item in inputs:
        model.set_tensor(item["index"], feeds[item["name"]][:samples])
    model.invoke()
    close(
        {item["name"]: model.get_tensor(item["index"]) for item in model.get_output_details()},
        {name: value[:samples] for name, value in expected.items()},
    )
    by_name = Interpreter(str(folder / "m.tflite")).get_signature_runner("serving_default")
    found = [by_name(**{name: value[row : row + 1] for name, value in feeds.items()}) for row in range(samples)]
    close(
        {name: np.concatenate([part[name] for part in found]) for name in case.outputs},
        {name: value[:samples] for name, value in expected.items()},
    )


def test_onnx(made, tensorflow):
    case, description, folder, feeds, expected = made
    tensorflow.call(
        "edgeship.convert.onnx.convert:run", saved_model=str(folder / "export"), out_file=str(folder / "m.onnx")
    )
    held = checked(folder / "m.onnx", description, opset=17)
    assert held.ir_version == 8
    assert held.dynamic_batch
    session = onnxruntime.InferenceSession(str(folder / "m.onnx"))
    assert [item.name for item in session.get_inputs()] == [spec.name for spec in description.inputs]
    assert [item.name for item in session.get_outputs()] == list(case.outputs)
    assert session.get_inputs()[0].shape[0] == "batch"
    close(dict(zip(case.outputs, session.run(None, feeds), strict=True)), expected)


def test_tfjs(made, tensorflow):
    case, description, folder, _, _ = made
    if case.loops:
        with pytest.raises(InputError, match="While"):
            tensorflow.call(
                "edgeship.convert.tfjs.convert:run", saved_model=str(folder / "export"), out_dir=str(folder / "tfjs")
            )
        assert not (folder / "tfjs").exists()
        return
    for weights in ("float32", "float16", "uint8"):
        out = folder / f"tfjs-{weights}"
        tensorflow.call(
            "edgeship.convert.tfjs.convert:run", saved_model=str(folder / "export"), out_dir=str(out), weights=weights
        )
        held = checked(
            out, description, variant={"float32": "", "float16": "float16", "uint8": "weight_only_w8"}[weights]
        )
        assert [spec.name for spec in held.outputs] == list(case.outputs)
        assert held.dynamic_batch
        assert not stored_small(out) & {"Sub", "Mul", "AddV2"}  # in the units of raw features
        assert weights == "float32" or stored_small(out) & {"MatMul", "_FusedMatMul", "Conv2D", "_FusedConv2D"}


def stored_small(folder):
    """The kinds of operators that read constants of a TF.js model which are not stored in float32."""
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    small = {item["name"] for group in model["weightsManifest"] for item in group["weights"] if "quantization" in item}
    nodes = model["modelTopology"]["node"]
    return {node["op"] for node in nodes if small & {name.split(":")[0] for name in node.get("input", ())}}
