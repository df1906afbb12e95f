"""Batch normalization behind depthwise convolutions: folded for TF.js, whoever wrote the model, and never changed."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session


@pytest.fixture(scope="module")
def convert_model(tensorflow, tmp_path_factory):
    """`made(name, weights)`: the model as TF.js, its notes, and how often it holds each op."""
    folder = tmp_path_factory.mktemp("fold")

    def convert(name, weights="float32"):
        model = tensorflow.call("fold_models:build", name=name, folder=str(folder))
        if not (folder / f"{name}-export").exists():
            tensorflow.call("edgeship.convert.export.export:run", model=model, out=str(folder / f"{name}-export"))
        out = folder / f"{name}-{weights}"
        result = tensorflow.call(
            "edgeship.convert.tfjs.convert:run",
            saved_model=str(folder / f"{name}-export"),
            out_dir=str(out),
            weights=weights,
        )
        graph = json.loads((out / "model.json").read_text())["modelTopology"]["node"]
        return out, result["notes"], Counter(node["op"] for node in graph)

    return convert


# name -> convolutions that take batch normalization in, products and plain sums that stay.
FOLDED = {"plain": (2, 0), "biased": (1, 0), "uncentred": (1, 0), "subclassed": (1, 0), "saved_model": (1, 0)}


@pytest.mark.parametrize("name", FOLDED)
def test_it_is_folded_and_the_outputs_stay(convert_model, tensorflow, name):
    out, notes, ops = convert_model(name)
    count, products = FOLDED[name]
    assert notes == [f"batch normalization is folded into {count} depthwise convolutions"]
    assert ops["FusedDepthwiseConv2dNative"] == count
    assert ops["Mul"] == products
    # The conversion has compared the graph before and after; this is the whole model, in TF.js itself.
    if not registry.find("tfjs-node").unavailable_reason():
        same_as_server(tensorflow, out, name)


@pytest.mark.parametrize("name", ["read_twice", "per_pixel", "not_constant"])
def test_what_cannot_be_folded_is_left_alone(convert_model, tensorflow, name):
    out, notes, ops = convert_model(name)
    assert notes == []
    assert ops["Mul"] == 1
    if not registry.find("tfjs-node").unavailable_reason():
        same_as_server(tensorflow, out, name)


def same_as_server(tensorflow, out, name):
    import numpy as np

    with open_session("tfjs-node", out) as session:
        image = np.random.default_rng(1).normal(size=(4, 8, 8, 3)).astype(np.float32)
        (outputs,) = session.run({"image": image}).values()
    expected = np.array(tensorflow.call("fold_models:answer", path=str(out.parent / name), image=image.tolist()))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(outputs, expected, atol=1e-5 * max(1, np.abs(expected).max()), rtol=0)
